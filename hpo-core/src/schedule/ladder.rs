//! The resource levels at which trials are compared.
use serde::{Deserialize, Serialize};

use super::Rung;
use crate::Resource;

/// Rungs at r, r eta, r eta^2, ... below R, and R itself.
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
        Self::new(numbers.min_resource, numbers.max_resource, numbers.eta)
    }
}

impl From<Ladder> for Numbers {
    fn from(ladder: Ladder) -> Self {
        ladder.numbers
    }
}

impl Ladder {
    /// The ladder of minimum resource r, maximum resource R and reduction factor eta.
    ///
    /// # Errors
    /// If r is 0, r > R, or eta < 2.
    pub fn new(min_resource: Resource, max_resource: Resource, eta: u32) -> Result<Self, LadderFault> {
        if min_resource.0 == 0 {
            return Err(LadderFault::NoResource);
        }
        if min_resource > max_resource {
            return Err(LadderFault::Reversed { min: min_resource, max: max_resource });
        }
        if eta < 2 {
            return Err(LadderFault::Eta);
        }
        let below_top = std::iter::successors(Some(min_resource.0), |rung| rung.checked_mul(eta)).take_while(|&rung| rung < max_resource.0);
        let rungs = below_top.map(Resource).chain([max_resource]).collect();
        Ok(Self { rungs, numbers: Numbers { min_resource, max_resource, eta } })
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
}
