//! Small clusters, all of what can happen to them: every order in which messages, answers and trainers' words can come, and a
//! crash of the driver at every point. Played by the production engine and sessions.
//!
//! Time stands still here, so nothing happens because a clock says so; everything else happens in every order. Two orders that
//! lead to one state of the whole cluster are followed further only once: a state is what the driver's sweep is (its digest),
//! what its journal holds, each session (all of its fields), each trainer, and each message on its way. The number of orders
//! is the number of ways through these states, counted exactly.
mod cluster;
mod driver;
mod worker;

use std::collections::HashMap;

use hpo_core::schedule::{Anchor, Ladder, SchedulerSpec};
use hpo_core::space::{Domain, Fold, Parameter};
use hpo_core::sweep::{Budget, Patience};
use hpo_core::{Goal, Resource, Seed, Space, SweepSpec};

use cluster::Cluster;
use driver::Drivers;
use worker::Sessions;

/// How large a cluster.
#[derive(Clone, Debug)]
pub struct Scope {
    /// The sweep; its `max_trials` bounds it.
    pub spec: SweepSpec,
    /// Workers of one slot.
    pub workers: usize,
    /// Most crashes of the driver.
    pub crashes: u8,
}

impl Scope {
    /// A sweep of so many trials on two rungs, at 1 and 2, of which one in two goes on: by ASHA, or by successive halving.
    ///
    /// # Panics
    /// If there is no such ladder or space: a fault of this file.
    #[must_use]
    pub fn of(workers: usize, trials: u32, crashes: u8, halving: bool) -> Self {
        let anchor = if halving { Anchor::Top } else { Anchor::Bottom };
        let ladder = Ladder::anchored(anchor, Resource(1), Resource(2), 2).unwrap_or_else(|fault| panic!("{fault}"));
        let scheduler = if halving { SchedulerSpec::Halving { ladder, bracket: None } } else { SchedulerSpec::AshaPromote { ladder } };
        let domain = Domain::Float { low: 0.0, high: 1.0, fold: Fold::Linear, step: None };
        let x = Parameter { name: "x".to_owned(), domain, when: [].into() };
        let spec = SweepSpec {
            name: "small".to_owned(),
            seed: Seed(1),
            metric: "loss".to_owned(),
            goal: Goal::Minimize,
            space: Space::new(vec![x]).unwrap_or_else(|faults| panic!("{faults:?}")),
            scheduler,
            budget: Budget { max_trials: Some(trials), ..Budget::default() },
            patience: Patience::default(),
        };
        Self { spec, workers, crashes }
    }
}

/// What was explored.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Explored {
    /// Different states of the whole cluster.
    pub states: usize,
    /// Different states of a driver.
    pub drivers: usize,
    /// Different ends.
    pub ends: usize,
    /// Ways from the beginning to an end.
    pub orders: f64,
}

/// What a promise that is broken is broken by: the way there.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{what}\nafter:\n{}", way.join("\n"))]
pub struct Found {
    /// What it is.
    pub what: String,
    /// Step by step.
    pub way: Vec<String>,
}

/// All machines that were met so far.
struct Explorer {
    drivers: Drivers,
    sessions: Sessions,
    /// By state: in how many ways it goes on to an end.
    seen: HashMap<u128, f64>,
    ends: usize,
    way: Vec<String>,
}

/// Goes through everything that can happen.
///
/// # Errors
/// The first promise that is broken, and how.
pub fn explore(scope: &Scope) -> Result<Explored, Box<Found>> {
    let sessions = Sessions::new(scope);
    let drivers = Drivers::new(scope);
    let mut explorer = Explorer { drivers, sessions, seen: HashMap::new(), ends: 0, way: vec![] };
    let first = Cluster::new(scope, &mut explorer.sessions);
    let orders = explorer.follow(&first).map_err(|what| Box::new(Found { what, way: std::mem::take(&mut explorer.way) }))?;
    Ok(Explored { states: explorer.seen.len(), drivers: explorer.drivers.count(), ends: explorer.ends, orders })
}

impl Explorer {
    /// In how many ways a cluster comes to an end.
    fn follow(&mut self, cluster: &Cluster) -> Result<f64, String> {
        let key = cluster.key(&self.drivers);
        if let Some(&ways) = self.seen.get(&key) {
            return Ok(ways);
        }
        let choices = cluster.choices();
        let mut ways = 0.0;
        for choice in &choices {
            let mut next = cluster.clone();
            self.way.push(format!("{choice:?}"));
            next.take(choice, &mut self.drivers, &mut self.sessions)?;
            ways += self.follow(&next)?;
            self.way.pop();
        }
        if choices.is_empty() {
            cluster.is_over()?;
            self.ends += 1;
            ways = 1.0;
        }
        self.seen.insert(key, ways);
        Ok(ways)
    }
}

#[cfg(test)]
mod tests;
