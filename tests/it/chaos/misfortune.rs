//! What happens to whom and when, drawn from a seed.
use std::collections::BTreeMap;
use std::time::Duration;

use hpo_core::Seed;

use super::namespace::Cut;
use super::plan::Plan;

/// Chance. The same seed gives the same draws; what real processes make of them differs each time.
pub(super) struct Draws {
    seed: Seed,
    drawn: u64,
}

impl Draws {
    pub(super) fn new(seed: u64) -> Self {
        Self { seed: Seed(seed), drawn: 0 }
    }

    pub(super) fn number(&mut self) -> u64 {
        self.drawn += 1;
        self.seed.derive("chaos", self.drawn).0
    }

    pub(super) fn below(&mut self, end: usize) -> usize {
        (self.number() % end as u64) as usize
    }

    pub(super) fn between(&mut self, low: Duration, high: Duration) -> Duration {
        low + (high - low).mul_f64(self.number() as f64 / u64::MAX as f64)
    }

    /// Mostly short; one time in `rarely` longer than `limit`.
    pub(super) fn time(&mut self, limit: Duration, rarely: usize) -> Duration {
        if self.below(rarely) == 0 {
            self.between(limit + limit / 4, limit + limit / 2)
        } else {
            self.between(Duration::from_millis(50), limit / 3)
        }
    }
}

/// One thing that goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Misfortune {
    /// SIGKILL; another one is started after a while.
    KillDriver {
        away: Duration,
    },
    /// SIGKILL; its trainers die with it; another one is started after a while.
    KillAgent {
        agent: usize,
        away: Duration,
    },
    /// SIGKILL to one of the agent's trainers.
    KillTrainer {
        agent: usize,
        which: usize,
    },
    /// SIGSTOP, and SIGCONT later.
    PauseDriver {
        time: Duration,
    },
    PauseAgent {
        agent: usize,
        time: Duration,
    },
    PauseTrainer {
        agent: usize,
        which: usize,
        time: Duration,
    },
    /// The host hears nobody, and nobody hears it.
    CutLink {
        host: usize,
        how: Cut,
        time: Duration,
    },
}

/// What may happen in a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Storm {
    /// Everything.
    All,
    /// Only drivers suffer.
    Driver,
}

impl Misfortune {
    /// `hosts`: host 0 is the driver's; without a network of our own there is one.
    pub(super) fn draw(draws: &mut Draws, storm: Storm, plan: &Plan, agents: usize, hosts: usize) -> Self {
        let kind = match storm {
            Storm::All => draws.below(100),
            Storm::Driver => 55 + draws.below(25),
        };
        let (agent, which) = (draws.below(agents), draws.below(4));
        match kind {
            0..35 => Self::KillTrainer { agent, which },
            35..55 => Self::KillAgent { agent, away: draws.time(plan.lease, 8) },
            55..73 => Self::KillDriver { away: draws.time(plan.lease, 6) },
            73..80 => Self::PauseDriver { time: draws.time(plan.lease, 3) },
            80..87 => Self::PauseAgent { agent, time: draws.time(plan.lease, 3) },
            87..93 => Self::PauseTrainer { agent, which, time: draws.time(plan.stall, 3) },
            _ if hosts < 2 => Self::KillTrainer { agent, which },
            _ => {
                let how = if draws.below(2) == 0 { Cut::Down } else { Cut::Silent };
                Self::CutLink { host: draws.below(hosts), how, time: draws.time(plan.lease, 3) }
            }
        }
    }

    pub(super) fn is_kill(&self) -> bool {
        matches!(self, Self::KillDriver { .. } | Self::KillAgent { .. } | Self::KillTrainer { .. })
    }

    fn name(&self, plan: &Plan) -> &'static str {
        let Plan { lease, stall, .. } = plan;
        match self {
            Self::KillDriver { .. } => "driver killed",
            Self::KillAgent { .. } => "agent killed",
            Self::KillTrainer { .. } => "trainer killed",
            Self::PauseDriver { time } if time > lease => "driver stopped for longer than a lease",
            Self::PauseDriver { .. } => "driver stopped",
            Self::PauseAgent { time, .. } if time > lease => "agent stopped for longer than its lease",
            Self::PauseAgent { .. } => "agent stopped",
            Self::PauseTrainer { time, .. } if time > stall => "trainer stopped for longer than `stall`",
            Self::PauseTrainer { .. } => "trainer stopped",
            Self::CutLink { time, .. } if time > lease => "link cut for longer than a lease",
            Self::CutLink { .. } => "link cut",
        }
    }
}

/// What really happened: a misfortune that found nobody does not count.
#[derive(Clone, Debug, Default)]
pub(super) struct Tally {
    by_name: BTreeMap<&'static str, usize>,
    pub(super) kills: usize,
}

impl Tally {
    pub(super) fn count(&mut self, misfortune: &Misfortune, plan: &Plan) {
        *self.by_name.entry(misfortune.name(plan)).or_default() += 1;
        self.kills += usize::from(misfortune.is_kill());
    }

    pub(super) fn of(&self, name: &str) -> usize {
        self.by_name.get(name).copied().unwrap_or(0)
    }
}

impl std::fmt::Display for Tally {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let all: Vec<String> = self.by_name.iter().map(|(name, times)| format!("{times} {name}")).collect();
        write!(f, "{} kills: {}", self.kills, all.join(", "))
    }
}
