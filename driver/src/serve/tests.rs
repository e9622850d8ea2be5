use std::os::unix::fs::PermissionsExt;

use hpo_core::WorkerId;
use hpo_wire::{FromDriver, FromWorker, Hello, Trust, pb};
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tonic::Code;

use super::authority::Authority;
use super::fake::{FakeWorker, hello};
use super::*;
use crate::engine::{Inbox, Input, Link, Outgoing};
use crate::rendezvous::read_trust;
use crate::rundir::RunDir;

struct Served {
    folder: tempfile::TempDir,
    address: String,
    trust: Trust,
    inbox: Inbox,
    shutdown: oneshot::Sender<()>,
    server: tokio::task::JoinHandle<Result<(), ServeFault>>,
}

const TOKEN: &str = "00ff00ff00ff00ff00ff00ff00ff00ff";

async fn served() -> Served {
    let folder = tempfile::tempdir().unwrap();
    let run = RunDir::new(folder.path());
    let security = Security::Tls(Authority::open(&run).unwrap().server_config().unwrap());
    let trust = read_trust(&run).unwrap();
    std::fs::write(run.token(), TOKEN).unwrap();
    let token = Token::of(run, TOKEN.into());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let (engine, inbox) = Inbox::new();
    let door = Door { engine, security, token, sweep: "s1".into(), epoch: 1, job: "{}".into(), heartbeat_ms: 50, lease_ms: 500 };
    let (shutdown, asked) = oneshot::channel::<()>();
    let server = tokio::spawn(serve(listener, door, async { drop(asked.await) }));
    Served { folder, address, trust, inbox, shutdown, server }
}

impl Served {
    async fn dial(&self, token: &str, hello: Hello) -> Result<FakeWorker, Status> {
        FakeWorker::dial(&self.address, &self.trust, token, hello).await
    }

    async fn dial_with(&self, first: pb::FromWorker) -> Result<FakeWorker, Status> {
        FakeWorker::dial_with(&self.address, &self.trust, TOKEN, first, WorkerId(1)).await
    }

    fn replace_token(&self, token: &str) {
        let path = self.folder.path().join("token");
        std::fs::write(&path, token).unwrap();
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).unwrap();
    }

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
    for wrong in ["", "00ff", &TOKEN.replace("00ff", "00fe"), &format!("{TOKEN}00")] {
        let status = refused(served.dial(wrong, hello(1, 1)).await).await;
        assert_eq!(status.code(), Code::Unauthenticated, "{wrong}");
        assert!(status.message().contains("`token` file"), "{status}");
    }
    let status = refused(served.dial(TOKEN, Hello { protocol: 2, ..hello(1, 1) }).await).await;
    assert_eq!(status.code(), Code::FailedPrecondition);
    assert!(status.message().contains("speaks protocol 2"), "{status}");
    let status = refused(served.dial(TOKEN, Hello { sweep: "s2".into(), ..hello(1, 1) }).await).await;
    assert_eq!((status.code(), status.message()), (Code::FailedPrecondition, "this driver runs sweep s1, not s2"));
    let status = refused(served.dial_with(FromWorker::Heartbeat.into()).await).await;
    assert_eq!((status.code(), status.message()), (Code::InvalidArgument, "the first message must be a hello"));
    let nameless = pb::FromWorker { said: Some(pb::from_worker::Said::Hello(pb::Hello { protocol: 1, ..Default::default() })) };
    let status = refused(served.dial_with(nameless).await).await;
    assert!(status.message().contains("is not a worker id"), "{status}");
}

#[tokio::test]
async fn a_session_is_heard_and_spoken_to() {
    let mut served = served().await;
    let mut worker = served.dial(TOKEN, hello(1, 2)).await.unwrap();
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
    assert!(matches!(served.next().await, Input::Left { worker: WorkerId(1), why, .. } if why == "done"));
    drop(worker);
    assert!(matches!(served.next().await, Input::Broke { worker: WorkerId(1), .. }));
}

#[tokio::test]
async fn a_worker_that_says_goodbye_and_hangs_up_is_heard_to_the_end() {
    let mut served = served().await;
    let worker = served.dial(TOKEN, hello(1, 1)).await.unwrap();
    let _link = served.joined().await;
    // More than its share of the inbox: the rest waits, also after it has hung up.
    let words = 400;
    for _ in 0..words {
        worker.say(FromWorker::Heartbeat).await;
    }
    worker.say(FromWorker::Goodbye { why: "done".into() }).await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    drop(worker);
    tokio::time::sleep(Duration::from_millis(200)).await;
    for _ in 0..words {
        assert!(matches!(served.next().await, Input::Heard { .. }));
    }
    assert!(matches!(served.next().await, Input::Left { worker: WorkerId(1), .. }));
    assert!(matches!(served.next().await, Input::Broke { worker: WorkerId(1), .. }));
}

