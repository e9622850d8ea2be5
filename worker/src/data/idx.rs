//! IDX files, MNIST's format (<http://yann.lecun.com/exdb/mnist>): two zero bytes, an element type, the number of dimensions,
//! each size as a big-endian u32, then the elements, row-major. Gzip is recognised by its first bytes.
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;

use flate2::bufread::MultiGzDecoder;

use super::{DataFault, Found, Raw};

/// Files that announce more are refused before memory is asked for.
const BYTES_MAX: u64 = 4 << 30;
const UNSIGNED_BYTE: u8 = 0x08;
const GZIP: [u8; 2] = [0x1f, 0x8b];

/// Images [n, height, width] or [n, height, width, channels] and labels [n], both u8.
pub(super) fn read(images: &Path, labels: &Path) -> Result<Raw, DataFault> {
    let (pixels, input) = read_images(images)?;
    let label = open(labels, 1..=1, "labels have one")?.elements;
    let count = pixels.len() / input.iter().product::<usize>();
    if count != label.len() {
        return Err(DataFault::Counts {
            images_path: images.to_owned(),
            images: count,
            labels_path: labels.to_owned(),
            labels: label.len(),
        });
    }
    let classes = usize::from(label.iter().copied().max().unwrap_or(0)) + 1;
    if classes < 2 {
        return Err(DataFault::OneClass { path: labels.to_owned() });
    }
    Ok(Raw { pixels, labels: label, input, classes })
}

/// The images of an IDX file, without labels: bytes [n, channels, height, width], and [channels, height, width].
///
/// # Errors
/// Whatever is wrong with the file.
pub fn read_images(path: &Path) -> Result<(Vec<u8>, [usize; 3]), DataFault> {
    let array = open(path, 3..=4, "images have three (count, height, width) or four (count, height, width, channels)")?;
    let (height, width, channels) = (array.sizes[1], array.sizes[2], array.sizes.get(3).copied().unwrap_or(1));
    let pixels = if channels == 1 { array.elements } else { channels_first(&array.elements, channels, height * width) };
    Ok((pixels, [channels, height, width]))
}

fn channels_first(pixels: &[u8], channels: usize, area: usize) -> Vec<u8> {
    let mut out = Vec::with_capacity(pixels.len());
    for image in pixels.chunks_exact(channels * area) {
        for channel in 0..channels {
            out.extend(image.iter().skip(channel).step_by(channels));
        }
    }
    out
}

struct Array {
    /// As many as the caller's dimensions; the product is the number of elements.
    sizes: Vec<usize>,
    elements: Vec<u8>,
}

fn open(path: &Path, dimensions: std::ops::RangeInclusive<u8>, expected: &'static str) -> Result<Array, DataFault> {
    let open_fault = |source| DataFault::Open { path: path.to_owned(), source };
    let read_fault = |source| DataFault::Read { path: path.to_owned(), source };
    let mut file = BufReader::new(File::open(path).map_err(open_fault)?);
    // A folder opens but does not read, hence the first fault here too.
    let zipped = file.fill_buf().map_err(open_fault)?.starts_with(&GZIP);
    let mut input: Box<dyn Read> = if zipped { Box::new(MultiGzDecoder::new(file)) } else { Box::new(file) };

    let [zero, also_zero, element, rank] = start(&mut input).map_err(read_fault)?;
    if [zero, also_zero] != [0, 0] {
        return Err(DataFault::NotIdx { path: path.to_owned(), found: [zero, also_zero, element, rank] });
    }
    if element != UNSIGNED_BYTE {
        return Err(DataFault::Element { path: path.to_owned(), found: element });
    }
    if !dimensions.contains(&rank) {
        return Err(DataFault::Dimensions { path: path.to_owned(), found: rank, expected });
    }
    let sizes: Vec<u32> = (0..rank).map(|_| start(&mut input).map(u32::from_be_bytes)).collect::<io::Result<_>>().map_err(read_fault)?;
    let length = sizes.iter().try_fold(1_u64, |product, &size| product.checked_mul(u64::from(size)));
    let Some(length) = length.filter(|length| (1..=BYTES_MAX).contains(length)) else {
        return Err(DataFault::Size { path: path.to_owned(), sizes, limit: BYTES_MAX });
    };
    // Memory grows with what is really there, not with what the header says.
    let mut elements = vec![];
    input.by_ref().take(length + 1).read_to_end(&mut elements).map_err(read_fault)?;
    if elements.len() as u64 != length {
        let found = elements.len() as u64;
        let found = if found > length { Found::More } else { Found::Bytes(found) };
        return Err(DataFault::Length { path: path.to_owned(), expected: length, found });
    }
    Ok(Array { sizes: sizes.into_iter().map(|size| size as usize).collect(), elements })
}

/// The next four bytes.
fn start(input: &mut impl Read) -> io::Result<[u8; 4]> {
    let mut bytes = [0; 4];
    input.read_exact(&mut bytes)?;
    Ok(bytes)
}
