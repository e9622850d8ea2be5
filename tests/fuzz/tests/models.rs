//! As `quick.rs`, of what only a worker with models reads.
mod hold;

use hold::hold;

#[global_allocator]
static HEAP: peak_alloc::PeakAlloc = peak_alloc::PeakAlloc;

#[test]
fn files_of_images() {
    hold("images", 2000);
}

#[test]
fn states() {
    hold("state", 1000);
}

#[test]
fn models_that_are_looked_at() {
    hold("onnx", 5000);
}

#[test]
fn images_to_predict() {
    hold("rows", 1000);
}
