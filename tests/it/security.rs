//! Nobody gets in, and nothing gets out.
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::world::{PATIENCE, Running, SWEEP, World, binary, processes};

/// Programs that take about a second, and write a state as their umask says.
const PROGRAMS: &str = r#"
[sweep]
name = "security"
metric = "loss"
max_trials = 2
[space]
x = { uniform = [-2.0, 2.0] }
[scheduler]
kind = "fifo"
max_resource = 2
[trial]
kind = "command"
command = ["sh", "-c", "e=0; while [ $e -lt 2 ]; do e=$((e + 1)); sleep 0.5; echo loss=1.5; done; echo state > $HPO_CHECKPOINT_OUT"]
metric_pattern = 'loss=([0-9.]+)'
[workers]
local = 2
"#;

/// Every file and folder below, and the folder itself.
fn all_below(folder: &Path) -> Vec<PathBuf> {
    let mut found = vec![folder.to_owned()];
    for entry in std::fs::read_dir(folder).unwrap().flatten() {
        if entry.file_type().unwrap().is_dir() { found.extend(all_below(&entry.path())) } else { found.push(entry.path()) }
    }
    found
}

fn is_private(path: &Path) -> bool {
    std::fs::metadata(path).unwrap().permissions().mode() & 0o077 == 0
}

#[test]
fn all_files_of_a_run_are_private_whatever_the_umask() {
    // Models, checkpoints, reports, logs; and states that a program writes.
    for (sweep, umask) in [(SWEEP, "000"), (PROGRAMS, "000"), (PROGRAMS, "077")] {
        let world = World::new(sweep);
        let mut run = Command::new("sh");
        run.args(["-c", "umask $0; exec \"$@\"", umask]).arg(binary()).args(["run", "sweep.toml", "--run-dir", "run"]);
        let run = run.current_dir(world.path("")).stdin(Stdio::null()).output().unwrap();
        assert_eq!(run.status.code(), Some(0), "{}", String::from_utf8_lossy(&run.stderr));
        let all = all_below(&world.run_dir());
        let open: Vec<_> = all.iter().filter(|path| !is_private(path)).collect();
        assert!(open.is_empty(), "umask {umask}: {open:?}");
        for part in ["ca.pem", "ca-key.pem", "token", "journal.jsonl", "sweep.toml", "logs/worker-0.log", "report/report.html"] {
            assert!(all.contains(&world.run_dir().join(part)), "{part}");
        }
        let in_folder = |name: &str| all.iter().filter(|path| path.starts_with(world.run_dir().join(name)) && path.is_file()).count();
        assert!(sweep == SWEEP || in_folder("checkpoints") > 0, "a program's state is among them");
        assert!(sweep == PROGRAMS || in_folder("models") >= 2, "a model and its card are among them");
    }
}

/// A process and all that it has started, with what of them anybody on the machine, and their owner, can read.
fn family(pid: u32, everyone: &[(u32, u32)]) -> Vec<(u32, String)> {
    let shown = |file: &str| std::fs::read(format!("/proc/{pid}/{file}")).map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    let mut found = vec![(pid, shown("cmdline").unwrap_or_default() + &shown("environ").unwrap_or_default())];
    found.extend(everyone.iter().filter(|(_, parent)| *parent == pid).flat_map(|(child, _)| family(*child, everyone)));
    found
}

