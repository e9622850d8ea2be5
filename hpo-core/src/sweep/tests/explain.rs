//! What `hpo why` can tell of a trial.
mod blame;

use proptest::prelude::*;

use super::*;
use crate::schedule::{Barrier, Promotion, Rung, Scheduler, Verdict};
use crate::sweep::explain::{Explain, Explanation, Outlook, Rival, Stand, What};

/// The histories of some trials, from a sweep that begins as `sweep` did.
fn replayed(world: &World, mut sweep: Sweep, trials: impl IntoIterator<Item = u32>) -> Vec<Explanation> {
    let mut explains: Vec<_> = trials.into_iter().map(|trial| Explain::new(TrialId(trial))).collect();
    let mut out = vec![];
    for (at, event) in &world.history {
        out.clear();
        sweep.apply(*at, event, &mut out);
        explains.iter_mut().for_each(|explain| explain.saw(&sweep, *at, event, &out));
    }
    explains.into_iter().filter_map(|explain| explain.finish(&sweep)).collect()
}

fn explained(world: &World, trial: u32) -> Explanation {
    replayed(world, Sweep::new(world.sweep.spec().clone()), [trial]).remove(0)
}

/// `3 is 2nd of 3 at 1, 1 go on to 2`: metric, rank, population, rung, quota, cutoff.
fn place(stand: &Stand) -> String {
    let cutoff = stand.cutoff.map_or("-".to_owned(), |cutoff| cutoff.to_string());
    let quota = stand.quota.map_or("-".to_owned(), |quota| quota.to_string());
    let goes_on = if stand.goes_on { "in" } else { "out" };
    format!("{} is {}/{} at {}, quota {quota} cutoff {cutoff}: {goes_on}", stand.metric, stand.rank, stand.population, stand.resource)
}

/// `5.000..5.500 at 4, best 2 of 8 (7 came) cutoff 3`: metric with and without leeway, rung, quota, population.
fn predicted(of: &Outlook) -> String {
    let Outlook { to, predicted, at_best, cutoff, quota, came, population } = of;
    format!("{at_best:.3}..{predicted:.3} at {to}, best {quota} of {population} ({came} came) cutoff {cutoff}")
}

/// The moments in a few words each, without states that come and go.
fn story(of: &Explanation) -> Vec<String> {
    let by = |by: &Option<Rival>| by.map_or("nobody".to_owned(), |by| format!("{} with {}", by.trial, by.metric));
    let words = of.moments.iter().filter_map(|moment| {
        Some(match &moment.what {
            What::Saved { .. } | What::Forgotten { .. } | What::TookLead { .. } | What::LostLead { .. } | What::Suggested { .. } => {
                return None;
            }
            What::Leased { attempt, from, until, start, .. } => format!("lease {attempt}: {from}..{until} {start:?}"),
            What::Compared { stand } => format!("compared: {}", place(stand)),
            What::PushedOut { by: None, quota_before: Some(before), no_more, stand } => {
                format!("out: fewer than {before}, no more come {no_more}: {}", place(stand))
            }
            What::PushedOut { by: rival, stand, .. } => format!("out by {}: {}", by(rival), place(stand)),
            What::CameIn { by: rival, stand } => format!("in by {}: {}", by(rival), place(stand)),
            What::Promoted { to, stand } => format!("promoted to {to}: {}", place(stand.as_ref()?)),
            What::Predicted { resource, outlook } => format!("judged at {resource}: {}", predicted(outlook)),
            What::Stopped { resource, metric, outlook: Some(outlook), .. } => {
                format!("stopped at {resource} with {metric}: {}", predicted(outlook))
            }
            What::Stopped { resource, metric, stand, .. } => {
                format!("stopped at {resource} with {metric}: {}", stand.as_ref().map_or("-".to_owned(), place))
            }
            What::HopeLost { stand } => format!("no hope: {}", place(stand.as_ref()?)),
            other => format!("{other:?}"),
        })
    });
    words.collect()
}

fn etas(stand: &Stand) -> Vec<(u32, Option<usize>, Option<f64>, bool)> {
    stand.etas.iter().map(|eta| (eta.eta, eta.quota, eta.cutoff, eta.goes_on)).collect()
}

