//! A portfolio of searchers, of which the one that earns most gets most of the proposals.
//!
//! Every member learns of every trial. Which one proposes for trial t is a bandit's choice (Thompson, Biometrika 25, 1933;
//! Hoffman, Brochu and de Freitas, "Portfolio Allocation for Bayesian Optimization", UAI 2011, arXiv:1009.5419, choose among
//! acquisition functions in the same spirit), made so that the history alone tells who has earned what:
//!
//! - **Trials on trial.** A share of the trials goes to a member drawn by chance from seed and trial number alone: all of the first
//!   [`FIRST`] a member, then fewer and fewer, and never less than [`LEAST`] of them (the epsilon_n of Auer, Cesa-Bianchi and
//!   Fischer, Machine Learning 47, 2002). Whose they are is known at any time, whatever was known when they were proposed, so
//!   that nothing need be written down and a driver that takes over judges as the one before it. Merits are counted on these.
//! - **Merit.** A trial is a hit if it is among the best [`GOOD`] of the highest rung that has ten results, so that only ranks count,
//!   on any scale. It costs the resource that it has come to. Both count half after [`HALF_LIFE`] later ones: who was good at
//!   the beginning is not who is good later.
//! - **Choice.** Hits per mean trial's resource are a rate, with the Gamma distribution of shape a + hits and rate 2 + cost, where a
//!   gives all members the same rate at first, the portfolio's. All other trials go to the member of whose rate a draw is the
//!   largest.
use std::collections::{BTreeMap, BTreeSet};

use hpo_core::{Params, Resource, Seed, Space, TrialId};
use rand::Rng;
use statrs::distribution::{ContinuousCDF, Gamma};

use crate::chance::{below, unit};
use crate::spec::{BuildFault, build};
use crate::tpe::{Basis, History};
use crate::{Observation, Outcome, Searcher, SearcherSpec, SuggestFault};

/// So many trials for each member are all drawn by chance.
const FIRST: usize = 8;
/// The share that always is.
const LEAST: f64 = 0.2;
/// The share of a rung's results that are hits.
const GOOD: f64 = 0.25;
/// Results on a rung before there are hits.
const RESULTS: usize = 10;
/// In trials on trial.
const HALF_LIFE: f64 = 64.0;
/// So many mean trials the prior rate is worth.
const PRIOR: f64 = 2.0;

/// What a sweep file says about it.
#[derive(Clone, Debug, PartialEq)]
pub struct EnsembleOptions {
    /// Who is in it, at least one.
    pub members: Vec<SearcherSpec>,
}

/// The searcher. A result costs all members what it costs each, a suggestion one of them and a walk over all trials.
pub struct Ensemble {
    seed: Seed,
    members: Vec<Box<dyn Searcher>>,
    history: History,
    told: BTreeMap<TrialId, Told>,
}

/// A trial that something is known of.
#[derive(Clone, Copy, Debug)]
struct Told {
    /// The member that it was to try, if it was.
    tries: Option<usize>,
    /// How far it came; 0 if it failed at once.
    furthest: Resource,
}

impl Ensemble {
    /// Nothing seen yet.
    ///
    /// # Errors
    /// If a member cannot be made for the space, or there is none.
    pub fn new(space: &Space, seed: Seed, options: &EnsembleOptions) -> Result<Self, BuildFault> {
        if options.members.is_empty() {
            return Err(BuildFault::NoMembers);
        }
        let members = options.members.iter().enumerate().map(|(at, member)| build(member, space, seed.derive("member", at as u64)));
        let members = members.collect::<Result<_, BuildFault>>()?;
        let history = History::new(Basis { least: RESULTS, all_others: true });
        Ok(Self { seed, members, history, told: BTreeMap::new() })
    }

    /// The member that a trial tries out, if it is for that.
    fn tries(&self, trial: TrialId) -> Option<usize> {
        let mut rng = self.seed.derive("portfolio", trial.0.into()).rng();
        let share = ((FIRST * self.members.len()) as f64 / f64::from(trial.0 + 1)).max(LEAST);
        let (chance, member) = (unit(&mut rng), below(&mut rng, self.members.len()));
        (chance < share).then_some(member)
    }

    /// Hits and cost of each member.
    fn merits(&self) -> Vec<Merit> {
        let good = self.history.best((GOOD * self.history.population() as f64).ceil() as usize);
        let good: BTreeSet<TrialId> = good.into_iter().collect();
        let cost = |told: &Told| f64::from(told.furthest.0.max(1));
        let mean = self.told.values().map(cost).sum::<f64>() / self.told.len().max(1) as f64;
        let mut merits = vec![Merit::default(); self.members.len()];
        let tried = self.told.iter().rev().filter_map(|(&trial, told)| Some((told.tries?, trial, cost(told))));
        for (age, (member, trial, cost)) in tried.enumerate() {
            let weight = 0.5_f64.powf(age as f64 / HALF_LIFE);
            merits[member].hits += weight * f64::from(u8::from(good.contains(&trial)));
            merits[member].cost += weight * cost / mean;
        }
        merits
    }

    /// The member that proposes for a trial.
    fn proposer(&self, trial: TrialId) -> usize {
        if let Some(member) = self.tries(trial) {
            return member;
        }
        let mut rng = self.seed.derive("merit", trial.0.into()).rng();
        choose(&self.merits(), &mut rng)
    }
}

/// What a member has earned, and at what cost.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Merit {
    hits: f64,
    cost: f64,
}

