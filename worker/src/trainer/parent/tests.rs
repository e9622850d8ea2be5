//! Real processes: small scripts of `/bin/sh`.
use std::path::PathBuf;
use std::time::Instant;

use hpo_core::Params;
use tempfile::TempDir;

use super::*;
use crate::trainer::exec::tests::{itself, masked};
use crate::trainer::protocol::{FromTrainer, Start};

const WAIT: Duration = Duration::from_secs(40);

struct Bench {
    folder: TempDir,
    trainer: Option<Trainer>,
    heard: mpsc::Receiver<(u16, TrainerEvent)>,
}

impl Bench {
    fn new(script: &str) -> Self {
        Self::with_pattern(script, None)
    }

    fn with_pattern(script: &str, pattern: Option<Pattern>) -> Self {
        Self::of(sh(script, pattern))
    }

    fn of(call: Call) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (events, heard) = mpsc::channel(4);
        let trainer = Trainer::spawn(call, 3, &folder.path().join("log"), events).unwrap();
        Self { folder, trainer: Some(trainer), heard }
    }

    fn trainer(&self) -> &Trainer {
        self.trainer.as_ref().unwrap()
    }

    async fn next(&mut self) -> TrainerEvent {
        let (slot, event) = timeout(WAIT, self.heard.recv()).await.expect("no event").expect("the process ended before");
        assert_eq!(slot, 3);
        event
    }

    async fn exit(&mut self) -> Exit {
        match self.next().await {
            TrainerEvent::Exited(exit) => exit,
            other => panic!("{other:?}"),
        }
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap()
    }

    /// Waits for a line of the log, the only way that a script can tell a test something without being heard.
    async fn logged(&self) -> String {
        let begun = Instant::now();
        loop {
            let log = self.log();
            if log.ends_with('\n') {
                return log.trim().to_owned();
            }
            assert!(begun.elapsed() < WAIT, "nothing was logged");
            sleep(Duration::from_millis(10)).await;
        }
    }
}

fn sh(script: &str, pattern: Option<Pattern>) -> Call {
    let args = ["-c", script].map(Into::into).to_vec();
    Call {
        program: "/bin/sh".into(),
        args,
        env: vec![("WORD".into(), "from outside".into())],
        directory: None,
        pattern,
        guarded: false,
        what: "sh".into(),
    }
}

fn said(said: FromTrainer) -> TrainerEvent {
    TrainerEvent::Said(said)
}

/// Whether a process runs; one that is dead and not waited for yet does not.
fn runs(pid: &str) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit(") ").next().is_some_and(|rest| !rest.is_empty() && !rest.starts_with('Z'))
}

