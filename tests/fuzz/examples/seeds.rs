//! Writes the corpora of all targets, for libFuzzer: `cargo run -p hpo-fuzz --example seeds -- FOLDER`.
use std::path::Path;

/// Larger ones, in bytes, would take a fuzzer's time.
const LONGEST: usize = 32 << 10;

fn main() {
    let folder = std::env::args().nth(1).expect("FOLDER");
    for target in hpo_fuzz::TARGETS {
        let folder = Path::new(&folder).join(target.name);
        std::fs::create_dir_all(&folder).expect("a folder");
        for (number, (_, input)) in target.corpus().iter().enumerate().filter(|(_, (_, input))| input.len() <= LONGEST) {
            std::fs::write(folder.join(format!("{number:03}")), input).expect("a file");
        }
    }
}