/// One worker of one slot, and a result at the bottom for each loss.
fn one_by_one(spec: SweepSpec, losses: &[f64]) -> World {
    let mut world = World::new(spec);
    world.join(ONE, 1, vec![]);
    for (trial, loss) in losses.iter().enumerate() {
        world.suggest_all();
        world.finish_lease(trial as u32, *loss);
    }
    world
}

#[test]
fn promoted_in_place_finished_and_the_best() {
    let mut world = one_by_one(spec(3), &[3.0, 2.0, 1.0]);
    world.finish_lease(2, 0.9);
    let of = explained(&world, 2);
    assert_eq!(
        story(&of),
        [
            "lease 1: 0..1 Fresh",
            "compared: 1 is 1/3 at 1, quota 1 cutoff 1: in",
            "promoted to 3: 1 is 1/3 at 1, quota 1 cutoff 1: in",
            "lease 2: 1..3 InPlace",
            "compared: 0.9 is 1/1 at 3, quota 0 cutoff -: out",
            "no hope: 0.9 is 1/1 at 3, quota 0 cutoff -: out",
            "SweepEnded { why: Complete }",
        ]
    );
    assert_eq!(of.leader, Some(0));
    let What::Promoted { stand: Some(stand), .. } =
        &of.moments.iter().find(|moment| matches!(moment.what, What::Promoted { .. })).unwrap().what
    else {
        unreachable!()
    };
    // The same three rivals: with eta 2 the best one goes on, with eta 4 nobody does.
    assert_eq!(
        etas(stand),
        [(2, Some(1), Some(1.0), true), (3, Some(1), Some(1.0), true), (4, Some(0), None, false), (5, Some(0), None, false)]
    );
    let second = explained(&world, 1);
    let dethroned = second.moments.iter().find_map(|moment| if let What::LostLead { by } = moment.what { by } else { None }).unwrap();
    assert_eq!((dethroned.trial, dethroned.metric), (TrialId(2), 1.0));
}

#[test]
fn in_the_top_without_a_slot_then_pushed_out_then_in_again_and_promoted_from_its_checkpoint() {
    let mut world = World::new(spec(9));
    world.join(ONE, 1, vec![]);
    world.join(TWO, 1, vec![]);
    world.suggest_all();
    for (trial, loss) in [(0, 5.0), (2, 4.0)] {
        world.finish_lease(trial, loss);
        world.suggest_all();
    }
    // Whoever was interrupted goes first: trial 3 is the best of three and has no slot.
    world.say(Event::WorkerLost { worker: TWO });
    world.finish_lease(3, 3.0);
    let waits = explained(&world, 3);
    assert!(waits.stand.as_ref().unwrap().goes_on && world.state(3) == State::Paused);
    world.finish_lease(1, 2.0);
    assert_eq!(explained(&world, 3).stand.map(|stand| stand.last_in.unwrap().trial), Some(TrialId(1)));
    world.finish_lease(1, 2.0);
    for (trial, loss) in [(4, 9.0), (5, 8.0)] {
        world.suggest_all();
        world.finish_lease(trial, loss);
    }
    assert_eq!(
        story(&explained(&world, 3)),
        [
            "lease 1: 0..1 Fresh",
            "compared: 3 is 1/3 at 1, quota 1 cutoff 3: in",
            "out by 1 with 2: 3 is 2/4 at 1, quota 1 cutoff 2: out",
            "in by 5 with 8: 3 is 2/6 at 1, quota 2 cutoff 3: in",
            "promoted to 3: 3 is 2/6 at 1, quota 2 cutoff 3: in",
            "lease 2: 1..3 Restored",
        ]
    );
    let never = explained(&world, 0);
    assert_eq!(
        story(&never)[1..],
        ["compared: 5 is 1/1 at 1, quota 0 cutoff -: out", "no hope: 5 is 4/4 at 1, quota 1 cutoff 2: out"],
        "of nine the best three may go on, and three are better"
    );
    let now = never.stand.unwrap();
    assert_eq!((now.rank, now.population, now.cutoff), (4, 6, Some(3.0)), "the stand is as of now");
    assert_eq!(etas(&now)[0], (2, Some(3), Some(4.0), false));
}

