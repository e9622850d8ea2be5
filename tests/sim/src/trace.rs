//! What happened, for people, and one number for all of it.
use std::fmt::{self, Write};

use hpo_core::Stamp;

/// Hashes every line, and prints it if asked.
#[derive(Debug)]
pub(crate) struct Trace {
    hash: u64,
    print: bool,
}

impl Trace {
    pub(crate) fn new(print: bool) -> Self {
        Self { hash: 0xcbf2_9ce4_8422_2325, print }
    }

    pub(crate) fn hash(&self) -> u64 {
        self.hash
    }

    /// One line.
    pub(crate) fn say(&mut self, at: Stamp, line: fmt::Arguments<'_>) {
        if self.print {
            println!("{:>10.3}  {line}", at.0 as f64 / 1e3);
        }
        self.mix(&at.0.to_le_bytes());
        // Hashing cannot fail.
        let _ = self.write_fmt(line);
    }

    fn mix(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.hash = (self.hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }
}

impl Write for Trace {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.mix(text.as_bytes());
        Ok(())
    }
}
