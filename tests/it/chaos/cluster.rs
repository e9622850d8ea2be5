//! A driver and its agents, each started again when it dies, and what is done to them.
use std::time::{Duration, Instant, SystemTime};

use hpo_driver::journal::verify;
use hpo_driver::process::Process;
use nix::sys::signal::Signal;

use super::misfortune::{Draws, Misfortune, Storm, Tally};
use super::namespace::{Network, loudly};
use super::plan::Plan;
use crate::world::{PATIENCE, Running, World, hit, inhabitants, trainers};

/// (host, slots) of each agent; the driver is on host 0.
const AGENTS: [(usize, &str); 3] = [(1, "2"), (2, "1"), (2, "1")];
pub(super) const HOSTS: usize = 3;
/// A process that was killed is gone after this time at the latest.
const DEATH: Duration = Duration::from_secs(30);
/// Time between two looks at a copy of the journal.
const LOOK: Duration = Duration::from_secs(3);
/// An agent that missed the end of the sweep needs half a minute without a driver to be sure of it.
const DISPERSAL: Duration = Duration::from_secs(120);

/// A process that is started again when it dies.
struct Post {
    running: Option<Running>,
    /// When the next one starts.
    back: Instant,
    /// The worker's id; a new one for each process.
    id: String,
}

/// A worker to which something was done, in milliseconds since 1970. Until the end of time, if it was killed.
#[derive(Clone, Debug)]
pub(super) struct Hurt {
    pub(super) worker: String,
    pub(super) from: u64,
    pub(super) until: u64,
}

/// What is to be put right.
enum Undo {
    Continue(u32),
    Heal(usize),
}

/// A sweep under way.
pub(super) struct Cluster {
    pub(super) plan: Plan,
    pub(super) world: World,
    network: Option<Network>,
    driver: Post,
    agents: Vec<Post>,
    draws: Draws,
    undo: Vec<(Instant, Undo)>,
    /// Trainers whose agent was killed, and when they must be gone.
    doomed: Vec<(Instant, Process)>,
    pub(super) hurts: Vec<Hurt>,
    pub(super) tally: Tally,
    /// The driver has ended as it should.
    over: bool,
    looked: Instant,
    /// The whole lines of the last copy of the journal.
    seen: String,
    pub(super) copies: usize,
}

impl Cluster {
    /// Starts a sweep, and waits until it is a run.
    pub(super) fn start(plan: Plan, seed: u64, network: Option<Network>) -> Self {
        let now = Instant::now();
        let post = || Post { running: None, back: now, id: String::new() };
        let mut cluster = Self {
            plan,
            world: World::new(&plan.text()),
            network,
            driver: post(),
            agents: AGENTS.iter().map(|_| post()).collect(),
            draws: Draws::new(seed),
            undo: vec![],
            doomed: vec![],
            hurts: vec![],
            tally: Tally::default(),
            over: false,
            looked: now,
            seen: String::new(),
            copies: 0,
        };
        cluster.driver.running = Some(cluster.spawn(0, &["driver", "sweep.toml", "--run-dir", "run"]));
        cluster.world.wait_for("the first driver", |records| !records.is_empty());
        cluster
    }

    fn spawn(&self, host: usize, words: &[&str]) -> Running {
        let before = self.network.as_ref().map_or(vec![], |network| network.enter(host));
        let listen: &[&str] = match (words[0], &self.network) {
            ("driver", Some(_)) => &["--listen", "0.0.0.0:0"],
            ("driver", None) => &["--listen", "127.0.0.1:0"],
            _ => &[],
        };
        self.world.background_behind(&before, &[words, listen].concat())
    }

    /// Lets misfortunes happen until so many kills are done, or the sweep ends.
    pub(super) fn endure(&mut self, storm: Storm, kills: usize, pause: Duration) {
        let hosts = if self.network.is_some() { HOSTS } else { 1 };
        while !self.over && self.tally.kills < kills {
            let wait = self.draws.between(pause / 2, pause + pause / 2);
            self.live_for(wait);
            let misfortune = Misfortune::draw(&mut self.draws, storm, &self.plan, AGENTS.len(), hosts);
            if !self.over {
                self.strike(misfortune);
            }
        }
    }

