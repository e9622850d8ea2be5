//! A driver under attack, all of it real: sockets, TLS, engine, journal. Beside each attack a worker of good faith reports,
//! and each of its reports is acknowledged in time. Attackers have threads of their own: they share the machine with the
//! driver, not its runtime.
use std::time::{Duration, Instant};

use hpo_core::{Lease, Resource, Seq, WorkerId};
use hpo_wire::{About, FromDriver, FromWorker, Trust, Word, pb};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::runtime::Runtime;
use tokio::task::JoinSet;

use super::fake::{FakeWorker, hello};
use super::visitor::STRANGER;
use crate::config;
use crate::engine::{Begin, Drive, DriveOptions, Options};
use crate::rendezvous::{read_token, read_trust};
use crate::rundir::RunDir;

/// How long a report may take. A loaded machine takes its time; a driver that is taken hostage takes for ever, or for as long as
/// strangers may stay.
const IN_TIME: Duration = Duration::from_secs(12);
/// Reports of the good worker during an attack.
const REPORTS: usize = 150;

struct Siege {
    _folder: tempfile::TempDir,
    drive: Drive,
    address: String,
    trust: Trust,
    token: String,
    good: FakeWorker,
    lease: Lease,
    said: u32,
}

async fn siege() -> Siege {
    let folder = tempfile::tempdir().unwrap();
    let run = RunDir::new(folder.path().join("run"));
    let file = "[sweep]\nname = \"siege\"\nmetric = \"loss\"\nmax_trials = 9\n[space]\nx = { uniform = [0.0, 1.0] }\n\
                [scheduler]\nkind = \"fifo\"\nmax_resource = 1000000\n[trial]\nkind = \"command\"\ncommand = [\"true\"]\n";
    let checked = config::check_text(file, &folder.path().join("sweep.toml"), &|_| None).unwrap();
    let options = DriveOptions {
        run: run.clone(),
        begin: Begin::Create,
        file: (&checked).into(),
        listen: ([127, 0, 0, 1], 0).into(),
        plaintext: false,
        local: None,
        slurm: None,
        limits: Options::default(),
    };
    let drive = Drive::start(options).await.unwrap();
    let (address, trust, token) = (drive.addresses()[0].clone(), read_trust(&run).unwrap(), read_token(&run).unwrap());
    let mut good = FakeWorker::dial(&address, &trust, &token, hello(1, 1)).await.unwrap();
    let lease = loop {
        if let Some(FromDriver::Lease(lease)) = good.hear().await.unwrap() {
            break lease;
        }
    };
    Siege { _folder: folder, drive, address, trust, token, good, lease, said: 0 }
}

impl Siege {
    /// The good worker reports, and waits for each acknowledgement.
    async fn hold(&mut self, attack: &str) {
        let mut took = vec![];
        for _ in 0..REPORTS {
            self.said += 1;
            let metrics = [("loss".to_owned(), 0.5)].into_iter().collect();
            let about = About::Reported { resource: Resource(self.said), metrics };
            let word = Word { trial: self.lease.trial, attempt: self.lease.attempt, seq: Seq(self.said), after_ms: None, about };
            let begun = Instant::now();
            self.good.say(FromWorker::Word(word)).await;
            loop {
                match self.good.hear().await.unwrap() {
                    Some(FromDriver::Acknowledged(known)) if known.seq.0 == self.said => break,
                    Some(_) => {}
                    None => panic!("{attack}: the good worker was cut off"),
                }
            }
            took.push(begun.elapsed());
        }
        took.sort_unstable();
        let [half, most, worst] = [REPORTS / 2, REPORTS * 99 / 100, REPORTS - 1].map(|place| took[place]);
        println!("{attack}: a report took {half:.1?} in the median, {most:.1?} at the 99th percentile, {worst:.1?} at worst");
        assert!(worst < IN_TIME, "{attack}: a report took {worst:?}");
    }

    /// Another worker of good faith comes in, through whatever stands before the gate.
    async fn another_comes(&self, id: u128) {
        let begun = Instant::now();
        FakeWorker::dial(&self.address, &self.trust, &self.token, hello(id, 1)).await.unwrap();
        let took = begun.elapsed();
        println!("another worker came in within {took:.1?}");
        assert!(took < IN_TIME, "{took:?}");
    }
}

/// Who attacks, until this is dropped.
struct Attack {
    runtime: Option<Runtime>,
    tasks: JoinSet<usize>,
}

impl Attack {
    fn new() -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        Self { runtime: Some(runtime), tasks: JoinSet::new() }
    }

    fn by(&mut self, attacker: impl Future<Output = usize> + Send + 'static) {
        self.tasks.spawn_on(attacker, self.runtime.as_ref().unwrap().handle());
    }
}