#[test]
fn the_token_is_on_no_command_line_and_in_no_log() {
    // They stay until they have been looked at.
    let world = World::new(&PROGRAMS.replace("sleep 0.5; echo loss=1.5", "echo loss=1.5; while [ ! -e go ]; do sleep 0.1; done"));
    let log = std::fs::File::create(world.path("said.log")).unwrap();
    let mut run = world.hpo(&["run", "sweep.toml", "--run-dir", "run"]);
    let mut run = run.env("HPO_LOG", "trace").env("RUST_LOG", "trace").stdout(log.try_clone().unwrap()).stderr(log).spawn().unwrap();
    world.wait_for("a report of each", |records| records.iter().filter(|record| record["event"] == "reported").count() == 2);
    let token = std::fs::read_to_string(world.run_dir().join("token")).unwrap().trim().to_owned();
    let key = std::fs::read_to_string(world.run_dir().join("ca-key.pem")).unwrap().lines().nth(1).unwrap().to_owned();
    assert!(token.len() == 64 && key.len() > 30);
    let family = family(run.id(), &processes(&[]));
    // Driver, workers, trainers' guards, programs.
    assert!(family.len() >= 7, "{family:?}");
    for (pid, shown) in &family {
        assert!(!shown.contains(&token), "process {pid} shows the token: {shown}");
    }
    std::fs::write(world.path("go"), "").unwrap();
    assert!(run.wait().unwrap().success(), "{}", world.said());
    let files: Vec<_> = all_below(world.path("").as_path()).into_iter().filter(|path| path.is_file()).collect();
    let traced = ["said.log", "run/logs/worker-0.log"].map(|name| std::fs::read_to_string(world.path(name)).unwrap());
    assert!(traced.iter().all(|text| text.contains("TRACE") && text.contains("Headers")), "HTTP/2 is traced");
    for path in files {
        let text = String::from_utf8_lossy(&std::fs::read(&path).unwrap()).into_owned();
        assert!(!text.contains(&token) || path.ends_with("token"), "{} holds the token", path.display());
        assert!(!text.contains(&key) || path.ends_with("ca-key.pem"), "{} holds the key", path.display());
    }
}

/// A driver without workers, and the world it drives in.
struct Door {
    world: World,
    driver: Running,
    rendezvous: Value,
}

impl Door {
    fn open(words: &[&str]) -> Self {
        let world = World::new(PROGRAMS);
        let words = [&["driver", "sweep.toml", "--run-dir", "run", "--listen", "127.0.0.1:0"], words].concat();
        let driver = world.background(&words);
        let begun = Instant::now();
        let rendezvous = loop {
            if let Ok(text) = std::fs::read(world.run_dir().join("rendezvous.json")) {
                break serde_json::from_slice(&text).unwrap();
            }
            assert!(begun.elapsed() < PATIENCE, "no driver: {}", world.said());
            sleep(Duration::from_millis(30));
        };
        Self { world, driver, rendezvous }
    }

    fn address(&self) -> &str {
        self.rendezvous["addresses"][0].as_str().unwrap()
    }

    fn file(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.world.run_dir().join(name)).unwrap()
    }

    /// A worker that finds these files in its run folder.
    fn worker(&self, rendezvous: &Value, authority: &[u8], token: &[u8]) -> Output {
        let folder = self.world.path("forged");
        let _ = std::fs::remove_dir_all(&folder);
        std::fs::create_dir(&folder).unwrap();
        for (name, content) in [("rendezvous.json", rendezvous.to_string().as_bytes()), ("ca.pem", authority), ("token", token)] {
            std::fs::write(folder.join(name), content).unwrap();
            std::fs::set_permissions(folder.join(name), std::fs::Permissions::from_mode(0o600)).unwrap();
        }
        self.world.done(&["worker", "--run-dir", "forged", "--slots", "1"])
    }

    /// Waits until the driver's log has that many lines with this in them, each with the peer's address.
    fn logged(&self, what: &str, times: usize) {
        let begun = Instant::now();
        loop {
            let said = self.world.said();
            if said.lines().filter(|line| line.contains(what) && line.contains("127.0.0.1:")).count() >= times {
                return;
            }
            assert!(begun.elapsed() < PATIENCE, "{what:?} is not said {times} times: {said}");
            sleep(Duration::from_millis(30));
        }
    }
}

fn refused(output: &Output, phrase: &str) {
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains(phrase), "{phrase:?} in {said}");
}

