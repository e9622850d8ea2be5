//! Brackets by hand.
use super::super::{Bracket, Ladder};
use super::*;
use crate::Resource;

/// Brackets of so many members, by turns, on rungs 1, 2, 4 and 8.
fn rounds(members: &[u32]) -> Rounds {
    let ladder = Ladder::new(Resource(1), Resource(8), 2).unwrap();
    Rounds::new(Pass::new(&ladder, members.iter().map(|&members| Bracket { entry: 0, members }).collect()))
}

impl Rounds {
    fn take_in(&mut self, trials: std::ops::Range<u32>) {
        trials.for_each(|trial| assert_eq!(self.enter(TrialId(trial), &Params::new()), 0));
    }
    fn report(&mut self, rung: Rung, losses: &[(u32, f64)]) {
        for &(trial, loss) in losses {
            assert_eq!(self.reached(rung, TrialId(trial), Loss::new(loss)), Verdict::Pause);
            self.check();
        }
    }
    fn promoted(&mut self) -> Vec<(u32, Rung)> {
        std::iter::from_fn(|| self.promote()).map(|promotion| (promotion.trial.0, promotion.to)).collect()
    }
    fn lost(&mut self) -> Vec<u32> {
        self.hopeless().into_iter().map(|trial| trial.0).collect()
    }
}

#[test]
fn a_rung_closes_when_all_are_in_and_ties_go_to_the_older_trial() {
    let mut rounds = rounds(&[4]);
    rounds.take_in(0..3);
    rounds.report(0, &[(2, 1.0), (1, 1.0), (0, 1.0)]);
    assert_eq!((rounds.promoted(), rounds.lost()), (vec![], vec![]), "one may still enter");
    rounds.take_in(3..4);
    let before = rounds.standing(0, TrialId(0)).unwrap();
    assert_eq!((before.population, before.quota, before.cutoff), (3, Some(2), Some(Loss::new(1.0))), "of four, two go on");
    assert_eq!(rounds.standing(0, TrialId(3)), None, "not there yet");
    rounds.report(0, &[(3, 2.0)]);
    assert_eq!((rounds.promoted(), rounds.lost()), (vec![(0, 1), (1, 1)], vec![2, 3]));
    rounds.report(1, &[(1, 3.0), (0, 9.0)]);
    assert_eq!((rounds.promoted(), rounds.lost()), (vec![(1, 2)], vec![0]));
    assert_eq!((rounds.seat(TrialId(1)), rounds.seat(TrialId(7))), (Some((0, 2)), None));
    // One member: nobody is better than half of it.
    rounds.report(2, &[(1, 0.0)]);
    assert_eq!((rounds.promoted(), rounds.lost()), (vec![], vec![1]));
    assert_eq!(rounds.rivals(0, TrialId(3)).iter().map(|(_, trial)| trial.0).collect::<Vec<_>>(), [0, 1, 2, 3]);
}

#[test]
fn older_brackets_come_first() {
    let mut rounds = rounds(&[2, 4]);
    rounds.take_in(0..6);
    rounds.report(0, &[(5, 0.1), (4, 0.2), (3, 0.3), (2, 0.4), (1, 7.0), (0, 8.0)]);
    assert_eq!(rounds.promoted(), [(1, 1), (5, 1), (4, 1)]);
    assert_eq!(rounds.standing(0, TrialId(1)).unwrap().bracket, 0);
    assert_eq!(rounds.standing(0, TrialId(5)).unwrap().bracket, 1);
}

#[test]
fn who_is_out_took_part_and_stalls_nobody_whenever_it_goes() {
    let mut rounds = rounds(&[8]);
    rounds.take_in(0..8);
    // Before its first report, and while it waits as the best of its rung.
    rounds.out(TrialId(7));
    rounds.report(0, &[(0, 0.0), (1, 1.0), (2, 2.0), (3, 3.0), (4, 4.0), (5, 5.0)]);
    rounds.gave_up(TrialId(0));
    rounds.gave_up(TrialId(0));
    rounds.check();
    rounds.report(0, &[(6, 6.0)]);
    assert_eq!(
        rounds.standing(0, TrialId(4)).unwrap(),
        Standing { bracket: 0, rank: 3, population: 8, quota: Some(4), cutoff: Some(Loss::new(4.0)) }
    );
    assert_eq!(rounds.lost(), [5, 6], "not those that are over anyway");
    // Chosen, but gone before a slot was free; promoted, and stopped in mid-round.
    rounds.out(TrialId(2));
    assert_eq!(rounds.promoted(), [(1, 1), (3, 1), (4, 1)]);
    rounds.report(1, &[(3, 3.0), (4, 2.0)]);
    rounds.out(TrialId(1));
    rounds.check();
    assert_eq!((rounds.promoted(), rounds.lost()), (vec![(4, 2), (3, 2)], vec![]));
    // On its way to the last rung but one, and the other on its way to the top.
    rounds.out(TrialId(4));
    rounds.report(2, &[(3, 0.0)]);
    assert_eq!(rounds.promoted(), [(3, 3)]);
    rounds.gave_up(TrialId(3));
    rounds.check();
}

#[test]
fn nobody_goes_on_who_has_diverged() {
    let mut rounds = rounds(&[6]);
    rounds.take_in(0..4);
    rounds.report(0, &[(0, f64::NAN), (1, f64::NEG_INFINITY), (2, 5.0)]);
    rounds.no_more();
    rounds.check();
    rounds.report(0, &[(3, f64::INFINITY)]);
    assert_eq!((rounds.promoted(), rounds.lost()), (vec![(2, 1)], vec![0, 1, 3]), "two might, one does");
    assert_eq!(rounds.standing(0, TrialId(3)).unwrap().quota, Some(1));
    rounds.no_more();
    assert_eq!(rounds.lost(), [] as [u32; 0]);
}
