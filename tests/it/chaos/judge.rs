//! What must be true of a journal, whatever was done to the processes that wrote it. Reads it with nothing but a JSON
//! parser; only the last state of the trials is taken from a replay.
use std::collections::{BTreeMap, BTreeSet};

use hpo_core::sweep::State;
use hpo_driver::journal::replay;
use serde_json::Value;

use super::cluster::Cluster;
use crate::world::{World, about, acts, files};

/// What a run came to.
#[derive(Debug, Default)]
pub(super) struct Account {
    pub(super) trials: usize,
    /// Units of resource reported, each as often as it was.
    pub(super) units: u64,
    /// Units that were reported again.
    pub(super) redone: u64,
    /// Slot-seconds by the ledger: all, and those that had to be done again.
    pub(super) reserved_s: f64,
    pub(super) redone_s: f64,
    /// Attempts that ended before their lease did, and were not taken up again: their interval in units.
    pub(super) interrupted: Vec<u64>,
    /// Of these, how many because the agent's trainer died, and because the worker was lost.
    pub(super) died: usize,
    pub(super) lost: usize,
    /// And those whose trainer hung: when, in milliseconds since 1970, and on which slot.
    pub(super) hung: Vec<(u64, String)>,
    /// Attempts whose worker was thought lost and came back in time to go on.
    pub(super) taken_back: usize,
    /// Joinings of workers that had been declared lost.
    pub(super) rejoined: usize,
    pub(super) drivers: usize,
}

#[derive(Clone, Debug)]
struct Lease {
    attempt: u64,
    from: u64,
    until: u64,
    /// First digits of the worker's id, and the slot.
    slot: String,
}

#[derive(Default)]
struct Reader {
    /// Stamps count from here, in milliseconds since 1970.
    created: u64,
    account: Account,
    live: BTreeMap<u64, Lease>,
    /// Lost with their worker, and not leased again yet.
    lost: BTreeMap<u64, Lease>,
    newest: BTreeMap<u64, u64>,
    /// Where the newest checkpoint of a trial is.
    safe: BTreeMap<u64, u64>,
    reported: BTreeMap<(u64, u64), u64>,
    /// When, in milliseconds since 1970.
    lost_workers: Vec<(u64, String)>,
}

impl Reader {
    fn read(&mut self, record: &Value) {
        let text = |name: &str| record[name].as_str().unwrap_or_default();
        match text("event") {
            "driver_started" => self.account.drivers += 1,
            "worker_joined" => self.joined(record),
            "worker_lost" => {
                self.gone(text("worker"));
                self.lost_workers.push((self.created + record["at"].as_u64().unwrap(), text("worker").to_owned()));
            }
            "worker_left" => assert!(!self.gone(text("worker")), "it left with a lease that nobody called back: {record}"),
            "reported" => self.reported(record),
            "reached" => {
                let (trial, resource) = (about(record).unwrap().0, record["resource"].as_u64().unwrap());
                assert_eq!(self.of_live(record).until, resource, "{record}");
                assert!(record["checkpoint"].is_object(), "{record}");
                self.safe.insert(trial, resource);
                self.live.remove(&trial);
            }
            "ended" => self.ended(record),
            _ => {}
        }
        for act in acts(record) {
            if let Some(lease) = act.strip_prefix("lease ") {
                self.leased(lease, record);
            }
        }
    }

    /// The live lease that a word is about.
    fn of_live(&self, record: &Value) -> &Lease {
        let (trial, attempt) = about(record).unwrap();
        let lease = self.live.get(&trial).filter(|lease| lease.attempt == attempt);
        lease.unwrap_or_else(|| panic!("a word of an attempt that has no lease was applied: {record}"))
    }

    fn leased(&mut self, act: &str, record: &Value) {
        // `0.1 0..1 on 2c455dd7/0`, perhaps ` in place`.
        let words: Vec<&str> = act.split(' ').collect();
        let number = |text: &str| text.parse::<u64>().unwrap();
        let (trial, attempt) = words[0].split_once('.').map(|(a, b)| (number(a), number(b))).unwrap();
        let (from, until) = words[1].split_once("..").map(|(a, b)| (number(a), number(b))).unwrap();
        let lease = Lease { attempt, from, until, slot: words[3].to_owned() };
        if let Some(live) = self.live.get(&trial) {
            let again = record["event"] == "worker_joined" && (live.attempt, &live.slot) == (attempt, &lease.slot);
            assert!(again, "trial {trial} is leased twice: {record}");
            return;
        }
        assert_eq!(attempt, self.newest.get(&trial).copied().unwrap_or(0) + 1, "attempts grow by one: {record}");
        assert!(self.live.values().all(|live| live.slot != lease.slot), "slot {} is leased twice: {record}", lease.slot);
        // So whatever happened to the attempt before costs no more than one interval between checkpoints.
        assert_eq!(from, self.safe.get(&trial).copied().unwrap_or(0), "it goes on from its newest checkpoint: {record}");
        self.newest.insert(trial, attempt);
        if let Some(lost) = self.lost.remove(&trial) {
            self.account.interrupted.push(lost.until - lost.from);
            self.account.lost += 1;
        }
        self.live.insert(trial, lease);
    }

