//! Workers that are let go in the wrong order, or that must not be.
use hpo_core::WorkerId;

use super::*;
use crate::check::mirror::Mirror;

pub(super) const ALL: &[fn()] = &[the_task_whose_time_ends_first_goes_first, a_task_that_trains_is_let_be];

/// What the judge says of workers `said` to be let go, after these events.
fn says(events: &[Event], said: &[WorkerId]) -> Result<(), String> {
    let mut judge = Mirror::new(&asha());
    assert_eq!(tell(&mut judge, &lived(&asha(), events)), Ok(()));
    judge.rests(7, said).map_err(|violation| violation.what)
}

#[test]
fn the_task_whose_time_ends_first_goes_first() {
    let [first, second, ever, host] = [3, 2, 1, 4].map(worker);
    let mut stays = leaves_in(joined(1, 1, &[]), 0);
    if let Event::WorkerJoined { allocation: Some(allocation), .. } = &mut stays {
        allocation.ends_in_ms = None;
    }
    let events = [began(1), stays, leaves_in(joined(2, 1, &[]), 60_000), leaves_in(joined(3, 1, &[]), 30_000), joined(4, 1, &[])];
    assert_eq!(says(&events, &[first, second, ever]), Ok(()));
    for wrong in [[second, first, ever], [first, ever, second]] {
        assert!(says(&events, &wrong).unwrap_err().contains("the first goes first, and the other's time ends before"));
    }
    assert_eq!(says(&events, &[first, second]).unwrap_err(), "line 7: worker 00000001 trains nothing in its task");
    let wrong = says(&events, &[first, second, ever, host]).unwrap_err();
    assert_eq!(wrong, "line 7: worker 00000004 is in no task that may be let go");
}

#[test]
fn a_task_that_trains_is_let_be() {
    // One of two slots has a lease, the worker goes on after a takeover, and is gone at last.
    let task = || leaves_in(joined(1, 2, &[]), 60_000);
    let mut events = vec![began(1), task(), suggested(0)];
    assert_eq!(says(&events, &[]), Ok(()));
    assert_eq!(says(&events, &[worker(1)]).unwrap_err(), "line 7: worker 00000001 is in no task that may be let go");
    events.extend([began(2), ended(0, 1, 1, End::Lost)]);
    assert_eq!(says(&events, &[worker(1)]), Ok(()), "not heard of yet, but its task is there");
    assert_eq!(says(&events, &[]).unwrap_err(), "line 7: worker 00000001 trains nothing in its task");
    events.push(Event::WorkerLost { worker: worker(1) });
    assert_eq!(says(&events, &[]), Ok(()));
    assert!(says(&events, &[worker(1)]).is_err());
}
