//! A line: one JSON object whose last member is the CRC-32C of all bytes before it, so that every line stays valid JSON.
use serde::Serialize;

use super::fault::Damage;

/// `,"crc":"` + 8 digits + `"}`.
const TAIL: usize = 8 + 8 + 2;

/// Appends the line of `value`, which must serialize as an object with at least one member.
pub(super) fn encode(value: &impl Serialize, out: &mut Vec<u8>) -> Result<(), serde_json::Error> {
    let start = out.len();
    serde_json::to_writer(&mut *out, value)?;
    // The object is closed again after the checksum.
    out.pop();
    let crc = crc32c::crc32c(&out[start..]);
    out.extend_from_slice(b",\"crc\":\"");
    out.extend_from_slice(&digits_of(crc));
    out.extend_from_slice(b"\"}\n");
    Ok(())
}

/// Eight lower-case hexadecimal digits.
fn digits_of(crc: u32) -> [u8; 8] {
    std::array::from_fn(|place| b"0123456789abcdef"[(crc >> (28 - 4 * place)) as usize & 15])
}

/// Whether the checksum of a line (without its newline) is right.
pub(super) fn check(line: &[u8]) -> Result<(), Damage> {
    let (body, tail) = line.split_at_checked(line.len().saturating_sub(TAIL)).ok_or(Damage::NoChecksum)?;
    let digits = tail.strip_prefix(b",\"crc\":\"").and_then(|rest| rest.strip_suffix(b"\"}")).ok_or(Damage::NoChecksum)?;
    let crc = crc32c::crc32c(body);
    // As text: `0A` is not what was written for `0a`.
    if digits == digits_of(crc) {
        return Ok(());
    }
    Err(Damage::Checksum { expected: format!("{crc:08x}"), found: String::from_utf8_lossy(digits).into_owned() })
}