    pub(super) fn live_for(&mut self, time: Duration) {
        let until = Instant::now() + time;
        while Instant::now() < until {
            self.keep_up();
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Puts everything right and demands the end of the sweep.
    pub(super) fn calm(&mut self) {
        for (due, _) in &mut self.undo {
            *due = Instant::now();
        }
        // However slow the machine is: something has to happen all the time, until the end.
        let (mut length, mut changed) = (0, Instant::now());
        while !self.over {
            self.live_for(Duration::from_millis(100));
            let now = std::fs::metadata(self.world.run_dir().join("journal.jsonl")).unwrap().len();
            if now != length {
                (length, changed) = (now, Instant::now());
            }
            assert!(changed.elapsed() < PATIENCE, "the sweep does not end; hpo said:\n{}", self.world.said());
        }
        let begun = Instant::now();
        while self.agents.iter().any(|agent| agent.running.is_some()) {
            assert!(begun.elapsed() < DISPERSAL, "an agent outlives the sweep; hpo said:\n{}", self.world.said());
            self.live_for(Duration::from_millis(100));
        }
        // An agent that was killed last may have trainers that are about to die.
        let begun = Instant::now();
        loop {
            self.live_for(Duration::from_millis(100));
            let left = inhabitants(&self.world);
            if left.is_empty() && self.doomed.is_empty() {
                break;
            }
            assert!(begun.elapsed() < DEATH, "processes are left: {left:?}");
        }
        self.look();
    }

    /// Waits for what the journal shows, while all goes on.
    pub(super) fn until(&mut self, what: &str, ready: impl Fn(&[serde_json::Value]) -> bool) -> &Self {
        let begun = Instant::now();
        while !ready(&self.world.journal()) {
            assert!(begun.elapsed() < PATIENCE && !self.over, "{what} did not come in time; hpo said:\n{}", self.world.said());
            self.live_for(Duration::from_millis(40));
        }
        self
    }

    /// Id of the worker that the agent is now.
    pub(super) fn worker(&self, agent: usize) -> &str {
        &self.agents[agent].id
    }

    fn keep_up(&mut self) {
        let now = Instant::now();
        let due: Vec<Undo> = self.undo.extract_if(.., |(due, _)| *due <= now).map(|(_, undo)| undo).collect();
        due.into_iter().for_each(|undo| self.put_right(&undo));
        self.keep_driver(now);
        for index in 0..self.agents.len() {
            self.keep_agent(index, now);
        }
        self.doomed.retain(|(limit, trainer)| {
            let alive = trainer.is_alive();
            assert!(!alive || now < *limit, "trainer {} outlives its agent", trainer.pid);
            alive
        });
        if now - self.looked > LOOK {
            self.look();
        }
    }

    fn put_right(&self, undo: &Undo) {
        match (undo, &self.network) {
            (Undo::Continue(pid), _) => hit(*pid, Signal::SIGCONT),
            (Undo::Heal(host), Some(network)) => network.heal(*host),
            (Undo::Heal(_), None) => {}
        }
    }

    /// What we kill is taken away in `kill`: whoever is found to have ended did it by itself.
    fn keep_driver(&mut self, now: Instant) {
        if let Some(status) = self.driver.running.as_mut().and_then(Running::ended) {
            assert_eq!(status.code(), Some(0), "the driver ended ({status}); hpo said:\n{}", self.world.said());
            self.driver.running = None;
            self.over = true;
        }
        if self.driver.running.is_none() && !self.over && now >= self.driver.back {
            self.driver.running = Some(self.spawn(0, &["driver", "run"]));
        }
    }

    fn keep_agent(&mut self, index: usize, now: Instant) {
        let agent = &mut self.agents[index];
        if let Some(status) = agent.running.as_mut().and_then(Running::ended) {
            assert_eq!(status.code(), Some(0), "agent {index} ended ({status}); hpo said:\n{}", self.world.said());
            agent.running = None;
            let told = self.world.journal().iter().flat_map(crate::world::acts).any(|act| act.starts_with("finish"));
            assert!(told, "agent {index} left before the end of the sweep; hpo said:\n{}", self.world.said());
            // It is not needed any more.
            agent.back = now + PATIENCE * 10;
        }
        if agent.running.is_none() && !self.over && now >= agent.back {
            let id = format!("{:016x}{:016x}", self.draws.number(), self.draws.number());
            let (host, slots) = AGENTS[index];
            let name = format!("agent-{index}");
            let words = ["worker", "--run-dir", "run", "--no-gpu", "--slots", slots, "--name", &name, "--id", &id];
            let running = self.spawn(host, &words);
            let agent = &mut self.agents[index];
            agent.running = Some(running);
            agent.id = id;
        }
    }

    /// Copies the journal as it is at this moment and derives every decision of the copy again.
    fn look(&mut self) {
        self.looked = Instant::now();
        let copy = self.world.path("copy.jsonl");
        std::fs::copy(self.world.run_dir().join("journal.jsonl"), &copy).unwrap();
        verify(&copy).unwrap_or_else(|fault| panic!("copy {} of the journal: {fault}", self.copies));
        let mut text = std::fs::read_to_string(&copy).unwrap();
        text.truncate(text.rfind('\n').map_or(0, |end| end + 1));
        assert!(text.starts_with(&self.seen), "lines of the journal were lost or changed");
        self.seen = text;
        self.copies += 1;
    }

    /// Does it, if there is somebody to whom it can be done.
    pub(super) fn strike(&mut self, misfortune: Misfortune) -> bool {
        let done = self.attempt(misfortune);
        if done {
            self.tally.count(&misfortune, &self.plan);
        }
        done
    }

    /// Does it as soon as it can be done.
    pub(super) fn suffer(&mut self, misfortune: Misfortune) {
        while !self.strike(misfortune) {
            assert!(!self.over, "the sweep ended before there was time for {misfortune:?}");
            self.live_for(Duration::from_millis(100));
        }
    }

    fn attempt(&mut self, misfortune: Misfortune) -> bool {
        let trainer = |agent: usize, which: usize| {
            let all = trainers(self.agents[agent].running.as_ref()?.pid());
            (!all.is_empty()).then(|| all[which % all.len()])
        };
        match misfortune {
            Misfortune::KillDriver { away } => kill(&mut self.driver, away, &mut self.undo),
            Misfortune::KillAgent { agent, away } => self.kill_agent(agent, away),
            Misfortune::KillTrainer { agent, which } => {
                let found = trainer(agent, which);
                found.into_iter().for_each(|pid| hit(pid, Signal::SIGKILL));
                found.is_some()
            }
            Misfortune::PauseDriver { time } => {
                let pid = self.driver.running.as_ref().map(Running::pid);
                self.pause(pid, time)
            }
            Misfortune::PauseAgent { agent, time } => {
                let pid = self.agents[agent].running.as_ref().map(Running::pid);
                let from = unix_ms();
                let paused = self.pause(pid, time);
                if paused {
                    self.hurt(agent, from, Some(time));
                }
                paused
            }
            Misfortune::PauseTrainer { agent, which, time } => {
                let pid = trainer(agent, which);
                self.pause(pid, time)
            }
            Misfortune::CutLink { host, how, time } => {
                let Some(network) = &self.network else { return false };
                if self.undo.iter().any(|(_, undo)| matches!(undo, Undo::Heal(cut) if *cut == host)) {
                    return false;
                }
                let from = unix_ms();
                network.cut(host, how);
                self.undo.push((Instant::now() + time, Undo::Heal(host)));
                // Nobody hears a driver that is cut off.
                (0..AGENTS.len())
                    .filter(|&agent| host == 0 || AGENTS[agent].0 == host)
                    .for_each(|agent| self.hurt(agent, from, Some(time)));
                true
            }
        }
    }

    fn kill_agent(&mut self, agent: usize, away: Duration) -> bool {
        let children = self.agents[agent].running.as_ref().map_or(vec![], |running| trainers(running.pid()));
        let children: Vec<Process> = children.into_iter().map(|pid| Process::of(pid as i32)).collect();
        // The driver may know of a death before its parent does, which has to wait for it.
        let from = unix_ms();
        let killed = kill(&mut self.agents[agent], away, &mut self.undo);
        if killed {
            self.hurt(agent, from, None);
            self.doomed.extend(children.into_iter().map(|trainer| (Instant::now() + DEATH, trainer)));
        }
        killed
    }

    fn pause(&mut self, pid: Option<u32>, time: Duration) -> bool {
        let Some(pid) = pid else { return false };
        if self.undo.iter().any(|(_, undo)| matches!(undo, Undo::Continue(paused) if *paused == pid)) {
            return false;
        }
        hit(pid, Signal::SIGSTOP);
        self.undo.push((Instant::now() + time, Undo::Continue(pid)));
        true
    }

    /// From the moment before it was done: what follows of it may be journaled before it is known to be done. Its time begins
    /// when it is done.
    fn hurt(&mut self, agent: usize, from: u64, time: Option<Duration>) {
        let until = time.map_or(u64::MAX, |time| unix_ms() + time.as_millis() as u64);
        self.hurts.push(Hurt { worker: self.agents[agent].id.clone(), from, until });
    }
}

fn unix_ms() -> u64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_millis() as u64
}

/// SIGKILL; it is dead when this returns.
fn kill(post: &mut Post, away: Duration, undo: &mut Vec<(Instant, Undo)>) -> bool {
    let Some(mut running) = post.running.take() else { return false };
    // Its number is given out again: nothing may be done to it later.
    undo.retain(|(_, undo)| !matches!(undo, Undo::Continue(pid) if *pid == running.pid()));
    running.signal(Signal::SIGKILL);
    running.code();
    post.back = Instant::now() + away;
    true
}

impl Drop for Cluster {
    fn drop(&mut self) {
        // Processes that are stopped or cut off end as well.
        self.agents.iter_mut().chain([&mut self.driver]).for_each(|post| post.running = None);
        if std::thread::panicking() {
            loudly(&format!("after {}; see {}", self.tally, self.world.keep().display()));
        }
    }
}
