//! The decisions of a journal, read from their words: not from the types that the sweep decided in.
use hpo_core::sweep::event::Held;
use hpo_core::{Attempt, TrialId, WorkerId};

/// One execution of one trial.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Of {
    /// Which trial.
    pub trial: TrialId,
    /// Which execution.
    pub attempt: Attempt,
}

impl From<Held> for Of {
    fn from(held: Held) -> Self {
        Self { trial: held.trial, attempt: held.attempt }
    }
}

impl std::fmt::Display for Of {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}", self.trial, self.attempt)
    }
}

/// A slot as a journal names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The first eight digits of its worker.
    pub worker: u32,
    /// Its number there.
    pub slot: u16,
}

impl Place {
    /// The slot of that number on that worker.
    #[must_use]
    pub fn new(worker: WorkerId, slot: u16) -> Self {
        Self { worker: (worker.0 >> 96) as u32, slot }
    }
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:08x}/{}", self.worker, self.slot)
    }
}

/// One decision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Act {
    /// The searcher is asked for this trial's values.
    Suggest(TrialId),
    /// A slot is given an attempt.
    Lease(Leased),
    /// An attempt is to end now.
    Stop(Of, Place),
    /// An attempt is to save its state and leave.
    CallBack(Of, Place),
    /// A state is to be deleted.
    Forget {
        /// Whose.
        trial: TrialId,
        /// Taken after so many units.
        resource: u32,
        /// The first eight characters of its name, and the attempt that wrote it.
        id: String,
    },
    /// The sweep is over, and why.
    Finish(String),
}

/// Whether what an act calls a state, by its first eight characters and its attempt, is this one.
#[must_use]
pub fn is_called(called: &str, id: &str) -> bool {
    let (head, attempt) = called.split_at_checked(8).unwrap_or((called, ""));
    id.starts_with(head) && id.ends_with(attempt)
}

/// What is leased.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Leased {
    /// Which attempt.
    pub of: Of,
    /// Units behind it.
    pub from: u32,
    /// Where it ends.
    pub until: u32,
    /// Where.
    pub on: Place,
    /// Its state is said to be in the trainer's memory.
    pub in_place: bool,
}

impl Act {
    /// Reads a decision; none if these are no such words.
    #[must_use]
    pub fn read(text: &str) -> Option<Self> {
        let (verb, rest) = text.split_once(' ')?;
        match verb {
            "suggest" => Some(Self::Suggest(TrialId(rest.parse().ok()?))),
            "lease" => lease(rest).map(Self::Lease),
            "stop" => on(rest).map(|(of, place)| Self::Stop(of, place)),
            "call" => on(rest.strip_prefix("back ")?).map(|(of, place)| Self::CallBack(of, place)),
            "forget" => {
                let (whose, id) = rest.split_once(' ')?;
                let (trial, resource) = whose.split_once('@')?;
                Some(Self::Forget { trial: TrialId(trial.parse().ok()?), resource: resource.parse().ok()?, id: id.to_owned() })
            }
            _ => text.strip_prefix("finish: ").map(|why| Self::Finish(why.to_owned())),
        }
    }
}

fn of(text: &str) -> Option<Of> {
    let (trial, attempt) = text.split_once('.')?;
    Some(Of { trial: TrialId(trial.parse().ok()?), attempt: Attempt(attempt.parse().ok()?) })
}

fn place(text: &str) -> Option<Place> {
    let (worker, slot) = text.split_once('/')?;
    Some(Place { worker: u32::from_str_radix(worker, 16).ok()?, slot: slot.parse().ok()? })
}

fn on(text: &str) -> Option<(Of, Place)> {
    let (whom, where_) = text.split_once(" on ")?;
    Some((of(whom)?, place(where_)?))
}

fn lease(text: &str) -> Option<Leased> {
    let (text, in_place) = text.strip_suffix(" in place").map_or((text, false), |text| (text, true));
    let (what, where_) = text.split_once(" on ")?;
    let (whom, range) = what.split_once(' ')?;
    let (from, until) = range.split_once("..")?;
    Some(Leased { of: of(whom)?, from: from.parse().ok()?, until: until.parse().ok()?, on: place(where_)?, in_place })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_of_a_journal_are_read() {
        let of = Of { trial: TrialId(12), attempt: Attempt(3) };
        let on = Place { worker: 0x2c45_5dd7, slot: 1 };
        let lease = |in_place| Some(Act::Lease(Leased { of, from: 1, until: 9, on, in_place }));
        assert_eq!(Act::read("suggest 7"), Some(Act::Suggest(TrialId(7))));
        assert_eq!(Act::read("lease 12.3 1..9 on 2c455dd7/1"), lease(false));
        assert_eq!(Act::read("lease 12.3 1..9 on 2c455dd7/1 in place"), lease(true));
        assert_eq!(Act::read("stop 12.3 on 2c455dd7/1"), Some(Act::Stop(of, on)));
        assert_eq!(Act::read("call back 12.3 on 2c455dd7/1"), Some(Act::CallBack(of, on)));
        assert_eq!(Act::read("forget 12@9 ab12"), Some(Act::Forget { trial: TrialId(12), resource: 9, id: "ab12".to_owned() }));
        assert_eq!(Act::read("finish: every trial has ended"), Some(Act::Finish("every trial has ended".to_owned())));
        for odd in ["", "suggest", "suggest x", "lease 1 1..2 on a/0", "stop 1.1", "dance 1.1"] {
            assert_eq!(Act::read(odd), None, "{odd}");
        }
        assert_eq!((of.to_string(), on.to_string()), ("12.3".to_owned(), "2c455dd7/1".to_owned()));
    }
}
