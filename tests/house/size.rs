//! Nothing too long to read at one sitting.
use crate::hold;
use crate::source::{files, text};

const LINES_MAX: usize = 400;

#[test]
fn no_file_is_longer_than_400_lines() {
    let written = |path: &String| !text(path).lines().next().unwrap_or_default().contains("@generated");
    let long = files("rs").into_iter().filter(written).map(|path| (text(&path).lines().count(), path));
    let broken: Vec<String> = long.filter(|(lines, _)| *lines > LINES_MAX).map(|(lines, path)| format!("{path}: {lines} lines")).collect();
    hold("A file has at most 400 lines: one idea a file. Split it along an idea, not in the middle.", &broken);
}
