//! How a run's `checkpoints` folder is laid out. Workers write states there, and the driver deletes them:
//!
//! ```text
//! ab/abcdef...      a state, under its id
//! tmp/<worker>/...  what is being written, and which process the worker is
//! ```
use std::path::PathBuf;

/// The folder of what is being written.
pub const SCRATCH: &str = "tmp";

/// In a worker's folder there: which process it is, by which a driver of the same machine knows whether it lives.
pub const PROCESS: &str = "process.json";

/// Digits of an id: a BLAKE3 hash in lower-case hexadecimal.
const ID_DIGITS: usize = 64;

/// Where the state of that id lies in the folder. None if `id` is none: what came from outside is never made into a path.
#[must_use]
pub fn state(id: &str) -> Option<PathBuf> {
    let is_id = id.len() == ID_DIGITS && id.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    is_id.then(|| [&id[..2], id].iter().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_id_has_a_place() {
        let id = "0af".repeat(21) + "9";
        assert_eq!(state(&id).unwrap(), PathBuf::from(format!("0a/{id}")));
        for no_id in ["", "../../etc/passwd", &id[1..], &format!("{id}0"), &id.to_uppercase(), &id.replace('9', "g"), &id.replace('9', "/")]
        {
            assert_eq!(state(no_id), None, "{no_id}");
        }
    }
}