impl Drop for Attack {
    fn drop(&mut self) {
        self.runtime.take().unwrap().shutdown_background();
    }
}

fn stale(id: u128) -> FromWorker {
    let about = About::Started { startup_ms: 0, restore_ms: 0 };
    FromWorker::Word(Word { trial: hpo_core::TrialId(id as u32), attempt: hpo_core::Attempt(77), seq: Seq(1), after_ms: None, about })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn workers_that_flood_words_or_do_not_read_harm_themselves_alone() {
    let mut siege = siege().await;
    siege.hold("in peace").await;
    let mut attack = Attack::new();
    for id in 100..104 {
        let mut flood = FakeWorker::dial(&siege.address, &siege.trust, &siege.token, hello(id, 1)).await.unwrap();
        attack.by(async move {
            let mouth = flood.mouth();
            let shouting = async { while mouth.send(stale(id).into()).await.is_ok() {} };
            let hearing = async { while flood.hear_raw().await {} };
            tokio::join!(shouting, hearing);
            0
        });
    }
    siege.hold("four workers flood words").await;
    drop(attack);
    let mut attack = Attack::new();
    for id in 200..204 {
        let deaf = FakeWorker::dial(&siege.address, &siege.trust, &siege.token, hello(id, 1)).await.unwrap();
        attack.by(async move {
            // Each word is about another trial, so that each has an answer of its own, which nobody reads.
            let mouth = deaf.mouth();
            let mut said = 0;
            while mouth.send(stale(said as u128).into()).await.is_ok() {
                said += 1;
            }
            said
        });
    }
    siege.hold("four workers flood words and read nothing").await;
    siege.another_comes(2).await;
    let mut seen = siege.drive.progress();
    let cut = seen.wait_for(|progress| progress.counters.slow == 4);
    tokio::time::timeout(20 * IN_TIME, cut).await.expect("who does not read is cut off").unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn strangers_without_end_do_not_keep_a_worker_out() {
    let mut siege = siege().await;
    let mut attack = Attack::new();
    // 3,000 connections that never finish their handshake: some silent, some with the beginning of one, some with noise.
    for client in 0..3 {
        let address = siege.address.clone();
        attack.by(async move {
            let mut open = std::collections::VecDeque::new();
            for number in 0..1000 {
                let mut stream = TcpStream::connect(&address).await.unwrap();
                let first: &[u8] = [&[][..], &[22, 3, 1, 2, 0, 1], b"GET / HTTP/1.1\r\n\r\n"][(client + number) % 3];
                let _ = stream.write_all(first).await;
                open.push_back(stream);
                if open.len() > 100 {
                    open.pop_front();
                }
            }
            open.len()
        });
    }
    siege.hold("3,000 connections that never agree on keys").await;
    siege.another_comes(2).await;
    drop(attack);

    // TLS, and then nothing: cut when its time is over.
    let begun = Instant::now();
    let mut silent = TcpStream::connect(&siege.address).await.unwrap();
    let mut rest = vec![];
    let _ = silent.read_to_end(&mut rest).await;
    assert!(rest.is_empty() && begun.elapsed() < STRANGER * 4, "{:?}", begun.elapsed());
    assert!(begun.elapsed() > STRANGER / 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_without_a_token_and_messages_without_measure_are_cut_off() {
    let mut siege = siege().await;
    let mut attack = Attack::new();
    for _ in 0..4 {
        let (address, trust) = (siege.address.clone(), siege.trust.clone());
        attack.by(async move {
            let mut refused = 0;
            while refused < 2_500 {
                let Ok(channel) = hpo_wire::dial(&address, &trust).await else { continue };
                // On one connection, as many calls at once as it takes.
                let calls =
                    (0..100).map(|_| FakeWorker::call(channel.clone(), "wrong", FromWorker::Hello(hello(9, 1)).into(), WorkerId(9)));
                refused += futures_util::future::join_all(calls).await.into_iter().filter(Result::is_err).count();
            }
            refused
        });
    }
    siege.hold("10,000 calls without the token").await;
    siege.another_comes(2).await;
    let mut refused = 0;
    while let Some(done) = attack.tasks.join_next().await {
        refused += done.unwrap();
    }
    assert!(refused >= 10_000);

    for id in 300..304 {
        let (address, trust, token) = (siege.address.clone(), siege.trust.clone(), siege.token.clone());
        attack.by(async move {
            let huge = pb::FromWorker::from(FromWorker::Goodbye { why: "x".repeat(100 << 20) });
            loop {
                let Ok(mut worker) = FakeWorker::dial(&address, &trust, &token, hello(id, 1)).await else { continue };
                worker.say_raw(huge.clone()).await;
                while worker.hear_raw().await {}
            }
        });
    }
    siege.hold("four workers send messages of 100 MB").await;
    drop(attack);
}
