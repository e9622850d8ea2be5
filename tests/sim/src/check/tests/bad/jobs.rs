//! Guests of Slurm that are not welcome again.
use hpo_core::schedule::{Ladder, SchedulerSpec};
use hpo_core::sweep::event::Allocation;
use hpo_core::{Event, Resource, Stamp};

use super::{Told, joined, leaves_in, line, refused, worker};
use crate::check::jobs::Jobs;
use crate::check::tests::cluster::{spec, tell};
use crate::check::{Fact, Judge, Last, Premises};
use crate::setup::Cluster;

pub(super) const ALL: &[fn()] = &[
    more_tasks_than_allowed_are_refused_and_as_many_are_not,
    what_people_allow_holds_from_when_it_can_be_known,
    a_worker_that_does_not_know_when_it_leaves_is_refused,
    tasks_that_are_left_behind_are_refused,
    a_queue_that_is_asked_for_too_often_is_refused,
    a_storm_of_submissions_is_refused,
    an_array_that_no_site_takes_is_refused,
    whoever_blames_every_node_is_refused,
    a_task_that_nobody_began_or_that_is_older_than_it_says_is_refused,
    time_that_is_not_in_the_books_is_refused,
];

const MINUTE: u64 = 60_000;

/// Two nodes, one worker on each, and nothing else goes wrong than a node.
pub(super) fn cluster_premises() -> Premises {
    let spec = spec(SchedulerSpec::Fifo { ladder: Ladder::single(Resource(1)).unwrap() }, 1);
    let slurm = Cluster {
        nodes: vec![1, 1],
        slots: 1,
        max_workers: 2,
        array_max: 4,
        submit_max: 0,
        poll: MINUTE / 2,
        limit: 0,
        notice: 0,
        leave_before: 0,
        only_bad_node: true,
        saves_at_end: false,
        throttle: None,
        driver_is_job: false,
        driver_limit: 0,
        truthful: true,
    };
    Premises { spec, faultless: false, heard: true, slots: 2, slurm: Some(slurm) }
}

fn judge() -> Jobs {
    Jobs::new(&cluster_premises()).unwrap()
}

fn asked(tasks: u32) -> Fact {
    Fact::Asked { epoch: 1, tasks, exclude: vec![] }
}

fn answered(accepted: Option<bool>) -> Fact {
    Fact::Answered { epoch: 1, accepted }
}

/// What the judge says of the last of these.
fn verdict(facts: &[(u64, Fact)]) -> Option<String> {
    let mut judge = judge();
    let (last, before) = facts.split_last().unwrap();
    before.iter().for_each(|(at, fact)| judge.fact(Stamp(*at), fact).unwrap());
    judge.fact(Stamp(last.0), &last.1).err().map(|violation| violation.what)
}

#[test]
fn more_tasks_than_allowed_are_refused_and_as_many_are_not() {
    assert_eq!(verdict(&[(0, Fact::Queued { tasks: 2 })]), None);
    assert!(verdict(&[(0, Fact::Queued { tasks: 3 })]).unwrap().starts_with("3 tasks wait or run"));
}

#[test]
fn what_people_allow_holds_from_when_it_can_be_known() {
    let allowed = |at, tasks| (at, Fact::Allowed { tasks });
    assert_eq!(verdict(&[allowed(0, 3), (0, Fact::Queued { tasks: 3 })]), None);
    assert_eq!(verdict(&[allowed(MINUTE, 1), (5 * MINUTE, Fact::Queued { tasks: 2 })]), None, "it may have been decided before");
    assert!(verdict(&[allowed(MINUTE, 1), (5 * MINUTE + 1, Fact::Queued { tasks: 2 })]).unwrap().starts_with("2 tasks wait or run, and 1"));
}

#[test]
fn a_worker_that_does_not_know_when_it_leaves_is_refused() {
    let ends = |leaves: Option<u64>| {
        let began = Fact::TaskBegan { worker: worker(1), at: Stamp(0), leaves: leaves.map(Stamp) };
        let joins = line(leaves_in(joined(1, 1, &[]), 2 * MINUTE), &[]);
        [Told::Fact(Stamp(0), began), joins, Told::Fact(Stamp(1_000), Fact::Queued { tasks: 1 })]
    };
    assert_eq!(tell(&mut judge(), &ends(Some(2 * MINUTE))), Ok(()));
    for leaves in [None, Some(MINUTE), Some(3 * MINUTE)] {
        refused(judge(), &ends(leaves), "ms, not Some(120000)");
    }
}

#[test]
fn tasks_that_are_left_behind_are_refused() {
    let last = |tasks| Last { at: Stamp(0), store: vec![], tasks };
    assert!(judge().end(&last(0)).is_ok() && judge().end(&last(1)).is_err());
}

