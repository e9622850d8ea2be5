//! Many light workers at once, and how long the driver makes them wait.
use std::collections::VecDeque;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use hpo_core::sweep::event::Checkpoint;
use hpo_core::{Lease, Resource, Seq, TrialId, WorkerId};
use hpo_wire::{About, FromDriver, Word};
use tokio::sync::{Barrier, Semaphore, mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::sleep_until;

use super::line::Line;
use super::{TalkFault, Target};

/// How a worker goes from one report to the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pace {
    /// At once: all words of a lease are on their way together.
    Flood,
    /// As soon as the one before is acknowledged.
    Closed,
    /// One in each such time, as if it trained meanwhile, whether the one before is acknowledged or not. A report that is due
    /// while there is no lease is made as soon as there is one: what is offered does not fall with the driver's speed.
    Every(Duration),
}

/// What a crowd does.
#[derive(Clone, Debug)]
pub struct Plan {
    /// How many workers there are.
    pub workers: u32,
    /// The number of the first: those of other processes have others.
    pub first: u32,
    /// How many dial at one time. Hundreds that nobody knows yet would look like an attack.
    pub dialling: usize,
    /// How many reports they make in all.
    pub reports: u32,
    /// How each of them goes on.
    pub pace: Pace,
    /// Name of the sweep's metric.
    pub metric: String,
}

/// What a crowd saw.
#[derive(Clone, Debug)]
pub struct Figures {
    /// From when all workers were there until the last report was acknowledged.
    pub took: Duration,
    /// From saying a report to its acknowledgement, which means that it is on the disk.
    pub to_acknowledgement: Vec<Duration>,
    /// From saying that the end of a lease is reached to the next lease.
    pub to_lease: Vec<Duration>,
    /// By how much reports were made later than they were due; none if none was ever due.
    pub late: Vec<Duration>,
}

/// What the workers of a crowd share.
struct Common {
    plan: Plan,
    dialling: Semaphore,
    /// Nobody says anything before all have a lease.
    gate: Barrier,
    /// Reports that nobody has made yet.
    left: AtomicU32,
}

/// Lets a crowd talk to a driver until all its reports are acknowledged. `begun` is called when they begin.
///
/// # Errors
/// If the driver breaks off with any of them.
pub async fn crowd(target: &Target, plan: Plan, begun: impl FnOnce()) -> Result<Figures, TalkFault> {
    let workers = plan.workers;
    let left = AtomicU32::new(plan.reports);
    let (dialling, gate) = (Semaphore::new(plan.dialling), Barrier::new(workers as usize + 1));
    let common = Arc::new(Common { plan, dialling, gate, left });
    let (tell, mut told) = mpsc::channel(workers as usize);
    let (all_done, done) = watch::channel(());
    let mut talkers = JoinSet::new();
    for number in 0..workers {
        talkers.spawn(take_part(number, target.clone(), common.clone(), tell.clone(), done.clone()));
    }
    drop((tell, done));
    tokio::select! {
        biased;
        _ = common.gate.wait() => {}
        // Before the gate opens, who tells something has failed.
        early = told.recv() => return Err(early.and_then(Result::err).unwrap_or(TalkFault::Silent)),
    }
    begun();
    let (mut first, mut last): (Option<Instant>, Option<Instant>) = (None, None);
    let mut figures = Figures { took: Duration::ZERO, to_acknowledgement: vec![], to_lease: vec![], late: vec![] };
    for _ in 0..workers {
        let seen = told.recv().await.ok_or(TalkFault::Silent)??;
        first = first.into_iter().chain(seen.first).min();
        last = last.max(seen.last);
        figures.to_acknowledgement.extend(seen.to_acknowledgement);
        figures.to_lease.extend(seen.to_lease);
        figures.late.extend(seen.late);
    }
    // By their own clocks: whoever waits for them all may be waked up later than they.
    figures.took = first.zip(last).map_or(Duration::ZERO, |(first, last)| last - first);
    drop(all_done);
    talkers.join_all().await;
    Ok(figures)
}

/// One worker from its joining to its leave. It leaves when all are done: one that leaves sets others to work.
async fn take_part(
    number: u32,
    target: Target,
    common: Arc<Common>,
    tell: mpsc::Sender<Result<Seen, TalkFault>>,
    mut done: watch::Receiver<()>,
) {
    // There is room for one a worker. Nobody listens only if another worker has failed.
    match Talker::join(number, &target, common).await {
        Err(fault) => drop(tell.send(Err(fault)).await),
        Ok(mut talker) => {
            let seen = talker.talk().await.map(|()| std::mem::take(&mut talker.seen));
            drop(tell.send(seen).await);
            // Fails when the other end is dropped, which is the sign.
            let _ = done.changed().await;
            talker.line.goodbye().await;
        }
    }
}

/// What one worker saw.
#[derive(Default)]
struct Seen {
    to_acknowledgement: Vec<Duration>,
    to_lease: Vec<Duration>,
    late: Vec<Duration>,
    /// When all were there.
    first: Option<Instant>,
    /// When its last report was acknowledged.
    last: Option<Instant>,
}

