//! The `hpo` program. See `hpo --help`.
mod cli;

/// A fifth of a training step on the CPU goes into page faults of large buffers with the system's allocator.
#[cfg(feature = "worker")]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    cli::main()
}
