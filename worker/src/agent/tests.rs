//! A whole agent with real processes and a real connection; the test is the driver.
use std::collections::BTreeMap;
use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use hpo_core::job::{CommandJob, Trainable};
use hpo_core::sweep::event::{End, FailureKind, Held};
use hpo_core::{Attempt, Goal, Lease, Params, Resource, Seed, Seq, SlotId, TrialId};
use hpo_wire::{About, Acknowledged, FromDriver, FromWorker, Hello, Welcome, Word};
use tempfile::TempDir;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::*;
use crate::connect::fake::{Driver, target, write_token};
use crate::session::StoreFailure;

struct Bench {
    folder: TempDir,
    driver: Driver,
    agent: JoinHandle<Result<AgentEnd, AgentFault>>,
    shutdown: Option<oneshot::Sender<()>>,
}

impl Bench {
    /// An agent with one slot, greeted and welcomed to train by this script.
    async fn new(script: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let driver = Driver::start(folder.path()).await;
        let (shutdown, notice) = oneshot::channel::<()>();
        let agent = tokio::spawn(run(options(folder.path()), async move {
            let _ = notice.await;
        }));
        let mut bench = Self { folder, driver, agent, shutdown: Some(shutdown) };
        assert_eq!(bench.hello().await, []);
        bench.welcome(script).await;
        bench
    }

    async fn hello(&mut self) -> Vec<Held> {
        match self.driver.next().await {
            FromWorker::Hello(Hello { holds, .. }) => holds,
            other => panic!("{other:?}"),
        }
    }

    async fn welcome(&self, script: &str) {
        std::fs::write(self.folder.path().join("train.sh"), script).unwrap();
        let job = serde_json::to_string(&job(self.folder.path())).unwrap();
        // This driver has no heartbeat, and is not to be taken for dead while a program takes its time to start.
        let lease_ms = 600_000;
        self.driver.say(FromDriver::Welcome(Welcome { sweep: "s".to_owned(), heartbeat_ms: 500, lease_ms, job, epoch: 1 })).await;
    }

    async fn word(&mut self) -> (u32, About) {
        match self.driver.next().await {
            FromWorker::Word(Word { trial: TrialId(4), attempt: Attempt(1), seq, about, .. }) => (seq.0, about),
            other => panic!("{other:?}"),
        }
    }

    async fn acknowledge(&self, seq: u32) {
        let safe = Acknowledged { trial: TrialId(4), attempt: Attempt(1), seq: Seq(seq) };
        self.driver.say(FromDriver::Acknowledged(safe)).await;
    }

    async fn goodbye(mut self) -> AgentEnd {
        assert!(matches!(self.driver.next().await, FromWorker::Goodbye { .. }));
        let end = self.agent.await.unwrap().unwrap();
        let left: Vec<_> = std::fs::read_dir(self.folder.path().join("checkpoints/tmp")).unwrap().flatten().collect();
        assert!(left.is_empty(), "{left:?}");
        end
    }
}

fn options(folder: &Path) -> AgentOptions {
    let target = target(folder);
    AgentOptions {
        worker: None,
        name: "here".to_owned(),
        process: "{}".to_owned(),
        slots: crate::resources::discover(crate::resources::Wanted { slots: Some(1), gpus: false, ..Default::default() }),
        rendezvous: target.rendezvous,
        authority: target.authority,
        token_file: target.token_file,
        checkpoints: folder.join("checkpoints"),
        log_dir: folder.join("logs"),
        // `--exec --` and the command follow.
        trainer: TrainerProgram { program: "/bin/sh".into(), args: ["-c", "shift 2; exec \"$@\"", "sh"].map(Into::into).to_vec() },
        orphan_limit: AgentOptions::ORPHAN_LIMIT,
        retry_cap: Duration::from_millis(200),
        allocation: None,
        leave_before: None,
        requeue: false,
        idle_limit: None,
    }
}

