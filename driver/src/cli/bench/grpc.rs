//! Reports through real connections on loopback to a driver in a process of its own; every report is in the journal and
//! synced before it counts.
use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, ensure};
use hpo_core::Event;
use hpo_driver::journal::Reader;
use hpo_driver::rundir::RunDir;
use hpo_driver::serve::talker::{self, Figures, Pace, Plan, Target};
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeVal;
use serde::Serialize;

use super::super::args::BenchGrpc;
use super::driven::Driven;

/// How many dial at one time.
const DIALLING: usize = 64;
/// A worker that says less than this a second may be taken for lost while it has nothing to say.
const WORDS_MIN: f64 = 0.1;

/// What was measured. Latencies are in milliseconds.
#[derive(Debug, Serialize)]
pub(super) struct Rate {
    pace: &'static str,
    tls: bool,
    workers: u32,
    reports: u32,
    seconds: f64,
    reports_per_second: f64,
    /// From a report to its acknowledgement.
    report_ms: Option<Quantiles>,
    /// From the end of a lease to the next lease.
    lease_ms: Option<Quantiles>,
    /// By how much workers made reports later than they were due: what they were to offer is what they offered if it is little.
    late_ms: Option<Quantiles>,
    /// Processor seconds of the driver meanwhile; as many as seconds is one whole core.
    driver_cpu_seconds: f64,
    /// Those of this process, which is all the workers.
    workers_cpu_seconds: f64,
    driver_peak_mib: u64,
    /// Reports, the other words of workers, proposals; joining and leaving.
    events: u64,
    /// Group commit: many events share one sync.
    journal_syncs: u64,
    events_per_sync: f64,
    file_system: String,
}

/// Of a sample, in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(super) struct Quantiles {
    pub(super) count: usize,
    p50: f64,
    p99: f64,
    max: f64,
}

impl Quantiles {
    pub(super) fn of(mut sample: Vec<Duration>) -> Option<Self> {
        sample.sort_unstable();
        let last = sample.len().checked_sub(1)?;
        let at = |share: f64| sample[(share * last as f64).round() as usize].as_secs_f64() * 1e3;
        Some(Self { count: sample.len(), p50: at(0.5), p99: at(0.99), max: at(1.0) })
    }
}

pub(super) fn measure(args: &BenchGrpc, workers: u32) -> anyhow::Result<Rate> {
    let pace = match args.rate {
        Some(rate) => {
            let each = f64::from(rate) / f64::from(workers);
            ensure!(each >= WORDS_MIN, "at {rate} reports a second {workers} workers would be silent for too long");
            Pace::Every(Duration::from_secs_f64(1.0 / each))
        }
        None if args.closed => Pace::Closed,
        None => Pace::Flood,
    };
    hpo_driver::process::raise_open_files();
    let folder = tempfile::Builder::new().prefix("hpo-bench-").tempdir_in(&args.dir);
    let folder = folder.with_context(|| format!("`{}` cannot be written", args.dir.display()))?;
    let file = folder.path().join("sweep.toml");
    fs::write(&file, sweep(args, pace))?;
    let run = RunDir::new(folder.path().join("run"));
    let words: &[&str] = if args.plaintext { &["--insecure-plaintext-on-loopback"] } else { &[] };
    let driven = Driven::start(&file, &run, &folder.path().join("driver.log"), words)?;
    let (figures, [driver_cpu_seconds, workers_cpu_seconds]) =
        talk(&driven, &run, Plan { workers, first: 0, dialling: DIALLING, reports: args.reports, pace, metric: "loss".to_owned() })?;
    let driver_peak_mib = driven.peak_mib()?;
    let (events, journal_syncs) = driven.finish()?;
    let recorded = reports(&run)?;
    ensure!(recorded == u64::from(args.reports), "{} reports were acknowledged, but {recorded} are in the journal", args.reports);
    let seconds = figures.took.as_secs_f64();
    Ok(Rate {
        pace: match pace {
            Pace::Flood => "flood",
            Pace::Closed => "closed",
            Pace::Every(_) => "rate",
        },
        tls: !args.plaintext,
        workers,
        reports: args.reports,
        seconds,
        reports_per_second: f64::from(args.reports) / seconds,
        report_ms: Quantiles::of(figures.to_acknowledgement),
        lease_ms: Quantiles::of(figures.to_lease),
        late_ms: Quantiles::of(figures.late),
        driver_cpu_seconds,
        workers_cpu_seconds,
        driver_peak_mib,
        events,
        journal_syncs,
        events_per_sync: events as f64 / journal_syncs as f64,
        file_system: file_system(folder.path()),
    })
}

/// The crowd's figures, and the processor seconds of driver and workers from their beginning to their end.
fn talk(driven: &Driven, run: &RunDir, plan: Plan) -> anyhow::Result<(Figures, [f64; 2])> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let target = Target::of(run)?;
    let used = || anyhow::Ok([driven.cpu_seconds()?, own_cpu_seconds()?]);
    let mut before = Ok([0.0; 2]);
    let figures = runtime.block_on(talker::crowd(&target, plan, || before = used()))?;
    let (before, after) = (before?, used()?);
    Ok((figures, [after[0] - before[0], after[1] - before[1]]))
}

fn own_cpu_seconds() -> anyhow::Result<f64> {
    let usage = getrusage(UsageWho::RUSAGE_SELF)?;
    let seconds = |time: TimeVal| time.tv_sec() as f64 + time.tv_usec() as f64 / 1e6;
    Ok(seconds(usage.user_time()) + seconds(usage.system_time()))
}

/// Seven parameters, as a real sweep has them; the program is never run. The sweep has no end but the bench's.
fn sweep(args: &BenchGrpc, pace: Pace) -> String {
    let scheduler = match pace {
        // One lease a worker, of which none comes to the end, for a slow worker leaves its share to the others.
        Pace::Flood => format!("kind = \"fifo\"\nmax_resource = {}", args.reports.saturating_add(1)),
        Pace::Closed | Pace::Every(_) => {
            format!("kind = \"asha-promote\"\nmin_resource = {}\nmax_resource = {}\neta = 3", args.min_resource, args.max_resource)
        }
    };
    format!("{}\n[scheduler]\n{scheduler}\n", super::history::SWEEP)
}

/// Reports in the journal.
fn reports(run: &RunDir) -> anyhow::Result<u64> {
    let (_, mut reader) = Reader::open(&run.journal())?;
    reader.try_fold(0, |count, entry| Ok(count + u64::from(matches!(entry?.record.event, Event::Reported { .. }))))
}

/// The kind of file system on which a folder lies.
fn file_system(folder: &Path) -> String {
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    let folder = folder.canonicalize().unwrap_or_default();
    let fields = mounts.lines().filter_map(|line| {
        let mut fields = line.split_whitespace().skip(1);
        Some((fields.next()?, fields.next()?))
    });
    let found = fields.filter(|(place, _)| folder.starts_with(place)).max_by_key(|(place, _)| place.len());
    found.map_or_else(|| "unknown".to_owned(), |(_, kind)| kind.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_those_of_the_sorted_sample() {
        let sample = (0..=1000).rev().map(Duration::from_millis).collect();
        assert_eq!(Quantiles::of(sample), Some(Quantiles { count: 1001, p50: 500.0, p99: 990.0, max: 1000.0 }));
        assert_eq!(Quantiles::of(vec![]), None);
    }
}
