//! More tasks than a throttle allows, fewer, and tasks that are put back by somebody else.
use hpo_core::Stamp;

use super::jobs::cluster_premises;
use super::{Told, fact, refused};
use crate::check::tests::cluster::tell;
use crate::check::throttle::Throttle;
use crate::check::{Fact, Premises};

pub(super) const ALL: &[fn()] = &[
    more_tasks_than_the_throttle_are_refused_and_as_many_are_not,
    a_throttle_that_is_not_raised_when_there_is_room_is_refused,
    a_throttle_of_nothing_is_refused,
    a_task_that_somebody_else_puts_back_is_refused,
];

const SECOND: u64 = 1_000;

fn judge() -> Throttle {
    let mut premises: Premises = cluster_premises();
    if let Some(cluster) = &mut premises.slurm {
        cluster.throttle = Some(3);
    }
    Throttle::new(&premises).unwrap()
}

fn runs(at: u64, tasks: u32, allowed: u32, held: bool) -> Told {
    Told::Fact(Stamp(at), Fact::Running { tasks, allowed, held })
}

#[test]
fn more_tasks_than_the_throttle_are_refused_and_as_many_are_not() {
    assert_eq!(tell(&mut judge(), &[runs(0, 3, 3, false)]), Ok(()));
    refused(judge(), &[runs(0, 4, 4, false)], "4 tasks run, and 3 may");
    assert_eq!(tell(&mut Throttle::new(&cluster_premises()).unwrap(), &[runs(0, 4, 4, false)]), Ok(()), "without a throttle");
}

#[test]
fn a_throttle_that_is_not_raised_when_there_is_room_is_refused() {
    // Somebody waits all the time, looked at every half a minute.
    let waits = |until: u64| (0..=until / 30).map(|look| runs(look * 30 * SECOND, 2, 2, true)).collect::<Vec<_>>();
    assert_eq!(tell(&mut judge(), &waits(120)), Ok(()));
    refused(judge(), &waits(150), "for 150000 ms arrays may run 2 tasks, 3 may run in all");
    let mut raised = waits(120);
    raised.extend([runs(130 * SECOND, 2, 3, true), runs(150 * SECOND, 2, 2, true)]);
    assert_eq!(tell(&mut judge(), &raised), Ok(()), "it was raised in between");
    let mut another = waits(120);
    another.extend([fact(Fact::DriverBorn { epoch: 2 }), runs(150 * SECOND, 2, 2, true)]);
    assert_eq!(tell(&mut judge(), &another), Ok(()), "another driver finds out first");
    let seldom: Vec<_> = (0..10).map(|look| runs(look * 90 * SECOND, 2, 2, true)).collect();
    assert_eq!(tell(&mut judge(), &seldom), Ok(()), "nobody waits in between");
}

#[test]
fn a_throttle_of_nothing_is_refused() {
    assert_eq!(tell(&mut judge(), &[fact(Fact::Throttled { epoch: 1, most: 1 })]), Ok(()));
    refused(judge(), &[fact(Fact::Throttled { epoch: 1, most: 0 })], "driver 1 sets a throttle of 0");
}

#[test]
fn a_task_that_somebody_else_puts_back_is_refused() {
    assert_eq!(tell(&mut judge(), &[fact(Fact::PutBack { task: (7, 0), own: true })]), Ok(()));
    refused(judge(), &[fact(Fact::PutBack { task: (7, 0), own: false })], "a worker puts (7, 0) back into the queue");
}
