//! Times everything in the corpus of a target: `cargo run -p hpo-fuzz --example found -- TARGET [WHICH]`.
use std::time::Instant;

fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let which: Option<usize> = words.get(1).and_then(|word| word.parse().ok());
    let target = hpo_fuzz::target(&words[0]);
    for (number, (what, input)) in target.corpus().iter().enumerate().filter(|(number, _)| which.is_none_or(|which| which == *number)) {
        let begun = Instant::now();
        (target.run)(input);
        println!("{number} {:?} {what}", begun.elapsed());
    }
}