fn job(folder: &Path) -> Job {
    let command = ["/bin/sh", "train.sh", "{until}"].map(Into::into).to_vec();
    let command = CommandJob { command, directory: folder.to_owned(), env: BTreeMap::new(), metric_pattern: None };
    Job {
        trainable: Trainable::Command(command),
        metric: "loss".to_owned(),
        goal: Goal::Minimize,
        stall_ms: 60_000,
        grace_ms: 10_000,
        seed: Seed(1),
    }
}

fn lease() -> FromDriver {
    FromDriver::Lease(Lease {
        trial: TrialId(4),
        attempt: Attempt(1),
        slot: SlotId { worker: WorkerId(0), index: 0 },
        params: Params::default(),
        from: Resource(0),
        until: Resource(2),
        checkpoint: None,
        seed: Seed(9),
        in_place: false,
    })
}

fn is_report(about: &About, at: u32) -> bool {
    matches!(about, About::Reported { resource: Resource(resource), .. } if *resource == at)
}

/// `report N` prints a report, `state` writes one.
const FUNCTIONS: &str = r#"
report() { echo "@hpo {\"say\":\"report\",\"resource\":$1,\"metrics\":{\"loss\":0.5}}"; }
state() { echo "state at $1" > "$HPO_CHECKPOINT_OUT"; }
"#;

fn script(body: &str) -> String {
    format!("{FUNCTIONS}{body}")
}

/// What the file is called is said at the end, and not that a driver was away.
#[tokio::test]
async fn without_a_token_it_waits_for_one_as_long_as_for_a_driver() {
    let folder = tempfile::tempdir().unwrap();
    let _driver = Driver::start(folder.path()).await;
    let token_file = folder.path().join("elsewhere");
    let options = AgentOptions { token_file: token_file.clone(), orphan_limit: Duration::from_millis(500), ..options(folder.path()) };
    let ended = tokio::time::timeout(Duration::from_secs(60), run(options, std::future::pending())).await.unwrap();
    let fault = ended.unwrap_err();
    assert_eq!((fault.to_string(), fault.exit_code()), (format!("there is no token file `{}`", token_file.display()), 2));
}

#[tokio::test]
async fn a_lease_becomes_reports_and_a_state_in_the_store() {
    let body = r#"echo "until $1 trial $HPO_TRIAL"; report 1; report 2; state 2
        echo "@hpo {\"say\":\"reached\",\"resource\":2,\"checkpoint\":\"$HPO_CHECKPOINT_OUT\",\"wrote_ms\":5}""#;
    let mut bench = Bench::new(&script(body)).await;
    bench.driver.say(lease()).await;
    assert!(matches!(bench.word().await, (1, about) if is_report(&about, 1)));
    assert!(matches!(bench.word().await, (2, about) if is_report(&about, 2)));
    let (3, About::Reached { resource: Resource(2), checkpoint: Some(checkpoint) }) = bench.word().await else { panic!("not reached") };
    assert_eq!((checkpoint.resource, checkpoint.wrote_ms, checkpoint.bytes), (Resource(2), 5, 11));
    let state = Store::new(bench.folder.path().join("checkpoints")).open_verified(&checkpoint.id, TrialId(4)).unwrap();
    assert_eq!(std::fs::read_to_string(state).unwrap(), "state at 2\n");
    let log = std::fs::read_to_string(bench.folder.path().join("logs/trial-4.attempt-1.log")).unwrap();
    assert_eq!(log, "until 2 trial 4\n");
    bench.acknowledge(3).await;
    bench.driver.say(FromDriver::Finish { why: "done".to_owned(), resumable: false }).await;
    assert_eq!(bench.goodbye().await, AgentEnd::Finished { why: "done".to_owned(), resumable: false });
}

