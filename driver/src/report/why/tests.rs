//! Told of small sweeps with a known history.
use hpo_core::schedule::{Anchor, Ladder, SchedulerSpec};
use hpo_core::sweep::Budget;
use hpo_core::sweep::explain::{Alternative, Moment, Outlook};
use hpo_core::sweep::idle::RungBarrier;
use hpo_core::{Event, Goal, SweepSpec};
use insta::assert_snapshot;
use serde_json::Value;

use super::*;
use crate::journal::{Fence, Journal, Writer};
use crate::report::tests::world::{World, spec, whole, worker};

fn why(world: &World, trial: u32, live: bool) -> Result<Why, WhyFault> {
    let mut explain = Explain::new(TrialId(trial));
    let mut sweep = Sweep::new(world.sweep.spec().clone());
    let mut actions = vec![];
    for record in &world.records {
        actions.clear();
        sweep.apply(record.at, &record.event, &mut actions);
        explain.saw(&sweep, record.at, &record.event, &actions);
    }
    Why::new(sweep, "random".to_owned(), explain, TrialId(trial), live)
}

/// Two workers, one of which is lost while trial 3 trains there; until `end`.
fn short(end: u64, goal: Goal) -> World {
    let mut world = World::new(SweepSpec { goal, budget: Budget { max_trials: Some(12), ..Budget::default() }, ..spec() });
    world.will_join(1_000, 1, "node1-100");
    world.will_join(1_500, 2, "node2-200");
    world.will(50_000, Event::WorkerLost { worker: worker(2) });
    world.run(end)
}

#[test]
fn every_trial_of_a_whole_sweep() {
    let world = whole();
    let all: Vec<String> = (0..12).map(|trial| why(&world, trial, false).unwrap().text()).collect();
    assert_snapshot!("whole", all.join("\n----\n\n"));
}

/// New, training, waiting in the top, pushed out of it, interrupted: as it is at some moments, with a driver or without.
#[test]
fn the_answer_at_any_time() {
    let mut answers = vec![];
    for (end, live) in [(20_000, true), (20_000, false), (60_000, true), (80_000, true), (80_000, false), (100_000, true)] {
        answers.push(format!("at {end} ms, {} driver", if live { "with a" } else { "without" }));
        let world = short(end, Goal::Minimize);
        answers.extend((0..12).filter_map(|trial| why(&world, trial, live).ok()).map(|why| format!("  {}", why.answer())));
    }
    assert_snapshot!("answers", answers.join("\n"));
}

#[test]
fn a_metric_that_is_to_be_large_is_told_as_the_user_knows_it() {
    let text = why(&short(150_000, Goal::Maximize), 0, true).unwrap().text();
    assert!(text.contains("it needs val_loss >= 2.4000 and has 1.2000"), "{text}");
    assert!(!text.contains("-1.2"), "{text}");
    assert!(text.contains("waits, best 1"), "{text}");
}

#[test]
fn what_scripts_read() {
    let why = why(&short(100_000, Goal::Minimize), 1, true).unwrap();
    let line = serde_json::to_value(why.line()).unwrap();
    assert_eq!((&line["state"], &line["stand"]["rank"], &line["stand"]["last_in"]["trial"]), (&"paused".into(), &2.into(), &3.into()));
    assert_eq!(line["answer"], why.answer());
    let lines: Vec<String> = why.moments().map(|moment| serde_json::to_string(&moment).unwrap()).collect();
    assert!(lines.iter().all(|line| !line.contains('\n')));
    assert_snapshot!("json", lines.join("\n"));
    let pushed = lines.iter().map(|line| serde_json::from_str::<Value>(line).unwrap()).find(|line| line["what"] == "pushed_out").unwrap();
    assert_eq!((&pushed["by"]["trial"], &pushed["by"]["metric"]), (&3.into(), &0.5.into()));
    let eta2 = &pushed["stand"]["etas"][0];
    assert_eq!((&eta2["eta"], &eta2["quota"], &eta2["goes_on"]), (&2.into(), &2.into(), &true.into()));
}

/// A rule without places stops in the middle of a lease; a rung that waits for others names them.
#[test]
fn stopped_by_a_cutoff_and_held_up_by_a_barrier() {
    let mut why = why(&short(100_000, Goal::Minimize), 1, true).unwrap();
    let mut stand = why.of.stand.clone().unwrap();
    stand.goes_on = true;
    stand.bracket = 2;
    stand.barrier = Some(RungBarrier { bracket: 2, resource: Resource(1), trials: vec![TrialId(4), TrialId(7)], to_come: 3 });
    stand.etas.clear();
    why.of.stand = Some(stand.clone());
    assert_eq!(
        why.paused(),
        "Trial 1 is paused at resource 1 of bracket 2: it stands 2nd of 4; the best one goes on; it has val_loss 0.90000; \
         its rung waits for trials 4, 7 and 3 new trials"
    );
    let with = |eta, cutoff: f64| Alternative { eta, quota: None, cutoff: Some(cutoff), goes_on: stand.metric <= cutoff };
    let etas = vec![with(2, 0.95), with(3, 0.8), with(4, 0.7)];
    let stand = Stand { quota: None, cutoff: Some(0.8), barrier: None, bracket: 0, goes_on: false, etas, ..stand };
    let stopped = What::Stopped { resource: Resource(1), metric: stand.metric, stand: Some(stand), outlook: None };
    why.of.moments = vec![Moment { at: Stamp(4_500), what: stopped }];
    assert_eq!(why.stopped(), "Trial 1 was stopped at resource 1: it stood 2nd of 4; it needed val_loss <= 0.80000 and had 0.90000");
    assert_eq!(why.story_text(), "  4s 500ms  stopped at resource 1: val_loss 0.90000, 2nd of 4; to go on takes val_loss <= 0.80000\n");
    why.of.stand = None;
    assert_eq!(
        why.etas_text(),
        "\
What another eta would have decided on that rung, at that moment, with these rivals:
  when      decision  resource  place     eta 2                eta 3 (ours)       eta 4
  4s 500ms  stopped   1         2nd of 4  goes on, <= 0.95000  stops, <= 0.80000  stops, <= 0.70000
A sweep with another eta would have had other rungs, trials and rivals: this is not what it would have found.
"
    );
}

