//! The resource levels at which trials are compared.
use std::cmp::Ordering;

use serde::{Deserialize, Serialize};

use super::Rung;
use crate::Resource;

/// Levels from about r to R, each about eta times the one below.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Numbers", into = "Numbers")]
pub struct Ladder {
    rungs: Vec<Resource>,
    numbers: Numbers,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Numbers {
    min_resource: Resource,
    max_resource: Resource,
    eta: u32,
    #[serde(default, skip_serializing_if = "Anchor::is_bottom")]
    anchor: Anchor,
}

/// From which end the levels are counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Anchor {
    /// r, r eta, r eta^2, ... below R, and R itself: the papers on ASHA.
    #[default]
    Bottom,
    /// R, R / eta, R / eta^2, ... down to r, each rounded to the nearest whole number, halves to the even one: the paper
    /// on Hyperband.
    Top,
}

impl Anchor {
    // serde passes a reference
    #[allow(clippy::trivially_copy_pass_by_ref)]
    fn is_bottom(&self) -> bool {
        *self == Self::Bottom
    }
}

/// Why there is no such ladder.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LadderFault {
    /// A rung at nothing.
    #[error("min_resource must be at least 1")]
    NoResource,
    /// The bottom above the top.
    #[error("min_resource is {min}, above max_resource, which is {max}")]
    Reversed {
        /// The bottom.
        min: Resource,
        /// The top.
        max: Resource,
    },
    /// Every trial or none would go on.
    #[error("eta must be at least 2")]
    Eta,
}

impl TryFrom<Numbers> for Ladder {
    type Error = LadderFault;
    fn try_from(numbers: Numbers) -> Result<Self, LadderFault> {
        Self::anchored(numbers.anchor, numbers.min_resource, numbers.max_resource, numbers.eta)
    }
}

impl From<Ladder> for Numbers {
    fn from(ladder: Ladder) -> Self {
        ladder.numbers
    }
}

impl Ladder {
    /// The ladder of minimum resource r, maximum resource R and reduction factor eta, counted from the bottom.
    ///
    /// # Errors
    /// If r is 0, r > R, or eta < 2.
    pub fn new(min_resource: Resource, max_resource: Resource, eta: u32) -> Result<Self, LadderFault> {
        Self::anchored(Anchor::Bottom, min_resource, max_resource, eta)
    }

    /// The ladder of minimum resource r, maximum resource R and reduction factor eta, counted from either end.
    ///
    /// # Errors
    /// If r is 0, r > R, or eta < 2.
    pub fn anchored(anchor: Anchor, min_resource: Resource, max_resource: Resource, eta: u32) -> Result<Self, LadderFault> {
        if min_resource.0 == 0 {
            return Err(LadderFault::NoResource);
        }
        if min_resource > max_resource {
            return Err(LadderFault::Reversed { min: min_resource, max: max_resource });
        }
        if eta < 2 {
            return Err(LadderFault::Eta);
        }
        let (least, most) = (min_resource.0, max_resource.0);
        let powers = |from: u32| std::iter::successors(Some(from), |power| power.checked_mul(eta));
        let rungs = match anchor {
            Anchor::Bottom => powers(least).take_while(|&rung| rung < most).map(Resource).chain([max_resource]).collect(),
            Anchor::Top => {
                let levels = powers(1).take_while(|&power| power <= most / least).map(|power| Resource(nearest(most, power)));
                let mut rungs: Vec<Resource> = levels.collect();
                rungs.reverse();
                rungs
            }
        };
        Ok(Self { rungs, numbers: Numbers { min_resource, max_resource, eta, anchor } })
    }

    /// A ladder of one rung: every trial goes to the end.
    ///
    /// # Errors
    /// If `max_resource` is 0.
    pub fn single(max_resource: Resource) -> Result<Self, LadderFault> {
        Self::new(max_resource, max_resource, 2)
    }

    /// The rungs, bottom first; never empty.
    #[must_use]
    pub fn rungs(&self) -> &[Resource] {
        &self.rungs
    }

