//! Words of commands that people are told to type.

/// A word that a shell takes as it is.
#[must_use]
pub fn quoted(word: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_./=:,@%+".contains(&byte);
    if !word.is_empty() && word.bytes().all(plain) { word.to_owned() } else { format!("'{}'", word.replace('\'', r"'\''")) }
}

/// The path of a file or folder as such a word, which no program takes for an option.
#[must_use]
pub fn path(path: &std::path::Path) -> String {
    let path = path.display().to_string();
    if path.starts_with('-') { quoted(&format!("./{path}")) } else { quoted(&path) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_one_word_and_no_option() {
        for (given, word) in [
            ("runs/a", "runs/a"),
            ("my runs/a", "'my runs/a'"),
            ("it's", r"'it'\''s'"),
            ("-rf", "./-rf"),
            ("~me", "'~me'"),
            ("", "''"),
            ("$(x)", "'$(x)'"),
        ] {
            assert_eq!(path(given.as_ref()), word);
        }
    }
}
