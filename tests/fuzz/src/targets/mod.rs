//! All targets.
mod config;
mod curves;
mod dial;
#[cfg(feature = "surrogate")]
mod encoding;
mod engine;
mod folder;
#[cfg(feature = "burn")]
mod images;
mod journal;
mod lines;
#[cfg(feature = "burn")]
mod onnx;
mod pace;
mod queue;
mod session;
#[cfg(feature = "burn")]
mod state;
mod wire;

use crate::Target;

/// All of them that this build has.
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
    &pace::TARGET,
    &dial::TARGET,
    &queue::TARGET,
    #[cfg(feature = "surrogate")]
    &encoding::TARGET,
    #[cfg(feature = "burn")]
    &images::TARGET,
    #[cfg(feature = "burn")]
    &state::TARGET,
    #[cfg(feature = "burn")]
    &onnx::INSPECT,
    #[cfg(feature = "burn")]
    &onnx::ROWS,
    #[cfg(feature = "burn")]
    &onnx::PREDICT,
];

/// The target of this name.
///
/// # Panics
/// There is none.
#[must_use]
pub fn target(name: &str) -> &'static Target {
    TARGETS.iter().find(|target| target.name == name).unwrap_or_else(|| panic!("there is no target `{name}`"))
}
