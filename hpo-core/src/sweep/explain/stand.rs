//! Where a trial stands on a rung, and where it would with another eta.
use serde::Serialize;

use super::Rival;
use crate::schedule::{AshaStop, Place, SchedulerSpec, Standing};
use crate::sweep::Sweep;
use crate::sweep::idle::RungBarrier;
use crate::{Goal, Loss, Resource, TrialId};

/// Each decision is looked at with these, and with the sweep's own.
const ETAS: [u32; 4] = [2, 3, 4, 5];

/// Where a trial stands among those that it is compared with, at one moment. Metrics are in the user's direction; JSON
/// has `null` for one that is not finite.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Stand {
    /// The rung.
    pub resource: Resource,
    /// The bracket whose members are compared; 0 where there is one only.
    pub bracket: usize,
    /// What it is compared by.
    pub metric: f64,
    /// Its place, from 1.
    pub rank: usize,
    /// How many stand there, it among them.
    pub population: usize,
    /// How many of these go on as things stand; None for a rule that does not count places.
    pub quota: Option<usize>,
    /// What it must reach to go on as things stand; None if nobody would, or anybody.
    pub cutoff: Option<f64>,
    /// Who has the last place that goes on, where places count.
    pub last_in: Option<Rival>,
    /// It is among those that go on.
    pub goes_on: bool,
    /// What the rung still waits for, of a rule that lets a rung go on together.
    pub barrier: Option<RungBarrier>,
    /// What other values of eta would decide *here*: on this rung, at this moment, with these rivals. A sweep with such an
    /// eta would have had other rungs and other rivals. Empty where the rule knows no eta, or waits for others.
    pub etas: Vec<Alternative>,
}

/// The same comparison with another eta.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Alternative {
    /// Which.
    pub eta: u32,
    /// How many would go on, where places count.
    pub quota: Option<usize>,
    /// What the trial would have to reach; None if nobody would go on, or anybody.
    pub cutoff: Option<f64>,
    /// Whether the trial would go on.
    pub goes_on: bool,
}

impl Stand {
    /// Where `trial` stands on the highest rung at or below `resource`. O(its rivals).
    pub(super) fn of(sweep: &Sweep, trial: TrialId, resource: Resource) -> Option<Self> {
        let ladder = sweep.spec().scheduler.ladder();
        let resource = ladder.resource(ladder.rung_at(resource)?);
        let standing = sweep.standing_at(trial, resource)?;
        let rivals = sweep.rivals(trial, resource);
        let own = *rivals.iter().find(|(_, rival)| *rival == trial)?;
        let goal = sweep.spec().goal;
        let last_in = standing.quota.and_then(|quota| rivals.get(quota.checked_sub(1)?));
        let barrier = sweep.barriers().into_iter().find(|barrier| (barrier.bracket, barrier.resource) == (standing.bracket, resource));
        let etas = if barrier.is_none() { Rule::of(sweep).alternatives(&standing, &rivals, own) } else { vec![] };
        Some(Self {
            resource,
            bracket: standing.bracket,
            metric: goal.metric(own.0),
            rank: standing.rank + 1,
            population: standing.population,
            quota: standing.quota,
            cutoff: standing.cutoff.map(|loss| goal.metric(loss)),
            last_in: last_in.map(|&(loss, trial)| Rival { trial, metric: goal.metric(loss) }),
            goes_on: goes_on(&standing, own.0),
            barrier,
            etas,
        })
    }
}

/// Whether a trial is among those that go on, and how many do where places count.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Chance {
    pub(super) goes_on: bool,
    pub(super) quota: Option<usize>,
}

impl Chance {
    /// Of `trial` on the rung at `resource`; None if it is not compared there.
    pub(super) fn of(sweep: &Sweep, trial: TrialId, resource: Resource) -> Option<Self> {
        let standing = sweep.standing_at(trial, resource)?;
        let results = &sweep.trial(trial)?.results;
        let &(_, loss) = results.iter().find(|(rung, _)| *rung == resource)?;
        Some(Self { goes_on: goes_on(&standing, loss), quota: standing.quota })
    }
}

fn goes_on(standing: &Standing, loss: Loss) -> bool {
    match standing.quota {
        Some(quota) => standing.rank < quota,
        None => standing.cutoff.is_none_or(|cutoff| loss <= cutoff),
    }
}

/// How a rule uses eta on a rung.
#[derive(Clone, Copy)]
struct Rule {
    eta: u32,
    /// It compares with a quantile; else it counts places, or does not ask for eta at all.
    quantile: bool,
    goal: Goal,
}

impl Rule {
    fn of(sweep: &Sweep) -> Self {
        let spec = sweep.spec();
        let quantile = matches!(spec.scheduler, SchedulerSpec::AshaStop { .. });
        Self { eta: spec.scheduler.ladder().eta(), quantile, goal: spec.goal }
    }

    /// What each eta would decide on `own`, the sweep's own as it did.
    fn alternatives(self, standing: &Standing, rivals: &[Place], own: Place) -> Vec<Alternative> {
        // Where nobody goes on though enough stand there, something else than eta holds them back.
        let asks = standing.quota.map_or(self.quantile, |quota| quota > 0 || standing.population < self.eta as usize);
        if !asks {
            return vec![];
        }
        let mut etas: Vec<u32> = ETAS.into_iter().chain([self.eta]).collect();
        etas.sort_unstable();
        etas.dedup();
        etas.into_iter().map(|eta| self.with(eta, standing, rivals, own)).collect()
    }

