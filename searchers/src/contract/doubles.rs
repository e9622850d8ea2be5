//! Searchers that break a promise, each its own: the rule that is meant must catch it.
use std::cell::Cell;
use std::sync::atomic::{AtomicU64, Ordering};

use hpo_core::{Loss, Params, Seed, Space, TrialId, Value};

use super::*;

/// What is wrong with it.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Flaw {
    /// Nothing.
    None,
    /// Gives a value just above the range.
    Outside,
    /// Gives a value between steps.
    OffStep,
    /// Gives values to parameters that are inactive.
    Unconditional,
    /// Does not learn what is pending.
    Forgetful,
    /// Answers differ from one time to the next.
    Moody,
    /// Knows no seed.
    Seedless,
    /// Draws chance of its own.
    Chancy,
    /// The last result that it heard counts.
    LastHeard,
    /// How many trials had begun when it heard something counts.
    Untimely,
    /// Ends a point too early.
    Early,
    /// Begins again where it should end.
    Endless,
    /// Cannot bear what is not a number.
    Fragile,
    /// Cannot bear a long history.
    Forgets,
}

struct Double {
    flaw: Flaw,
    space: Space,
    seed: Seed,
    inner: Random,
    begun: usize,
    asked: Cell<u64>,
    last: Option<Loss>,
    when: u64,
}

/// How many doubles there have been.
static MADE: AtomicU64 = AtomicU64::new(0);

fn double(flaw: Flaw) -> impl Fn(&Space, Seed) -> Box<dyn Searcher> {
    move |space, seed| {
        let seed = match flaw {
            Flaw::Seedless => Seed(0),
            Flaw::Chancy => Seed(MADE.fetch_add(1, Ordering::Relaxed)),
            _ => seed,
        };
        let inner = Random::new(space.clone(), seed);
        Box::new(Double { flaw, space: space.clone(), seed, inner, begun: 0, asked: Cell::new(0), last: None, when: 0 })
    }
}

impl Searcher for Double {
    fn begin(&mut self, trial: TrialId, params: &Params) {
        self.begun += 1;
        if self.flaw != Flaw::Forgetful {
            self.inner.begin(trial, params);
        }
    }

    fn tell(&mut self, seen: &Observation) {
        if let Outcome::Loss { loss, .. } = seen.outcome {
            assert!(self.flaw != Flaw::Fragile || loss.is_finite());
            self.last = Some(loss);
            self.when = self.when.wrapping_mul(31).wrapping_add(self.begun as u64);
        }
    }

    fn suggest(&self, trial: TrialId) -> Result<Params, SuggestFault> {
        self.asked.set(self.asked.get() + 1);
        let other = |number: u64| Random::new(self.space.clone(), Seed(number)).suggest(trial);
        let mut params = match self.flaw {
            Flaw::Moody => return other(self.asked.get()),
            Flaw::Untimely => return other(self.when),
            Flaw::LastHeard => return other(self.last.map_or(0, |loss| loss.get().to_bits())),
            Flaw::Endless => self.inner.suggest(trial).or_else(|_| other(self.seed.0))?,
            Flaw::Early if self.space.size().is_some_and(|size| self.begun as u64 + 1 >= size) => return Err(SuggestFault::Exhausted),
            Flaw::Forgets => {
                assert!(self.begun < 9000);
                self.inner.suggest(trial)?
            }
            _ => self.inner.suggest(trial)?,
        };
        let wrong = match self.flaw {
            Flaw::Outside => ("lr", Value::Float(0.1 + 1e-9)),
            Flaw::OffStep => ("width", Value::Int(24)),
            Flaw::Unconditional => ("momentum", Value::Float(0.9)),
            _ => return Ok(params),
        };
        if self.space.names().any(|name| name == wrong.0) {
            params.insert(wrong.0.to_owned(), wrong.1);
        }
        Ok(params)
    }
}

macro_rules! caught {
    ($($name:ident: $flaw:ident by $rule:ident;)*) => {$(
        #[test]
        #[should_panic]
        fn $name() {
            rules::$rule(&double(Flaw::$flaw));
        }
    )*};
}

caught! {
    a_value_out_of_range: Outside by stays_in_the_space;
    a_value_off_its_step: OffStep by stays_in_the_space;
    a_value_that_no_condition_allows: Unconditional by stays_in_the_space;
    pending_trials_that_are_forgotten: Forgetful by thirty_parallel_asks_are_thirty_points;
    a_suggestion_that_leaves_a_trace: Moody by suggest_changes_nothing;
    a_seed_that_is_ignored: Seedless by the_seed_matters;
    chance_of_its_own: Chancy by equal_histories_give_equal_bytes;
    a_history_that_is_read_by_its_dates: Untimely by who_takes_up_a_history_goes_on_with_it;
    the_last_word_that_counts: LastHeard by the_order_of_tells_does_not_matter;
    an_end_before_the_end: Early by degenerate_spaces_are_used_up;
    no_end_at_the_end: Endless by degenerate_spaces_are_used_up;
    a_nan_that_is_not_expected: Fragile by odd_histories_do_no_harm;
    too_long_a_history: Forgets by ten_thousand_trials;
    failures_that_teach_nothing: None by failing_regions_are_avoided;
    chance_that_passes_for_a_model: None by finds_the_best_row_before_random;
}

#[test]
#[should_panic(expected = "better in")]
fn chance_that_passes_for_a_search() {
    // Another stream than that which it is held against.
    rules::beats_random(&|space, seed| Box::new(Random::new(space.clone(), seed.derive("other", 0))), hpo_core::job::Function::Branin);
}

/// What is caught above is caught for its flaw alone.
#[test]
fn a_double_without_a_flaw_keeps_the_contract() {
    let make = double(Flaw::None);
    rules::stays_in_the_space(&make);
    rules::thirty_parallel_asks_are_thirty_points(&make);
    rules::equal_histories_give_equal_bytes(&make);
    rules::suggest_changes_nothing(&make);
    rules::the_seed_matters(&make);
    rules::who_takes_up_a_history_goes_on_with_it(&make);
    rules::the_order_of_tells_does_not_matter(&make);
    rules::degenerate_spaces_are_used_up(&make);
    rules::odd_histories_do_no_harm(&make);
    rules::ten_thousand_trials(&make);
}