    /// What a trial must have consumed to stand on `rung`.
    #[must_use]
    pub fn resource(&self, rung: Rung) -> Resource {
        self.rungs[rung]
    }

    /// The highest rung at or below `resource`; None below all of them.
    #[must_use]
    pub fn rung_at(&self, resource: Resource) -> Option<Rung> {
        self.rungs.partition_point(|&rung| rung <= resource).checked_sub(1)
    }

    /// The last rung.
    #[must_use]
    pub fn top(&self) -> Rung {
        self.rungs.len() - 1
    }

    /// The reduction factor: one in eta goes on.
    #[must_use]
    pub fn eta(&self) -> u32 {
        self.numbers.eta
    }
}

/// `most` / `power`, rounded to the nearest whole number, halves to the even one. Without floats, in which eta^-k is not exact
/// and a half no half. Two levels are at least 1 apart before rounding, so they stay apart.
fn nearest(most: u32, power: u32) -> u32 {
    let (below, rest) = (most / power, most % power);
    // Which half of `power` the rest is in; 2 rest may not fit.
    let up = match rest.cmp(&(power - rest)) {
        Ordering::Less => false,
        Ordering::Equal => below % 2 == 1,
        Ordering::Greater => true,
    };
    below + u32::from(up)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rungs_are_geometric_and_end_at_the_top() {
        let rungs = |min, max, eta| {
            Ladder::new(Resource(min), Resource(max), eta).map(|ladder| ladder.rungs.iter().map(|rung| rung.0).collect::<Vec<_>>())
        };
        assert_eq!(rungs(1, 27, 3), Ok(vec![1, 3, 9, 27]));
        assert_eq!(rungs(1, 30, 3), Ok(vec![1, 3, 9, 27, 30]));
        assert_eq!(rungs(10, 200, 4), Ok(vec![10, 40, 160, 200]));
        assert_eq!(rungs(5, 5, 2), Ok(vec![5]));
        assert_eq!(rungs(u32::MAX / 2, u32::MAX, 4), Ok(vec![u32::MAX / 2, u32::MAX]));
        assert_eq!(rungs(0, 9, 3), Err(LadderFault::NoResource));
        assert_eq!(rungs(9, 1, 3), Err(LadderFault::Reversed { min: Resource(9), max: Resource(1) }));
        assert_eq!(rungs(1, 9, 1), Err(LadderFault::Eta));
    }

    #[test]
    fn from_the_top_rungs_are_rounded_as_the_oracles_of_hyperband_need_it() {
        let rungs = |min, max, eta| {
            let ladder = Ladder::anchored(Anchor::Top, Resource(min), Resource(max), eta).unwrap();
            let again: Ladder = serde_json::from_str(&serde_json::to_string(&ladder).unwrap()).unwrap();
            assert_eq!(again, ladder);
            ladder.rungs.iter().map(|rung| rung.0).collect::<Vec<_>>()
        };
        assert_eq!(rungs(1, 100, 2), [2, 3, 6, 12, 25, 50, 100]);
        assert_eq!(rungs(1, 81, 3), [1, 3, 9, 27, 81]);
        assert_eq!(rungs(3, 52, 3), [6, 17, 52]);
        assert_eq!(rungs(5, 5, 2), [5]);
        assert_eq!(rungs(1, u32::MAX, 2).len(), 32);
        assert_eq!(rungs(1, u32::MAX, u32::MAX), [1, u32::MAX]);
        // 10734768 / 6^5 is 1380.5 exactly; by way of 6^-5 as a float it is a little more.
        assert_eq!(rungs(1380, 10_734_768, 6), [1380, 8283, 49698, 298_188, 1_789_128, 10_734_768]);
    }

    #[test]
    fn a_resource_stands_on_the_highest_rung_that_it_has_passed() {
        let ladder = Ladder::new(Resource(2), Resource(20), 3).unwrap();
        let at = |resource| ladder.rung_at(Resource(resource));
        assert_eq!([1, 2, 5, 6, 18, 19, 20, 99].map(at), [None, Some(0), Some(0), Some(1), Some(2), Some(2), Some(3), Some(3)]);
    }
}