#[test]
fn who_is_not_of_this_run_gets_a_sentence_and_the_driver_a_line() {
    let (ours, other) = (Door::open(&[]), Door::open(&[]));
    let (authority, token) = (ours.file("ca.pem"), ours.file("token"));
    // Another run's driver behind our addresses, or a worker of another run before our door.
    refused(&other.worker(&other.rendezvous, &authority, &token), "has no certificate of this run's authority");
    other.logged("does not believe this run's authority", 1);
    refused(&other.worker(&other.rendezvous, &other.file("ca.pem"), &token), "not the token of this sweep");
    other.logged("not the token of this sweep", 1);
    // Plaintext at a door of TLS: a worker that was told so, and a browser.
    let mut plain = ours.rendezvous.clone();
    plain["tls"] = false.into();
    refused(&ours.worker(&plain, &authority, &token), "wants TLS");
    ours.logged("does not speak TLS", 1);
    let mut browser = TcpStream::connect(ours.address()).unwrap();
    browser.write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
    let mut answer = vec![];
    let _ = browser.read_to_end(&mut answer);
    assert!(answer.len() < 10, "an alert of TLS at most: {answer:?}");
    ours.logged("does not speak TLS", 2);
    // Connections are open files, of which a shell allows few.
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", ours.driver.pid())).unwrap();
    let files: Vec<&str> = limits.lines().find(|line| line.starts_with("Max open files")).unwrap().split_whitespace().collect();
    assert_eq!(files[3], files[4], "as many as the system allows");
    // A port scanner.
    drop(TcpStream::connect(ours.address()).unwrap());
    ours.logged("hung up before TLS was agreed on", 1);
    // None of that did harm.
    for mut door in [ours, other] {
        let worker = door.world.done(&["worker", "--run-dir", "run", "--slots", "2"]);
        assert_eq!(worker.status.code(), Some(0), "{}", String::from_utf8_lossy(&worker.stderr));
        assert_eq!(door.driver.code(), Some(0), "{}", door.world.said());
        door.world.audit();
    }
}

#[test]
fn plaintext_stays_on_this_machine_and_is_asked_for_by_name() {
    let world = World::new(PROGRAMS);
    let refusal = world.done(&["driver", "sweep.toml", "--run-dir", "run", "--insecure-plaintext-on-loopback"]);
    refused(&refusal, "plaintext is for this machine alone, and 0.0.0.0:0 is more; add --listen 127.0.0.1:0");
    assert!(!world.run_dir().exists(), "nothing was started");
    let mut door = Door::open(&["--insecure-plaintext-on-loopback"]);
    assert_eq!(door.rendezvous["tls"], false);
    let mut secured = door.rendezvous.clone();
    secured["tls"] = true.into();
    refused(&door.worker(&secured, &door.file("ca.pem"), &door.file("token")), "does not speak TLS");
    let worker = door.world.done(&["worker", "--run-dir", "run", "--slots", "2"]);
    assert_eq!(worker.status.code(), Some(0), "{}", String::from_utf8_lossy(&worker.stderr));
    assert_eq!(door.driver.code(), Some(0), "{}", door.world.said());
}

#[test]
fn a_driver_that_comes_back_is_believed_by_the_workers_of_the_first() {
    let world = World::new(&PROGRAMS.replace("sleep 0.5", "sleep 2"));
    let mut first = world.start();
    world.wait_for("both trials", |records| {
        records.iter().filter(|record| record["event"] == "started" || record["event"] == "suggested").count() >= 2
    });
    let key = std::fs::read(world.run_dir().join("ca-key.pem")).unwrap();
    first.signal(nix::sys::signal::Signal::SIGKILL);
    first.code();
    let resumed = world.done(&["resume", "run"]);
    assert_eq!(resumed.status.code(), Some(0), "{}", String::from_utf8_lossy(&resumed.stderr));
    assert_eq!(std::fs::read(world.run_dir().join("ca-key.pem")).unwrap(), key);
    assert_eq!(world.audit()["attempts"]["lost"], 0, "the workers came back: {}", world.said());
}