#[tokio::test]
async fn training_goes_on_while_the_driver_is_away_and_nothing_is_lost() {
    let body = "report 1; while [ ! -e go ]; do sleep 0.02; done; report 2; touch went; while [ ! -e end ]; do sleep 0.02; done";
    let mut bench = Bench::new(&script(body)).await;
    bench.driver.say(lease()).await;
    assert!(matches!(bench.word().await, (1, about) if is_report(&about, 1)));
    let dead = std::mem::replace(&mut bench.driver, Driver::start(tempfile::tempdir().unwrap().path()).await);
    dead.die().await;
    std::fs::write(bench.folder.path().join("go"), "").unwrap();
    while !bench.folder.path().join("went").exists() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    // Another driver takes over, at another address.
    bench.driver = Driver::start(bench.folder.path()).await;
    assert_eq!(bench.hello().await, [Held { trial: TrialId(4), attempt: Attempt(1), slot: 0 }]);
    bench.welcome("exit 1").await;
    assert!(matches!(bench.word().await, (1, about) if is_report(&about, 1)), "it was not acknowledged");
    assert!(matches!(bench.word().await, (2, about) if is_report(&about, 2)));
    bench.acknowledge(2).await;
    std::fs::write(bench.folder.path().join("end"), "").unwrap();
    assert!(matches!(bench.word().await, (3, About::Reached { checkpoint: None, .. })));
    bench.acknowledge(3).await;
    bench.driver.say(FromDriver::Finish { why: "done".to_owned(), resumable: false }).await;
    bench.goodbye().await;
}

#[tokio::test]
async fn a_notice_calls_trainers_back() {
    let body = r#"echo '@hpo {"say":"ready"}'; read start; report 1; read order; state 1
        echo "@hpo {\"say\":\"left\",\"resource\":1,\"checkpoint\":\"$HPO_CHECKPOINT_OUT\"}""#;
    let mut bench = Bench::new(&script(body)).await;
    bench.driver.say(lease()).await;
    assert!(matches!(bench.word().await, (1, about) if is_report(&about, 1)));
    bench.shutdown.take().unwrap().send(()).unwrap();
    let (2, About::Ended(End::Preempted { checkpoint: Some(checkpoint) })) = bench.word().await else { panic!("not preempted") };
    assert_eq!(checkpoint.resource, Resource(1));
    bench.acknowledge(2).await;
    assert_eq!(bench.goodbye().await, AgentEnd::Preempted);
}

#[tokio::test]
async fn a_program_that_fails_is_told_with_its_last_words() {
    let mut bench = Bench::new("echo the data is gone >&2; exit 7").await;
    bench.driver.say(lease()).await;
    let (1, About::Ended(End::Failed { kind: FailureKind::Exit, message })) = bench.word().await else { panic!("not failed") };
    assert_eq!(message, "ended with code 7: the data is gone");
    bench.acknowledge(1).await;
    bench.driver.say(FromDriver::Finish { why: "done".to_owned(), resumable: true }).await;
    bench.goodbye().await;
}

#[tokio::test]
async fn an_agent_without_the_right_token_ends_and_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let _driver = Driver::start(folder.path()).await;
    write_token(folder.path(), "wrong");
    let fault = run(options(folder.path()), std::future::pending()).await.unwrap_err();
    assert!(matches!(fault, AgentFault::Connect(ConnectFault::WrongToken { .. })), "{fault}");
    assert_eq!(fault.exit_code(), 2);
}

#[tokio::test]
async fn an_agent_that_finds_no_driver_gives_up_in_the_end() {
    let folder = tempfile::tempdir().unwrap();
    write_token(folder.path(), "secret");
    let options = AgentOptions { orphan_limit: Duration::from_millis(300), ..options(folder.path()) };
    let end = run(options, std::future::pending()).await.unwrap();
    assert!(matches!(end, AgentEnd::Orphaned { words: 0, away } if away >= Duration::from_millis(300)), "{end:?}");
}

#[tokio::test]
async fn an_agent_needs_a_slot_and_a_store() {
    let folder = tempfile::tempdir().unwrap();
    let none = AgentOptions { slots: vec![], ..options(folder.path()) };
    assert!(matches!(run(none, std::future::pending()).await, Err(AgentFault::NoSlots)));
    std::fs::write(folder.path().join("file"), "").unwrap();
    let no_store = AgentOptions { checkpoints: folder.path().join("file"), ..options(folder.path()) };
    let fault = run(no_store, std::future::pending()).await.unwrap_err();
    assert!(matches!(fault, AgentFault::Checkpoint(_)), "{fault}");
    assert_eq!(fault.exit_code(), 3);
}

