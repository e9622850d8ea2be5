//! How mutated input ends a process of its own, for what may end it: `cargo run -p hpo-fuzz --example damage -- TARGET INPUTS`,
//! after `cargo build -p hpo-fuzz --examples`.
use std::collections::BTreeMap;
use std::process::Command;

use hpo_core::Seed;
use hpo_fuzz::{Mutator, target};

fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [name, inputs] = words.as_slice() else { panic!("TARGET INPUTS") };
    let target = target(name);
    let corpus: Vec<Vec<u8>> = target.corpus().into_iter().map(|(_, input)| input).collect();
    let mut mutator = Mutator::new(&corpus, target.words, Seed(1));
    let one = std::env::current_exe().expect("this program has a place").with_file_name("one");
    let file = tempfile::NamedTempFile::new().expect("a temporary file");
    let mut ends: BTreeMap<String, usize> = BTreeMap::new();
    for _ in 0..inputs.parse().expect("a number") {
        std::fs::write(file.path(), mutator.input()).expect("a temporary file");
        let output = Command::new(&one).arg(name).arg(file.path()).output().expect("the example `one` is built");
        let said = String::from_utf8_lossy(&output.stderr).lines().find(|line| line.contains("panicked at")).unwrap_or_default().to_owned();
        *ends.entry(format!("{} {said}", output.status)).or_default() += 1;
    }
    ends.iter().for_each(|(end, count)| println!("{count:6}  {end}"));
}
