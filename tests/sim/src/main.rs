//! Soak: plays seed after seed until told to stop, and stops at the first that breaks a promise.
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use hpo_sim::exhaust::{Explored, Scope, explore};
use hpo_sim::play::{Broken, judges, once, play};
use hpo_sim::setup::Setup;

const USAGE: &str = "hpo-sim [--seed N [--trace]] | [--from N] [--step N] [--count N] [--like TEXT]... [--threads N] [--once] \
    | --exhaust WORKERS TRIALS CRASHES";

fn main() -> ExitCode {
    match Asked::read(std::env::args().skip(1)) {
        Some(Asked { seed: Some(seed), trace, .. }) => one(seed, trace),
        Some(Asked { exhaust: Some([workers, trials, crashes]), .. }) => exhaust(workers, trials, crashes),
        Some(asked) => soak(&asked),
        None => {
            eprintln!("{USAGE}");
            ExitCode::from(2)
        }
    }
}

#[derive(Default)]
struct Asked {
    seed: Option<u64>,
    trace: bool,
    from: Option<u64>,
    count: Option<u64>,
    threads: Option<usize>,
    /// From one seed to the next one that is played.
    step: Option<u64>,
    /// Only seeds are played whose [`Setup`], as Rust shows it, has all of these in it: `Pasha`, `saves_at_end: true`.
    like: Vec<String>,
    /// Each seed is played once, not twice.
    once: bool,
    /// Workers, trials and crashes of a cluster of which every order is played.
    exhaust: Option<[u8; 3]>,
}

impl Asked {
    fn read(mut words: impl Iterator<Item = String>) -> Option<Self> {
        let mut asked = Self::default();
        while let Some(word) = words.next() {
            match word.as_str() {
                "--trace" => asked.trace = true,
                "--once" => asked.once = true,
                "--exhaust" => {
                    let mut number = || words.next()?.parse().ok();
                    asked.exhaust = Some([number()?, number()?, number()?]);
                }
                "--seed" => asked.seed = Some(words.next()?.parse().ok()?),
                "--from" => asked.from = Some(words.next()?.parse().ok()?),
                "--like" => asked.like.push(words.next()?),
                "--step" => asked.step = Some(words.next()?.parse().ok().filter(|step| *step > 0)?),
                "--count" => asked.count = Some(words.next()?.parse().ok()?),
                "--threads" => asked.threads = Some(words.next()?.parse().ok()?),
                _ => return None,
            }
        }
        Some(asked)
    }

    fn wants(&self, seed: u64) -> bool {
        let setup = if self.like.is_empty() { String::new() } else { format!("{:?}", Setup::of(seed)) };
        self.like.iter().all(|text| setup.contains(text))
    }
}

fn one(seed: u64, trace: bool) -> ExitCode {
    match once(seed, judges, trace) {
        Ok(report) => {
            println!(
                "seed {seed}: {:?} at {}, {} events, {} drivers, {} workers, {} bytes of journal, trace {:016x}",
                report.end,
                report.at,
                report.events,
                report.drivers,
                report.workers,
                report.journal.len(),
                report.trace
            );
            ExitCode::SUCCESS
        }
        Err(why) => {
            println!("seed {seed}: {why}");
            ExitCode::FAILURE
        }
    }
}

/// Every order of a small cluster, under both schedulers that pause.
fn exhaust(workers: u8, trials: u8, crashes: u8) -> ExitCode {
    for halving in [false, true] {
        let begun = Instant::now();
        match explore(&Scope::of(workers.into(), trials.into(), crashes, halving)) {
            Ok(Explored { states, drivers, ends, orders }) => println!(
                "{}: {states} states, {drivers} of them of a driver alone, {ends} ends, {orders:.3e} orders, {:.1} s",
                if halving { "halving" } else { "asha-promote" },
                begun.elapsed().as_secs_f64()
            ),
            Err(found) => {
                println!("{found}");
                return ExitCode::FAILURE;
            }
        }
    }
    ExitCode::SUCCESS
}

fn soak(asked: &Asked) -> ExitCode {
    // A different stretch each time.
    let fresh = || SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs() << 20);
    let from = asked.from.unwrap_or_else(fresh);
    let step = asked.step.unwrap_or(1);
    let until = from.saturating_add(asked.count.unwrap_or(u64::MAX).saturating_mul(step));
    let threads = asked.threads.unwrap_or_else(|| std::thread::available_parallelism().map_or(1, usize::from));
    println!("seeds from {from} on {threads} threads, until told to stop");
    let (next, passed, stop) = (AtomicU64::new(from), AtomicU64::new(0), AtomicBool::new(false));
    let begun = Instant::now();
    let broken = std::thread::scope(|scope| {
        let work = || {
            while !stop.load(Ordering::Relaxed) {
                let seed = next.fetch_add(step, Ordering::Relaxed);
                if seed >= until {
                    return None;
                }
                if !asked.wants(seed) {
                    continue;
                }
                let played = if asked.once { once(seed, judges, false).map_err(|why| Broken { seed, why }) } else { play(seed, judges) };
                if let Err(broken) = played {
                    stop.store(true, Ordering::Relaxed);
                    return Some(broken);
                }
                passed.fetch_add(1, Ordering::Relaxed);
            }
            None
        };
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        let mut told = Instant::now();
        while !workers.iter().all(std::thread::ScopedJoinHandle::is_finished) {
            std::thread::sleep(Duration::from_millis(50));
            if told.elapsed() > Duration::from_secs(10) {
                told = Instant::now();
                say(passed.load(Ordering::Relaxed), begun);
            }
        }
        let panicked = |_| Some(Broken { seed: 0, why: "a panic outside of the world".to_owned() });
        workers.into_iter().filter_map(|worker| worker.join().unwrap_or_else(panicked)).min_by_key(|broken| broken.seed)
    });
    say(passed.load(Ordering::Relaxed), begun);
    match broken {
        None => ExitCode::SUCCESS,
        Some(broken) => {
            println!("seed {}: {broken}", broken.seed);
            ExitCode::FAILURE
        }
    }
}

fn say(passed: u64, begun: Instant) {
    let seconds = begun.elapsed().as_secs_f64();
    println!("{passed} seeds passed in {seconds:.0} s, {:.0} a second", passed as f64 / seconds);
}
