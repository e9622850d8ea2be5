//! How a run's `checkpoints` folder is laid out. Workers write states there, and the driver deletes them:
//!
//! ```text
//! ab/abcdef...-3    a state, under its id: its hash, and the attempt that wrote it
//! tmp/<worker>/...  what is being written, and which process the worker is
//! ```
use std::path::PathBuf;

use crate::Attempt;

/// The folder of what is being written.
pub const SCRATCH: &str = "tmp";

/// In a worker's folder there: which process it is, by which a driver of the same machine knows whether it lives.
pub const PROCESS: &str = "process.json";

/// Digits of the hash that an id begins with: BLAKE3 in lower-case hexadecimal.
const HASH_DIGITS: usize = 64;

/// The id of a state: the hash of its trial's number and its content, and the attempt that wrote it. An attempt saves at most one
/// state, and none after that was told, so a name of which a driver has once decided that it can go never comes again: who deletes
/// it late deletes nothing that is needed.
#[must_use]
pub fn id(hash: &str, attempt: Attempt) -> String {
    format!("{hash}-{attempt}")
}

/// The hash in an id. None if `id` is none. Those of earlier versions are the hash alone.
#[must_use]
pub fn hash(id: &str) -> Option<&str> {
    let (hash, attempt) = id.split_once('-').map_or((id, None), |(hash, attempt)| (hash, Some(attempt)));
    let is_hash = hash.len() == HASH_DIGITS && hash.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    // One text for each number.
    let is_attempt = |text: &str| text.parse::<u32>().is_ok_and(|number| number > 0 && number.to_string() == text);
    (is_hash && attempt.is_none_or(is_attempt)).then_some(hash)
}

/// Where the state of that id lies in the folder. None if `id` is none: what came from outside is never made into a path.
#[must_use]
pub fn state(id: &str) -> Option<PathBuf> {
    hash(id).map(|hash| [&hash[..2], id].iter().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_id_has_a_place() {
        let old = "0af".repeat(21) + "9";
        let new = id(&old, Attempt(12));
        for id in [&old, &new] {
            assert_eq!(state(id).unwrap(), PathBuf::from(format!("0a/{id}")));
            assert_eq!(hash(id), Some(old.as_str()));
            for no_id in
                ["", "../../etc/passwd", &id[1..], &format!("0{id}"), &id.replace('a', "A"), &id.replace('9', "g"), &id.replace('9', "/")]
            {
                assert_eq!(state(no_id), None, "{no_id}");
            }
        }
        for tail in ["0", "-", "-0", "-01", "-+1", "- 1", "-1-1", "-4294967296", "-/../1"] {
            assert_eq!(state(&(old.clone() + tail)), None, "{tail}");
        }
    }
}
