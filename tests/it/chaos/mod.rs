//! Misfortune by chance, and for real: drivers, agents and trainers of burn trials are killed and stopped at random
//! moments, on hosts whose links are cut. Real processes are not deterministic, so nothing is compared with an expected
//! course: the judge holds the journal to what must be true of every course.
//!
//! Where namespaces are refused there is one host and no cut, and where mounts are, no disk is filled; the tests say so.
//! `HPO_CHAOS_SEED` repeats the draws of a run, `HPO_CHAOS_KILLS` says how many kills there are in all, and
//! `HPO_CHAOS_PACED=true` takes trainings that need no processor: then most kills find a training at work on any machine.
mod cluster;
mod disk;
mod judge;
mod misfortune;
mod namespace;
mod plan;

use std::time::{Duration, Instant, SystemTime};

use cluster::{Cluster, HOSTS};
use judge::{Account, judge};
use misfortune::{Misfortune, Storm, Tally};
use namespace::{Cut, Network, loudly};
use plan::Plan;

/// Kills that a run has at least.
const KILLS: usize = 100;
/// Most kills of one sweep; then another one begins.
const KILLS_EACH: usize = 40;
/// Time between two misfortunes.
const PAUSE: Duration = Duration::from_millis(450);

/// Hosts of our own, where this machine lets us have them.
fn network() -> Option<Network> {
    Network::new(HOSTS).inspect_err(|why| loudly(&format!("no network namespaces: no link is cut ({why})"))).ok()
}

fn from_environment<T: std::str::FromStr>(name: &str, default: T) -> T {
    let given = std::env::var(name).ok();
    given.map_or(default, |text| text.parse().unwrap_or_else(|_| panic!("{name}={text} makes no sense")))
}

fn line(tally: &Tally, account: &Account, seconds: f64) -> String {
    let Account { trials, units, redone, reserved_s, redone_s, interrupted, died, hung, lost, taken_back, rejoined, drivers } = account;
    let most: u64 = interrupted.iter().sum();
    format!(
        "{tally}. {trials} trials, {drivers} drivers, {} attempts interrupted ({died} trainer died, {} hung, {lost} with their worker; \
         {taken_back} taken back, {rejoined} workers came back), {units} units reported, {redone} of them again (at most {most}), \
         {redone_s:.1} of {reserved_s:.1} slot-seconds redone, {seconds:.0} s",
        interrupted.len(),
        hung.len()
    )
}

#[test]
fn a_hundred_kills_lose_nothing_change_nothing_and_fail_no_trial() {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_nanos();
    let seed: u64 = from_environment("HPO_CHAOS_SEED", now as u64 & 0xffff_ffff);
    let wanted: usize = from_environment("HPO_CHAOS_KILLS", KILLS);
    let plan = if from_environment("HPO_CHAOS_PACED", false) { Plan::paced(60) } else { Plan::burn(60) };
    loudly(&format!("HPO_CHAOS_SEED={seed}, {wanted} kills"));
    let (mut kills, mut round) = (0, 0);
    while kills < wanted {
        let begun = Instant::now();
        let mut cluster = Cluster::start(plan, seed.wrapping_add(round), network());
        cluster.endure(Storm::All, (wanted - kills).min(KILLS_EACH), PAUSE);
        cluster.calm();
        let account = judge(&cluster);
        let stopped = cluster.tally.of("trainer stopped for longer than `stall`");
        assert!(account.hung.len() <= stopped, "trainers hung that nobody had stopped: {account:?}");
        loudly(&format!("sweep {round}: {}", line(&cluster.tally, &account, begun.elapsed().as_secs_f64())));
        kills += cluster.tally.kills;
        round += 1;
    }
    loudly(&format!("{kills} kills in {round} sweeps, HPO_CHAOS_SEED={seed}"));
}

