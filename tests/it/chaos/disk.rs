//! Disks that are full, really: small file systems in memory, mounted where only this test and its children see them.
use std::fs::File;
use std::io::{ErrorKind, Write};
use std::panic::resume_unwind;
use std::path::{Path, PathBuf};

use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sched::{CloneFlags, unshare};
use nix::sys::signal::Signal;

use super::namespace::loudly;
use crate::world::{Running, World, inhabitants, long_sweep};

/// A file system of its own, for as long as this lives.
struct Disk(PathBuf);

impl Disk {
    fn on(folder: PathBuf, size: &str) -> Self {
        let _ = std::fs::create_dir(&folder);
        let options = format!("size={size},mode=700");
        mount(Some("tmpfs"), &folder, Some("tmpfs"), MsFlags::empty(), Some(options.as_str())).unwrap();
        Self(folder)
    }

    fn filler(&self) -> PathBuf {
        self.0.join("filler")
    }

    /// Takes all the room there is.
    fn fill(&self) {
        let mut file = File::create(self.filler()).unwrap();
        let block = [0; 4096];
        loop {
            match file.write_all(&block) {
                Ok(()) => {}
                Err(full) if full.kind() == ErrorKind::StorageFull => return,
                Err(other) => panic!("{other}"),
            }
        }
    }

    fn make_room(&self) {
        std::fs::remove_file(self.filler()).unwrap();
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = umount2(&self.0, MntFlags::MNT_DETACH);
    }
}

/// Runs a test on a thread whose mounts nobody else sees, or says why it cannot.
fn where_mounts_are_ours(test: impl FnOnce() + Send + 'static) {
    let thread = std::thread::spawn(move || {
        unshare(CloneFlags::CLONE_NEWNS)?;
        mount(None::<&Path>, "/", None::<&Path>, MsFlags::MS_REC | MsFlags::MS_PRIVATE, None::<&Path>)?;
        test();
        nix::Result::Ok(())
    });
    match thread.join() {
        Ok(Ok(())) => {}
        Ok(Err(why)) => loudly(&format!("no disk is filled: mounting wants root, or CAP_SYS_ADMIN in a container ({why})")),
        Err(panic) => resume_unwind(panic),
    }
}

/// Starts a driver that waits for workers, until its run folder is made.
fn driver(world: &World) -> Running {
    let driver = world.background(&["driver", "sweep.toml", "--run-dir", "run", "--listen", "127.0.0.1:0"]);
    world.wait_for("the driver", |records| !records.is_empty());
    driver
}

#[test]
fn a_full_disk_under_the_journal_ends_the_driver_clearly_and_nothing_that_was_acknowledged_is_lost() {
    where_mounts_are_ours(|| {
        let world = World::new(&long_sweep());
        let small = Disk::on(world.run_dir(), "2m");
        let mut first = driver(&world);
        // The journal alone is to suffer.
        let elsewhere = ["checkpoints", "logs"].map(|name| Disk::on(world.run_dir().join(name), "64m"));
        let worker = ["worker", "--run-dir", "run", "--no-gpu", "--slots", "2"];
        let mut agent = world.background(&worker);
        let reports = |count: usize| {
            move |records: &[serde_json::Value]| records.iter().filter(|record| record["event"] == "reported").count() >= count
        };
        world.wait_for("reports", reports(3));
        small.fill();
        assert_eq!(first.code(), Some(3), "{}", world.said());
        let clear = ["cannot write `run/journal.jsonl`", "No space left on device"];
        assert!(clear.iter().all(|words| world.said().contains(words)), "{}", world.said());
        let kept = world.journal();
        assert!(agent.ended().is_none(), "training goes on: {}", world.said());

        let still_full = world.done(&["resume", "run", "--workers", "1"]);
        let said = String::from_utf8_lossy(&still_full.stderr).into_owned();
        assert_eq!(still_full.status.code(), Some(3), "{said}");
        assert!(said.contains("No space left on device"), "{said}");

        small.make_room();
        let resumed = world.done(&["resume", "run", "--workers", "1"]);
        assert_eq!(resumed.status.code(), Some(0), "{}", String::from_utf8_lossy(&resumed.stderr));
        assert_eq!(world.journal()[..kept.len()], kept, "what was written stands");
        assert_eq!(agent.code(), Some(0), "{}", world.said());
        let report = world.audit();
        let attempts = &report["attempts"];
        assert_eq!((&attempts["lost"], &attempts["failed"], &attempts["preempted"]), (&0.into(), &0.into(), &0.into()), "{report}");
        assert_eq!(report["hours"]["redone"], 0.0, "{report}");
        world.wait_until("nothing is left running", || inhabitants(&world).is_empty());
        drop(elsewhere);
    });
}

#[test]
fn a_full_checkpoint_store_is_said_clearly_and_no_trial_is_blamed() {
    where_mounts_are_ours(|| {
        let world = World::new(&long_sweep());
        let mut first = driver(&world);
        first.signal(Signal::SIGKILL);
        first.code();
        let store = Disk::on(world.run_dir().join("checkpoints"), "16m");
        let mut second = world.background(&["resume", "run"]);
        world.wait_for("a checkpoint", |records| records.iter().any(|record| record["event"] == "reached"));
        store.fill();
        assert_eq!(second.code(), Some(3), "{}", world.said());
        // Either the trainer notices it or the agent that takes over its state.
        let clear = ["cannot work in this run folder; put that right, then go on with `hpo resume`", "disk", "full"];
        assert!(clear.iter().all(|words| world.said().contains(words)), "{}", world.said());
        world.wait_until("nothing is left running", || inhabitants(&world).is_empty());
        let blamed =
            |world: &World| world.events("ended").into_iter().filter(|record| record["how"]["end"] == "failed").collect::<Vec<_>>();
        assert!(blamed(&world).is_empty(), "{:?}", blamed(&world));

        store.make_room();
        let resumed = world.done(&["resume", "run"]);
        assert_eq!(resumed.status.code(), Some(0), "{}", String::from_utf8_lossy(&resumed.stderr));
        let report = world.audit();
        assert_eq!((&report["trials"]["failed"], &report["attempts"]["failed"]), (&0.into(), &0.into()), "{report}");
        assert!(blamed(&world).is_empty(), "{:?}", blamed(&world));
    });
}