async fn dies(pid: &str) {
    let begun = Instant::now();
    while runs(pid) {
        assert!(begun.elapsed() < WAIT, "{pid} lives");
        sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn it_is_heard_and_spoken_to_and_the_rest_goes_to_the_log() {
    let mut bench = Bench::new(
        r#"echo '@hpo {"say":"ready"}'; echo "$WORD"; read line; echo "$line"; echo oops >&2; echo '@hpo {"say":"stopped"}'; echo '@hpo {"say'"#,
    );
    assert_eq!(bench.next().await, said(FromTrainer::Ready));
    let start = Start {
        trial: 1,
        attempt: 1,
        params: Params::default(),
        seed: 0,
        from: 0,
        until: 1,
        checkpoint: None,
        checkpoint_out: PathBuf::from("/out"),
        in_place: false,
    };
    bench.trainer().write(ToTrainer::Start(start));
    assert_eq!(bench.next().await, said(FromTrainer::Stopped));
    assert!(matches!(bench.next().await, TrainerEvent::Garbled(why) if why.starts_with("not a protocol line: {\"say ")));
    assert_eq!(bench.exit().await, Exit { code: Some(0), tail: "oops".to_owned(), ..Exit::default() });
    let log = bench.log();
    for line in ["from outside\n", "oops\n", r#"{"say":"start","trial":1,"attempt":1,"params":{},"seed":0,"from":0,"until":1"#] {
        assert!(log.contains(line), "{log}");
    }
    assert!(!log.contains("@hpo"), "{log}");
}

#[tokio::test]
async fn how_it_ended_is_told_last_with_the_end_of_its_standard_error() {
    let mut bench = Bench::new("for i in 1 2 3 4 5 6 7 8 9 10 11 12; do echo line $i >&2; done; echo '@hpo {\"say\":\"ready\"}'; exit 3");
    assert_eq!(bench.next().await, said(FromTrainer::Ready));
    let exit = bench.exit().await;
    assert_eq!((exit.code, exit.signal, exit.oom), (Some(3), None, false));
    assert!(exit.tail.starts_with("line 3\n") && exit.tail.ends_with("\nline 12"), "{}", exit.tail);

    let mut bench = Bench::new("kill -SEGV $$");
    assert_eq!(bench.exit().await.signal, Some(11));
}

#[tokio::test]
async fn a_kill_takes_what_it_has_started() {
    let mut bench = Bench::new("sleep 600 & echo $!; wait");
    let grandchild = bench.logged().await;
    assert!(runs(&grandchild));
    bench.trainer().kill();
    assert_eq!(bench.exit().await.signal, Some(9));
    dies(&grandchild).await;
}

#[tokio::test]
async fn a_kill_takes_what_a_guarded_program_has_started_wherever_it_went() {
    let guard = itself("program", "echo; setsid sleep 600 & echo; echo stray $!; wait", Some(std::process::id()));
    let text = |word: &std::ffi::OsStr| word.to_str().unwrap().to_owned();
    let env = guard.get_envs().filter_map(|(name, value)| Some((text(name), text(value?)))).collect();
    let args = guard.get_args().map(Into::into).collect();
    let call = Call { program: guard.get_program().into(), args, env, directory: None, pattern: None, guarded: true, what: "sh".into() };
    let mut bench = masked(|| Bench::of(call));
    let begun = Instant::now();
    let stray = loop {
        let log = bench.log();
        if let Some(pid) = log.lines().find_map(|line| line.strip_prefix("stray ")) {
            break pid.to_owned();
        }
        assert!(begun.elapsed() < WAIT, "{log}");
        sleep(Duration::from_millis(10)).await;
    };
    assert!(runs(&stray));
    bench.trainer().kill();
    assert_eq!(bench.exit().await.signal, Some(9));
    assert!(!runs(&stray), "its death was waited for");
}

#[tokio::test]
async fn what_it_leaves_behind_dies_with_it() {
    let mut bench = Bench::new("sleep 600 & echo $!");
    let grandchild = bench.logged().await;
    assert_eq!(bench.exit().await.code, Some(0));
    dies(&grandchild).await;
}

#[tokio::test]
async fn dropping_it_kills_it() {
    let mut bench = Bench::new("echo $$; sleep 600");
    let child = bench.logged().await;
    bench.trainer = None;
    dies(&child).await;
    let mut bench = Bench::new("echo $$; sleep 600");
    let child = bench.logged().await;
    bench.trainer.take().unwrap().end().await;
    assert!(!runs(&child), "its death was waited for");
}

#[tokio::test]
async fn sigterm_lets_it_say_goodbye() {
    let mut bench =
        Bench::new(r#"trap 'echo "@hpo {\"say\":\"left\",\"resource\":2}"; exit 0' TERM; echo set; while :; do sleep 0.02; done"#);
    bench.logged().await;
    bench.trainer().terminate();
    assert_eq!(bench.next().await, said(FromTrainer::Left { resource: 2, checkpoint: None, wrote_ms: 0 }));
    assert_eq!(bench.exit().await.code, Some(0));
}

#[tokio::test]
async fn a_pause_holds_its_words_back_and_loses_none() {
    let script =
        r#"read go; i=0; while [ $i -lt 2000 ]; do i=$((i+1)); echo "@hpo {\"say\":\"report\",\"resource\":$i,\"metrics\":{}}"; done"#;
    let mut bench = Bench::new(script);
    bench.trainer().pause(true);
    // The ear may have begun to wait for one line before the pause.
    sleep(Duration::from_millis(50)).await;
    bench.trainer().write(ToTrainer::Stop);
    let mut seen = 0;
    while let Ok(Some((_, event))) = timeout(Duration::from_millis(500), bench.heard.recv()).await {
        assert!(matches!(event, TrainerEvent::Said(FromTrainer::Report { .. })), "{event:?}");
        seen += 1;
    }
    assert!(seen <= 1, "{seen} words were heard");
    bench.trainer().pause(false);
    for resource in seen + 1..=2000 {
        assert_eq!(bench.next().await, said(FromTrainer::Report { resource, metrics: hpo_core::Metrics::default() }));
    }
    assert_eq!(bench.exit().await.code, Some(0));
}

#[tokio::test]
async fn a_pattern_finds_reports_in_both_streams() {
    let pattern = Pattern::new("loss=(.*)", "loss", 0, 2).unwrap();
    // One after the other: which of two streams is read first is chance.
    let mut bench = Bench::with_pattern("echo loss=0.5; read heard; echo loss=0.25 >&2; read heard; echo loss=0.1", Some(pattern));
    for (resource, loss) in [(1, 0.5), (2, 0.25)] {
        let metrics = [("loss".to_owned(), loss)].into_iter().collect();
        assert_eq!(bench.next().await, said(FromTrainer::Report { resource, metrics }));
        bench.trainer().write(ToTrainer::Stop);
    }
    assert_eq!(bench.exit().await.code, Some(0));
    assert_eq!(bench.log(), "loss=0.5\nloss=0.25\nloss=0.1\n");
}

#[tokio::test]
async fn a_program_that_does_not_read_is_no_fault() {
    let mut bench = Bench::new("exec <&-; echo closed; sleep 0.3; echo '@hpo {\"say\":\"ready\"}'");
    bench.logged().await;
    bench.trainer().write(ToTrainer::Stop);
    bench.trainer().write(ToTrainer::Stop);
    assert_eq!(bench.next().await, said(FromTrainer::Ready));
    assert_eq!(bench.exit().await.code, Some(0));
}

#[tokio::test]
async fn a_daemon_that_keeps_the_output_open_delays_the_end_only_so_long() {
    let daemon = r#"setsid sh -c 'echo "@hpo {\"say\":\"ready\"}"; exec sleep 60' & sleep 0.5"#;
    let begun = Instant::now();
    let mut bench = Bench::new(daemon);
    assert_eq!(bench.next().await, said(FromTrainer::Ready));
    assert_eq!(bench.exit().await.code, Some(0));
    assert!(begun.elapsed() >= DRAIN_WAIT, "what it still writes is waited for");
    assert!(begun.elapsed() < Duration::from_secs(50));
}

#[tokio::test]
async fn a_process_that_does_not_start_names_program_and_folder() {
    let folder = tempfile::tempdir().unwrap();
    let call = Call { program: "/no/such".into(), directory: Some("/nowhere".into()), what: "train".into(), ..sh("", None) };
    let (events, _heard) = mpsc::channel(1);
    let fault = Trainer::spawn(call, 0, &folder.path().join("log"), events).unwrap_err();
    assert_eq!(fault.to_string(), "cannot start `train` in `/nowhere`");
    assert!(!fault.is_of_job(), "another machine may have it");
}

#[tokio::test]
async fn arguments_that_no_machine_takes_are_the_jobs_fault() {
    let folder = tempfile::tempdir().unwrap();
    let (events, _heard) = mpsc::channel(1);
    for argument in ["a\0b".to_owned(), "x".repeat(1 << 20)] {
        let call = Call { args: vec![argument.into()], ..sh("", None) };
        let fault = Trainer::spawn(call, 0, &folder.path().join("log"), events.clone()).unwrap_err();
        assert!(fault.is_of_job(), "{fault:?}");
    }
}
