//! Images to predict: an IDX file, or text with a row of pixels a line. Pixels are bytes, as the training data's were.
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};

use super::file::FileFault;
use crate::data::{DataFault, read_images};

/// No images in that file.
#[derive(Debug, thiserror::Error)]
pub enum RowsFault {
    /// It cannot be read.
    #[error(transparent)]
    File(#[from] FileFault),
    /// It is an IDX file, and a bad one.
    #[error(transparent)]
    Idx(#[from] DataFault),
    /// Its images are of another size.
    #[error("{path} holds images of {found:?} (channels, height, width); the model takes {wanted:?}")]
    Shape {
        /// Which file.
        path: PathBuf,
        /// What is in it.
        found: [usize; 3],
        /// What the model takes.
        wanted: [usize; 3],
    },
    /// A line that is no row of pixels.
    #[error("{path}, line {line}")]
    Line {
        /// Which file.
        path: PathBuf,
        /// Which line, from 1.
        line: usize,
        /// What is wrong with it.
        source: LineFault,
    },
    /// There is nothing in it.
    #[error("{path} holds no image")]
    Empty {
        /// Which file.
        path: PathBuf,
    },
}

/// What is wrong with a line of text.
#[derive(Debug, thiserror::Error)]
pub enum LineFault {
    /// It begins as JSON.
    #[error("a line of JSON must be one array of whole numbers from 0 to 255")]
    Json(#[from] serde_json::Error),
    /// It is CSV, and this is not a pixel.
    #[error("value {column} is `{text}`; pixels are whole numbers from 0 to 255")]
    Pixel {
        /// Which, from 1.
        column: usize,
        /// What is there.
        text: String,
    },
    /// Another number of pixels.
    #[error("it has {found} values; the model takes {wanted:?} (channels, height, width): {} values", wanted.iter().product::<usize>())]
    Count {
        /// How many there are.
        found: usize,
        /// What the model takes.
        wanted: [usize; 3],
    },
}

/// All pixels of a file, image after image, each of the shape [channels, height, width]. The kind of file is seen from
/// its beginning: IDX (plain or gzip), JSON lines (`[0, 12, ..]`), else CSV, perhaps with a line of column names.
pub(super) fn read(path: &Path, shape: [usize; 3]) -> Result<Vec<u8>, RowsFault> {
    let fault = |source| FileFault::Read { path: path.to_owned(), source };
    let mut file = BufReader::new(File::open(path).map_err(fault)?);
    let pixels = match file.fill_buf().map_err(fault)? {
        // gzip, or the zeros of IDX, which no text begins with
        [0x1f, 0x8b, ..] | [0, ..] => {
            let (pixels, found) = read_images(path)?;
            if found != shape {
                return Err(RowsFault::Shape { path: path.to_owned(), found, wanted: shape });
            }
            pixels
        }
        _ => text(file, path, shape)?,
    };
    if pixels.is_empty() { Err(RowsFault::Empty { path: path.to_owned() }) } else { Ok(pixels) }
}

fn text(file: impl BufRead, path: &Path, shape: [usize; 3]) -> Result<Vec<u8>, RowsFault> {
    let mut pixels = Vec::new();
    for (index, text) in file.lines().enumerate() {
        let text = text.map_err(|source| FileFault::Read { path: path.to_owned(), source })?;
        let text = text.trim();
        if text.is_empty() || (index == 0 && is_header(text)) {
            continue;
        }
        let row = line(text, shape).map_err(|source| RowsFault::Line { path: path.to_owned(), line: index + 1, source })?;
        pixels.extend(row);
    }
    Ok(pixels)
}

fn line(text: &str, shape: [usize; 3]) -> Result<Vec<u8>, LineFault> {
    let row: Vec<u8> = if text.starts_with('[') {
        serde_json::from_str(text)?
    } else {
        let pixel = |(index, text): (usize, &str)| {
            text.trim().parse().map_err(|_| LineFault::Pixel { column: index + 1, text: text.trim().to_owned() })
        };
        text.split(',').enumerate().map(pixel).collect::<Result<_, _>>()?
    };
    if row.len() == shape.iter().product::<usize>() { Ok(row) } else { Err(LineFault::Count { found: row.len(), wanted: shape }) }
}

/// Column names: not one of them is a number.
fn is_header(text: &str) -> bool {
    !text.starts_with('[') && text.split(',').all(|name| name.trim().parse::<f64>().is_err())
}
