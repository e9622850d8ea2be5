//! What can train.
pub mod burn;
