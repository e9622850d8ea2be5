use hpo_core::WorkerId;
use hpo_wire::{FromDriver, FromWorker, pb};
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tonic::Code;

use super::fake::{FakeWorker, hello};
use super::*;
use crate::engine::{Inbox, Input, Link, Outgoing};

struct Served {
    address: String,
    inbox: Inbox,
    shutdown: oneshot::Sender<()>,
    server: tokio::task::JoinHandle<Result<(), ServeFault>>,
}

const TOKEN: &str = "00ff";

async fn served() -> Served {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let (engine, inbox) = Inbox::new();
    let door = Door { engine, token: TOKEN.into(), sweep: "s1".into(), epoch: 1, job: "{}".into(), heartbeat_ms: 50, lease_ms: 500 };
    let (shutdown, asked) = oneshot::channel::<()>();
    let server = tokio::spawn(serve(listener, door, async { drop(asked.await) }));
    Served { address, inbox, shutdown, server }
}

impl Served {
    async fn next(&mut self) -> Input {
        let mut batch = vec![];
        self.inbox.next_batch(1, Duration::from_secs(20), &mut batch).await;
        batch.pop().expect("something comes in")
    }

    async fn joined(&mut self) -> Link {
        match self.next().await {
            Input::Joined { link, .. } => link,
            other => panic!("{other:?}"),
        }
    }
}

async fn refused(dialled: Result<FakeWorker, Status>) -> Status {
    match dialled {
        Err(status) => status,
        Ok(mut worker) => loop {
            match worker.hear().await {
                Ok(Some(_)) => {}
                Ok(None) => panic!("ended without a reason"),
                Err(status) => return status,
            }
        },
    }
}

#[tokio::test]
async fn only_workers_of_this_sweep_come_in() {
    let served = served().await;
    let address = &served.address;
    for wrong in ["", "00fe", "00ff00"] {
        let status = refused(FakeWorker::dial(address, wrong, hello(1, 1)).await).await;
        assert_eq!(status.code(), Code::Unauthenticated, "{wrong}");
        assert!(status.message().contains("`token` file"), "{status}");
    }
    let status = refused(FakeWorker::dial(address, TOKEN, hpo_wire::Hello { protocol: 2, ..hello(1, 1) }).await).await;
    assert_eq!(status.code(), Code::FailedPrecondition);
    assert!(status.message().contains("speaks protocol 2"), "{status}");
    let status = refused(FakeWorker::dial(address, TOKEN, hpo_wire::Hello { sweep: "s2".into(), ..hello(1, 1) }).await).await;
    assert_eq!((status.code(), status.message()), (Code::FailedPrecondition, "this driver runs sweep s1, not s2"));
    let status = refused(FakeWorker::dial_with(address, TOKEN, FromWorker::Heartbeat.into(), WorkerId(1)).await).await;
    assert_eq!((status.code(), status.message()), (Code::InvalidArgument, "the first message must be a hello"));
    let nameless = pb::FromWorker { said: Some(pb::from_worker::Said::Hello(pb::Hello { protocol: 1, ..Default::default() })) };
    let status = refused(FakeWorker::dial_with(address, TOKEN, nameless, WorkerId(1)).await).await;
    assert!(status.message().contains("is not a worker id"), "{status}");
}

#[tokio::test]
async fn a_session_is_heard_and_spoken_to() {
    let mut served = served().await;
    let mut worker = FakeWorker::dial(&served.address, TOKEN, hello(1, 2)).await.unwrap();
    let link = served.joined().await;
    let Ok(Some(FromDriver::Welcome(welcome))) = worker.hear().await else { panic!("a welcome first") };
    assert_eq!((welcome.sweep.as_str(), welcome.heartbeat_ms, welcome.lease_ms, welcome.job.as_str()), ("s1", 50, 500, "{}"));
    // The driver is heard even when it has nothing to say.
    assert_eq!(worker.hear_anything().await, FromDriver::Heartbeat);
    worker.say(FromWorker::Heartbeat).await;
    assert!(matches!(served.next().await, Input::Heard { worker: WorkerId(1), session } if session == link.session));
    let last = FromDriver::Finish { why: "done".into(), resumable: false };
    link.out.try_send(Outgoing::Say(last.clone())).unwrap();
    assert_eq!(worker.hear().await.unwrap(), Some(last));
    worker.say(FromWorker::Goodbye { why: "done".into() }).await;
    assert!(matches!(served.next().await, Input::Left { worker: WorkerId(1), .. }));
    drop(worker);
    assert!(matches!(served.next().await, Input::Broke { worker: WorkerId(1), .. }));
}

#[tokio::test]
async fn a_message_that_makes_no_sense_is_answered_with_the_reason() {
    let mut served = served().await;
    let worker = FakeWorker::dial(&served.address, TOKEN, hello(1, 1)).await.unwrap();
    let _link = served.joined().await;
    worker.say_raw(pb::FromWorker { said: None }).await;
    let status = refused(Ok(worker)).await;
    assert_eq!(status.code(), Code::FailedPrecondition);
    assert!(status.message().contains("lacks `FromWorker.said`"), "{status}");
    assert!(matches!(served.next().await, Input::Broke { .. }));
}

#[tokio::test]
async fn a_dropped_link_ends_the_connection_and_so_does_the_shutdown() {
    let mut served = served().await;
    let mut first = FakeWorker::dial(&served.address, TOKEN, hello(1, 1)).await.unwrap();
    drop(served.joined().await);
    assert!(matches!(first.hear().await, Ok(Some(FromDriver::Welcome(_)))));
    assert!(matches!(first.hear().await, Ok(None)));
    assert!(matches!(served.next().await, Input::Broke { .. }));

    let mut second = FakeWorker::dial(&served.address, TOKEN, hello(2, 1)).await.unwrap();
    let link = served.joined().await;
    assert!(matches!(second.hear().await, Ok(Some(FromDriver::Welcome(_)))));
    served.shutdown.send(()).unwrap();
    drop(link);
    served.server.await.unwrap().unwrap();
    assert!(matches!(second.hear().await, Ok(None) | Err(_)));
}
