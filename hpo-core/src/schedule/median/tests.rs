use std::collections::BTreeMap;
use std::ops::Range;

use proptest::prelude::*;

use super::*;

/// Ray's `on_trial_result`, read naively.
struct Textbook {
    grace: u32,
    min_trials: usize,
    results: BTreeMap<u32, Vec<(u32, Loss)>>,
}

impl Textbook {
    fn stops(&mut self, trial: u32, time: u32, loss: Loss) -> bool {
        self.results.entry(trial).or_default().push((time, loss));
        if time < self.grace {
            return false;
        }
        let beyond = self.results.iter().filter(|(other, results)| **other != trial && results.last().unwrap().0 >= time);
        let mut means: Vec<Loss> = beyond.filter_map(|(_, results)| self.running_mean(results, time)).collect();
        if means.len() < self.min_trials {
            return false;
        }
        means.sort();
        let best = self.results[&trial].iter().map(|result| result.1).min().unwrap();
        let (low, high) = (means[(means.len() - 1) / 2], means[means.len() / 2]);
        best > if low == high { low } else { Loss::new(low.get() + (high.get() - low.get()) / 2.0) }
    }

    fn running_mean(&self, results: &[(u32, Loss)], time: u32) -> Option<Loss> {
        let scoped: Vec<f64> = results.iter().filter(|(at, _)| (self.grace..=time).contains(at)).map(|(_, loss)| loss.get()).collect();
        (!scoped.is_empty()).then(|| Loss::new(scoped.iter().sum::<f64>() / scoped.len() as f64))
    }
}

fn rule(min: u32, max: u32, min_trials: u32) -> Median {
    Median::new(&Ladder::new(Resource(min), Resource(max), 2).unwrap(), min_trials)
}

/// Who reports next, and how many marks further on; and the losses.
#[derive(Clone, Debug)]
struct Story {
    grace: u32,
    /// From r to R.
    steps: u32,
    min_trials: u32,
    losses: Vec<u8>,
    picks: Vec<(u32, u32)>,
}

/// Losses with ties and without a value, reports in any order that skip resources.
fn stories(steps: Range<u32>) -> impl Strategy<Value = Story> {
    let most = steps.end;
    let picks = prop::collection::vec((0_u32..20, 1_u32..4.max(most / 8)), 1..300);
    let losses = prop::collection::vec(0_u8..30, 1..80);
    (1_u32..4, steps, 1_u32..5, losses, picks).prop_map(|(grace, steps, min_trials, losses, picks)| Story {
        grace,
        steps,
        min_trials,
        losses,
        picks,
    })
}

/// Plays a story at each `wide`-th resource from r on; below r, at each.
fn agree(story: &Story, wide: u32) {
    let Story { grace, steps, min_trials, ref losses, ref picks } = *story;
    let mut ours = rule(grace, grace + steps * wide, min_trials);
    let mut book = Textbook { grace, min_trials: min_trials as usize, results: BTreeMap::new() };
    let mut trained = BTreeMap::new();
    for &(trial, step) in picks {
        let at = trained.entry(trial).or_insert(0);
        if *at >= grace + steps {
            continue;
        }
        *at = (*at + step).min(grace + steps);
        let value = losses[(trial * 7 + *at * 31) as usize % losses.len()];
        let odd = [f64::NAN, f64::INFINITY, f64::NEG_INFINITY].get(usize::from(value)).copied();
        let loss = Loss::new(odd.unwrap_or(value.into()));
        let resource = at.checked_sub(grace).map_or(*at, |above| grace + above * wide);
        let verdict = ours.reported(TrialId(trial), Resource(resource), loss);
        assert_eq!(verdict == Verdict::Stop, book.stops(trial, resource, loss), "trial {trial} at {resource}");
        if verdict == Verdict::Stop {
            *at = u32::MAX;
        }
    }
    ours.check();
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]
    #[test]
    fn agrees_with_the_textbook(story in stories(0..20)) {
        agree(&story, 1);
    }
}

proptest! {
    #[test]
    fn agrees_with_the_textbook_at_as_many_marks_as_there_can_be(
        story in stories(255..256),
        wide in prop_oneof![Just(1_u32), 2_u32..1_000_000],
    ) {
        agree(&story, wide);
    }
}