#[test]
fn drivers_that_are_killed_and_stopped_cost_no_training_at_all() {
    let begun = Instant::now();
    let plan = Plan::paced(120);
    let mut cluster = Cluster::start(plan, 1, network());
    cluster.endure(Storm::Driver, 6, PAUSE);
    // Away for so long that workers have nothing left to train and try to come back ever more rarely; and stopped for as
    // long with every connection standing.
    cluster.suffer(Misfortune::KillDriver { away: plan.lease * 2 });
    cluster.live_for(plan.lease * 3);
    cluster.suffer(Misfortune::PauseDriver { time: plan.lease * 3 / 2 });
    cluster.live_for(plan.lease * 5 / 2);
    cluster.calm();
    let account = judge(&cluster);
    loudly(&format!("drivers alone: {}", line(&cluster.tally, &account, begun.elapsed().as_secs_f64())));
    assert!(account.interrupted.is_empty() && account.taken_back == 0 && account.redone == 0, "{account:?}");
    assert_eq!(account.redone_s, 0.0);
}

fn reports(records: &[serde_json::Value]) -> bool {
    records.iter().filter(|record| record["event"] == "reported").count() >= 8
}

/// Whether the worker was declared lost, and has joined again.
fn came_back(records: &[serde_json::Value], worker: &str) -> bool {
    let lost = records.iter().position(|record| record["event"] == "worker_lost" && record["worker"] == worker);
    lost.is_some_and(|lost| records[lost..].iter().any(|record| record["event"] == "worker_joined" && record["worker"] == worker))
}

#[test]
fn an_agent_that_sleeps_within_its_lease_is_not_lost_and_blames_nobody_and_one_that_sleeps_longer_comes_back() {
    let begun = Instant::now();
    let seconds = Duration::from_secs;
    let plan = Plan { lease: seconds(20), stall: seconds(8), ..Plan::paced(150) };
    let mut cluster = Cluster::start(plan, 2, network());
    let worker = cluster.until("reports", reports).worker(0).to_owned();
    // Longer than `stall`: it may not blame its trainers for what it did not hear. Another agent has reason to blame one.
    cluster.suffer(Misfortune::PauseAgent { agent: 0, time: seconds(12) });
    cluster.suffer(Misfortune::PauseTrainer { agent: 1, which: 0, time: seconds(12) });
    cluster.live_for(seconds(17));
    assert!(cluster.world.events("worker_lost").is_empty(), "it slept for less than its lease");
    cluster.suffer(Misfortune::PauseAgent { agent: 0, time: seconds(28) });
    cluster.until("its return", |records| came_back(records, &worker));
    cluster.calm();
    let account = judge(&cluster);
    loudly(&format!("an agent asleep: {}", line(&cluster.tally, &account, begun.elapsed().as_secs_f64())));
    assert_eq!((account.rejoined, account.died), (1, 0), "{account:?}");
    assert!(account.lost + account.taken_back <= 2, "only its two slots suffered: {account:?}");
    assert!(!account.hung.is_empty() && !account.hung.iter().any(|(_, slot)| slot.starts_with(&worker[..8])), "{account:?}");
}

#[test]
fn a_link_that_is_cut_within_the_lease_costs_nothing_and_after_a_longer_cut_workers_come_back() {
    let Some(network) = network() else { return };
    let begun = Instant::now();
    let plan = Plan::paced(170);
    let mut cluster = Cluster::start(plan, 3, Some(network));
    cluster.until("reports", reports);
    for how in [Cut::Down, Cut::Silent] {
        cluster.suffer(Misfortune::CutLink { host: 2, how, time: plan.lease / 4 });
        cluster.live_for(plan.lease * 3 / 2);
    }
    assert!(cluster.world.events("worker_lost").is_empty(), "no cut lasted as long as a lease");
    cluster.suffer(Misfortune::CutLink { host: 2, how: Cut::Silent, time: plan.lease * 2 });
    for worker in [cluster.worker(1).to_owned(), cluster.worker(2).to_owned()] {
        cluster.until("its return", |records| came_back(records, &worker));
    }
    cluster.calm();
    let account = judge(&cluster);
    loudly(&format!("a link cut: {}", line(&cluster.tally, &account, begun.elapsed().as_secs_f64())));
    assert_eq!((account.rejoined, account.died), (2, 0), "{account:?}");
}