#[tokio::test]
async fn a_message_that_makes_no_sense_is_answered_with_the_reason() {
    let mut served = served().await;
    let worker = served.dial(TOKEN, hello(1, 1)).await.unwrap();
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
    let mut first = served.dial(TOKEN, hello(1, 1)).await.unwrap();
    drop(served.joined().await);
    assert!(matches!(first.hear().await, Ok(Some(FromDriver::Welcome(_)))));
    assert!(matches!(first.hear().await, Ok(None)));
    assert!(matches!(served.next().await, Input::Broke { .. }));

    let mut second = served.dial(TOKEN, hello(2, 1)).await.unwrap();
    let link = served.joined().await;
    assert!(matches!(second.hear().await, Ok(Some(FromDriver::Welcome(_)))));
    served.shutdown.send(()).unwrap();
    drop(link);
    served.server.await.unwrap().unwrap();
    assert!(matches!(second.hear().await, Ok(None) | Err(_)));
}

#[tokio::test]
async fn a_replaced_token_ends_the_old_one_and_its_connections() {
    let mut served = served().await;
    let mut worker = served.dial(TOKEN, hello(1, 1)).await.unwrap();
    let link = served.joined().await;
    let new = "11ff".repeat(16);
    served.replace_token(&new);
    assert!(matches!(served.next().await, Input::Broke { worker: WorkerId(1), .. }), "it is to show the new one");
    drop(link);
    while let Ok(Some(_)) = worker.hear().await {}
    let status = refused(served.dial(TOKEN, hello(1, 1)).await).await;
    assert_eq!(status.code(), Code::Unauthenticated);
    assert!(status.message().contains("not any more"), "{status}");
    let worker = served.dial(&new, hello(1, 1)).await.unwrap();
    let _link = served.joined().await;
    worker.say(FromWorker::Heartbeat).await;
    assert!(matches!(served.next().await, Input::Heard { .. }), "who shows the new one stays");
    // And once more.
    served.replace_token(&"22ee".repeat(16));
    assert!(matches!(served.next().await, Input::Broke { .. }));
}

#[tokio::test]
async fn a_message_beyond_a_limit_is_answered_with_the_limit() {
    let mut served = served().await;
    let goodbye = |bytes: usize| pb::FromWorker::from(FromWorker::Goodbye { why: "x".repeat(bytes) });
    for (bytes, why) in
        [(MESSAGE_MAX + 1, "the limit is: 1048576 bytes"), (100 << 20, "the limit is: 1048576 bytes"), (20_000, "16384 are the most")]
    {
        let status = refused(served.dial_with(goodbye(bytes)).await).await;
        assert!(matches!(status.code(), Code::OutOfRange | Code::InvalidArgument) && status.message().contains(why), "{status}");
        let worker = served.dial(TOKEN, hello(1, 1)).await.unwrap();
        let _link = served.joined().await;
        worker.say_raw(goodbye(bytes)).await;
        let status = refused(Ok(worker)).await;
        assert_eq!(status.code(), Code::FailedPrecondition);
        assert!(status.message().contains(why), "{status}");
        assert!(matches!(served.next().await, Input::Broke { .. }));
    }
}

#[tokio::test]
async fn plaintext_is_not_spoken_beyond_this_machine() {
    let listener = TcpListener::bind("0.0.0.0:0").await.unwrap();
    let address = crate::rendezvous::addresses(listener.local_addr().unwrap()).swap_remove(0);
    if address.starts_with("127.") {
        eprintln!("SKIPPED plaintext_is_not_spoken_beyond_this_machine: this machine has no address but loopback");
        return;
    }
    let fault = hpo_wire::dial(&address, &Trust::plaintext_on_loopback()).await.unwrap_err();
    assert!(matches!(fault, hpo_wire::DialFault::NotLoopback { .. }), "{fault}");
    // The door does not, either, whoever asks.
    let (engine, _inbox) = Inbox::new();
    let (folder, security) = (tempfile::tempdir().unwrap(), Security::PlaintextOnLoopback);
    let token = Token::of(RunDir::new(folder.path()), TOKEN.into());
    let door = Door { engine, security, token, sweep: "s1".into(), epoch: 1, job: "{}".into(), heartbeat_ms: 50, lease_ms: 500 };
    tokio::spawn(serve(listener, door, std::future::pending()));
    let mut stream = tokio::net::TcpStream::connect(&address).await.unwrap();
    let mut heard = vec![];
    let _ = tokio::io::AsyncReadExt::read_to_end(&mut stream, &mut heard).await;
    assert!(heard.is_empty(), "not even the settings of HTTP/2");
}
