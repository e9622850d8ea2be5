//! Misfortune by chance, and for real: drivers, agents and trainers of burn trials are killed and stopped at random
//! moments, on hosts whose links are cut. Real processes are not deterministic, so nothing is compared with an expected
//! course: the judge holds the journal to what must be true of every course.
//!
//! `HPO_CHAOS_SEED` repeats the draws of a run, and `HPO_CHAOS_KILLS` says how many kills there are in all.
mod cluster;
mod judge;
mod misfortune;
mod namespace;

use std::time::{Duration, Instant, SystemTime};

use cluster::{Cluster, HOSTS, LEASE, STALL};
use judge::{Account, judge};
use misfortune::{Misfortune, Storm, Tally};
use namespace::{Network, loudly};

/// Kills that a run has at least.
const KILLS: usize = 100;
/// Most kills of one sweep; then another one begins.
const KILLS_EACH: usize = 40;
/// Time between two misfortunes.
const PAUSE: Duration = Duration::from_millis(450);

fn sweep(trials: usize) -> String {
    format!(
        r#"
[sweep]
name = "chaos"
seed = 3
metric = "val_loss"
max_trials = {trials}

[space]
lr = {{ log_uniform = [1e-3, 3e-2] }}
width = {{ int = [32, 64], step = 16 }}
dropout = {{ value = 0.1 }}

[searcher]
kind = "random"

[scheduler]
kind = "asha-promote"
min_resource = 2
max_resource = 18
eta = 3

[trial]
kind = "burn"
model = "mlp"
device = "cpu"
stall = "{}s"
# What we do to trainers is not their fault, and no trial may be given up for it.
retries = 100
lost_max = 1000
[trial.data]
kind = "glyphs"
count = 8000
size = 12
classes = 8
split = {{ train = 0.8, validation = 0.1, test = 0.1 }}

[workers]
lease = "{}s"
"#,
        STALL.as_secs(),
        LEASE.as_secs()
    )
}

/// Hosts of our own, where this machine lets us have them.
fn network() -> Option<Network> {
    Network::new(HOSTS).inspect_err(|why| loudly(&format!("no network namespaces: no link is cut ({why})"))).ok()
}

fn from_environment<T: std::str::FromStr>(name: &str, default: T) -> T {
    let given = std::env::var(name).ok();
    given.map_or(default, |text| text.parse().unwrap_or_else(|_| panic!("{name}={text} is not a number")))
}

fn line(tally: &Tally, account: &Account, seconds: f64) -> String {
    let Account { trials, units, redone, reserved_s, redone_s, interrupted, died, hung, lost, taken_back, rejoined, drivers } = account;
    let most: u64 = interrupted.iter().sum();
    format!(
        "{tally}. {trials} trials, {drivers} drivers, {} attempts interrupted ({died} trainer died, {hung} hung, {lost} with their worker; \
         {taken_back} taken back, {rejoined} workers came back), {units} units reported, {redone} of them again (at most {most}), \
         {redone_s:.1} of {reserved_s:.1} slot-seconds redone, {seconds:.0} s",
        interrupted.len()
    )
}

#[test]
fn a_hundred_kills_lose_nothing_change_nothing_and_fail_no_trial() {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_nanos();
    let seed: u64 = from_environment("HPO_CHAOS_SEED", now as u64 & 0xffff_ffff);
    let wanted: usize = from_environment("HPO_CHAOS_KILLS", KILLS);
    loudly(&format!("HPO_CHAOS_SEED={seed}, {wanted} kills"));
    let (mut kills, mut round) = (0, 0);
    while kills < wanted {
        let begun = Instant::now();
        let mut cluster = Cluster::start(&sweep(60), seed.wrapping_add(round), network());
        cluster.endure(Storm::All, (wanted - kills).min(KILLS_EACH), PAUSE);
        cluster.calm();
        let account = judge(&cluster);
        loudly(&format!("sweep {round}: {}", line(&cluster.tally, &account, begun.elapsed().as_secs_f64())));
        kills += cluster.tally.kills;
        round += 1;
    }
    loudly(&format!("{kills} kills in {round} sweeps, HPO_CHAOS_SEED={seed}"));
}

#[test]
fn drivers_that_are_killed_and_stopped_cost_no_training_at_all() {
    let mut cluster = Cluster::start(&sweep(30), 1, network());
    cluster.endure(Storm::Driver, 8, PAUSE);
    // Away for so long that workers have nothing left to train and try to come back ever more rarely; and stopped for as
    // long with every connection standing.
    for misfortune in [Misfortune::KillDriver { away: LEASE * 4 }, Misfortune::PauseDriver { time: LEASE * 2 }] {
        cluster.until("a driver with workers", |records| {
            let drivers = records.iter().rposition(|record| record["event"] == "driver_started");
            drivers.is_some_and(|last| records[last..].iter().any(|record| record["event"] == "reported"))
        });
        assert!(cluster.strike(misfortune));
        cluster.tally.count(&misfortune);
        cluster.live_for(LEASE * 2);
    }
    cluster.calm();
    let account = judge(&cluster);
    loudly(&format!("drivers alone: {}", line(&cluster.tally, &account, 0.0)));
    assert!(account.interrupted.is_empty() && account.taken_back == 0 && account.redone == 0, "{account:?}");
    assert_eq!(account.redone_s, 0.0);
}
