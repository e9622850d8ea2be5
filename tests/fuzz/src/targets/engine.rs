//! What workers say, as events at the sweep's one door: what is admitted can be applied, whatever it is, and the history
//! gives the same sweep again.
use arbitrary::{Result, Unstructured};
use hpo_core::schedule::{Anchor, Brackets, Ladder, SchedulerSpec};
use hpo_core::space::{Domain, Fold, Parameter};
use hpo_core::sweep::event::{Checkpoint, End, FailureKind, Held, Slot};
use hpo_core::sweep::{Budget, Patience};
use hpo_core::{Action, Attempt, Event, Goal, Loss, Params, Resource, Seed, Seq, Space, Stamp, Sweep, SweepSpec, TrialId, Value, WorkerId};
use hpo_wire::{About, Word, pb};
use prost::Message;

use super::wire::checkpoint;
use crate::Target;

pub(crate) const TARGET: Target =
    Target { name: "engine", run, examples, found: &[], words: &["\u{0}\u{0}\u{0}\u{0}", "\u{1}\u{1}\u{1}"], bytes_per_byte: 8192 };

/// More events than this are another input.
const EVENTS: usize = 600;

fn examples() -> Vec<Vec<u8>> {
    use rand::Rng;
    let noise = |seed: u64| {
        let mut bytes = vec![0; 600];
        Seed(seed).rng().fill_bytes(&mut bytes);
        bytes
    };
    (0..12).map(noise).collect()
}

fn scheduler(which: u8) -> SchedulerSpec {
    let bottom = || Ladder::new(Resource(1), Resource(9), 3).expect("a ladder");
    let top = || Ladder::anchored(Anchor::Top, Resource(1), Resource(9), 3).expect("a ladder");
    match which % 9 {
        0 => SchedulerSpec::AshaPromote { ladder: bottom() },
        1 => SchedulerSpec::AshaStop { ladder: bottom() },
        2 => SchedulerSpec::Fifo { ladder: Ladder::single(Resource(9)).expect("a ladder") },
        3 => SchedulerSpec::Halving { ladder: top(), bracket: Some(4) },
        4 => SchedulerSpec::Hyperband { ladder: top() },
        5 => SchedulerSpec::HyperbandAsync(Brackets::weighted(bottom(), vec![3, 2, 1]).expect("brackets")),
        6 => SchedulerSpec::Pasha { ladder: bottom(), epsilon: None },
        7 => SchedulerSpec::Median { ladder: bottom(), min_trials: 2 },
        _ => SchedulerSpec::Swift { ladder: top(), decide_at: 0.5, margin: 0.1 },
    }
}

fn spec(u: &mut Unstructured<'_>) -> Result<SweepSpec> {
    let domain = Domain::Float { low: 0.0, high: 1.0, fold: Fold::Linear, step: None };
    let space = Space::new(vec![Parameter { name: "x".into(), domain, when: [].into() }]).expect("a space");
    let max_trials = Some(u.int_in_range(1..=40)?);
    let target = if u.ratio(1, 8)? { Some(u.arbitrary()?) } else { None };
    Ok(SweepSpec {
        name: "fuzz".into(),
        seed: Seed(1),
        metric: "loss".into(),
        goal: if u.arbitrary()? { Goal::Minimize } else { Goal::Maximize },
        space,
        scheduler: scheduler(u.arbitrary()?),
        budget: Budget { max_trials, target, setup_failures: Some(3), ..Budget::default() },
        patience: Patience { retries: u.int_in_range(0..=2)?, lost_max: u.int_in_range(0..=2)? },
    })
}

fn run(data: &[u8]) {
    let mut u = Unstructured::new(data);
    // The bytes are at an end before they have made a sweep.
    let Ok(spec) = spec(&mut u) else { return };
    let mut world = World { sweep: Sweep::new(spec), now: Stamp(0), history: vec![] };
    while world.history.len() < EVENTS && !u.is_empty() {
        let Ok(event) = world.event(&mut u) else { break };
        world.offer(event);
    }
    let mut again = Sweep::new(world.sweep.spec().clone());
    for (at, text) in &world.history {
        let event = serde_json::from_str(text).unwrap_or_else(|fault| panic!("{fault}: {text}"));
        assert_eq!(again.admit(&event), Ok(()), "{text}");
        again.apply(*at, &event, &mut vec![]);
    }
    assert_eq!(again.digest(), world.sweep.digest(), "the same history gives the same sweep");
}

struct World {
    sweep: Sweep,
    now: Stamp,
    history: Vec<(Stamp, String)>,
}

impl World {
    fn offer(&mut self, event: Event) {
        if self.sweep.admit(&event).is_err() {
            return;
        }
        let mut actions = vec![];
        if std::env::var_os("SHOW").is_some() {
            eprintln!("{} {event:?}", self.now);
        }
        self.sweep.apply(self.now, &event, &mut actions);
        if std::env::var_os("SHOW").is_some() {
            eprintln!("{} {event:?} -> {actions:?}", self.now);
        }
        self.sweep.check();
        self.history.push((self.now, serde_json::to_string(&event).expect("an event is JSON")));
        assert!(actions.iter().all(|action| !action.to_string().is_empty()));
        assert!(serde_json::to_string(&self.sweep.view_at(self.now).uses).is_ok());
    }

