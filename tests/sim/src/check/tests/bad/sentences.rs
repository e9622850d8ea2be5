//! No sentence of a judge is without a history that makes it say that: one that no history brings about may be one that nothing can,
//! and then the judge is not there.
use std::cell::RefCell;
use std::collections::BTreeSet;
use std::fs;
use std::panic::Location;
use std::path::Path;

use super::{appetite, books, budget, jobs, nodes, order, resting, slots, states, throttle, words};

/// A call of `refuse`: the file of the judge, and the line.
type Place = (String, usize);

thread_local! {
    /// By the judges of this thread.
    static SAID: RefCell<BTreeSet<Place>> = const { RefCell::new(BTreeSet::new()) };
}

/// A judge refuses something.
pub(in crate::check) fn has_said(place: &Location<'_>) {
    SAID.with_borrow_mut(|said| said.insert((file(Path::new(place.file())), place.line() as usize)));
}

fn file(path: &Path) -> String {
    path.file_name().unwrap().to_string_lossy().into_owned()
}

/// All that judges can say.
fn sentences() -> BTreeSet<Place> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/check");
    let mut places = BTreeSet::new();
    for entry in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_file() && !path.ends_with("mod.rs"))
    {
        let text = fs::read_to_string(&entry).unwrap();
        for (line, words) in text.lines().enumerate() {
            let calls = words.matches("refuse(").count();
            assert!(calls < 2, "{}: two sentences in line {}, which cannot be told apart", entry.display(), line + 1);
            places.extend((calls == 1).then(|| (file(&entry), line + 1)));
        }
    }
    places
}

#[test]
fn every_sentence_of_a_judge_has_a_bad_history() {
    let sweeps = [appetite::ALL, books::ALL, budget::ALL, order::ALL, resting::ALL, slots::ALL, states::ALL, words::ALL];
    let clusters = [jobs::ALL, nodes::ALL, throttle::ALL];
    sweeps.into_iter().chain(clusters).flatten().for_each(|history| history());
    let sentences = sentences();
    assert!(sentences.len() > 60, "they are found: {}", sentences.len());
    let said = SAID.take();
    let unsaid: Vec<_> = sentences.difference(&said).collect();
    assert!(unsaid.is_empty(), "no history makes a judge say {unsaid:?}");
}
