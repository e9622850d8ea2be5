//! No more tasks run at one time than `throttle` says, of all arrays together, and as many do if some wait for nothing else. And a
//! worker that puts itself back into the queue puts nobody else there.
use super::{Fact, Judge, Premises, Stamp, Violation, refuse};
use crate::setup::Cluster;

/// What Slurm runs.
#[derive(Debug)]
pub(super) struct Throttle {
    cluster: Cluster,
    /// Whether everyone is heard, and what Slurm says of itself is true.
    exact: bool,
    /// Since when fewer run than may although one waits for its array's throttle alone, and when that was last so.
    short: Option<(Stamp, Stamp)>,
}

const NAME: &str = "throttle";
/// Who waits for a throttle is looked at about so often.
const LOOKED_AT: u64 = 60_000;
/// Two looks at the queue, a command, and some more.
const RAISED: u64 = 2 * 60_000;

impl Throttle {
    /// Nothing runs; `None` where there is no Slurm.
    #[must_use]
    pub(super) fn new(premises: &Premises) -> Option<Self> {
        let cluster = premises.slurm.clone()?;
        let exact = premises.heard && cluster.truthful;
        Some(Self { cluster, exact, short: None })
    }

    fn runs(&mut self, at: Stamp, tasks: u32, allowed: u32, held: bool) -> Result<(), Violation> {
        let Some(most) = self.cluster.throttle else { return Ok(()) };
        refuse(tasks > most, NAME, || format!("{tasks} tasks run, and {most} may"))?;
        if allowed >= most {
            self.short = None;
        } else if held {
            let since = self.short.filter(|(_, last)| at.since(*last) < LOOKED_AT).map_or(at, |(since, _)| since);
            self.short = Some((since, at));
            let passed = at.since(since);
            refuse(self.exact && passed > RAISED, NAME, || {
                format!("for {passed} ms arrays may run {allowed} tasks, {most} may run in all, and one waits for its array alone")
            })?;
        }
        Ok(())
    }
}

impl Judge for Throttle {
    fn fact(&mut self, at: Stamp, fact: &Fact) -> Result<(), Violation> {
        match fact {
            Fact::Running { tasks, allowed, held } => return self.runs(at, *tasks, *allowed, *held),
            Fact::Throttled { epoch, most } => {
                refuse(*most == 0, NAME, || format!("driver {epoch} sets a throttle of 0, which to Slurm is none"))?;
            }
            Fact::PutBack { task, own } => {
                refuse(!own, NAME, || {
                    format!("a worker puts {task:?} back into the queue, which it does not run in, or which was cancelled")
                })?;
            }
            // Another driver has to find out what there is.
            Fact::DriverBorn { .. } | Fact::DriverDied { .. } => self.short = None,
            _ => {}
        }
        Ok(())
    }
}
