//! Words that the driver has not confirmed yet. They outlive connections: each is said again until it is acknowledged.
use std::collections::{BTreeMap, VecDeque};

use hpo_core::sweep::event::Held;
use hpo_core::{Attempt, Millis, Seq, TrialId};
use hpo_wire::{About, Acknowledged, Word};

/// Unacknowledged words by attempt, and how many words each attempt has said.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    attempts: BTreeMap<(TrialId, Attempt), Letters>,
    /// The highest number of a word about each trial, whatever its attempt.
    highest: BTreeMap<TrialId, u32>,
    /// Words kept, over all attempts.
    kept: usize,
    /// Words said, over all attempts: the order in which they are said again.
    said: u64,
}

#[derive(Debug)]
struct Letters {
    slot: u16,
    seq: u32,
    over: bool,
    waiting: VecDeque<(u64, Word)>,
}

impl Outbox {
    /// Numbers a word and keeps it.
    pub(super) fn push(&mut self, held: Held, after_ms: Millis, about: About) -> Word {
        let Held { trial, attempt, slot } = held;
        let fresh = || Letters { slot, seq: 0, over: false, waiting: VecDeque::new() };
        let letters = self.attempts.entry((trial, attempt)).or_insert_with(fresh);
        letters.seq += 1;
        let highest = self.highest.entry(trial).or_default();
        *highest = letters.seq.max(*highest);
        letters.over = matches!(about, About::Reached { .. } | About::Ended(_));
        let word = Word { trial, attempt, seq: Seq(letters.seq), after_ms: Some(after_ms), about };
        letters.waiting.push_back((self.said, word.clone()));
        self.said += 1;
        self.kept += 1;
        word
    }

    /// Numbers what is said next about an attempt above all that was ever said about its trial: it was forgotten, and the
    /// driver may know any part of it.
    pub(super) fn reopen(&mut self, Held { trial, attempt, slot }: Held) {
        let seq = self.highest.get(&trial).copied().unwrap_or_default();
        self.attempts.entry((trial, attempt)).or_insert(Letters { slot, seq, over: false, waiting: VecDeque::new() });
    }

    /// Drops words that are safe; an attempt that is over and confirmed is forgotten.
    pub(super) fn acknowledge(&mut self, Acknowledged { trial, attempt, seq }: Acknowledged) {
        let Some(letters) = self.attempts.get_mut(&(trial, attempt)) else { return };
        while letters.waiting.front().is_some_and(|(_, word)| word.seq <= seq) {
            letters.waiting.pop_front();
            self.kept -= 1;
        }
        if letters.over && letters.waiting.is_empty() {
            self.attempts.remove(&(trial, attempt));
        }
    }

    /// Everything that waits, in the order in which it was said.
    pub(super) fn again(&self) -> Vec<Word> {
        let mut all: Vec<&(u64, Word)> = self.attempts.values().flat_map(|letters| &letters.waiting).collect();
        all.sort_unstable_by_key(|(said, _)| *said);
        all.into_iter().map(|(_, word)| word.clone()).collect()
    }

    /// Attempts about which something waits.
    pub(super) fn attempts(&self) -> impl Iterator<Item = Held> {
        let waiting = self.attempts.iter().filter(|(_, letters)| !letters.waiting.is_empty());
        waiting.map(|(&(trial, attempt), letters)| Held { trial, attempt, slot: letters.slot })
    }

    /// How many words wait.
    pub(super) fn len(&self) -> usize {
        self.kept
    }
}
