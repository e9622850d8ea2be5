use super::*;

use super::super::queue::Task;

const LOOK_EVERY: Millis = 30_000;

fn keeper(notes: Notes) -> Keeper {
    let policy = Policy {
        name: "hpo-1f".to_owned(),
        max_tasks: 4,
        throttle: None,
        slots_per_task: 1,
        array_max: 1001,
        look_every: LOOK_EVERY,
        submits: true,
    };
    Keeper::new(KeeperOptions { policy, own: Some((7, 0)), logs: "logs".into(), machine: "m1".to_owned() }, notes, 1_000)
}

fn task(array: u32, index: u32, state: State) -> Task {
    let (reason, node, name) = (String::new(), "n1".to_owned(), "hpo-1f".to_owned());
    Task { array, index: Some(index), job: array + index, state, reason, taken: false, left: None, node, name }
}

fn queue(tasks: &[Task]) -> Queue {
    Queue { tasks: tasks.to_vec(), ..Queue::default() }
}

fn demand(slots: u32, tasks: &BTreeMap<WorkerId, String>) -> Demand<'_> {
    static NONE: BTreeSet<String> = BTreeSet::new();
    Demand { slots, connected: tasks.len(), tasks, bad_nodes: &NONE }
}

#[test]
fn what_is_submitted_is_noted_before_and_the_next_keeper_looks_first() {
    let (mut keeper, none, mut out) = (keeper(Notes::default()), BTreeMap::new(), VecDeque::new());
    keeper.step(0, 1_000, demand(3, &none), &mut out);
    assert_eq!(out, [Deed::Look], "perhaps another was before it, and nobody has told it so");
    out.clear();
    keeper.hear(0, 1_000, &News::Queue(queue(&[])), demand(3, &none), &mut out);
    keeper.step(0, 1_000, demand(3, &none), &mut out);
    assert_eq!(out, [Deed::Note, Deed::Submit { tasks: 3, exclude: vec![], most: None }]);
    assert_eq!(keeper.notes().in_doubt, Some(InDoubt { tasks: 3, unix_ms: 1_000 }), "a driver that dies now leaves a question");
    let mut next = super::tests::keeper(keeper.notes().clone());
    out.clear();
    next.step(0, 2_000, demand(3, &none), &mut out);
    assert_eq!(out, [Deed::Look]);
    let mut hasty = Keeper::new(keeper.options.clone(), keeper.notes().clone(), u64::MAX);
    hasty.hear(1, u64::MAX, &News::Queue(queue(&[])), demand(3, &none), &mut out);
    out.clear();
    hasty.step(2, u64::MAX, demand(3, &none), &mut out);
    assert_eq!(out, [Deed::Look], "its clock is ahead, and the answer may be on its way");
    out.clear();
    keeper.hear(5, 1_005, &News::Submitted { array: 7, tasks: 3 }, demand(3, &none), &mut out);
    assert_eq!((out.pop_front(), keeper.notes().in_doubt, keeper.notes().arrays.len()), (Some(Deed::Note), None, 1));
}

#[test]
fn an_array_of_a_minute_ago_is_expected_by_the_next_driver_whatever_its_clock_says() {
    let arrays = vec![Submitted { array: 7, tasks: 3, unix_ms: 1_000, most: None }];
    let asks = |machine: &str| {
        let notes = Notes { machine: machine.to_owned(), arrays: arrays.clone(), ..Notes::default() };
        let (options, none, mut out) = (keeper(Notes::default()).options, BTreeMap::new(), VecDeque::new());
        let an_hour_on = 3_601_000;
        let mut next = Keeper::new(options, notes, an_hour_on);
        next.hear(1, an_hour_on, &News::Queue(queue(&[])), demand(3, &none), &mut out);
        next.step(2, an_hour_on, demand(3, &none), &mut out);
        out.iter().any(|deed| matches!(deed, Deed::Submit { .. }))
    };
    assert!(!asks("m2"), "the other machine's clock may be an hour ahead");
    assert!(asks("m1"), "by its own clock they have gone");
}

#[test]
fn a_worker_that_joined_once_is_told_once() {
    let (mut keeper, mut out) = (keeper(Notes::default()), VecDeque::new());
    keeper.hear(0, 0, &News::Queue(queue(&[])), demand(0, &BTreeMap::new()), &mut out);
    let mut tasks: BTreeMap<WorkerId, String> = [(WorkerId(1), "7_1".to_owned())].into();
    keeper.step(0, 0, demand(4, &tasks), &mut out);
    // It is gone, and another joins: the one that is gone does not count again.
    for _ in 0..2 {
        keeper.hear(1, 1, &News::Queue(queue(&[])), demand(4, &tasks), &mut out);
    }
    tasks.insert(WorkerId(2), "7_2".to_owned());
    keeper.step(2, 2, demand(4, &tasks), &mut out);
    assert_eq!(keeper.scaler.tasks(), 1 + 3, "one that joined, and three that were asked for");
}

