//! Sources as their tokens: comments and strings cannot be taken for code, and code under `#[cfg(test)]` is left out.
use std::path::{Path, PathBuf};

use hpo_tests::root;
use proc_macro2::{Delimiter, TokenStream, TokenTree};

/// Rust files of the workspace that are not tests, with forward slashes, relative to the root.
pub(crate) fn sources() -> Vec<Source> {
    let files: Vec<Source> = files("rs")
        .into_iter()
        .filter(|path| !path.starts_with("tests/") && !path.contains("/tests/"))
        .map(|path| Source::read(&path))
        .collect();
    let tests: Vec<String> = files.iter().flat_map(Source::test_modules).collect();
    let is_test = |path: &str| tests.iter().any(|module| path == format!("{module}.rs") || path.starts_with(&format!("{module}/")));
    files.into_iter().filter(|file| !is_test(&file.path)).collect()
}

/// Every file with that ending, relative to the root; build outputs, run folders and hidden folders other than `.ci` are left out.
pub(crate) fn files(ending: &str) -> Vec<String> {
    let mut found = vec![];
    walk(root(), &mut |path| {
        if path.extension().is_some_and(|extension| extension == ending) {
            found.push(path.strip_prefix(root()).expect("below the root").to_string_lossy().replace('\\', "/"));
        }
    });
    found.sort();
    assert!(!found.is_empty(), "no *.{ending} below {}", root().display());
    found
}

fn walk(folder: &Path, visit: &mut impl FnMut(&Path)) {
    for entry in folder.read_dir().expect("a folder of the workspace can be read").flatten() {
        let (path, name) = (entry.path(), entry.file_name());
        let name = name.to_string_lossy();
        if !path.is_dir() {
            visit(&path);
        } else if !matches!(&*name, "target" | "runs") && (!name.starts_with('.') || name == ".ci") {
            walk(&path, visit);
        }
    }
}

