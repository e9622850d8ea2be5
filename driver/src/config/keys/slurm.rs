//! `[slurm]`: workers, and perhaps the driver, as jobs of Slurm.
use crate::config::key::{Key, Table};
use crate::config::shape::{Length, Within, Words};
use crate::launch::slurm::DriverPlace;
use serde_json::{Value as Json, json};
use toml::Spanned;

pub(crate) static TABLE: Table = Table {
    path: "slurm",
    keys: &[
        &PARTITION,
        &ACCOUNT,
        &QOS,
        &CONSTRAINT,
        &GRES,
        &MEM,
        &TIME,
        &CPUS_PER_TASK,
        &EXCLUDE,
        &MAX_WORKERS,
        &SLOTS,
        &THROTTLE,
        &REQUEUE,
        &NOTICE,
        &DRIVER,
        &DRIVER_OPTIONS,
        &SUBMIT_FROM_NODES,
        &EXTRA,
        &REMOVE,
        &PROLOGUE,
        &POLL,
    ],
    kinds: None,
};
pub(crate) static PARTITION: Key<Spanned<String>> = Key::optional("partition", "--partition (default: the site's)").within(one_word);
pub(crate) static ACCOUNT: Key<Spanned<String>> = Key::optional("account", "--account").within(one_word);
pub(crate) static QOS: Key<Spanned<String>> = Key::optional("qos", "--qos").within(one_word);
pub(crate) static CONSTRAINT: Key<Spanned<String>> =
    Key::optional("constraint", "--constraint: features that a node must have").within(one_word);
pub(crate) static GRES: Key<Spanned<String>> = Key::optional("gres", "--gres of one worker, such as \"gpu:1\"").within(one_word);
pub(crate) static MEM: Key<Spanned<String>> = Key::optional("mem", "--mem of one worker, such as \"8G\"").within(one_word);
pub(crate) static TIME: Key<Spanned<Length>> =
    Key::optional("time", "--time: how long a worker may run (default: the partition's); a sweep takes as long as it takes");
pub(crate) static CPUS_PER_TASK: Key<Within<1, 100_000>> = Key::optional("cpus_per_task", "--cpus-per-task of one worker");
pub(crate) static EXCLUDE: Key<Vec<Spanned<String>>> =
    Key::with_default("exclude", "nodes to avoid; those on which nothing starts are added", "[]").within(|| json!({"items": one_word()}));
pub(crate) static MAX_WORKERS: Key<Within<1, 100_000>> =
    Key::with_default("max_workers", "most workers that wait or run at one time; fewer where the sweep cannot use as many", "8");
pub(crate) static SLOTS: Key<Within<1, 1024>> =
    Key::optional("slots", "trials that a worker trains at one time (default: as many as `gres` gives it GPUs, else 1)");
pub(crate) static THROTTLE: Key<Within<1, 100_000>> =
    Key::optional("throttle", "most workers that run at one time, if others are to wait for their turn; never more than `max_workers`");
pub(crate) static REQUEUE: Key<bool> =
    Key::with_default("requeue", "whether Slurm puts a task that was preempted or lost its node back into the queue", "true");
pub(crate) static NOTICE: Key<Spanned<Length>> = Key::optional(
    "notice",
    "so long before its time limit a worker is told to save what it trains (default: `grace` of [trial] and a minute)",
);
pub(crate) static DRIVER: Key<DriverPlace> = Key::with_default(
    "driver",
    "where the driver runs: on the login node, in a job of its own, or in the first task of the workers",
    "\"login\"",
);
pub(crate) static DRIVER_OPTIONS: Key<Vec<Spanned<String>>> =
    Key::with_default("driver_options", "options of sbatch for the driver's own job, such as \"--partition=cpu\"", "[]").within(options);
pub(crate) static SUBMIT_FROM_NODES: Key<bool> =
    Key::with_default("submit_from_nodes", "whether a driver that is a job may itself submit further workers", "false");
pub(crate) static EXTRA: Key<Vec<Spanned<String>>> =
    Key::with_default("extra", "more options of sbatch, such as \"--exclusive\"; each replaces the one of its name", "[]").within(options);
pub(crate) static REMOVE: Key<Vec<Spanned<String>>> =
    Key::with_default("remove", "options that this site does not take, such as \"--open-mode\"", "[]").within(options);
pub(crate) static PROLOGUE: Key<Vec<String>> =
    Key::with_default("prologue", "lines of shell before the worker, such as \"module load cuda\"", "[]");
pub(crate) static POLL: Key<Spanned<Length>> =
    Key::with_default("poll", "how often the driver asks Slurm for the queue; a site's controller serves everyone", "\"30s\"");

/// A value in a line of the script. What the environment puts in has no white space either.
fn one_word() -> Json {
    json!({"type": "string", "pattern": r"^\S+$"})
}

/// In their long form, as far as the file itself says them.
fn options() -> Json {
    json!({"items": {"type": "string", "pattern": r"^--[A-Za-z]|\$\{"}})
}

impl Words for DriverPlace {
    const WHAT: &'static str = "place for the driver";
    const ALL: &'static [(&'static str, Option<Self>)] =
        &[("login", Some(Self::Login)), ("job", Some(Self::Job)), ("task0", Some(Self::Task0))];
}