    fn joined(&mut self, record: &Value) {
        let worker = record["worker"].as_str().unwrap();
        self.account.rejoined += usize::from(self.lost_workers.iter().any(|(_, lost)| lost == worker));
        for held in record["holds"].as_array().unwrap() {
            let trial = held["trial"].as_u64().unwrap();
            let slot = format!("{}/{}", &worker[..8], held["slot"]);
            let same = |lost: &Lease| held["attempt"] == lost.attempt && lost.slot == slot;
            // The slot may have been given to another trial in the same moment: then it is told to stop.
            let refused = acts(record).any(|act| act.starts_with(&format!("stop {trial}.")));
            if self.lost.get(&trial).is_some_and(same) && !refused {
                let lease = self.lost.remove(&trial).unwrap();
                self.live.insert(trial, lease);
                self.account.taken_back += 1;
            }
        }
    }

    /// Whether it had leases.
    fn gone(&mut self, worker: &str) -> bool {
        let leases: Vec<u64> =
            self.live.iter().filter(|(_, lease)| lease.slot.starts_with(&worker[..8])).map(|(&trial, _)| trial).collect();
        for trial in &leases {
            let lease = self.live.remove(trial).unwrap();
            self.lost.insert(*trial, lease);
        }
        !leases.is_empty()
    }

    fn reported(&mut self, record: &Value) {
        let (trial, resource) = (about(record).unwrap().0, record["resource"].as_u64().unwrap());
        let Lease { from, until, .. } = *self.of_live(record);
        assert!(from < resource && resource <= until, "{record}");
        let times = self.reported.entry((trial, resource)).or_default();
        *times += 1;
        self.account.units += 1;
        self.account.redone += u64::from(*times > 1);
    }

    fn ended(&mut self, record: &Value) {
        let trial = about(record).unwrap().0;
        let Lease { from, until, slot, .. } = self.of_live(record).clone();
        self.live.remove(&trial);
        self.account.interrupted.push(until - from);
        match (record["how"]["end"].as_str(), record["how"]["kind"].as_str()) {
            (Some("lost"), _) => self.account.died += 1,
            (Some("failed"), Some("hang")) => self.account.hung.push((self.created + record["at"].as_u64().unwrap(), slot)),
            _ => panic!("nothing that was done explains this end: {record}"),
        }
    }
}

/// Holds a sweep that went through misfortunes, and has ended, to every promise.
pub(super) fn judge(cluster: &Cluster) -> Account {
    let world = &cluster.world;
    let report = world.audit();
    let header = std::fs::read_to_string(world.run_dir().join("journal.jsonl")).unwrap();
    let header: Value = serde_json::from_str(header.lines().next().unwrap()).unwrap();
    let mut reader = Reader { created: header["created_unix_ms"].as_u64().unwrap(), ..Reader::default() };
    world.journal().iter().for_each(|record| reader.read(record));
    let Reader { mut account, live, lost_workers, .. } = reader;
    assert!(live.is_empty(), "leases at the end: {live:?}");
    each_loss_has_a_reason(cluster, &lost_workers);
    assert!(account.died <= cluster.tally.of("trainer killed"), "{} trainers died, after {}", account.died, cluster.tally);
    let most: u64 = account.interrupted.iter().sum();
    assert!(account.redone <= most, "{} units were done again; the attempts that were interrupted explain {most}", account.redone);
    account.trials = each_trial_ended(world);
    assert_eq!(report["trials"]["failed"], 0, "{report}");
    let seconds = |name: &str| report["hours"][name].as_f64().unwrap() * 3600.0;
    (account.reserved_s, account.redone_s) = (seconds("reserved"), seconds("redone"));
    account
}

/// A worker may be lost if it was killed, or stopped or cut off shortly before; never for what happened to others.
fn each_loss_has_a_reason(cluster: &Cluster, lost: &[(u64, String)]) {
    let shortly = 3 * cluster.plan.lease.as_millis() as u64;
    for (at, worker) in lost {
        let mut own = cluster.hurts.iter().filter(|hurt| hurt.worker == *worker);
        assert!(
            own.any(|hurt| hurt.from <= *at && *at <= hurt.until.saturating_add(shortly)),
            "worker {worker} was declared lost at {at}, and nothing had been done to it: {:?}",
            cluster.hurts
        );
    }
}

/// Each trial stands where a trial may stand for good, and the store holds the states that are needed and no others.
fn each_trial_ended(world: &World) -> usize {
    let run = world.run_dir();
    let sweep = replay(&run.join("journal.jsonl")).unwrap().sweep;
    assert!(sweep.finished().is_some());
    let over = |state: State| matches!(state, State::Finished | State::Stopped | State::Paused);
    sweep.trials().for_each(|trial| assert!(over(trial.state), "trial {} ended as {:?}", trial.id, trial.state));
    let states = sweep.trials().flat_map(|trial| trial.checkpoint.iter().chain(&trial.previous).chain(&trial.suspects));
    let needed: BTreeSet<String> = states.map(|state| state.id.clone()).collect();
    let found: BTreeSet<String> = files(&run.join("checkpoints"))
        .into_iter()
        .map(|path| path.strip_prefix(run.join("checkpoints")).unwrap().display().to_string())
        .map(|path| path.split_once('/').filter(|(folder, _)| folder.len() == 2).map_or(path.clone(), |(_, id)| id.to_owned()))
        .collect();
    assert_eq!(found, needed, "the store holds what is needed, and nothing else");
    sweep.trials().count()
}
