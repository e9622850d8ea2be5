//! The promises. Each function panics where its promise is broken.
use std::collections::BTreeSet;

use hpo_core::job::Function;
use hpo_core::{Params, Seed, Space, TrialId};
use hpo_curves::synthetic::Landscape;
use statrs::distribution::{Binomial, DiscreteCDF};

use super::play::{Past, arrivals, ask, at, by_chance, learn, search, shuffled, written};
use super::spaces::{degenerate, every_kind, float, of, parameter, pool, space, thirty};
use super::*;

/// Every value is of its domain and on its step, whatever was told, and only what is active has one.
pub(super) fn stays_in_the_space(make: Make<'_>) {
    for (space, seed) in [every_kind(), of(Function::Mixed), pool(40)].iter().flat_map(|space| (0..4).map(move |seed| (space, Seed(seed))))
    {
        let mut searcher = make(space, seed);
        let past = by_chance(space, seed, 30);
        for first in [0, 30, 60] {
            for params in ask(searcher.as_mut(), 100 + first, 15) {
                space.contains(&params).unwrap_or_else(|fault| panic!("{params:?}: {fault}"));
            }
            // A little more of the history each time.
            learn(searcher.as_mut(), &past[..10 + first as usize / 3]);
        }
    }
}

/// Pending trials are not proposed again, in a continuum, in a small space, and where a pool has no more rows than that.
pub(super) fn thirty_parallel_asks_are_thirty_points(make: Make<'_>) {
    for (space, told) in [(every_kind(), 0), (every_kind(), 50), (thirty(), 0), (pool(60), 30), (pool(30), 0)] {
        let mut searcher = make(&space, Seed(5));
        let past = by_chance(&space, Seed(1), told);
        learn(searcher.as_mut(), &past);
        let asked = ask(searcher.as_mut(), told, 30);
        let all: BTreeSet<String> = asked.iter().chain(past.iter().map(|past| &past.params)).map(written).collect();
        assert_eq!(all.len(), 30 + told as usize, "{told} told");
    }
}

/// Two of them that have been told the same propose the same to the letter.
pub(super) fn equal_histories_give_equal_bytes(make: Make<'_>) {
    for (space, seed) in [(every_kind(), Seed(3)), (pool(90), Seed(4)), (of(Function::Hartmann6), Seed(5))] {
        let proposals = || {
            let mut searcher = make(&space, seed);
            learn(searcher.as_mut(), &by_chance(&space, seed, 40));
            ask(searcher.as_mut(), 40, 20)
        };
        assert_eq!(proposals(), proposals());
    }
}

/// Asking once more, or for other trials in between, changes no answer.
pub(super) fn suggest_changes_nothing(make: Make<'_>) {
    for (space, told) in [(every_kind(), 0), (every_kind(), 40), (pool(90), 40)] {
        let (mut asked, mut quiet) = (make(&space, Seed(2)), make(&space, Seed(2)));
        let past = by_chance(&space, Seed(2), told);
        for past in &past {
            let _ = asked.suggest(past.trial);
            learn(asked.as_mut(), std::slice::from_ref(past));
            let _ = asked.suggest(TrialId(900));
            learn(quiet.as_mut(), std::slice::from_ref(past));
        }
        let first = asked.suggest(TrialId(told));
        for other in 0..20 {
            let _ = asked.suggest(TrialId(700 + other));
        }
        assert_eq!(asked.suggest(TrialId(told)), first);
        assert_eq!(quiet.suggest(TrialId(told)), first);
    }
}

/// Another seed is another search.
pub(super) fn the_seed_matters(make: Make<'_>) {
    let space = every_kind();
    let proposals = |seed| {
        let mut searcher = make(&space, seed);
        let mut all = ask(searcher.as_mut(), 0, 5);
        learn(searcher.as_mut(), &by_chance(&space, Seed(1), 40));
        all.extend(ask(searcher.as_mut(), 60, 5));
        all
    };
    let (one, other) = (proposals(Seed(1)), proposals(Seed(2)));
    assert!(one.iter().zip(&other).all(|(one, other)| one != other));
}

