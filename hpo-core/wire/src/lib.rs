//! What driver and worker say to each other: the protobuf messages (`pb`, generated from `hpo.proto` and committed), the
//! same as plain types ([`FromWorker`], [`FromDriver`]), and the checked way between them; what neither side accepts
//! ([`limits`]), and how a driver is dialled ([`dial()`]).
//!
//! Beyond this package only the two ends of the connection name `pb`; everyone else uses the plain types.
mod convert;
mod dial;
pub mod limits;
mod message;

/// Generated from `hpo.proto`; `tests/generated.rs` compares it and says how to write it anew.
#[allow(missing_docs, unreachable_pub, clippy::all, clippy::disallowed_types, clippy::too_many_lines)]
#[rustfmt::skip]
pub mod pb;

pub use convert::{ConvertFault, from_driver};
pub use dial::{ALPN, DialFault, SERVER_NAME, Trust, TrustFault, dial};
pub use limits::MESSAGE_MAX;
pub use message::{About, Acknowledged, FromDriver, FromWorker, Hello, Welcome, Word};

/// Version of the protocol. Driver and worker must be equal in it.
pub const PROTOCOL: u32 = 1;

/// Name of the metadata entry that carries the token.
pub const TOKEN_HEADER: &str = "authorization";

/// The value of [`TOKEN_HEADER`] for a token.
#[must_use]
pub fn bearer(token: &str) -> String {
    format!("Bearer {}", token.trim())
}