/// One slot and one bracket of 14 of a rule that looks ahead: trials are judged at 2 and at 10.
fn ahead(goal: Goal) -> World {
    let ladder = Ladder::anchored(Anchor::Top, Resource(4), Resource(64), 4).unwrap();
    let scheduler = SchedulerSpec::Swift { ladder, decide_at: 0.5, margin: 1.0 };
    let mut world = World::new(SweepSpec { goal, scheduler, budget: Budget { max_trials: Some(14), ..Budget::default() }, ..spec() });
    world.will_join(1_000, 1, "node1-100");
    world.run(u64::MAX)
}

/// Whoever a rule stops that looks ahead is told what it predicted, and whoever it lets go on, too.
#[test]
fn stopped_by_what_was_predicted() {
    let mut told = vec![];
    for goal in [Goal::Minimize, Goal::Maximize] {
        let world = ahead(goal);
        let all: Vec<Why> = (0..14).map(|trial| why(&world, trial, false).unwrap()).collect();
        let stopped: Vec<&Why> = all.iter().filter(|why| why.trial().state == State::Stopped).collect();
        assert!(stopped.len() > 2, "{goal:?}: {}", stopped.len());
        let let_on = all.iter().find(|why| why.of.moments.iter().any(|moment| matches!(moment.what, What::Predicted { .. })));
        told.push(format!("{goal:?}"));
        told.extend(stopped.iter().map(|why| why.answer()));
        told.extend([let_on.unwrap().text(), stopped[0].text()]);
    }
    let mut diverged = why(&ahead(Goal::Maximize), 8, false).unwrap();
    let Some(Moment { what: What::Stopped { outlook: Some(outlook), .. }, .. }) = diverged.of.moments.last_mut() else { unreachable!() };
    *outlook = Outlook { predicted: f64::NEG_INFINITY, at_best: f64::NEG_INFINITY, quota: 1, ..*outlook };
    let answer = "Trial 8 was stopped at resource 2, on the way to 4: its val_loss was not finite; it needed val_loss > 1.00000, what the best of 8 had";
    assert_eq!(diverged.stopped(), answer);
    assert_snapshot!("ahead", told.join("\n"));
}

#[test]
fn out_because_no_more_trials_come() {
    let mut why = why(&short(100_000, Goal::Minimize), 1, true).unwrap();
    for moment in &mut why.of.moments {
        if let What::PushedOut { by, quota_before, no_more, .. } = &mut moment.what {
            (*by, *quota_before, *no_more) = (None, Some(4), true);
        }
    }
    let fewer = "fewer go on than it seemed before (1, not 4), for no more trials come";
    let (answer, story) = (why.answer(), why.story_text());
    assert!(answer.contains(&format!("It was among those that go on until 1m 37s: {fewer}.")), "{answer}");
    assert!(story.contains(&format!("  out, as {fewer}: now 2nd of 4")), "{story}");
}

#[test]
fn nobody_is_told_of_a_trial_that_is_not_there() {
    let fault = |end, trial| why(&short(end, Goal::Minimize), trial, true).unwrap_err().to_string();
    assert_eq!(fault(20_000, 99), "there is no trial 99: trials 0 to 1 have been proposed so far");
    assert_eq!(fault(5, 0), "there is no trial 0: no trial has been proposed yet");
    assert_eq!(fault(1_001, 0), "trial 0 has been asked for, but the searcher has not proposed it yet; no trial has been proposed yet");
}

#[test]
fn it_is_read_from_the_journal() {
    let folder = tempfile::tempdir().unwrap();
    let run = RunDir::new(folder.path());
    let world = whole();
    let mut writer = Writer::create(&run.journal(), &world.header(), Fence::claim(folder.path(), 0).unwrap()).unwrap();
    writer.append(&world.records).unwrap();
    writer.sync().unwrap();
    assert_eq!(Why::read(&run, TrialId(8), false).unwrap().text(), why(&world, 8, false).unwrap().text());
    assert!(matches!(Why::read(&run, TrialId(12), false), Err(WhyFault::NoTrial { count: 12, asked: false, .. })));
    let nowhere = RunDir::new(folder.path().join("absent"));
    assert!(matches!(Why::read(&nowhere, TrialId(0), false), Err(WhyFault::Journal(_))));
}

#[test]
fn places_and_figures_in_words() {
    assert_eq!([1, 2, 3, 4, 11, 12, 13, 21, 102, 111].map(ordinal).join(" "), "1st 2nd 3rd 4th 11th 12th 13th 21st 102nd 111th");
    assert_eq!(apart(0.123456789, 0.123456788), ("0.123456789".to_owned(), "0.123456788".to_owned()));
    assert_eq!(apart(0.5, 0.25), ("0.50000".to_owned(), "0.25000".to_owned()));
}
