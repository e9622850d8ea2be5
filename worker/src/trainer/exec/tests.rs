//! The test binary calls itself: `role` below is no test of its own but what the children do.
use std::io::{BufRead, BufReader};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{SigmaskHow, kill, killpg};
use nix::unistd::Pid;

use super::*;

const ROLE: &str = "HPO_TEST_ROLE";
const SCRIPT: &str = "HPO_TEST_SCRIPT";

/// A program with a child in its own group and one in a session of its own.
const FAMILY: &str = "echo; sleep 600 & echo pid=$!; setsid sleep 600 & echo pid=$!; echo pid=$$; wait";

#[test]
fn role() {
    match std::env::var(ROLE).as_deref() {
        Ok("agent") => {
            let mut guard = itself("program", &std::env::var(SCRIPT).unwrap(), Some(std::process::id()));
            let mut guard = masked(|| guard.process_group(0).spawn().unwrap());
            println!("\npid={}", guard.id());
            guard.wait().unwrap();
        }
        Ok("program") => println!("\n{}", run("sh".as_ref(), &["-c".into(), std::env::var_os(SCRIPT).unwrap()]).unwrap_err()),
        Ok("missing") => println!("\n{}", run("/no/such/program".as_ref(), &[]).unwrap_err()),
        _ => {}
    }
}

pub(in crate::trainer) fn itself(role: &str, script: &str, agent: Option<u32>) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    let path = concat!(module_path!(), "::role");
    command.args(["--exact", path.split_once("::").unwrap().1, "--nocapture"]);
    command.env(ROLE, role).env(SCRIPT, script).env_remove(AGENT_PID).envs(agent.map(|agent| (AGENT_PID, agent.to_string())));
    command
}

/// Starts a guard by `spawn`. A guard has one thread, and a test binary more: they inherit that signals are not for them.
pub(in crate::trainer) fn masked<T>(spawn: impl FnOnce() -> T) -> T {
    let before = SigSet::all().thread_swap_mask(SigmaskHow::SIG_SETMASK).unwrap();
    let spawned = spawn();
    before.thread_set_mask().unwrap();
    spawned
}

/// A guarded program, in a group of its own as an agent starts it, and the processes that it names.
fn guarded<const N: usize>(script: &str) -> (Child, [Pid; N]) {
    let mut command = itself("program", script, Some(std::process::id()));
    let mut guard = masked(|| command.process_group(0).stdout(Stdio::piped()).spawn().unwrap());
    let pids = pids(&mut guard);
    (guard, pids)
}

/// The next processes that are named on its standard output.
fn pids<const N: usize>(child: &mut Child) -> [Pid; N] {
    let lines = BufReader::new(child.stdout.as_mut().unwrap()).lines().map_while(Result::ok);
    let pids = lines.filter_map(|line| line.strip_prefix("pid=")?.parse().ok()).map(Pid::from_raw);
    pids.take(N).collect::<Vec<_>>().try_into().unwrap()
}

fn id(child: &Child) -> Pid {
    Pid::from_raw(i32::try_from(child.id()).unwrap())
}

fn runs(pid: Pid) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit(") ").next().is_some_and(|rest| !rest.is_empty() && !rest.starts_with('Z'))
}

fn wait_until(what: &str, mut done: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !done() {
        assert!(begun.elapsed() < Duration::from_secs(20), "{what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn end(mut child: Child) -> ExitStatus {
    wait_until("it ends", || child.try_wait().unwrap().is_some());
    child.wait().unwrap()
}

#[test]
fn a_killed_agent_leaves_nothing_behind_wherever_it_went() {
    let mut agent = itself("agent", FAMILY, None).stdout(Stdio::piped()).spawn().unwrap();
    let family: [Pid; 4] = pids(&mut agent);
    assert!(family.into_iter().all(runs));
    agent.kill().unwrap();
    agent.wait().unwrap();
    wait_until("guard, program and its children die with the agent", || !family.into_iter().any(runs));
}

#[test]
fn a_killed_guard_takes_the_program_with_it() {
    let (mut guard, [child, stray, program]) = guarded(FAMILY);
    guard.kill().unwrap();
    guard.wait().unwrap();
    wait_until("the program dies with its guard", || !runs(program));
    // These are left to the agent, which knows the group, and to nobody.
    assert!(runs(child) && runs(stray));
    killpg(id(&guard), Signal::SIGKILL).unwrap();
    kill(stray, Signal::SIGKILL).unwrap();
}

#[test]
fn a_guard_that_is_told_to_end_all_does() {
    let (guard, family) = guarded::<3>(FAMILY);
    assert!(family.into_iter().all(runs));
    kill(id(&guard), guard::END_ALL).unwrap();
    assert_eq!(end(guard).signal(), Some(9));
    assert!(!family.into_iter().any(runs), "they were dead before the guard was");
}

#[test]
fn what_a_program_leaves_behind_dies_and_its_end_is_the_guards() {
    let (guard, left) = guarded::<2>("echo; sleep 600 & echo pid=$!; setsid sleep 600 & echo pid=$!; exit 3");
    assert_eq!(end(guard).code(), Some(3));
    assert!(!left.into_iter().any(runs));
    let (guard, []) = guarded("kill -SEGV $$");
    assert_eq!(end(guard).signal(), Some(11));
}

#[test]
fn a_signal_to_the_group_is_the_programs_to_answer() {
    let (guard, [_]) = guarded("trap 'exit 7' TERM; echo; echo pid=$$; while :; do sleep 0.02; done");
    killpg(id(&guard), Signal::SIGTERM).unwrap();
    assert_eq!(end(guard).code(), Some(7));
    let (guard, [_]) = guarded("echo; echo pid=$$; sleep 600");
    killpg(id(&guard), Signal::SIGTERM).unwrap();
    assert_eq!(end(guard).signal(), Some(15), "no signal is blocked for the program");
}

#[test]
fn a_guard_keeps_none_of_the_programs_pipes_open() {
    let (guard, [_]) = guarded("echo; echo pid=$$; sleep 600");
    let held = |stream| std::fs::read_link(format!("/proc/{}/fd/{stream}", guard.id())).unwrap();
    wait_until("it lets go of them", || (0..3).all(|stream| held(stream) == Path::new("/dev/null")));
    kill(id(&guard), guard::END_ALL).unwrap();
    end(guard);
}

#[test]
fn an_agent_that_died_before_is_noticed() {
    // Process 1 is not the parent of a test.
    let output = itself("program", "echo never", Some(1)).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(said.contains("the agent that started this trainer is gone") && !said.contains("never"), "{said}");
}

#[test]
fn a_program_that_cannot_be_run_is_told_as_a_failed_setup() {
    let output = itself("missing", "", None).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let line = r#"@hpo {"say":"failed","kind":"setup","message":"cannot run `/no/such/program`: No such file or directory"#;
    assert!(said.lines().any(|found| found.ends_with('}') && found.contains(line)), "{said}");
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
