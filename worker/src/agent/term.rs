//! How long a task of Slurm lasts, by its own clock: asked once, and again only while nobody answers.
use std::future::pending;
use std::time::{Duration, Instant};

use hpo_core::Millis;
use hpo_core::sweep::event;
use rand::rngs::ChaCha8Rng;
use tokio::task::JoinHandle;
use tokio::time::sleep;

use crate::allocation::{Allocation, Span, until};

/// Between two questions to a controller that does not answer: it serves a whole cluster, and has worse to do now.
const ASK_AGAIN: Duration = Duration::from_secs(60);

/// A task, and what is known of its time.
#[derive(Debug)]
pub(super) struct Term {
    allocation: Allocation,
    /// When this process began, for one that is not the task itself or where Slurm does not say more.
    process: Instant,
    begins: Option<u64>,
    /// In seconds since 1970.
    leaves: Option<u64>,
    before: Option<Duration>,
    rng: ChaCha8Rng,
    asking: Option<JoinHandle<Span>>,
}

impl Term {
    /// Asks once, for some seconds at the most.
    pub(super) async fn begin(allocation: Allocation, before: Option<Duration>, rng: ChaCha8Rng) -> Self {
        let mut term = Self { allocation, process: Instant::now(), begins: None, leaves: None, before, rng, asking: None };
        match term.allocation.span().await {
            Ok(span) => term.learn(span),
            Err(why) => {
                tracing::warn!(%why, "the time limit of job {} is not known yet", term.allocation.job);
                let allocation = term.allocation.clone();
                term.asking = Some(tokio::spawn(async move {
                    loop {
                        sleep(ASK_AGAIN).await;
                        if let Ok(span) = allocation.span().await {
                            return span;
                        }
                    }
                }));
            }
        }
        term
    }

    /// Ends when more is known.
    pub(super) async fn known(&mut self) {
        let Some(asking) = &mut self.asking else { return pending().await };
        let span = asking.await;
        self.asking = None;
        if let Ok(span) = span {
            self.learn(span);
        }
    }

    /// As it stands now.
    pub(super) fn now(&self) -> event::Allocation {
        let Allocation { job, node, .. } = self.allocation.clone();
        let own = self.process.elapsed();
        let age = self.begins.map_or(own, |begins| own.max(Span { begins, ends: None }.age()));
        event::Allocation { job, node, started_ms_ago: millis(age), ends_in_ms: self.leaves.map(|leaves| millis(until(leaves))) }
    }

    fn learn(&mut self, span: Span) {
        // Several workers in one task must not all count the time before them.
        self.begins = self.allocation.whole.then_some(span.begins);
        self.leaves = span.leaves(self.before, &mut self.rng);
        if let Some(leaves) = self.leaves {
            tracing::info!(
                "job {} on {}: leaves in {} s if nothing else happens",
                self.allocation.job,
                self.allocation.node,
                until(leaves).as_secs()
            );
        }
    }
}

impl Drop for Term {
    fn drop(&mut self) {
        if let Some(asking) = &self.asking {
            asking.abort();
        }
    }
}

fn millis(time: Duration) -> Millis {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