    fn with(self, eta: u32, standing: &Standing, rivals: &[Place], own: Place) -> Alternative {
        let (quota, cutoff, goes_on) = if eta == self.eta {
            (standing.quota, standing.cutoff, goes_on(standing, own.0))
        } else if standing.quota.is_some() {
            // Nobody goes on who has diverged.
            let finite = rivals.partition_point(|(loss, _)| loss.is_finite());
            let quota = finite.min(standing.population / eta as usize);
            let last = quota.checked_sub(1).and_then(|last| rivals.get(last));
            (Some(quota), last.map(|&(loss, _)| loss), standing.rank < quota)
        } else {
            let cutoff = AshaStop::cutoff_among(rivals, own.1, eta);
            (None, cutoff, cutoff.is_none_or(|cutoff| own.0 <= cutoff))
        };
        Alternative { eta, quota, cutoff: cutoff.map(|loss| self.goal.metric(loss)), goes_on }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::schedule::{Ladder, Scheduler};

    fn places(losses: &[f64]) -> Vec<Place> {
        losses.iter().enumerate().map(|(id, &loss)| (Loss::new(loss), TrialId(id as u32))).collect()
    }

    const RULE: Rule = Rule { eta: 3, quantile: false, goal: Goal::Maximize };

    #[test]
    fn places_are_counted_with_each_eta_among_those_that_have_not_diverged() {
        let rivals = places(&[-9.0, -8.0, 3.0, f64::NAN, f64::NAN, f64::NAN, f64::NAN, f64::NAN]);
        let standing = Standing { bracket: 0, rank: 2, population: 8, quota: Some(2), cutoff: Some(Loss::new(-8.0)) };
        let of = |alternative: Alternative| (alternative.eta, alternative.quota, alternative.cutoff, alternative.goes_on);
        let all: Vec<_> = RULE.alternatives(&standing, &rivals, rivals[2]).into_iter().map(of).collect();
        let best = |eta, quota, cutoff, goes_on| (eta, Some(quota), Some(cutoff), goes_on);
        assert_eq!(all, [best(2, 3, -3.0, true), best(3, 2, 8.0, false), best(4, 2, 8.0, false), best(5, 1, 9.0, false)]);
        let other = Rule { eta: 7, ..RULE }.alternatives(&standing, &rivals, rivals[2]);
        assert_eq!(other.iter().map(|with| with.eta).collect::<Vec<_>>(), [2, 3, 4, 5, 7], "the sweep's own is among them");
    }

    #[test]
    fn eta_is_not_blamed_for_what_it_does_not_decide() {
        let rivals = places(&[1.0, 2.0, 3.0]);
        let held_back = Standing { bracket: 0, rank: 0, population: 3, quota: Some(0), cutoff: None };
        assert!(RULE.alternatives(&held_back, &rivals, rivals[0]).is_empty());
        let too_few = Standing { population: 2, ..held_back };
        assert_eq!(RULE.alternatives(&too_few, &rivals[..2], rivals[0]).len(), 4);
        let median = Standing { quota: None, cutoff: Some(Loss::new(2.0)), ..held_back };
        assert!(RULE.alternatives(&median, &rivals, rivals[0]).is_empty());
        let stops = Rule { quantile: true, ..RULE }.alternatives(&median, &rivals, rivals[2]);
        assert_eq!(stops.iter().map(|with| (with.eta, with.goes_on)).collect::<Vec<_>>(), [(2, false), (3, false), (4, false), (5, false)]);
        assert_eq!(stops[0].cutoff, Some(-1.5));
    }

    proptest! {
        /// What a scheduler with that eta says of the same records, bit for bit.
        #[test]
        fn a_quantile_with_another_eta_is_that_of_a_scheduler_with_it(
            losses in prop::collection::vec(prop_oneof![8 => -3.0..3.0, 1 => Just(f64::NAN), 1 => Just(0.5)], 1..40),
            pick in any::<prop::sample::Index>(),
        ) {
            let at = Resource(1);
            let own = TrialId(pick.index(losses.len()) as u32);
            let told = |eta| {
                let mut rule = AshaStop::new(&Ladder::new(at, Resource(1000), eta).unwrap());
                for (&loss, id) in losses.iter().zip(0..) {
                    rule.reported(TrialId(id), at, Loss::new(loss));
                }
                (rule.standing(0, own).unwrap(), rule.rivals(0, own))
            };
            let (standing, rivals) = told(3);
            let place = rivals[standing.rank];
            for with in (Rule { quantile: true, ..RULE }).alternatives(&standing, &rivals, place) {
                let cutoff = told(with.eta).0.cutoff;
                prop_assert_eq!(with.cutoff.map(f64::to_bits), cutoff.map(|loss| RULE.goal.metric(loss).to_bits()));
                prop_assert_eq!(with.goes_on, cutoff.is_none_or(|cutoff| place.0 <= cutoff));
            }
        }
    }
}