#[test]
fn a_driver_that_gave_up_and_has_nobody_left_does_not_wait_for_ever() {
    let (mut keeper, mut out) = (keeper(Notes::default()), VecDeque::new());
    let some: BTreeMap<WorkerId, String> = [(WorkerId(1), "9_9".to_owned())].into();
    keeper.hear(0, 0, &News::Queue(queue(&[])), demand(4, &BTreeMap::new()), &mut out);
    let failed: Vec<Task> = (1..5).map(|index| task(7, index, State::Over)).collect();
    keeper.hear(1, 1, &News::Queue(queue(&failed)), demand(4, &BTreeMap::new()), &mut out);
    keeper.joined.insert(WorkerId(1));
    keeper.step(2, 2, demand(0, &some), &mut out);
    assert!(keeper.notes().gave_up.is_some() && !out.contains(&Deed::Drain), "somebody works: {out:?}");
    keeper.step(3, 3, demand(0, &BTreeMap::new()), &mut out);
    keeper.step(4, 4, demand(0, &BTreeMap::new()), &mut out);
    assert_eq!(out.iter().filter(|deed| **deed == Deed::Drain).count(), 1, "{out:?}");
}

#[test]
fn at_the_end_a_controller_that_is_away_is_waited_for_and_the_drivers_own_task_stays() {
    let mut ending = keeper(Notes::default()).end(0);
    assert_eq!(ending.looked(0, None), Next::Again { cancel: vec![], after: LOOK_EVERY });
    let tasks = [task(7, 0, State::Running), task(7, 1, State::Pending), task(7, 2, State::Running)];
    let cancel = vec![(7, 1)];
    assert_eq!(
        ending.looked(LAST_PATIENCE - 1, Some(&queue(&tasks))),
        Next::Again { cancel, after: LAST_WAIT },
        "what runs leaves by itself"
    );
    for look in 1..LEAVE_LOOKS {
        ending.looked(LAST_PATIENCE - 1, Some(&queue(&tasks[..1])));
        assert!(look < LEAVE_LOOKS);
    }
    assert_eq!(ending.looked(LAST_PATIENCE - 1, Some(&queue(&tasks[..1]))), Next::Over);
    assert_eq!(keeper(Notes::default()).end(0).looked(LAST_PATIENCE, None), Next::Left);
}

#[test]
fn a_submission_that_was_broken_off_is_looked_for_before_the_driver_leaves() {
    let (mut keeper, none, mut out) = (keeper(Notes::default()), BTreeMap::new(), VecDeque::new());
    keeper.hear(0, 0, &News::Queue(queue(&[])), demand(3, &none), &mut out);
    keeper.step(0, 0, demand(3, &none), &mut out);
    let mut ending = keeper.end(10);
    for now in 0..20 {
        assert!(matches!(ending.looked(now, Some(&queue(&[]))), Next::Again { .. }));
    }
    assert!(matches!(ending.looked(20, Some(&queue(&[task(8, 0, State::Pending)]))), Next::Again { cancel, .. } if cancel == [(8, 0)]));
    ending.cancelled();
    ending.looked(21, Some(&queue(&[])));
    assert_eq!(ending.looked(22, Some(&queue(&[]))), Next::Over);
}

#[test]
fn an_array_that_came_and_went_before_anybody_looked_keeps_no_driver_once_it_is_cancelled() {
    let (mut keeper, none, mut out) = (keeper(Notes::default()), BTreeMap::new(), VecDeque::new());
    keeper.hear(0, 0, &News::Queue(queue(&[])), demand(2, &none), &mut out);
    keeper.step(0, 0, demand(2, &none), &mut out);
    // Its first task is the one in which this driver runs.
    keeper.hear(5, 5, &News::Submitted { array: 7, tasks: 2 }, demand(2, &none), &mut out);
    let mut ending = keeper.end(10);
    for now in 0..9 {
        let next = ending.looked(now, Some(&queue(&[])));
        assert!(matches!(next, Next::Again { cancel, .. } if cancel == [(7, 1)]), "a controller that did not hear may still begin it");
    }
    ending.cancelled();
    ending.looked(20, Some(&queue(&[])));
    assert_eq!(ending.looked(21, Some(&queue(&[]))), Next::Over);
}

#[test]
fn a_node_on_which_trials_fail_is_noted_once_and_set_aside() {
    let mut keeper = keeper(Notes::default());
    let (tasks, bad_nodes) = (BTreeMap::new(), BTreeSet::from(["n7".to_owned()]));
    let told = Demand { bad_nodes: &bad_nodes, ..demand(2, &tasks) };
    let mut deeds = VecDeque::new();
    keeper.hear(0, 0, &News::Queue(queue(&[])), demand(0, &tasks), &mut deeds);
    keeper.step(0, 0, told, &mut deeds);
    assert_eq!((&deeds[0], &keeper.notes().bad_nodes), (&Deed::Note, &vec!["n7".to_owned()]));
    assert!(deeds.iter().any(|deed| matches!(deed, Deed::Submit { exclude, .. } if *exclude == ["n7"])), "{deeds:?}");
    let noted = deeds.len();
    keeper.step(1, 1, told, &mut deeds);
    assert!(deeds.iter().skip(noted).all(|deed| *deed != Deed::Note), "{deeds:?}");
}
