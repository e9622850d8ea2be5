//! What the functions on two rungs have in common: their correlation C(r, r').
use hpo_core::Resource;

/// How rungs are related.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Relation {
    /// One correlation between each rung and the next, and between others the product of those on the way: an autoregressive
    /// process along the ladder, as in Kennedy and O'Hagan, "Predicting the output from a complex computer code when fast
    /// approximations are available", Biometrika 87 (2000), with correlations in the place of their factors.
    #[default]
    Chain,
    /// By the resource itself: the kernel of curves that decay exponentially at unknown rates, (b/(r + r' + b))^a, of Swersky,
    /// Snoek and Adams, "Freeze-Thaw Bayesian Optimization" (arXiv:1406.3896), made a correlation.
    Decay,
    /// Nothing but length scales and noise: a process a rung, as the independent ones of MOBSTER (arXiv:2003.10865).
    Apart,
}

/// The rungs and their relation.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Ladder {
    relation: Relation,
    /// Shares of the largest resource, upwards.
    resources: Vec<f64>,
}

impl Ladder {
    pub(crate) fn new(relation: Relation, rungs: &[Resource]) -> Self {
        let most = rungs.last().map_or(1.0, |rung| f64::from(rung.0).max(1.0));
        Self { relation, resources: rungs.iter().map(|rung| f64::from(rung.0) / most).collect() }
    }

    /// How many rungs there are.
    pub(crate) fn len(&self) -> usize {
        self.resources.len()
    }

    /// The means of the normal priors of its parameters, and their common deviation: of -ln of the correlation of neighbours, or
    /// of ln a and ln b.
    pub(crate) fn prior(&self) -> (Vec<f64>, f64) {
        match self.relation {
            Relation::Chain => (vec![0.1_f64.ln(); self.len().saturating_sub(1)], 1.2),
            Relation::Decay if self.len() > 1 => (vec![0.0, 0.1_f64.ln()], 1.0),
            Relation::Decay | Relation::Apart => (vec![], 1.0),
        }
    }

    /// C at given parameters.
    pub(crate) fn common(&self, parameters: &[f64]) -> Vec<Vec<f64>> {
        let all = 0..self.len();
        all.clone().map(|one| all.clone().map(|other| self.pair(parameters, one, other, None)).collect()).collect()
    }

    /// dC by each parameter.
    pub(crate) fn slopes(&self, parameters: &[f64]) -> Vec<Vec<Vec<f64>>> {
        let all = 0..self.len();
        let slope = |by| all.clone().map(|one| all.clone().map(|other| self.pair(parameters, one, other, Some(by))).collect()).collect();
        (0..parameters.len()).map(slope).collect()
    }

    /// C of two rungs, or its derivative by a parameter.
    fn pair(&self, parameters: &[f64], one: usize, other: usize, by: Option<usize>) -> f64 {
        let (low, high) = (one.min(other), one.max(other));
        match self.relation {
            _ if low == high => f64::from(by.is_none()),
            Relation::Apart => 0.0,
            Relation::Chain => {
                let common = (-parameters[low..high].iter().map(|gap| gap.exp()).sum::<f64>()).exp();
                match by {
                    None => common,
                    Some(by) if (low..high).contains(&by) => -common * parameters[by].exp(),
                    Some(_) => 0.0,
                }
            }
            Relation::Decay => {
                let (a, b) = (parameters[0].exp(), parameters[1].exp());
                let (low, high) = (self.resources[low], self.resources[high]);
                let logarithm = a * (0.5 * (2.0 * low + b).ln() + 0.5 * (2.0 * high + b).ln() - (low + high + b).ln());
                let common = logarithm.exp();
                match by {
                    None => common,
                    Some(0) => common * logarithm,
                    Some(_) => common * a * b * (0.5 / (2.0 * low + b) + 0.5 / (2.0 * high + b) - 1.0 / (low + high + b)),
                }
            }
        }
    }
}