#[test]
fn lost_returned_preempted_failed_and_given_up() {
    let mut world = World::new(spec(2));
    let lost = |resumes_at| format!("Lost {{ with_worker: true, resumes_at: Resource({resumes_at}) }}");
    world.join(ONE, 1, vec![]);
    world.suggest_all();
    world.say(Event::WorkerLost { worker: ONE });
    let held = Held { trial: TrialId(0), attempt: Attempt(1), slot: 0 };
    world.join(ONE, 1, vec![held]);
    world.say(Event::DriverStarted { epoch: 2 });
    // The lease that it does not know of is sent again, which is no new lease.
    world.join(ONE, 1, vec![]);
    world.word(0, |trial, attempt, seq| Event::Ended { trial, attempt, seq, after_ms: None, how: End::Preempted { checkpoint: None } });
    let failed = |kind| {
        move |trial, attempt, seq| Event::Ended { trial, attempt, seq, after_ms: None, how: End::Failed { kind, message: "no".to_owned() } }
    };
    world.word(0, failed(FailureKind::Crash));
    world.word(0, failed(FailureKind::OutOfMemory));
    assert_eq!(
        story(&explained(&world, 0)),
        [
            "lease 1: 0..1 Fresh",
            &lost(0),
            "Returned { attempt: Attempt(1) }",
            "DriverStarted { epoch: 2 }",
            "Preempted { resumes_at: Resource(0) }",
            "lease 2: 0..1 Fresh",
            "Failed { kind: Some(Crash), message: \"no\", for_good: false }",
            "lease 3: 0..1 Fresh",
            "Failed { kind: Some(OutOfMemory), message: \"no\", for_good: true }",
        ]
    );
    assert!(explained(&world, 0).stand.is_none());
    world.suggest_all();
    for _ in 0..3 {
        world.word(1, |trial, attempt, seq| Event::Ended { trial, attempt, seq, after_ms: None, how: End::Lost });
    }
    let end = story(&explained(&world, 1)).pop().unwrap();
    assert_eq!(end, "Failed { kind: None, message: \"lost 3 times in a row without progress\", for_good: true }");
}

/// Stops whoever is not better than all before it at resource 1, and at resource 2 whoever has a positive loss; waits with
/// everyone at resource 3 for all of three.
#[derive(Debug, Default, PartialEq)]
struct Double {
    first: Vec<Place>,
    round: Vec<Place>,
    gone: usize,
}

impl Double {
    fn sweep(spec: SweepSpec) -> Sweep {
        Sweep { scheduler: Box::new(Self::default()), ..Sweep::new(spec) }
    }
}

impl Scheduler for Double {
    fn enter(&mut self, _: TrialId, _: &Params) -> Rung {
        1
    }
    fn reported(&mut self, trial: TrialId, resource: Resource, loss: Loss) -> Verdict {
        if resource != Resource(1) {
            return if resource == Resource(2) && loss.get() > 0.0 { Verdict::Stop } else { Verdict::Continue };
        }
        let beaten = self.first.iter().any(|&(best, _)| best < loss);
        self.first.push((loss, trial));
        self.first.sort();
        if beaten { Verdict::Stop } else { Verdict::Continue }
    }
    fn reached(&mut self, _: Rung, trial: TrialId, loss: Loss) -> Verdict {
        self.round.push((loss, trial));
        self.round.sort();
        Verdict::Pause
    }
    fn promote(&mut self) -> Option<Promotion> {
        None
    }
    fn gave_up(&mut self, _: TrialId) {
        self.gone += 1;
    }
    fn hopeless(&mut self) -> Vec<TrialId> {
        vec![]
    }
    fn standing(&self, rung: Rung, trial: TrialId) -> Option<Standing> {
        let places = if rung == 0 { &self.first } else { &self.round };
        let rank = places.iter().position(|place| place.1 == trial)?;
        let quota = (rung == 1).then_some(2);
        Some(Standing { bracket: 4, rank, population: places.len(), quota, cutoff: places.first().map(|&(loss, _)| loss) })
    }
    fn rivals(&self, rung: Rung, _: TrialId) -> Vec<Place> {
        if rung == 0 { self.first.clone() } else { self.round.clone() }
    }
    fn barriers(&self) -> Vec<Barrier> {
        let waits = self.round.len() + self.gone < 3;
        if waits { vec![Barrier { bracket: 4, rung: 1, trials: vec![TrialId(7)], to_come: 2 }] } else { vec![] }
    }
    fn check(&self) {}
}