#[test]
fn a_disk_that_does_not_give_a_state_is_told_from_a_state_that_is_not_there() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::new(folder.path());
    let id = "a".repeat(64);
    let why = || shell::store_failure(store.open_verified(&id, TrialId(0)).unwrap_err());
    assert!(matches!(why(), StoreFailure::File(_)));
    let place = folder.path().join("aa").join(&id);
    std::fs::create_dir_all(place.parent().unwrap()).unwrap();
    std::fs::write(&place, "damaged").unwrap();
    assert!(matches!(why(), StoreFailure::File(_)));
    // It opens, and reading it fails.
    std::fs::remove_file(&place).unwrap();
    std::fs::create_dir(&place).unwrap();
    assert!(matches!(why(), StoreFailure::Store(_)));
    assert_eq!(AgentFault::Broken { why: String::new() }.exit_code(), 3);
}

#[test]
fn the_job_is_for_its_owner_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("job.json");
    std::fs::write(&path, "one that another process has left, longer than the job perhaps").unwrap();
    std::fs::set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
    write_job(&job(folder.path()), &path).unwrap();
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(serde_json::from_slice::<Job>(&std::fs::read(&path).unwrap()).unwrap(), job(folder.path()));
}

/// The trainer of `PROTOCOL.md`, as it stands there.
fn example() -> &'static str {
    let text = include_str!("../../PROTOCOL.md");
    text.split("```python\n").nth(1).unwrap().split("```").next().unwrap()
}

#[tokio::test]
async fn the_example_of_the_protocol_trains_leaves_and_resumes() {
    if std::process::Command::new("python3").arg("--version").output().is_err() {
        eprintln!("SKIPPED: python3 is not here, so the example of PROTOCOL.md was not run");
        return;
    }
    let mut bench = Bench::new(&script("exec python3 train.py")).await;
    std::fs::write(bench.folder.path().join("train.py"), example()).unwrap();
    let until = |until, from, attempt, checkpoint| {
        let FromDriver::Lease(lease) = lease() else { unreachable!() };
        let params = [("lr".to_owned(), hpo_core::Value::Float(0.25))].into_iter().collect();
        let (from, until, attempt) = (Resource(from), Resource(until), Attempt(attempt));
        FromDriver::Lease(Lease { from, until, attempt, checkpoint, params, ..lease })
    };
    bench.driver.say(until(2, 0, 1, None)).await;
    assert!(matches!(bench.word().await, (1, About::Started { .. })));
    // x halves each epoch.
    for (seq, resource, loss) in [(2, 1, 0.25), (3, 2, 0.0625)] {
        let (said, About::Reported { resource: at, metrics }) = bench.word().await else { panic!("no report") };
        assert_eq!((said, at, metrics.get("loss")), (seq, Resource(resource), Some(loss)));
    }
    let (4, About::Reached { checkpoint: Some(checkpoint), .. }) = bench.word().await else { panic!("not reached") };

    // Far more epochs than it can do before it is called back.
    bench.driver.say(until(1_000_000_000, 2, 2, Some(checkpoint))).await;
    let attempt = Held { trial: TrialId(4), attempt: Attempt(2), slot: 0 };
    let mut first = None;
    loop {
        let FromWorker::Word(Word { attempt: Attempt(2), about, .. }) = bench.driver.next().await else { panic!("no word") };
        match about {
            About::Reported { resource, metrics } if first.is_none() => {
                first = Some((resource, metrics.get("loss").unwrap()));
                bench.driver.say(FromDriver::CallBack(attempt)).await;
            }
            About::Ended(End::Preempted { checkpoint: Some(left) }) => {
                assert!(left.resource > Resource(2));
                break;
            }
            About::Started { .. } | About::Reported { .. } => {}
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(first, Some((Resource(3), 0.015625)), "it went on where it was");
    bench.driver.say(FromDriver::Finish { why: "done".to_owned(), resumable: false }).await;
    bench.driver.die().await;
    bench.agent.await.unwrap().unwrap();
}
