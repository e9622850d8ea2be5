//! Workers that a driver by hand has on its own machine, and that are gone.
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use crate::world::World;

/// A lease that no test waits for.
const SWEEP: &str = r#"
[sweep]
name = "departed"
metric = "loss"
max_trials = 4
[space]
x = { uniform = [-5.0, 10.0] }
y = { uniform = [0.0, 15.0] }
[scheduler]
kind = "fifo"
max_resource = 100
[trial]
kind = "synthetic"
function = "branin"
pace = 1.0
[workers]
lease = "5m"
"#;

const WORKER: [&str; 6] = ["worker", "--run-dir", "run", "--slots", "1", "--no-gpu"];

#[test]
fn a_worker_that_died_on_the_drivers_machine_is_not_waited_for_by_the_next_driver() {
    let world = World::new(SWEEP);
    let driver = ["driver", "sweep.toml", "--run-dir", "run", "--listen", "127.0.0.1:0"];
    let mut first = world.background(&driver);
    world.wait_until("the run", || world.run_dir().join("rendezvous.json").exists());
    let (mut dead, mut alive) = (world.background(&WORKER), world.background(&WORKER));
    world.wait_for("two leases", |records| records.iter().filter(|record| record["event"] == "started").count() == 2);
    dead.signal(Signal::SIGKILL);
    dead.code();
    first.signal(Signal::SIGKILL);
    first.code();
    let begun = Instant::now();
    let mut second = world.background(&["driver", "run", "--listen", "127.0.0.1:0"]);
    let lost = || world.events("worker_lost").len();
    world.wait_until("news of the dead worker", || lost() == 1);
    assert!(begun.elapsed() < Duration::from_secs(60), "{:?}", begun.elapsed());
    world.wait_until("the other's return", || world.events("worker_joined").len() == 3);
    assert_eq!(lost(), 1, "the one that lives keeps its lease: {}", world.said());

    alive.signal(Signal::SIGTERM);
    assert_eq!(alive.code(), Some(4));
    world.wait_until("the reason why nobody is left", || {
        world.said().contains("has left, and none is there any more: this machine is taken away")
    });
    second.signal(Signal::SIGINT);
    assert_eq!(second.code(), Some(4), "{}", world.said());
}