/// A draw of each one's rate; who has the largest.
fn choose(merits: &[Merit], rng: &mut impl Rng) -> usize {
    let (hits, cost) = merits.iter().fold((0.0, 0.0), |(hits, cost), merit| (hits + merit.hits, cost + merit.cost));
    let shape = if hits > 0.0 { PRIOR * hits / cost } else { PRIOR };
    let draw = |merit: &Merit| {
        let chance = unit(rng);
        Gamma::new(shape + merit.hits, PRIOR + merit.cost).map_or(0.0, |rate| rate.inverse_cdf(chance))
    };
    let draws: Vec<f64> = merits.iter().map(draw).collect();
    (0..draws.len()).max_by(|&one, &other| draws[one].total_cmp(&draws[other])).unwrap_or(0)
}

impl Searcher for Ensemble {
    fn begin(&mut self, trial: TrialId, params: &Params) {
        self.members.iter_mut().for_each(|member| member.begin(trial, params));
    }

    fn tell(&mut self, seen: &Observation) {
        self.history.tell(seen);
        let tries = self.tries(seen.trial);
        let told = self.told.entry(seen.trial).or_insert(Told { tries, furthest: Resource(0) });
        if let Outcome::Loss { resource, .. } = seen.outcome {
            told.furthest = resource.max(told.furthest);
        }
        self.members.iter_mut().for_each(|member| member.tell(seen));
    }

    fn suggest(&self, trial: TrialId) -> Result<Params, SuggestFault> {
        let first = self.proposer(trial);
        // A grid may be used up where the space is not.
        let others = (0..self.members.len()).filter(|other| *other != first);
        let mut answers = std::iter::once(first).chain(others).map(|member| self.members[member].suggest(trial));
        answers.find(Result::is_ok).unwrap_or(Err(SuggestFault::Exhausted))
    }
}

#[cfg(test)]
mod tests {
    use hpo_core::Loss;
    use hpo_core::space::{Domain, Fold, Parameter};

    use super::*;

    fn space() -> Space {
        let domain = Domain::Float { low: 0.0, high: 1.0, fold: Fold::Linear, step: None };
        Space::new(vec![Parameter { name: "x".to_owned(), domain, when: Default::default() }]).unwrap()
    }

    fn ensemble(seed: u64) -> Ensemble {
        let members = vec![SearcherSpec::Random, SearcherSpec::Sobol, SearcherSpec::Evolution(Default::default())];
        Ensemble::new(&space(), Seed(seed), &EnsembleOptions { members }).unwrap()
    }

    /// Tells of so many trials; `loss` is given who tries.
    fn play(ensemble: &mut Ensemble, count: u32, loss: impl Fn(usize, f64) -> (u32, f64)) {
        let mut rng = Seed(9).rng();
        for trial in (0..count).map(TrialId) {
            let params = Params::from([("x".to_owned(), unit(&mut rng).into())]);
            ensemble.begin(trial, &params);
            let (resource, loss) = loss(ensemble.proposer(trial), unit(&mut rng));
            let outcome = Outcome::Loss { resource: Resource(resource), loss: Loss::new(loss) };
            ensemble.tell(&Observation { trial, params, outcome });
        }
    }

    fn shares(ensemble: &Ensemble) -> Vec<usize> {
        let mut shares = vec![0; 3];
        (5000..5600).for_each(|trial| shares[ensemble.proposer(TrialId(trial))] += 1);
        shares
    }

    #[test]
    fn who_earns_most_gets_most_and_all_are_tried_on() {
        for better in 0..3 {
            let mut ensemble = ensemble(better as u64);
            play(&mut ensemble, 300, |who, chance| (1, if who == better { 0.3 * chance } else { chance }));
            let shares = shares(&ensemble);
            assert!(shares[better] > 330 && shares.iter().all(|share| *share >= 20), "{better}: {shares:?}");
        }
    }

    /// Twice as many hits at ten times the cost are no bargain.
    #[test]
    fn merit_is_per_unit_of_resource() {
        let mut ensemble = ensemble(5);
        play(&mut ensemble, 400, |who, chance| if who == 1 { (10, 0.5 * chance) } else { (10, chance) });
        assert!(shares(&ensemble)[1] > 330, "{:?}", shares(&ensemble));
        let merits = [Merit { hits: 8.0, cost: 80.0 }, Merit { hits: 4.0, cost: 8.0 }];
        let mut rng = Seed(1).rng();
        let cheap = (0..200).filter(|_| choose(&merits, &mut rng) == 1).count();
        assert!(cheap > 180, "{cheap} of 200");
    }

    /// Who was asked depends on the numbers of trials, not on what was known when they were proposed.
    #[test]
    fn who_tried_what_is_known_from_the_seed_alone() {
        let (empty, mut full) = (ensemble(3), ensemble(3));
        play(&mut full, 100, |_, chance| (1, chance));
        let tries = |ensemble: &Ensemble| (0..1000).map(|trial| ensemble.tries(TrialId(trial))).collect::<Vec<_>>();
        assert_eq!(tries(&empty), tries(&full));
        let late = tries(&empty)[300..].iter().filter(|tries| tries.is_some()).count() as f64 / 700.0;
        assert!((late - LEAST).abs() < 0.05 && tries(&empty)[..24].iter().all(Option::is_some), "{late}");
    }

    #[test]
    fn an_empty_portfolio_is_refused() {
        assert!(matches!(Ensemble::new(&space(), Seed(1), &EnsembleOptions { members: vec![] }), Err(BuildFault::NoMembers)));
    }
}
