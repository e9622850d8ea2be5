//! What a simulated Slurm does, counted: a misfortune that never comes about proves nothing.
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use hpo_core::{Stamp, WorkerId};
use hpo_sim::check::{Fact, Judge, Premises, Violation};
use hpo_sim::play::{judges, once};
use hpo_sim::setup::Setup;

/// How often each was seen, over all worlds of this thread.
type Census = BTreeMap<&'static str, u32>;

thread_local! {
    static SEEN: RefCell<Census> = const { RefCell::new(Census::new()) };
}

fn saw(what: &'static str) {
    SEEN.with_borrow_mut(|seen| *seen.entry(what).or_default() += 1);
}

/// Counts, and finds fault with nothing.
#[derive(Default)]
struct Counter {
    /// Workers that lived, and in which task each began.
    alive: BTreeMap<WorkerId, (u32, u32)>,
    began: BTreeSet<(u32, u32)>,
    last: Option<WorkerId>,
    /// A submission came before, which says how many of it may run.
    asks: bool,
}

impl Judge for Counter {
    fn fact(&mut self, _at: Stamp, fact: &Fact) -> Result<(), Violation> {
        match fact {
            Fact::WorkerBorn { worker, .. } => self.last = Some(*worker),
            Fact::WorkerDied { worker } => drop(self.alive.remove(worker)),
            Fact::ElementBegan { task, restarts, copies } => {
                if *restarts > 0 {
                    saw("the same element runs again");
                }
                if *copies > 1 {
                    saw("two copies of an element at once");
                }
                if *restarts == 0 && !self.began.insert(*task) {
                    saw("a number that was given out again");
                }
                self.alive.extend(self.last.map(|worker| (worker, *task)));
            }
            Fact::PutBack { .. } => saw("a worker puts itself back"),
            Fact::DriverJobBegan { restarts, drivers } => {
                if *restarts > 0 {
                    saw("a driver's job runs again");
                }
                if *drivers > 0 {
                    saw("a driver's job beside another driver");
                }
            }
            Fact::Running { held: true, .. } => saw("a task that waits for its array's throttle"),
            Fact::Asked { .. } => self.asks = true,
            Fact::Throttled { .. } => {
                let asks = std::mem::take(&mut self.asks);
                saw(if asks { "a throttle that an array begins with" } else { "a throttle that is changed" });
            }
            _ => {}
        }
        Ok(())
    }
}

fn counters(premises: &Premises) -> Vec<Box<dyn Judge>> {
    let mut all = judges(premises);
    all.push(Box::new(Counter::default()));
    all
}

#[test]
fn whatever_slurm_may_do_it_does_in_some_world_and_no_promise_breaks() {
    let slurm = |seed: &u64| {
        let setup = Setup::of(*seed);
        setup.faults.slurm.slurmd_every > 0 && setup.slurm.is_some_and(|slurm| slurm.throttle.is_some() || slurm.driver_is_job)
    };
    let mut drivers = 0;
    for seed in (1..).filter(slurm).take(200) {
        let report = once(seed, counters, false).unwrap_or_else(|why| panic!("seed {seed}: {why}"));
        drivers += report.drivers;
    }
    let seen = SEEN.take();
    println!("{drivers} drivers; {seen:#?}");
    for what in [
        "the same element runs again",
        "two copies of an element at once",
        "a number that was given out again",
        "a worker puts itself back",
        "a driver's job runs again",
        "a driver's job beside another driver",
        "a task that waits for its array's throttle",
        "a throttle that is changed",
    ] {
        assert!(seen.get(what).is_some_and(|often| *often > 0), "too seldom: {what}; {seen:?}");
    }
}