/// Values that would do harm in a shell, or be read as options or templates.
const HOSTILE: [&str; 13] = [
    "--help",
    "-rf",
    "--",
    "; touch pwned",
    "$(touch pwned)",
    "`touch pwned`",
    "a\nb\n",
    "{x} {{x}} {} {trial}",
    "",
    " a  b ",
    "*",
    "'\"\\",
    "\u{1f525}\u{7}%s",
];

#[test]
fn values_reach_a_program_as_they_are_and_are_no_program() {
    let quoted = |text: &str| serde_json::to_string(text).unwrap();
    let params: String = (0..).zip(HOSTILE).map(|(n, value)| format!("v{n} = {{ value = {} }}\n", quoted(value))).collect();
    let arguments: String = (0..HOSTILE.len()).map(|n| format!(", \"{{v{n}}}\", \"--v={{v{n}}}\"")).collect();
    let script = "printf '%s\\0' \"$@\" > argv; printf %s \"$HPO_PARAMS\" > params; echo loss=1";
    let sweep = format!(
        "[sweep]\nname = \"hostile\"\nmetric = \"loss\"\nmax_trials = 1\n[space]\nx = {{ uniform = [0.0, 1.0] }}\n{params}\
         [scheduler]\nkind = \"fifo\"\nmax_resource = 1\n[trial]\nkind = \"command\"\nmetric_pattern = 'loss=([0-9.]+)'\n\
         directory = \".\"\ncommand = [\"sh\", \"-c\", {}, \"sh\"{arguments}]\n[workers]\nlocal = 1\n",
        quoted(script)
    );
    let world = World::new(&sweep);
    let run = world.done(&["run", "sweep.toml", "--run-dir", "run"]);
    assert_eq!(run.status.code(), Some(0), "{}", String::from_utf8_lossy(&run.stderr));
    let argv = std::fs::read(world.path("argv")).unwrap();
    let got: Vec<_> = argv.strip_suffix(b"\0").unwrap().split(|byte| *byte == 0).map(String::from_utf8_lossy).collect();
    let wanted: Vec<_> = HOSTILE.iter().flat_map(|value| [(*value).to_owned(), format!("--v={value}")]).collect();
    assert_eq!(got, wanted);
    let params: Value = serde_json::from_slice(&std::fs::read(world.path("params")).unwrap()).unwrap();
    assert!((0..).zip(HOSTILE).all(|(n, value)| params[format!("v{n}")] == value), "{params}");
    assert!(!world.path("pwned").exists() && !world.run_dir().join("pwned").exists(), "nothing was run by a shell");
}

/// Once the door knew that its token had been replaced, it took that for news on every connection that came.
#[test]
fn a_token_that_is_replaced_costs_each_worker_one_connection_and_nothing_else() {
    let world = World::new(&crate::failover::long_sweep());
    let mut driver = world.start();
    world.wait_for("reports", |records| records.iter().filter(|record| record["event"] == "reported").count() >= 4);
    let token = world.run_dir().join("token");
    let replace = |with: &str, mode| {
        std::fs::write(token.with_extension("new"), with.repeat(16)).unwrap();
        std::fs::set_permissions(token.with_extension("new"), std::fs::Permissions::from_mode(mode)).unwrap();
        std::fs::rename(token.with_extension("new"), &token).unwrap();
    };
    // One that others can read is none: workers would not show it.
    replace("22ee", 0o644);
    sleep(Duration::from_secs(5));
    assert_eq!(world.events("worker_joined").len(), 2, "the one before still counts: {}", world.said());
    replace("11ff", 0o600);
    world.wait_until("both workers with the new one", || world.events("worker_joined").len() >= 4);
    assert_eq!(driver.code(), Some(0), "{}", world.said());
    let report = world.audit();
    assert_eq!((&report["attempts"]["lost"], &report["attempts"]["failed"]), (&0.into(), &0.into()), "{report}");
    assert_eq!(world.events("worker_joined").len(), 4, "two workers, each twice: {}", world.said());
}
