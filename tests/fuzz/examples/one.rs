//! Gives one file to one target: `cargo run -p hpo-fuzz --example one -- TARGET FILE`. Ends with a panic, or well.
fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [target, file] = words.as_slice() else { panic!("TARGET FILE") };
    let input = std::fs::read(file).unwrap_or_else(|fault| panic!("{file}: {fault}"));
    (hpo_fuzz::target(target).run)(&input);
}