#[test]
fn a_queue_that_is_asked_for_too_often_is_refused() {
    let look = |epoch, ending| Fact::Looked { epoch, ending };
    assert_eq!(verdict(&[(0, look(1, false)), (MINUTE / 2, look(1, false))]), None);
    assert!(verdict(&[(0, look(1, false)), (MINUTE / 2 - 1, look(1, false))]).is_some());
    assert_eq!(verdict(&[(0, look(1, false)), (1, look(2, false))]), None, "the first look of another");
    let mut looks: Vec<_> = (0..9).map(|at| (at, look(1, true))).collect();
    assert_eq!(verdict(&looks), None, "some at the end");
    looks.push((9, look(1, true)));
    assert!(verdict(&looks).is_some());
}

#[test]
fn a_storm_of_submissions_is_refused() {
    let refused = [(0, asked(4)), (0, answered(Some(false)))];
    let then = |at, fact| verdict(&[&refused[..], &[(at, fact)]].concat());
    assert_eq!(then(5_000, asked(2)), None);
    assert!(then(4_999, asked(2)).is_some(), "too soon");
    assert!(then(5_000, asked(3)).is_some(), "too many");
    let mut facts = vec![(0, asked(1)), (0, answered(None)), (MINUTE, asked(1)), (MINUTE, answered(Some(false)))];
    facts.push((3 * MINUTE, asked(1)));
    assert_eq!(verdict(&facts), None);
    facts.last_mut().unwrap().0 -= 1;
    assert!(verdict(&facts).is_some(), "each pause is twice as long");
    facts.splice(4.., [(3 * MINUTE, asked(1)), (3 * MINUTE, answered(Some(true))), (3 * MINUTE, asked(4))]);
    assert_eq!(verdict(&facts), None, "accepted: all is forgotten");
}

#[test]
fn whoever_blames_every_node_is_refused() {
    let excludes = |nodes: &[&str]| Fact::Asked { epoch: 1, tasks: 1, exclude: nodes.iter().map(|node| (*node).to_owned()).collect() };
    assert_eq!(verdict(&[(0, excludes(&["n1"]))]), None);
    assert!(verdict(&[(0, excludes(&["n1", "n2"]))]).is_some());
}

#[test]
fn an_array_that_no_site_takes_is_refused() {
    assert_eq!(verdict(&[(0, asked(0))]).unwrap(), "driver 1 asks for an array of 0");
    assert_eq!(verdict(&[(0, asked(5))]).unwrap(), "driver 1 asks for an array of 5");
}

/// The first worker joins at the stamp 900, in a task that began so long ago by its word.
fn joins(started_ms_ago: u64) -> Told {
    let mut event = joined(1, 1, &[]);
    if let Event::WorkerJoined { allocation, .. } = &mut event {
        *allocation = Some(Allocation { job: "7_0".to_owned(), node: "n1".to_owned(), started_ms_ago, ends_in_ms: None });
    }
    line(event, &[])
}

fn task_began(at: u64) -> Told {
    Told::Fact(Stamp(at), Fact::TaskBegan { worker: worker(1), at: Stamp(at), leaves: None })
}

#[test]
fn a_task_that_nobody_began_or_that_is_older_than_it_says_is_refused() {
    refused(judge(), &[joins(0)], "is in a task, and nobody began it");
    let later = Told::Fact(Stamp(MINUTE), Fact::Queued { tasks: 1 });
    assert_eq!(tell(&mut judge(), &[task_began(0), joins(MINUTE - 10), later.clone()]), Ok(()));
    refused(judge(), &[task_began(0), joins(2 * MINUTE), later.clone()], "began 60000 ms ago, not 120000");
    refused(judge(), &[task_began(0), joins(MINUTE / 2), later], "began 60000 ms ago, not 30000");
}

#[test]
fn time_that_is_not_in_the_books_is_refused() {
    let died = Told::Fact(Stamp(MINUTE), Fact::WorkerDied { worker: worker(1) });
    let left = |at| {
        let mut told = line(Event::WorkerLeft { worker: worker(1) }, &[]);
        if let Told::Record(record) = &mut told {
            record.at = Stamp(at);
        }
        told
    };
    let heard = Told::Fact(Stamp(10), Fact::Queued { tasks: 1 });
    assert_eq!(tell(&mut judge(), &[task_began(0), joins(0), heard.clone(), died.clone(), left(MINUTE)]), Ok(()));
    refused(judge(), &[task_began(0), joins(0), heard, died, left(10_900)], "10000 ms of 00000001");
}
