//! Where a trainer's other output goes: one file an attempt, and the last lines of standard error kept for messages.
use std::collections::VecDeque;
use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::private;

/// Lines of standard error that are kept.
const TAIL_LINES: usize = 10;
/// Bytes of each that are kept.
const TAIL_LINE_MAX: usize = 400;

/// The log of the attempt that a trainer runs; both of its output streams go there.
#[derive(Clone, Debug, Default)]
pub(super) struct Log(Arc<Mutex<Inner>>);

#[derive(Debug, Default)]
struct Inner {
    file: Option<File>,
    tail: VecDeque<String>,
}

impl Log {
    /// Another attempt begins: its output goes to `path`. A log that cannot be written is no reason not to train.
    pub(super) fn switch(&self, path: &Path) {
        let file = private::options().append(true).open(path);
        let file = file.inspect_err(|why| tracing::warn!(path = %path.display(), %why, "the trainer's output is not kept"));
        *self.lock() = Inner { file: file.ok(), tail: VecDeque::new() };
    }

    /// A line of standard output.
    pub(super) fn out(&self, line: &[u8]) {
        self.lock().write(line);
    }

    /// A line of standard error.
    pub(super) fn err(&self, line: &[u8]) {
        let mut inner = self.lock();
        inner.write(line);
        let text = String::from_utf8_lossy(&line[..line.len().min(TAIL_LINE_MAX)]);
        if !text.trim().is_empty() {
            if inner.tail.len() == TAIL_LINES {
                inner.tail.pop_front();
            }
            inner.tail.push_back(text.trim_end().to_owned());
        }
    }

    /// The last lines of standard error of this attempt.
    pub(super) fn tail(&self) -> String {
        Vec::from(self.lock().tail.clone()).join("\n")
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn write(&mut self, line: &[u8]) {
        let Some(file) = &mut self.file else { return };
        // One write a line, so that the streams do not mix within one.
        if let Err(why) = file.write_all(&[line, b"\n"].concat()) {
            tracing::warn!(%why, "the rest of the trainer's output is not kept");
            self.file = None;
        }
    }
}
