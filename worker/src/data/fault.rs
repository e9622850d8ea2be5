//! What can be wrong with data.
use std::io;
use std::path::PathBuf;

/// Why there are no examples. Trying again does not help before something is changed.
#[derive(Debug, thiserror::Error)]
pub enum DataFault {
    /// The file is not there or may not be read.
    #[error("cannot open {path}: check the path in [trial.data] (and HPO_DATA_DIR, if it is part of it)")]
    Open {
        /// Which file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Reading failed in the middle, or the compressed stream is damaged.
    #[error("cannot read {path}: it is damaged or was cut short; fetch it again")]
    Read {
        /// Which file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// It does not begin as an IDX file does.
    #[error(
        "{path} is no IDX file: it begins with {found:02x?}, not with 00 00, the element type and the number of dimensions; \
         give the file as published, gzip or plain"
    )]
    NotIdx {
        /// Which file.
        path: PathBuf,
        /// Its first four bytes.
        found: [u8; 4],
    },
    /// Elements that are not bytes.
    #[error("{path} holds elements of IDX type 0x{found:02x}; only unsigned bytes (0x08) are read: convert it")]
    Element {
        /// Which file.
        path: PathBuf,
        /// The type's code.
        found: u8,
    },
    /// Another number of dimensions.
    #[error("{path} has {found} dimensions, but {expected}; are `images` and `labels` swapped?")]
    Dimensions {
        /// Which file.
        path: PathBuf,
        /// What the header says.
        found: u8,
        /// What there should be, in words.
        expected: &'static str,
    },
    /// The header announces more than memory should hold, or nothing.
    #[error("{path} announces the sizes {sizes:?}; each must be at least 1, and all together at most {limit} bytes")]
    Size {
        /// Which file.
        path: PathBuf,
        /// The sizes in the header.
        sizes: Vec<u32>,
        /// The largest product read.
        limit: u64,
    },
    /// Fewer or more bytes than the header says.
    #[error("{path} should hold {expected} bytes after its header but holds {found}; it was cut short or is damaged: fetch it again")]
    Length {
        /// Which file.
        path: PathBuf,
        /// By the header.
        expected: u64,
        /// What is there, or `more`.
        found: Found,
    },
    /// Images and labels do not belong together.
    #[error("{images} images in {images_path} but {labels} labels in {labels_path}: give two files of the same set")]
    Counts {
        /// The image file.
        images_path: PathBuf,
        /// Its images.
        images: usize,
        /// The label file.
        labels_path: PathBuf,
        /// Its labels.
        labels: usize,
    },
    /// There is nothing to tell apart.
    #[error("every label in {path} is 0: a classifier needs at least two classes")]
    OneClass {
        /// The label file.
        path: PathBuf,
    },
    /// Numbers that the generator cannot use.
    #[error("glyphs: {name} = {value} must be from {low} to {high}")]
    Glyphs {
        /// Which setting.
        name: &'static str,
        /// What it is.
        value: f64,
        /// Smallest.
        low: f64,
        /// Largest.
        high: f64,
    },
    /// Shares that are no shares.
    #[error("split: train = {train}, validation = {validation}, test = {test}: each must be from 0 to 1, and their sum at most 1")]
    Shares {
        /// For training.
        train: f64,
        /// For reports.
        validation: f64,
        /// For the end.
        test: f64,
    },
    /// A part that must have examples has none.
    #[error("split: of {count} examples none is left for {part}; give it a larger share or use more data")]
    EmptyPart {
        /// Which part.
        part: &'static str,
        /// All examples.
        count: usize,
    },
    /// No pixel differs from another.
    #[error("every pixel of the training images has the same value: there is nothing to learn from")]
    Constant,
}

/// How many bytes were found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// So many.
    Bytes(u64),
    /// More than expected; nobody counted.
    More,
}

impl std::fmt::Display for Found {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Bytes(bytes) => bytes.fmt(f),
            Self::More => f.write_str("more"),
        }
    }
}
