//! The test binary calls itself: `role` below is no test of its own but what the children do.
use std::io::{BufRead, BufReader};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use super::*;

const ROLE: &str = "HPO_TEST_ROLE";

#[test]
fn role() {
    match std::env::var(ROLE).as_deref() {
        Ok("agent") => {
            let mut program = itself("sleeper", Some(std::process::id())).spawn().unwrap();
            println!("\npid={}", program.id());
            program.wait().unwrap();
        }
        Ok("sleeper") => println!("\n{}", run("sleep".as_ref(), &["600".into()]).unwrap_err()),
        Ok("missing") => println!("\n{}", run("/no/such/program".as_ref(), &[]).unwrap_err()),
        _ => {}
    }
}

fn itself(role: &str, agent: Option<u32>) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    let path = concat!(module_path!(), "::role");
    command.args(["--exact", path.split_once("::").unwrap().1, "--nocapture"]).env(ROLE, role).stdout(Stdio::piped()).stderr(Stdio::null());
    command.env_remove(AGENT_PID).envs(agent.map(|agent| (AGENT_PID, agent.to_string())));
    command
}

fn comm(pid: &str) -> String {
    std::fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default().trim().to_owned()
}

fn is_dead(pid: &str) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit(") ").next().is_none_or(|rest| rest.is_empty() || rest.starts_with('Z'))
}

fn wait_until(what: &str, mut done: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !done() {
        assert!(begun.elapsed() < Duration::from_secs(20), "{what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn a_killed_agent_leaves_no_program_behind() {
    let mut agent: Child = itself("agent", None).spawn().unwrap();
    let lines = BufReader::new(agent.stdout.take().unwrap()).lines();
    let program = lines.map_while(Result::ok).find_map(|line| line.strip_prefix("pid=").map(str::to_owned)).unwrap();
    wait_until("it becomes the program", || comm(&program) == "sleep");
    agent.kill().unwrap();
    wait_until("the program dies with its agent", || is_dead(&program));
    agent.wait().unwrap();
}

#[test]
fn an_agent_that_died_before_is_noticed() {
    // Process 1 is not the parent of a test.
    let output = itself("sleeper", Some(1)).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(said.contains("the agent that started this trainer is gone"), "{said}");
}

#[test]
fn a_program_that_cannot_be_run_is_told_as_a_failed_setup() {
    let output = itself("missing", None).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let line = r#"@hpo {"say":"failed","kind":"setup","message":"cannot run `/no/such/program`: No such file or directory"#;
    assert!(said.lines().any(|found| found.starts_with(line)), "{said}");
}

#[test]
fn a_machine_in_want_is_not_the_programs_fault() {
    let said = |errno: Errno| why_not("train", &io::Error::from_raw_os_error(errno as i32));
    for errno in [Errno::ENOENT, Errno::EACCES, Errno::ENOEXEC, Errno::E2BIG] {
        assert!(matches!(said(errno), FromTrainer::Failed { kind: FailureKind::Setup, .. }), "{errno}");
    }
    for errno in [Errno::EAGAIN, Errno::ENOMEM, Errno::EMFILE, Errno::EIO, Errno::ESTALE] {
        assert!(matches!(said(errno), FromTrainer::Unsaved { .. }), "{errno}");
    }
}
