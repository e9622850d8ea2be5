//! Soak: plays seed after seed until told to stop, and stops at the first that breaks a promise.
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use hpo_sim::exhaust::{Explored, Scope, explore};
use hpo_sim::play::{Broken, judges, once, play};
use hpo_sim::setup::Setup;

const USAGE: &str = "hpo-sim --seed N [--trace]
        plays one seed
hpo-sim [--from N] [--step N] [--count N] [--like TEXT]... [--threads N] [--once | --twice] [--go-on]
        plays seed after seed until told to stop, and stops at the first that breaks a promise, or with --go-on says so and goes on.
        Every 16th is played twice and must go the same way to the byte; with --twice each, with --once none.
        With --like only those whose set-up, as Rust shows it, has all of these in it: `Pasha`, `saves_at_end: true`
hpo-sim --exhaust WORKERS TRIALS CRASHES
        plays every order of a small cluster";
/// That a seed goes the same way each time is looked at with one in so many: what breaks it breaks it in many of them.
const TWICE: u64 = 16;

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
    /// Of so many seeds one is played twice; none if that is not said.
    twice: Option<u64>,
    /// A broken promise does not stop it.
    go_on: bool,
    /// Workers, trials and crashes of a cluster of which every order is played.
    exhaust: Option<[u8; 3]>,
}

impl Asked {
    fn read(mut words: impl Iterator<Item = String>) -> Option<Self> {
        let mut asked = Self { twice: Some(TWICE), ..Self::default() };
        while let Some(word) = words.next() {
            match word.as_str() {
                "--trace" => asked.trace = true,
                "--once" => asked.twice = None,
                "--twice" => asked.twice = Some(1),
                "--go-on" => asked.go_on = true,
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
    let (next, stop, tally) = (AtomicU64::new(from), AtomicBool::new(false), Tally::new());
    std::thread::scope(|scope| {
        let work = || {
            while !stop.load(Ordering::Relaxed) {
                let seed = next.fetch_add(step, Ordering::Relaxed);
                if seed >= until {
                    return;
                }
                if !asked.wants(seed) {
                    continue;
                }
                let again = asked.twice.is_some_and(|one_in| ((seed - from) / step).is_multiple_of(one_in));
                if let Err(broken) = soak_one(seed, again, &tally) {
                    println!("seed {seed}: {broken}");
                    tally.broken.fetch_add(1, Ordering::Relaxed);
                    stop.store(!asked.go_on, Ordering::Relaxed);
                }
            }
        };
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        let mut told = Instant::now();
        while !workers.iter().all(std::thread::ScopedJoinHandle::is_finished) {
            std::thread::sleep(Duration::from_millis(50));
            if told.elapsed() > Duration::from_secs(10) {
                told = Instant::now();
                tally.say();
            }
        }
    });
    tally.say();
    if tally.broken.into_inner() == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Plays a seed of a soak, and counts it if it passes.
fn soak_one(seed: u64, again: bool, tally: &Tally) -> Result<(), Broken> {
    if again {
        play(seed, judges)?;
    } else {
        once(seed, judges, false).map_err(|why| Broken { seed, why })?;
    }
    let setup = Setup::of(seed);
    tally.passed.fetch_add(1, Ordering::Relaxed);
    tally.twice.fetch_add(again.into(), Ordering::Relaxed);
    tally.slurm.fetch_add(setup.slurm.is_some().into(), Ordering::Relaxed);
    tally.calm.fetch_add(setup.faults.none().into(), Ordering::Relaxed);
    Ok(())
}

/// Seeds of a soak.
struct Tally {
    begun: Instant,
    passed: AtomicU64,
    /// Of these, played twice; with a Slurm; without faults of the network, drivers, disks and workers.
    twice: AtomicU64,
    slurm: AtomicU64,
    calm: AtomicU64,
    broken: AtomicU64,
}

impl Tally {
    fn new() -> Self {
        let [passed, twice, slurm, calm, broken] = [const { AtomicU64::new(0) }; 5];
        Self { begun: Instant::now(), passed, twice, slurm, calm, broken }
    }

    fn say(&self) {
        let seconds = self.begun.elapsed().as_secs_f64();
        let [passed, twice, slurm, calm, broken] =
            [&self.passed, &self.twice, &self.slurm, &self.calm, &self.broken].map(|count| count.load(Ordering::Relaxed));
        let each = passed as f64 / seconds;
        println!(
            "{passed} seeds passed in {seconds:.0} s, {each:.0} a second; {twice} played twice, {slurm} with Slurm, {calm} without faults; {broken} broken"
        );
    }
}