/// A driver that takes over begins all trials first and then tells what came of them, in the order in which it came; the one before
/// was asked for the next trial between any two results.
pub(super) fn who_takes_up_a_history_goes_on_with_it(make: Make<'_>) {
    for space in [every_kind(), of(Function::Branin), pool(90)] {
        let (mut before, mut after) = (make(&space, Seed(1)), make(&space, Seed(1)));
        let past = by_chance(&space, Seed(6), 60);
        let came = arrivals(&past, Seed(3));
        let mut begun = past.iter();
        for (number, seen) in came.iter().enumerate() {
            while begun.as_slice().first().is_some_and(|next| next.trial <= seen.trial || next.trial.0 as usize <= number) {
                begun.next().into_iter().for_each(|past| before.begin(past.trial, &past.params));
            }
            before.tell(seen);
            let _ = before.suggest(TrialId(100 + number as u32));
        }
        begun.for_each(|past| before.begin(past.trial, &past.params));
        past.iter().for_each(|past| after.begin(past.trial, &past.params));
        came.iter().for_each(|seen| after.tell(seen));
        assert_eq!(ask(before.as_mut(), 60, 10), ask(after.as_mut(), 60, 10));
    }
}

/// Results come from workers that race each other. Not every searcher lets that make no difference.
pub(super) fn the_order_of_tells_does_not_matter(make: Make<'_>) {
    for space in [every_kind(), of(Function::Branin), pool(90)] {
        let past = by_chance(&space, Seed(6), 60);
        let (mut in_order, mut mixed) = (make(&space, Seed(1)), make(&space, Seed(1)));
        learn(in_order.as_mut(), &past);
        past.iter().for_each(|past| mixed.begin(past.trial, &past.params));
        shuffled(past.iter().flat_map(Past::seen).collect(), Seed(3)).iter().for_each(|seen| mixed.tell(seen));
        assert_eq!(ask(in_order.as_mut(), 60, 10), ask(mixed.as_mut(), 60, 10));
    }
}

/// Each point once, and then no more: neither before the last nor after it.
pub(super) fn degenerate_spaces_are_used_up(make: Make<'_>) {
    for (number, (space, points)) in degenerate().into_iter().enumerate() {
        for told in [true, false] {
            let mut searcher = make(&space, Seed(8));
            let mut seen = BTreeSet::new();
            for trial in (0..points as u32).map(TrialId) {
                let params = searcher.suggest(trial).unwrap_or_else(|_| panic!("space {number} ended at {trial} of {points}"));
                space.contains(&params).unwrap();
                assert!(seen.insert(written(&params)), "space {number}: {params:?} again");
                searcher.begin(trial, &params);
                if told {
                    searcher.tell(&Observation { trial, params, outcome: at(1, f64::from(trial.0 % 5)) });
                }
            }
            assert_eq!(searcher.suggest(TrialId(points as u32)), Err(SuggestFault::Exhausted), "space {number}");
        }
    }
    let line = space(vec![parameter("x", float(0.0, 1.0))]);
    let mut searcher = make(&line, Seed(0));
    let best = search(searcher.as_mut(), 60, |params| (params["x"].number().unwrap() - 0.2).abs());
    assert!(best <= 0.2, "on a line there are points on both sides of 0.2: {best}");
}

/// What results may be: nothing that is not a finite number harms, and nothing but such numbers does not either.
pub(super) fn odd_histories_do_no_harm(make: Make<'_>) {
    let odd = [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, f64::MAX, f64::MIN, 0.0, -0.0, f64::MIN_POSITIVE];
    let outcome: [&dyn Fn(u32) -> Vec<Outcome>; 8] = [
        &|_| vec![at(1, f64::NAN)],
        &|_| vec![at(1, f64::INFINITY), at(3, f64::NEG_INFINITY)],
        &|_| vec![at(1, 0.25), at(3, 0.25)],
        &|_| vec![Outcome::Infeasible],
        &|_| vec![at(1, 0.5), Outcome::Infeasible],
        &|trial| vec![at(1, odd[trial as usize % odd.len()])],
        &|trial| vec![if trial % 3 == 0 { Outcome::Infeasible } else { at(1 + trial % 4, f64::from(trial)) }],
        // One rung said twice, and one below another after it.
        &|trial| vec![at(3, f64::from(trial)), at(3, f64::from(trial)), at(1, f64::from(trial) + 1.0)],
    ];
    for (number, outcomes) in outcome.iter().enumerate() {
        for space in [every_kind(), pool(90)] {
            let mut searcher = make(&space, Seed(1));
            let mut past = by_chance(&space, Seed(9), 45);
            past.iter_mut().for_each(|past| past.outcomes = outcomes(past.trial.0));
            learn(searcher.as_mut(), &past);
            let asked = ask(searcher.as_mut(), 45, 12);
            assert_eq!(asked.len(), 12, "history {number}");
            asked.iter().for_each(|params| space.contains(params).unwrap());
        }
    }
}

