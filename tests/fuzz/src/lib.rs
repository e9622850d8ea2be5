//! Hostile input for everything that reads what others wrote: sweep files, journals, trainers' words, messages, data,
//! states, models. None may panic, hang or allocate without bound.
//!
//! Each [`Target`] is one plain function of bytes. `tests/quick.rs` and `tests/models.rs` give it, on stable Rust and in
//! seconds, its examples, everything that was ever found, and mutations of both; the folder `fuzz` beside `src` gives it to
//! libFuzzer, which needs a nightly compiler and finds more. `README.md` there tells how.
mod mutate;
mod scratch;
mod targets;

pub use mutate::Mutator;
pub use targets::{TARGETS, target};

/// One reader and what it is fed with.
#[derive(Debug)]
pub struct Target {
    /// Its name.
    pub name: &'static str,
    /// Reads the bytes. It panics only where the code under test breaks a promise.
    pub run: fn(&[u8]),
    /// Good input, to mutate.
    pub examples: fn() -> Vec<Vec<u8>>,
    /// What was found by fuzzing or by thinking, each with a sentence about it.
    pub found: &'static [Found],
    /// Words that mean something to the reader, for mutations.
    pub words: &'static [&'static str],
    /// How many bytes it may hold at once for each byte of input, beside [`BASE_BYTES`].
    pub bytes_per_byte: usize,
}

/// What any reader may hold at once, in bytes, however small its input is.
pub const BASE_BYTES: usize = 64 << 20;

/// An input that once did harm.
#[derive(Debug)]
pub struct Found {
    /// What it did.
    pub what: &'static str,
    /// The input.
    pub input: fn() -> Vec<u8>,
}

impl Target {
    /// Its examples and all that was found, the latter with what it did.
    #[must_use]
    pub fn corpus(&self) -> Vec<(&'static str, Vec<u8>)> {
        let examples = (self.examples)().into_iter().map(|bytes| ("an example", bytes));
        examples.chain(self.found.iter().map(|found| (found.what, (found.input)()))).collect()
    }
}