#[test]
fn stopped_in_mid_lease_and_waiting_with_a_rung() {
    let spec = SweepSpec { goal: Goal::Maximize, ..spec(4) };
    let mut world = World { sweep: Double::sweep(spec.clone()), ..World::new(spec.clone()) };
    world.history.clear();
    world.say(Event::DriverStarted { epoch: 1 });
    world.join(ONE, 4, vec![]);
    world.suggest_all();
    world.finish_lease(0, -5.0);
    let said = world.report(1, 1, -4.0);
    assert_eq!(said, ["stop 1.1 on 00000001/1"]);
    world.finish_lease(2, -6.0);
    let explained = |trial| replayed(&world, Double::sweep(spec.clone()), [trial]).remove(0);
    // The metric is to be large, and is told so.
    assert_eq!(story(&explained(1)), ["lease 1: 0..3 Fresh", "stopped at 1 with 4: 4 is 2/2 at 1, quota - cutoff 5: out"],);
    let first = explained(0);
    assert_eq!(
        story(&first),
        ["lease 1: 0..3 Fresh", "compared: 5 is 1/1 at 1, quota - cutoff 5: in", "compared: 5 is 1/1 at 3, quota 2 cutoff 5: in",]
    );
    let now = first.stand.unwrap();
    let barrier = idle::RungBarrier { bracket: 4, resource: Resource(3), trials: vec![TrialId(7)], to_come: 2 };
    assert_eq!((now.bracket, now.barrier.as_ref(), now.etas.len()), (4, Some(&barrier), 0), "what others decide is open");
    let reasons = world.sweep.idle();
    assert_eq!(reasons, [idle::Idle::Barrier(barrier), idle::Idle::NoMore { started: 4, exhausted: false }]);
    // A place with which it would have gone on is not why it was stopped.
    world.report(3, 1, -7.0);
    world.report(3, 2, 1.0);
    let by_another_rule = ["lease 1: 0..3 Fresh", "compared: 7 is 1/4 at 1, quota - cutoff 7: in", "stopped at 2 with -1: -"];
    assert_eq!(story(&replayed(&world, Double::sweep(spec), [3])[0]), by_another_rule);
}

/// Swift, margin 1, as `goal` has it: a first bracket of 16 to 4, then to 16, decided at 2 and at 10.
fn swift(goal: Goal) -> SweepSpec {
    let ladder = Ladder::anchored(crate::schedule::Anchor::Top, Resource(4), Resource(64), 4).unwrap();
    SweepSpec { goal, scheduler: SchedulerSpec::Swift { ladder, decide_at: 0.5, margin: 1.0 }, ..spec(16) }
}

/// On one slot trials that fall from `loss` + 0.5 or so at 2 to `loss` at 4; whoever is stopped at 2 comes no further.
fn fall(world: &mut World, first: u32, losses: &[f64]) {
    for (trial, loss) in (first..).zip(losses) {
        world.suggest_all();
        world.report(trial, 2, loss + 0.5 + 0.01 * f64::from(trial % 3));
        if world.state(trial) != State::Stopped {
            world.report(trial, 4, *loss);
            let reached = |trial: TrialId, attempt, seq| {
                let checkpoint = Some(checkpoint(trial.0, 4));
                Event::Reached { trial, attempt, seq, after_ms: None, resource: Resource(4), checkpoint }
            };
            world.word(trial, reached);
        }
    }
}

