//! A part of a crowd: as many light workers as one task of an array holds, for a driver that somebody else has started.
use hpo_driver::rundir::RunDir;
use hpo_driver::serve::talker::{self, Pace, Plan, Target};
use serde::Serialize;

use super::super::args::BenchTalk;
use super::grpc::Quantiles;

/// How many dial at one time: other tasks do, too.
const DIALLING: usize = 8;

/// What they saw. The driver's journal tells the rest: when each lease was given.
#[derive(Debug, Serialize)]
pub(super) struct Rate {
    workers: u32,
    reports: u32,
    /// From when all workers of this process had a lease.
    seconds: f64,
    /// From the end of a lease to the next lease, in milliseconds.
    lease_ms: Option<Quantiles>,
}

pub(super) fn measure(args: &BenchTalk) -> anyhow::Result<Rate> {
    let &BenchTalk { workers, first, reports, .. } = args;
    hpo_driver::process::raise_open_files();
    let target = Target::of(&RunDir::new(&args.run_dir))?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let plan = Plan { workers, first, dialling: DIALLING, reports, pace: Pace::Flood, metric: args.metric.clone() };
    let figures = runtime.block_on(talker::crowd(&target, plan, || {}))?;
    Ok(Rate { workers, reports, seconds: figures.took.as_secs_f64(), lease_ms: Quantiles::of(figures.to_lease) })
}
