//! Whether a token is right, in a time that does not tell how much of it is.

/// Compares all bytes, whatever the first ones are. Only the length, which is no secret, can be learnt from the time.
pub(super) fn same(shown: &[u8], expected: &[u8]) -> bool {
    if shown.len() != expected.len() {
        return false;
    }
    let different = shown.iter().zip(expected).fold(0, |different, (a, b)| std::hint::black_box(different | (a ^ b)));
    different == 0
}

#[cfg(test)]
mod tests {
    use super::same;

    #[test]
    fn only_the_whole_token_is_right() {
        assert!(same(b"Bearer 00ff", b"Bearer 00ff"));
        for wrong in [&b""[..], b"Bearer 00f", b"Bearer 00fe", b"bearer 00ff", b"Bearer 00ff0"] {
            assert!(!same(wrong, b"Bearer 00ff"), "{wrong:?}");
        }
    }
}