struct Talker {
    number: u32,
    common: Arc<Common>,
    line: Line,
    seen: Seen,
    /// Reports of this lease that are not acknowledged.
    waiting: VecDeque<(Seq, Instant)>,
    /// The lease after this one.
    next: Option<Lease>,
    /// When the next report is due, if it is by the clock.
    due: Instant,
}

impl Talker {
    /// Dials, and waits for a lease and for the others.
    async fn join(number: u32, target: &Target, common: Arc<Common>) -> Result<Self, TalkFault> {
        // The first digits are what people see of an id.
        let worker = WorkerId(u128::from(common.plan.first + number + 1) << 96);
        let turn = common.dialling.acquire().await;
        let line = Line::open(target, worker).await?;
        drop(turn);
        let mut talker = Self { number, common, line, seen: Seen::default(), waiting: VecDeque::new(), next: None, due: Instant::now() };
        while talker.next.is_none() {
            talker.listen().await?;
        }
        Ok(talker)
    }

    /// Works on one lease after the other until the reports are used up.
    async fn talk(&mut self) -> Result<(), TalkFault> {
        let common = self.common.clone();
        common.gate.wait().await;
        self.seen.first = Some(Instant::now());
        if let Pace::Every(period) = common.plan.pace {
            // Not all at the same moment.
            self.due = Instant::now() + period.mul_f64(f64::from(self.number) / f64::from(common.plan.workers));
        }
        while let Some(lease) = self.next.take() {
            let Some(reached) = self.work(&lease).await? else { break };
            // The words of the lease are acknowledged before, or together with the next one.
            while self.next.is_none() {
                self.listen().await?;
            }
            self.seen.to_lease.push(reached.elapsed());
        }
        while !self.waiting.is_empty() {
            self.listen().await?;
        }
        Ok(())
    }

    /// Says everything about a lease. When it said that the end is reached; not if the reports were used up before.
    async fn work(&mut self, lease: &Lease) -> Result<Option<Instant>, TalkFault> {
        let mut seq = Seq(0);
        self.say(lease, &mut seq, About::Started { startup_ms: 0, restore_ms: 0 }).await?;
        for resource in (lease.from.0 + 1..=lease.until.0).map(Resource) {
            match self.common.plan.pace {
                Pace::Flood => {}
                Pace::Closed => {
                    while !self.waiting.is_empty() {
                        self.listen().await?;
                    }
                }
                Pace::Every(_) => self.listen_until_due().await?,
            }
            if self.common.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_err() {
                return Ok(None);
            }
            if let Pace::Every(period) = self.common.plan.pace {
                self.seen.late.push(self.due.elapsed());
                self.due += period;
            }
            let metrics = [(self.common.plan.metric.clone(), figure(lease.trial, resource))].into_iter().collect();
            self.say(lease, &mut seq, About::Reported { resource, metrics }).await?;
            self.waiting.push_back((seq, Instant::now()));
        }
        let about = About::Reached { resource: lease.until, checkpoint: Some(state(lease.trial, lease.until)) };
        let reached = Instant::now();
        self.say(lease, &mut seq, about).await?;
        Ok(Some(reached))
    }

    async fn say(&mut self, lease: &Lease, seq: &mut Seq, about: About) -> Result<(), TalkFault> {
        seq.0 += 1;
        let word = Word { trial: lease.trial, attempt: lease.attempt, seq: *seq, after_ms: None, about };
        while let Some(heard) = self.line.say_or_hear(&word).await? {
            self.heed(heard)?;
        }
        Ok(())
    }

    async fn listen(&mut self) -> Result<(), TalkFault> {
        let heard = self.line.hear().await?;
        self.heed(heard)
    }

    async fn listen_until_due(&mut self) -> Result<(), TalkFault> {
        let mut due = pin!(sleep_until(self.due.into()));
        loop {
            tokio::select! {
                () = &mut due => return Ok(()),
                heard = self.line.hear() => self.heed(heard?)?,
            }
        }
    }

    fn heed(&mut self, heard: FromDriver) -> Result<(), TalkFault> {
        match heard {
            FromDriver::Acknowledged(acknowledged) => {
                let now = Instant::now();
                while let Some((_, said)) = self.waiting.pop_front_if(|(seq, _)| *seq <= acknowledged.seq) {
                    self.seen.to_acknowledgement.push(now - said);
                    self.seen.last = Some(now);
                }
            }
            FromDriver::Lease(lease) => self.next = Some(lease),
            FromDriver::Finish { why, .. } => return Err(TalkFault::Finished { why }),
            _ => {}
        }
        Ok(())
    }
}

/// A curve that falls, to a floor that differs from trial to trial.
fn figure(trial: TrialId, resource: Resource) -> f64 {
    let floor = f64::from(trial.0.wrapping_mul(2_654_435_761)) / f64::from(u32::MAX);
    floor + 1.0 / f64::from(resource.0)
}

/// The name of a state that was never written: these workers keep none.
fn state(trial: TrialId, resource: Resource) -> Checkpoint {
    Checkpoint { id: format!("{:064x}", u64::from(trial.0) << 32 | u64::from(resource.0)), resource, bytes: 0, wrote_ms: 0 }
}