#[test]
fn who_is_stopped_in_mid_round_is_told_what_was_predicted() {
    let mut world = World::new(swift(Goal::Maximize));
    world.join(ONE, 1, vec![]);
    fall(&mut world, 0, &[0.0, -1.0, -2.0, -3.0, -4.0, -5.0, -6.0, -7.0, -8.0, -3.0, f64::NAN]);
    let of = |trial| story(&explained(&world, trial));
    let eighth = [
        "lease 1: 0..4 Fresh",
        "judged at 2: 7.999..7.988 at 4, best 2 of 8 (8 came) cutoff 6",
        "compared: 8 is 1/9 at 4, quota 4 cutoff 5: in",
    ];
    assert_eq!(of(8), eighth);
    assert_eq!(of(9)[1..], ["stopped at 2 with 2.5: 3.022..3.010 at 4, best 3 of 9 (9 came) cutoff 6"]);
    assert_eq!(of(10)[1..], ["stopped at 2 with NaN: -inf..-inf at 4, best 3 of 10 (9 came) cutoff 6"]);
}

/// A rung that waits for all counts those on their way in, so who is stopped there makes no place for others.
#[test]
fn a_stop_in_mid_round_moves_nobody_and_who_pushes_out_is_named() {
    let mut world = World::new(swift(Goal::Minimize));
    world.join(ONE, 1, vec![]);
    fall(&mut world, 0, &[10.0, 9.0, 8.0, 7.0, 6.0, 5.0, 4.0, 3.0, 2.0, 1.0, 0.0, 99.0]);
    let told = [
        "lease 1: 0..4 Fresh",
        "judged at 2: 2.001..2.012 at 4, best 2 of 8 (8 came) cutoff 4",
        "compared: 2 is 1/9 at 4, quota 4 cutoff 5: in",
    ];
    assert_eq!(story(&explained(&world, 8)), told);
    fall(&mut world, 12, &[-1.0, -2.0]);
    assert_eq!(story(&explained(&world, 8)).last().unwrap(), "out by 13 with -2: 2 is 5/14 at 4, quota 4 cutoff 1: out");
}

proptest! {
    /// Whatever happens: leases grow by one attempt, nobody is pushed out who was not in, and what is told at the end is
    /// what the sweep says.
    #[test]
    fn any_history_is_told_without_contradiction(dice in proptest::collection::vec(0_u8..=255, 100..250)) {
        let mut world = World::new(spec(12));
        for die in dice {
            if world.sweep.finished().is_none() {
                super::chance::step(&mut world, die);
            }
        }
        for of in replayed(&world, Sweep::new(spec(12)), 0..12) {
            let trial = world.sweep.trial(of.trial).unwrap();
            prop_assert!(of.moments.is_sorted_by_key(|moment| moment.at));
            let (mut attempts, mut inside, mut promotions, mut over) = (0, false, 0, 0);
            for moment in &of.moments {
                match &moment.what {
                    What::Leased { attempt, .. } => {
                        attempts += 1;
                        prop_assert_eq!(attempt.0, attempts);
                    }
                    What::Compared { stand } => inside = stand.goes_on,
                    What::PushedOut { by, stand, .. } => {
                        prop_assert!(inside && !stand.goes_on);
                        prop_assert!(by.is_none_or(|by| by.metric <= stand.metric), "who pushes out is not worse");
                        inside = false;
                    }
                    What::CameIn { stand, .. } => {
                        prop_assert!(!inside && stand.goes_on);
                        inside = true;
                    }
                    What::Promoted { stand, .. } => {
                        prop_assert!(inside && stand.as_ref().unwrap().goes_on, "nobody outside the top goes on");
                        promotions += 1;
                    }
                    What::Finished { .. } | What::Stopped { .. } | What::Failed { for_good: true, .. } => over += 1,
                    _ => {}
                }
            }
            prop_assert_eq!((attempts, promotions > 0, over), (trial.attempt.0, trial.promoted, u32::from(trial.is_over())));
            let leads = of.moments.iter().filter(|moment| matches!(moment.what, What::TookLead { .. })).count();
            let lost = of.moments.iter().filter(|moment| matches!(moment.what, What::LostLead { .. })).count();
            prop_assert_eq!(leads - lost, usize::from(of.leader == Some(0)));
        }
    }
}
