//! `ort` knows one runtime a process: each runs the parity test in a process of its own.
use std::ffi::OsStr;
use std::process::Command;

use crate::onnx::runtime::LIBRARY;

/// Which runtime the process must have found; set for the processes below alone.
pub(super) const EXPECTED: &str = "HPO_TEST_EXPECTED_RUNTIME";

fn parity_holds(library: &OsStr, runtime: &str) {
    let test = "onnx::tests::parity::an_export_says_what_the_network_says_at_every_batch_size";
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", test])
        .env(LIBRARY, library)
        .env(EXPECTED, runtime)
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && told.contains("1 passed"),
        "{library:?} {runtime}: {told}{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

#[test]
fn the_built_in_runtime_agrees() {
    parity_holds(OsStr::new(""), "tract");
}

#[test]
fn a_missing_library_leaves_the_built_in_runtime() {
    parity_holds(OsStr::new("/absent/libonnxruntime.so"), "tract");
}

#[test]
fn onnx_runtime_agrees() {
    match std::env::var_os(LIBRARY).filter(|path| !path.is_empty()) {
        Some(library) => parity_holds(&library, "onnxruntime"),
        None => eprintln!("SKIPPED: {LIBRARY} is not set, so ONNX Runtime was not tried"),
    }
}
