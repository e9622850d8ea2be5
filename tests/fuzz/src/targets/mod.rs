//! All targets.
mod config;
mod curves;
mod engine;
mod folder;
#[cfg(feature = "burn")]
mod images;
mod journal;
mod lines;
#[cfg(feature = "burn")]
mod onnx;
mod session;
#[cfg(feature = "burn")]
mod state;
mod wire;

use crate::Target;

/// All of them.
#[cfg(not(feature = "burn"))]
pub const TARGETS: &[&Target] = QUICK;

/// All of them.
#[cfg(feature = "burn")]
pub const TARGETS: &[&Target] = &[
    &config::TARGET,
    &journal::RAW,
    &journal::SEALED,
    &folder::TARGET,
    &lines::TARGET,
    &wire::TARGET,
    &engine::TARGET,
    &session::TARGET,
    &curves::TARGET,
    &images::TARGET,
    &state::TARGET,
    &onnx::INSPECT,
    &onnx::ROWS,
    &onnx::PREDICT,
];

#[cfg(not(feature = "burn"))]
const QUICK: &[&Target] = &[
    &config::TARGET,
    &journal::RAW,
    &journal::SEALED,
    &folder::TARGET,
    &lines::TARGET,
    &wire::TARGET,
    &engine::TARGET,
    &session::TARGET,
    &curves::TARGET,
];

/// The target of this name.
///
/// # Panics
/// There is none.
#[must_use]
pub fn target(name: &str) -> &'static Target {
    TARGETS.iter().find(|target| target.name == name).unwrap_or_else(|| panic!("there is no target `{name}`"))
}
