//! How much of a difference between losses is chance.
use super::quantile::Quantile;
use crate::by_trial::ByTrial;
use crate::{Loss, Resource, TrialId};

/// Of more trials on the highest open rungs than these, only the first ones to come are asked how noisy losses are: the paper
/// takes all pairs, here 8128 at most, enough for a percentile.
const COHORT: usize = 128;

/// Epsilon from the losses themselves: two trials that overtake each other and back differ by chance alone. It is the 90th
/// percentile of the distances, at the last resource that both reported, of all such pairs of trials that are beyond the
/// rung below the highest open one. With no such pair it stays what it was, at first 0.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Noise {
    curves: ByTrial<Vec<(Resource, Loss)>>,
    /// Those beyond the rung, in the order in which they came.
    cohort: Vec<TrialId>,
    /// One of them has reported since the last estimate.
    stale: bool,
    epsilon: f64,
}

impl Noise {
    /// `trial` has `loss` at `resource`; counted are those `beyond` a rung. Costs O(the cohort).
    pub(super) fn add(&mut self, trial: TrialId, resource: Resource, loss: Loss, beyond: Resource) {
        self.curves.entry(trial).push((resource, loss));
        if resource <= beyond {
            return;
        }
        let known = self.cohort.contains(&trial);
        if !known && self.cohort.len() < COHORT {
            self.cohort.push(trial);
        }
        self.stale |= known || self.cohort.last() == Some(&trial);
    }

    /// Another rung is meant from now on: nobody is beyond it yet.
    pub(super) fn start_over(&mut self) {
        self.cohort.clear();
    }

    pub(super) fn epsilon(&mut self, beyond: Resource) -> f64 {
        if std::mem::take(&mut self.stale) {
            // The tenth from below of what is turned over.
            let mut turned = Quantile::new(10);
            for (index, &one) in self.cohort.iter().enumerate() {
                for &other in &self.cohort[..index] {
                    if let Some(distance) = chance(&self.curves[one], &self.curves[other], beyond) {
                        turned.insert(Loss::new(-distance));
                    }
                }
            }
            self.epsilon = turned.get().map_or(self.epsilon, |epsilon| -epsilon.get());
        }
        self.epsilon
    }
}

/// How far apart two curves are at the last resource that both reported, if that is `beyond` a rung and at three resources
/// they were in one order, in the other, and in the first again.
fn chance(one: &[(Resource, Loss)], other: &[(Resource, Loss)], beyond: Resource) -> Option<f64> {
    let mut others = other.iter().peekable();
    let (mut order, mut turns, mut last) = (None, 0, None);
    for &(resource, here) in one {
        while others.next_if(|(at, _)| *at < resource).is_some() {}
        let Some(&(_, there)) = others.next_if(|(at, _)| *at == resource) else { continue };
        let now = here.cmp(&there);
        if now.is_ne() && order.replace(now).is_some_and(|before| before != now) {
            turns += 1;
        }
        last = Some((resource, distance(here, there)));
    }
    let (_, distance) = last.filter(|&(resource, distance)| resource > beyond && distance.is_finite())?;
    (turns >= 2).then_some(distance)
}

/// Equal losses have none, not even those that are not finite; between these and the others there is no end.
pub(super) fn distance(one: Loss, other: Loss) -> f64 {
    match (one == other, one.is_finite() && other.is_finite()) {
        (true, _) => 0.0,
        (false, true) => (one.get() - other.get()).abs(),
        (false, false) => f64::INFINITY,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn noise_is_what_overtakes_and_is_overtaken() {
        let curve = |losses: &[f64]| (1..).map(Resource).zip(losses.iter().copied().map(Loss::new)).collect::<Vec<_>>();
        let of = |one: &[f64], other: &[f64]| chance(&curve(one), &curve(other), Resource(2));
        assert_eq!(of(&[1.0, 3.0, 1.5], &[2.0, 2.0, 2.0]), Some(0.5));
        assert_eq!(of(&[1.0, 3.0, 3.5], &[2.0, 2.0, 2.0]), None, "overtaken once");
        assert_eq!(of(&[1.0, 3.0, 1.5, 9.0], &[2.0, 2.0, 2.0]), Some(0.5), "at the last that both reported");
        assert_eq!(chance(&curve(&[1.0, 3.0, 1.5]), &curve(&[2.0, 2.0, 2.0]), Resource(3)), None, "not beyond the rung");
        assert_eq!(of(&[1.0, f64::NAN, 1.5], &[2.0, 2.0, 2.0]), Some(0.5));
        assert_eq!(of(&[f64::NAN, 1.0, f64::NAN], &[2.0, 2.0, 2.0]), None, "no distance to what is not finite");
        assert_eq!(chance(&curve(&[1.0, 3.0, 1.5])[1..], &curve(&[2.0, 2.0, 2.0]), Resource(2)), None, "only what both reported");
    }

    #[test]
    fn the_estimate_is_the_90th_percentile() {
        let mut noise = Noise::default();
        // Trial k and the next overtake each other; pairs of the others are far apart.
        for trial in 0..22_u32 {
            let pair = f64::from(trial / 2);
            for at in 1..=3 {
                let turn = if at == 2 { 1.0 } else { -1.0 };
                let side = if trial.is_multiple_of(2) { 0.0 } else { turn * (1.0 + pair) / 2.0 };
                noise.add(TrialId(trial), Resource(at), Loss::new(100.0 * pair + side), Resource(1));
            }
        }
        // Distances 0.5, 1, ..., 5.5.
        assert_eq!(noise.epsilon(Resource(1)), 5.0);
        noise.start_over();
        noise.add(TrialId(0), Resource(4), Loss::new(0.0), Resource(3));
        assert_eq!(noise.epsilon(Resource(3)), 5.0, "without pairs it stays");
    }
}