    fn event(&mut self, u: &mut Unstructured<'_>) -> Result<Event> {
        self.now = self.now.plus(if u.ratio(1, 64)? { u.int_in_range(0..=1 << 36)? } else { u.int_in_range(0..=9000)? });
        let asked = self.sweep.owed().into_iter().find_map(|action| match action {
            Action::Suggest { trial } => Some(trial),
            _ => None,
        });
        Ok(match (u.int_in_range(0..=15)?, asked) {
            (0, _) => join(u)?,
            (1, _) => Event::WorkerLeft { worker: worker(u)? },
            (2, _) => Event::WorkerLost { worker: worker(u)? },
            (3, _) if u.arbitrary()? => Event::WorkerLeaving { worker: worker(u)? },
            (3, _) => Event::Ticked,
            (4, _) => self.seldom(u)?,
            (5, _) => match pb::Word::decode(u.bytes(u.len().min(64))?).map(Word::try_from) {
                Ok(Ok(word)) => word.into_event(|metrics| Loss::new(metrics.get("loss").unwrap_or(f64::NAN))),
                _ => Event::Ticked,
            },
            (6..=8, Some(trial)) => Event::Suggested { trial, params: params(u)?, cost_us: u.arbitrary()? },
            (6..=8, None) => join(u)?,
            _ => self.word(u)?,
        })
    }

    fn seldom(&self, u: &mut Unstructured<'_>) -> Result<Event> {
        Ok(match u.int_in_range(0..=7)? {
            0 => Event::DrainAsked,
            1 => Event::Exhausted { trial: TrialId(u.arbitrary()?) },
            2 => Event::Exhausted { trial: TrialId(u.int_in_range(0..=40)?) },
            _ => Event::DriverStarted { epoch: self.sweep.driver_epoch().saturating_add(u.int_in_range(0..=1)?) },
        })
    }

    /// Mostly about what runs, and mostly what makes sense.
    fn word(&self, u: &mut Unstructured<'_>) -> Result<Event> {
        let running = self.sweep.running();
        let trial = if running.is_empty() || u.ratio(1, 16)? { TrialId(u.arbitrary()?) } else { *u.choose(&running)? };
        let now = self.sweep.trial(trial).map_or(Attempt(0), |trial| trial.attempt);
        let attempt = if u.ratio(1, 16)? { Attempt(u.arbitrary()?) } else { now };
        // Numbers need only grow.
        let seq = if u.ratio(1, 16)? { Seq(u.arbitrary()?) } else { Seq(self.history.len() as u32 + 1) };
        let resource = self.resource(trial, u)?;
        let about = match u.int_in_range(0..=9)? {
            0 => About::Started { startup_ms: u.arbitrary()?, restore_ms: u.arbitrary()? },
            1..=4 => About::Reported { resource, metrics: [("loss".to_owned(), u.arbitrary()?)].into_iter().collect() },
            5..=7 => About::Reached { resource, checkpoint: state(resource, u)? },
            _ => About::Ended(end(resource, u)?),
        };
        let word = Word { trial, attempt, seq, after_ms: None, about };
        let word = Word::try_from(pb::Word::from(word)).expect("a word survives its journey");
        let goal = self.sweep.spec().goal;
        Ok(word.into_event(|metrics| goal.loss(metrics.get("loss").unwrap_or(f64::NAN))))
    }

    fn resource(&self, trial: TrialId, u: &mut Unstructured<'_>) -> Result<Resource> {
        let trained = self.sweep.trial(trial).map_or(0, |trial| trial.trained.0);
        Ok(match u.int_in_range(0..=9)? {
            0 => Resource(u.arbitrary()?),
            1 => Resource(u.int_in_range(0..=10)?),
            2..=4 => Resource(trained),
            _ => Resource(trained.saturating_add(1)),
        })
    }
}

fn worker(u: &mut Unstructured<'_>) -> Result<WorkerId> {
    Ok(WorkerId(u.int_in_range(1..=4)?))
}

fn join(u: &mut Unstructured<'_>) -> Result<Event> {
    let slot = |u: &mut Unstructured<'_>| -> Result<Slot> {
        let milli_gpus = if u.ratio(1, 8)? { u.arbitrary()? } else { 500 };
        Ok(Slot { name: "s".into(), milli_gpus })
    };
    let count = if u.ratio(1, 64)? { u.int_in_range(0..=1100)? } else { u.int_in_range(1..=3)? };
    let one = slot(u)?;
    let mut holds = vec![];
    for _ in 0..u.int_in_range(0..=2)? {
        let (trial, attempt) = (TrialId(u.int_in_range(0..=9)?), Attempt(u.int_in_range(0..=3)?));
        holds.push(Held { trial, attempt, slot: if u.ratio(1, 8)? { u.arbitrary()? } else { u.int_in_range(0..=2)? } });
    }
    Ok(Event::WorkerJoined { worker: worker(u)?, name: "w".into(), slots: vec![one; count], holds, allocation: None, leaving: false })
}

fn params(u: &mut Unstructured<'_>) -> Result<Params> {
    let x: f64 = if u.ratio(1, 16)? { u.arbitrary()? } else { f64::from(u.arbitrary::<u16>()?) / 65535.0 };
    Ok(Params::from([("x".to_owned(), Value::Float(x))]))
}

fn state(resource: Resource, u: &mut Unstructured<'_>) -> Result<Option<Checkpoint>> {
    let id = format!("{:064x}", u.arbitrary::<u8>()?);
    let saved = Checkpoint { id, resource, wrote_ms: u.arbitrary()?, ..checkpoint() };
    Ok(u.ratio(3, 4)?.then_some(saved))
}

fn end(resource: Resource, u: &mut Unstructured<'_>) -> Result<End> {
    let kinds = [FailureKind::Crash, FailureKind::NotFinite, FailureKind::Checkpoint, FailureKind::Setup, FailureKind::OutOfMemory];
    Ok(match u.int_in_range(0..=4)? {
        0 => End::Lost,
        1 => End::Stopped,
        2 => End::Failed { kind: *u.choose(&kinds)?, message: "it".into() },
        _ => End::Preempted { checkpoint: state(resource, u)? },
    })
}