/// It is still there, and still of the space. (How long it takes, `tests/speed.rs` says.)
pub(super) fn ten_thousand_trials(make: Make<'_>) {
    let space = every_kind();
    let mut searcher = make(&space, Seed(1));
    learn(searcher.as_mut(), &by_chance(&space, Seed(2), 10_000));
    for params in ask(searcher.as_mut(), 10_000, 2) {
        space.contains(&params).unwrap();
    }
}

/// A third of the cube is out of memory: proposals leave it.
pub(super) fn failing_regions_are_avoided(make: Make<'_>) {
    let space = of(Function::Hartmann6);
    let fails = |params: &Params| params["x0"].number().unwrap() > 2.0 / 3.0;
    let mut failed = 0;
    for seed in 0..10 {
        let mut searcher = make(&space, Seed(seed));
        for trial in (0..100).map(TrialId) {
            let params = searcher.suggest(trial).unwrap();
            searcher.begin(trial, &params);
            failed += u32::from(trial.0 >= 50 && fails(&params));
            let loss = Function::Hartmann6.loss(&params).unwrap();
            let outcome = if fails(&params) { Outcome::Infeasible } else { at(1, loss) };
            searcher.tell(&Observation { trial, params, outcome });
        }
    }
    assert!(failed < 50, "{failed} of 500 failed");
}

/// Seeds of a sign test.
const SEEDS: u64 = 40;

/// Wins of `SEEDS` that chance alone would give once in a hundred times (sign test; Arbuthnot 1710).
fn significant(wins: u64) -> bool {
    Binomial::new(0.5, SEEDS).unwrap().sf(wins.saturating_sub(1)) < 0.01
}

/// The better best loss after sixty trials, in more seeds than chance would have it.
pub(super) fn beats_random(make: Make<'_>, function: Function) {
    let space = of(function);
    let loss = |params: &Params| function.loss(params).unwrap();
    let wins = (0..SEEDS).filter(|&seed| {
        let ours = search(make(&space, Seed(seed)).as_mut(), 60, loss);
        ours < search(&mut Random::new(space.clone(), Seed(seed)), 60, loss)
    });
    let wins = wins.count() as u64;
    assert!(significant(wins), "better in {wins} of {SEEDS} seeds");
}

/// Of a pool of 200 points of a function, the best within 50 trials, or before chance has it.
pub(super) fn finds_the_best_row_before_random(make: Make<'_>) {
    let function = Function::Branin;
    let loss = |params: &Params| {
        let point: Params = params.iter().filter(|(name, _)| *name != "row").map(|(name, value)| (name.clone(), value.clone())).collect();
        function.loss(&point).unwrap()
    };
    let wins = (0..SEEDS).filter(|&seed| {
        let draws = ask(&mut Random::new(of(function), Seed(1000 + seed)), 0, 200);
        let cells: Vec<Vec<String>> = draws.iter().map(|params| params.values().map(ToString::to_string).collect()).collect();
        let pool = Space::from(hpo_core::space::Pool::of_text(vec!["x".to_owned(), "y".to_owned()], &cells).unwrap());
        let ours = search(make(&pool, Seed(seed)).as_mut(), 50, loss);
        let best = draws.iter().map(|params| function.loss(params).unwrap()).fold(f64::INFINITY, f64::min);
        // Half of the seeds if both were the same; chance has it in a quarter.
        ours <= best || ours < search(&mut Random::new(pool.clone(), Seed(seed)), 50, loss)
    });
    let wins = wins.count() as u64;
    assert!(significant(wins), "found in {wins} of {SEEDS} seeds");
}
