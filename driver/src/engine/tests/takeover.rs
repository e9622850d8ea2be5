//! One driver after the other.
use std::fs;
use std::os::unix::fs::FileExt;
use std::time::Duration;

use super::*;
use crate::engine::{EngineFault, Settled};
use crate::journal::{Claim, Gone, JournalFault};
use crate::rendezvous::Rendezvous;

/// What a standby takes over.
const FIRST: Begin = Begin::TakeOver { last: 1 };

async fn settled(case: &Case, last: u32) -> Option<Settled> {
    match Drive::start(case.options(Begin::TakeOver { last })).await.unwrap_err() {
        DriveFault::Settled { how, .. } => Some(how),
        other => panic!("{other}"),
    }
}

#[tokio::test]
async fn a_driver_that_is_asked_to_leave_sends_nobody_home() {
    let case = Case::new(1);
    let first = case.start(Begin::Create).await;
    let mut worker = case.dial(&first, 1, 1).await;
    let lease = worker.lease().await;
    first.handle().leave().await.unwrap();
    let fault = first.wait().await.unwrap_err();
    assert!(matches!(fault, DriveFault::Engine(EngineFault::Left)), "{fault}");
    while let Ok(Some(heard)) = worker.hear().await {
        assert!(!matches!(heard, FromDriver::Finish { .. } | FromDriver::CallBack(_)), "{heard:?}");
    }
    assert!(Rendezvous::read(&case.run).unwrap().is_some(), "workers are to look for another driver");

    let silent = Duration::from_secs(60);
    let (last, why) = crate::engine::stand_by(&case.run, silent, |_| {}).await.unwrap();
    assert!(last == 1 && matches!(why, Gone::Ended(_)), "{why}");
    let second = case.start(FIRST).await;
    assert_eq!(second.epoch(), 2);
    let mut worker = case.dial_again(&second, 1, vec![held(&lease)]).await;
    for word in words(&lease) {
        worker.say(word).await;
    }
    assert!(!worker.work(1).await);
    assert_eq!(second.wait().await.unwrap().ended, Ended::Finished(EndReason::Complete));
    case.check_journal();
    assert_eq!(settled(&case, 2).await, Some(Settled::Finished));
}

#[tokio::test]
async fn a_sweep_that_was_asked_to_stop_is_not_taken_over() {
    let case = Case::new(1);
    let first = case.start(Begin::Create).await;
    first.handle().drain().await.unwrap();
    first.wait().await.unwrap();
    assert_eq!(settled(&case, 1).await, Some(Settled::Suspended));
    // The next driver opens it again, and if that dies, there is something to take over.
    let second = case.start(Begin::Resume).await;
    second.handle().leave().await.unwrap();
    second.wait().await.unwrap_err();
    let third = case.start(Begin::TakeOver { last: 3 }).await;
    third.handle().drain().await.unwrap();
    assert_eq!(third.wait().await.unwrap().ended, Ended::Suspended);
}

#[tokio::test]
async fn a_driver_that_came_meanwhile_is_not_fenced_off() {
    let case = Case::new(1);
    let first = case.start(Begin::Create).await;
    let late = Drive::start(case.options(Begin::TakeOver { last: 0 })).await.unwrap_err();
    assert!(matches!(late, DriveFault::Journal(JournalFault::Raced { .. })), "{late}");
    first.handle().drain().await.unwrap();
    assert_eq!(first.wait().await.unwrap().ended, Ended::Suspended, "it did it no harm");
}

#[tokio::test]
async fn a_write_that_lands_late_is_waited_for() {
    let case = Case::new(1);
    let first = case.start(Begin::Create).await;
    let _worker = case.dial(&first, 1, 1).await;
    while case.events().len() < 3 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    // This process holds the first claim and lives, so it may be in the middle of a write: of three lines the second is
    // not there yet.
    let path = case.run.journal();
    let whole = fs::read(&path).unwrap();
    let line = whole.split_inclusive(|byte| *byte == b'\n').map(<[u8]>::len);
    let starts: Vec<usize> = line.scan(0, |at, length| Some(std::mem::replace(at, *at + length))).collect();
    let late = whole[starts[2]..starts[2] + 20].to_owned();
    // Written in place: nobody is to see the file shorter than it is.
    let lands = move |bytes: &[u8]| fs::File::options().write(true).open(&path).unwrap().write_all_at(bytes, starts[2] as u64).unwrap();
    lands(&[0; 20]);
    let landing = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(500));
        lands(&late);
    });
    let second = case.start(FIRST).await;
    landing.join().unwrap();
    assert!(first.wait().await.unwrap_err().is_fenced());
    second.handle().drain().await.unwrap();
    second.wait().await.unwrap();
    case.check_journal();
}

#[test]
fn a_driver_that_is_fenced_off_ends_with_one_code_whether_the_engine_or_the_pulse_noticed() {
    let fenced = || JournalFault::TakenOver { folder: "run".into(), by: Box::new(Claim::unknown(2)) };
    for fault in [DriveFault::Journal(fenced()), DriveFault::Engine(EngineFault::Journal(fenced()))] {
        assert!(fault.is_fenced() && fault.is_about_the_run_folder(), "{fault}");
    }
}