/// The text of a file, by its path from the root.
pub(crate) fn text(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// A file as words: identifiers and punctuation with their lines.
pub(crate) struct Source {
    pub(crate) path: String,
    words: Vec<(String, usize)>,
    test_modules: Vec<String>,
}

impl Source {
    fn read(path: &str) -> Self {
        Self::parse(path, &text(path))
    }

    fn parse(path: &str, text: &str) -> Self {
        let tokens = text.parse().unwrap_or_else(|error| panic!("{path} is not Rust: {error}"));
        let mut source = Self { path: path.to_owned(), words: vec![], test_modules: vec![] };
        source.take(tokens);
        source
    }

    fn take(&mut self, tokens: TokenStream) {
        let tokens: Vec<TokenTree> = tokens.into_iter().collect();
        let mut next = 0;
        while let Some(token) = tokens.get(next) {
            next += 1;
            if is_cfg_test(token, tokens.get(next)) {
                next += self.skip_item(&tokens[next + 1..]) + 1;
                continue;
            }
            let line = token.span().start().line;
            match token {
                TokenTree::Group(group) => {
                    let [open, close] = match group.delimiter() {
                        Delimiter::Parenthesis => ["(", ")"],
                        Delimiter::Brace => ["{", "}"],
                        Delimiter::Bracket => ["[", "]"],
                        Delimiter::None => ["", ""],
                    };
                    self.words.push((open.to_owned(), line));
                    self.take(group.stream());
                    self.words.push((close.to_owned(), line));
                }
                TokenTree::Literal(_) => self.words.push(("literal".to_owned(), line)),
                _ => self.words.push((token.to_string(), line)),
            }
        }
    }

    /// How many tokens the item takes that stands under `#[cfg(test)]`; a `mod name;` is remembered.
    fn skip_item(&mut self, tokens: &[TokenTree]) -> usize {
        let ends = |token: &TokenTree| match token {
            TokenTree::Group(group) => group.delimiter() == Delimiter::Brace,
            TokenTree::Punct(punct) => punct.as_char() == ';',
            _ => false,
        };
        let last = tokens.iter().position(ends).unwrap_or(tokens.len().saturating_sub(1));
        let words: Vec<String> = tokens[..=last].iter().map(ToString::to_string).collect();
        if let Some(name) = words.iter().position(|word| word == "mod").filter(|_| words[last] == ";").and_then(|at| words.get(at + 1)) {
            self.test_modules.push(name.clone());
        }
        last + 1
    }

    /// Paths, without ending, of the modules that only tests have.
    fn test_modules(&self) -> Vec<String> {
        let path = PathBuf::from(&self.path);
        let stem = path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
        let parent = path.parent().map(|parent| parent.to_string_lossy().into_owned()).unwrap_or_default();
        let folder = if matches!(&*stem, "mod" | "lib" | "main") { parent } else { format!("{parent}/{stem}") };
        self.test_modules.iter().map(|name| format!("{folder}/{name}")).collect()
    }

    /// Where these words stand one after the other, as `path:line`.
    pub(crate) fn find(&self, words: &str) -> Vec<String> {
        let wanted: Vec<&str> = words.split(' ').collect();
        let hits = self.words.windows(wanted.len()).filter(|run| run.iter().map(|(word, _)| word.as_str()).eq(wanted.iter().copied()));
        hits.map(|run| format!("{}:{}", self.path, run[0].1)).collect()
    }

    /// Where a path begins with the crate `name`: `name::..`, `::name::..` or `use name`, but not `other::name::..`.
    pub(crate) fn find_crate(&self, name: &str) -> Vec<String> {
        let word = |at: Option<usize>| at.and_then(|at| self.words.get(at)).map_or("", |(word, _)| word.as_str());
        let hits = self.words.iter().enumerate().filter(|(at, (word_here, _))| {
            let before = |back: usize| word(at.checked_sub(back));
            let inside =
                before(1) == ":" && before(2) == ":" && before(3).starts_with(|first: char| first.is_alphanumeric() || first == '_');
            let path = word(Some(at + 1)) == ":" && word(Some(at + 2)) == ":";
            word_here == name && !inside && (path || before(1) == "use")
        });
        hits.map(|(_, (_, line))| format!("{}:{line}", self.path)).collect()
    }
}

/// `#` followed by `[cfg(..test..)]`, but not `[cfg(not(test))]`.
fn is_cfg_test(hash: &TokenTree, attribute: Option<&TokenTree>) -> bool {
    let (TokenTree::Punct(hash), Some(TokenTree::Group(attribute))) = (hash, attribute) else { return false };
    let words: Vec<String> = attribute.to_string().split(|c: char| !c.is_alphanumeric() && c != '_').map(str::to_owned).collect();
    let has = |wanted: &str| words.iter().any(|word| word == wanted);
    hash.as_char() == '#' && has("cfg") && has("test") && !has("not")
}

#[test]
fn tokens_tell_code_from_comments_strings_and_tests() {
    let text = "// x.unwrap()\nfn a() { \"x.unwrap()\"; b.unwrap() }\n#[cfg(test)]\nmod t { fn c() { d.unwrap() } }\n#[cfg(test)]\nmod tests;\n#[cfg(not(test))]\nfn e() { f.unwrap() }";
    let source = Source::parse("p/src/q.rs", text);
    assert_eq!(source.find(". unwrap ( )"), ["p/src/q.rs:2", "p/src/q.rs:8"]);
    assert_eq!(source.test_modules(), ["p/src/q/tests"]);
    let source = Source::parse("p/src/lib.rs", "use burn::nn;\nuse crate::burn::X;\nfn f() -> ::burn::Y { burn::z() }\nmod burn;");
    assert_eq!(source.find_crate("burn"), ["p/src/lib.rs:1", "p/src/lib.rs:3", "p/src/lib.rs:3"]);
}