#[test]
fn the_best_so_far_is_held_against_running_averages() {
    let mut rule = rule(2, 8, 3);
    let mut at = |trial, resource, loss| rule.reported(TrialId(trial), Resource(resource), Loss::new(loss));
    for trial in 0..3 {
        for resource in 1..=4 {
            assert_eq!(at(trial, resource, f64::from(trial + resource)), Verdict::Continue, "too few others");
        }
    }
    // At 2 they average 2, 3, 4; at 4 they average 3, 4, 5 over 2, 3, 4.
    assert_eq!(at(3, 1, 9.0), Verdict::Continue, "before min_resource");
    assert_eq!(at(3, 2, 3.0), Verdict::Continue, "no worse than the median");
    assert_eq!(at(3, 4, 99.0), Verdict::Continue, "its best counts");
    assert_eq!(at(4, 3, 4.0), Verdict::Stop, "at 3 they average 2.5, 3.5, 4.5, and the fourth came past with 3");
    let standing = rule.standing(0, TrialId(4)).unwrap();
    assert_eq!((standing.rank, standing.population, standing.cutoff), (3, 5, Some(Loss::new(3.25))));
    assert_eq!(rule.reported(TrialId(5), Resource(3), Loss::new(0.0)), Verdict::Continue);
    assert_eq!(rule.standing(0, TrialId(4)).unwrap().population, 6, "who comes later to the same place counts from then on");
    let rivals: Vec<(f64, u32)> = rule.rivals(0, TrialId(4)).iter().map(|place| (place.0.get(), place.1.0)).collect();
    assert_eq!(rivals, [(0.0, 5), (2.5, 0), (3.0, 3), (3.5, 1), (4.0, 4), (4.5, 2)]);
    assert_eq!((rule.standing(1, TrialId(4)), rule.rivals(1, TrialId(4))), (None, vec![]));
}

#[test]
fn marks_are_all_resources_or_256_that_lie_evenly() {
    let of = |min, max| marks(&Ladder::new(Resource(min), Resource(max), 2).unwrap()).map(|mark| mark.0).collect::<Vec<_>>();
    assert_eq!(of(5, 5), [5]);
    assert_eq!(of(3, 258), (3..=258).collect::<Vec<_>>());
    for (min, max) in [(3, 259), (1, 1_000_000), (1, u32::MAX)] {
        let marks = of(min, max);
        assert_eq!((marks.len(), marks[0], marks[255]), (256, min, max));
        let widths = marks.windows(2).map(|pair| pair[1] - pair[0]);
        assert!(widths.clone().max().unwrap() - widths.min().unwrap() <= 1, "{min}..{max}");
    }
}

#[test]
fn a_report_between_marks_counts_at_the_mark_below() {
    // Marks at 10, 20, 30, ...
    let mut rule = rule(10, 2560, 2);
    let mut at = |trial, resource, loss| rule.reported(TrialId(trial), Resource(resource), Loss::new(loss));
    for trial in 0..2 {
        assert_eq!(at(trial, 13, 2.0), Verdict::Continue);
        assert_eq!(at(trial, 17, 4.0), Verdict::Continue);
        assert_eq!(at(trial, 41, 9.0), Verdict::Continue);
    }
    // At 10 they have 2; past 20 and 30 they came with 3, the average of 2 and 4; at 40 they have 5.
    assert_eq!(at(2, 19, 2.0), Verdict::Continue, "at 10");
    assert_eq!(at(3, 12, 2.5), Verdict::Stop, "at 10");
    assert_eq!(at(4, 35, 3.0), Verdict::Continue, "at 30");
    assert_eq!(at(5, 39, 3.5), Verdict::Stop, "at 30");
    assert_eq!(at(6, 9, 4.0), Verdict::Continue, "before min_resource");
    assert_eq!(at(6, 44, 8.0), Verdict::Continue, "at 40, where its best counts");
    assert_eq!(at(7, 40, 1.0), Verdict::Continue);
    assert_eq!(at(7, 49, 99.0), Verdict::Continue, "no mark is passed");
    rule.check();
    let standing = rule.standing(1, TrialId(5)).unwrap();
    assert_eq!((standing.rank, standing.population, standing.cutoff), (3, 4, Some(Loss::new(3.0))));
}

#[test]
fn what_is_kept_is_bounded_however_irregular_the_reports() {
    const TRIALS: u32 = 1000;
    let mut rule = rule(1, 1_000_000, 3);
    let mut at: Vec<Option<u32>> = vec![Some(0); TRIALS as usize];
    for round in 0..600 {
        for trial in 0..TRIALS {
            let Some(resource) = &mut at[trial as usize] else { continue };
            // Hardly two reports at the same resource.
            *resource += 500 + (trial * 7919 + round * 104_729) % 1987;
            let loss = Loss::new(f64::from((trial * 617 + 500) % TRIALS));
            let stops = *resource >= 1_000_000 || rule.reported(TrialId(trial), Resource(*resource), loss) == Verdict::Stop;
            at[trial as usize] = at[trial as usize].filter(|_| !stops);
        }
    }
    rule.check();
    assert_eq!(rule.boards.len(), 256);
    let most = rule.curves.iter().map(|(_, curve)| curve.passes.len()).max().unwrap();
    assert!((200..=256).contains(&most), "{most}");
    let stopped_early = rule.curves.iter().filter(|(_, curve)| curve.last < Resource(20_000)).count();
    assert!((TRIALS as usize / 2..TRIALS as usize).contains(&stopped_early), "{stopped_early}");
}
