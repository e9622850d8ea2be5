//! Every word of a sweep file, once. The reader checks against these tables, messages quote them, the JSON Schema and
//! the starter file are held against them.
use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::path::PathBuf;

use hpo_core::job::{Device, Model};
use hpo_core::{Goal, Value};
use serde_json::Value as Json;

use super::key::{Entry, Key, Kinds, Later, Need, SubTable, Table, kind, later};
use super::schema;
use super::shape::{Amount, Length, Noise, OneOf, Positive, Share, SomeShare, Within, Words};

pub(super) static FILE: Table = Table {
    path: "",
    keys: &[&BASE, &SWEEP, &SPACE, &SEARCHER, &SCHEDULER, &TRIAL, &WORKERS, &REPORT, &Later("finals"), &Later("slurm")],
    kinds: None,
};
pub(super) static BASE: Key<PathBuf> = Key::optional("base", "relative paths start here (default: the folder of the file)");
pub(super) static SWEEP: SubTable =
    SubTable { name: "sweep", doc: "what to reach, and when to end", need: Need::Required, table: &SWEEP_TABLE };
/// Its keys are the user's: see [`parameter`].
pub(super) static SPACE: parameter::Space = parameter::Space;
pub(super) static SEARCHER: SubTable =
    SubTable { name: "searcher", doc: "who proposes trials (default: random)", need: Need::Optional, table: &SEARCHER_TABLE };
pub(super) static SCHEDULER: SubTable =
    SubTable { name: "scheduler", doc: "which trials go on", need: Need::Required, table: &SCHEDULER_TABLE };
pub(super) static TRIAL: SubTable = SubTable { name: "trial", doc: "what trains", need: Need::Required, table: &TRIAL_TABLE };
pub(super) static WORKERS: SubTable = SubTable { name: "workers", doc: "where trials run", need: Need::Optional, table: &WORKERS_TABLE };
pub(super) static REPORT: SubTable = SubTable { name: "report", doc: "what a slot-hour costs", need: Need::Optional, table: &REPORT_TABLE };

static SWEEP_TABLE: Table = Table {
    path: "sweep",
    keys: &[&sweep::NAME, &sweep::SEED, &sweep::METRIC, &sweep::GOAL, &sweep::MAX_TRIALS, &sweep::GPU_HOURS, &sweep::WALL, &sweep::TARGET],
    kinds: None,
};
static SEARCHER_TABLE: Table = Table {
    path: "searcher",
    keys: &[&Later("seed_trials"), &Later("prior"), &Later("warm_start")],
    kinds: Some(Kinds {
        what: "searcher",
        kinds: &[
            kind("random", "independent draws from the space", &[]),
            later("grid"),
            later("sobol"),
            later("tpe"),
            later("bohb"),
            later("gp"),
            later("gp-mf"),
            later("evolution"),
            later("ensemble"),
        ],
    }),
};
static SCHEDULER_TABLE: Table = Table {
    path: "scheduler",
    keys: &[&scheduler::MAX_RESOURCE],
    kinds: Some(Kinds {
        what: "scheduler",
        kinds: &[
            kind("fifo", "every trial to the end", &[]),
            kind(
                "asha-promote",
                "ASHA (arXiv:1810.05934): the best 1/eta of a rung go on, the others pause",
                &[&scheduler::MIN_RESOURCE, &scheduler::ETA],
            ),
            later("halving"),
            later("hyperband"),
            later("asha-stop"),
            later("hyperband-async"),
            later("pasha"),
            later("median"),
            later("swift"),
        ],
    }),
};
static TRIAL_TABLE: Table = Table {
    path: "trial",
    keys: &[&trial::RETRIES, &trial::LOST_MAX, &trial::STALL, &trial::GRACE, &Later("gpus")],
    kinds: Some(Kinds {
        what: "trainable",
        kinds: &[
            kind("burn", "a built-in model, trained by burn", &[&trial::MODEL, &trial::DEVICE, &trial::DATA]),
            kind("command", "any program", &[&trial::COMMAND, &trial::DIRECTORY, &trial::ENV, &trial::METRIC_PATTERN]),
            later("tabular"),
            later("surrogate"),
            later("synthetic"),
        ],
    }),
};
static DATA_TABLE: Table = Table {
    path: "trial.data",
    keys: &[&data::SPLIT],
    kinds: Some(Kinds {
        what: "data set",
        kinds: &[
            kind("idx", "images and labels in IDX files, as MNIST has them, plain or gzip", &[&data::IMAGES, &data::LABELS]),
            kind("glyphs", "generated images of noisy strokes", &[&data::COUNT, &data::CLASSES, &data::SIZE, &data::NOISE]),
            later("particle-flow"),
            later("csv"),
            later("parquet"),
            later("npz"),
        ],
    }),
};
static SPLIT_TABLE: Table = Table { path: "trial.data.split", keys: &[&split::TRAIN, &split::VALIDATION, &split::TEST], kinds: None };
static WORKERS_TABLE: Table = Table { path: "workers", keys: &[&workers::LOCAL, &workers::LEASE, &workers::HEARTBEAT], kinds: None };
static REPORT_TABLE: Table = Table { path: "report", keys: &[&report::PRICE, &report::CO2], kinds: None };

impl Words for Goal {
    const WHAT: &'static str = "goal";
    const ALL: &'static [(&'static str, Option<Self>)] = &[("minimize", Some(Self::Minimize)), ("maximize", Some(Self::Maximize))];
}
impl Words for Model {
    const WHAT: &'static str = "model";
    const ALL: &'static [(&'static str, Option<Self>)] =
        &[("mlp", Some(Self::Mlp)), ("cnn", Some(Self::Cnn)), ("resnet", None), ("transformer", None), ("mlpf", None)];
}
impl Words for Device {
    const WHAT: &'static str = "device";
    const ALL: &'static [(&'static str, Option<Self>)] =
        &[("auto", Some(Self::Auto)), ("cpu", Some(Self::Cpu)), ("cuda", Some(Self::Cuda)), ("vulkan", Some(Self::Vulkan))];
}

/// `[sweep]`
pub(super) mod sweep {
    use super::*;
    pub(crate) static NAME: Key<String> = Key::required("name", "the run folder is runs/NAME");
    pub(crate) static SEED: Key<u64> = Key::with_default("seed", "all chance in the sweep derives from it", "0");
    pub(crate) static METRIC: Key<String> = Key::required("metric", "the figure that every report must carry, such as \"val_loss\"");
    pub(crate) static GOAL: Key<Goal> = Key::with_default("goal", "whether the metric is to be small or large", "\"minimize\"");
    pub(crate) static MAX_TRIALS: Key<NonZeroU32> = Key::optional("max_trials", "start at most so many trials");
    pub(crate) static GPU_HOURS: Key<Positive> =
        Key::optional("gpu_hours", "reserve at most so many GPU-hours (slot-hours on CPUs), over all workers");
    pub(crate) static WALL: Key<Length> = Key::optional("wall", "end so long after the sweep began");
    pub(crate) static TARGET: Key<f64> = Key::optional("target", "end when the metric is this good");
}

/// `[scheduler]`
pub(super) mod scheduler {
    use super::*;
    pub(crate) static MIN_RESOURCE: Key<Within<0, { u32::MAX }>> =
        Key::with_default("min_resource", "epochs (or steps) after which trials are first compared", "1");
    pub(crate) static MAX_RESOURCE: Key<NonZeroU32> = Key::required("max_resource", "epochs (or steps) of a full trial");
    pub(crate) static ETA: Key<Within<0, { u32::MAX }>> = Key::with_default("eta", "one in eta goes on from each rung", "3");
}

/// `[trial]`
pub(super) mod trial {
    use super::*;
    pub(crate) static RETRIES: Key<Within<0, 100>> =
        Key::with_default("retries", "tries after a failure that may be chance (a crash, a hang); never after NaN or out of memory", "1");
    pub(crate) static LOST_MAX: Key<Within<0, 1000>> =
        Key::with_default("lost_max", "times in a row that a trial may lose its worker without new progress", "5");
    pub(crate) static STALL: Key<Length> = Key::with_default("stall", "a trainer that says nothing for so long hangs", "\"10m\"");
    pub(crate) static GRACE: Key<Length> =
        Key::with_default("grace", "how long a trainer that was told to leave may take before it is killed", "\"10s\"");
    pub(crate) static MODEL: Key<Model> = Key::required("model", "\"mlp\" or \"cnn\"");
    pub(crate) static DEVICE: Key<Device> =
        Key::with_default("device", "where it trains; \"auto\": the slot's GPU if there is one, else the CPU", "\"auto\"");
    pub(crate) static DATA: SubTable = SubTable { name: "data", doc: "what it trains on", need: Need::Required, table: &DATA_TABLE };
    pub(crate) static COMMAND: Key<Vec<String>> =
        Key::required("command", "the program and its arguments; {lr} stands for the value of lr");
    pub(crate) static DIRECTORY: Key<PathBuf> = Key::with_default("directory", "where it runs", "\".\"");
    pub(crate) static ENV: Key<BTreeMap<String, String>> = Key::with_default("env", "added to its environment", "{}");
    pub(crate) static METRIC_PATTERN: Key<String> =
        Key::optional("metric_pattern", "for programs that only print: a regular expression whose one group finds the metric in a line");
}

/// `[trial.data]`
pub(super) mod data {
    use super::*;
    pub(crate) static IMAGES: Key<PathBuf> = Key::required("images", "IDX file of u8 images");
    pub(crate) static LABELS: Key<PathBuf> = Key::required("labels", "IDX file of u8 labels");
    pub(crate) static COUNT: Key<Within<10, 1_000_000>> = Key::with_default("count", "how many images", "2000");
    pub(crate) static CLASSES: Key<Within<2, 64>> = Key::with_default("classes", "how many shapes", "10");
    pub(crate) static SIZE: Key<Within<8, 128>> = Key::with_default("size", "height and width in pixels", "16");
    pub(crate) static NOISE: Key<Noise> = Key::with_default("noise", "standard deviation of the pixel noise; pixels are 0 to 1", "0.2");
    pub(crate) static SPLIT: SubTable =
        SubTable { name: "split", doc: "shares of the examples (default 0.8, 0.1, 0.1)", need: Need::Optional, table: &SPLIT_TABLE };
}

/// `[trial.data] split`
pub(super) mod split {
    use super::*;
    pub(crate) static TRAIN: Key<SomeShare> = Key::required("train", "for training");
    pub(crate) static VALIDATION: Key<SomeShare> = Key::required("validation", "for the reports that decide");
    pub(crate) static TEST: Key<Share> = Key::required("test", "for the one honest figure at the end; no decision sees it");
}

/// `[workers]`
pub(super) mod workers {
    use super::*;
    pub(crate) static LOCAL: Key<Within<0, 1024>> =
        Key::optional("local", "processes that `hpo run` starts on this machine (default: one a GPU, else one a core)");
    pub(crate) static LEASE: Key<Length> = Key::with_default("lease", "a worker that is silent for so long is lost", "\"30s\"");
    pub(crate) static HEARTBEAT: Key<Length> =
        Key::optional("heartbeat", "a worker says something at least this often (default: a sixth of `lease`)");
}

/// `[report]`
pub(super) mod report {
    use super::*;
    pub(crate) static PRICE: Key<Amount> =
        Key::optional("price_per_gpu_hour", "what a GPU-hour (slot-hour on CPUs) costs, in any currency");
    pub(crate) static CO2: Key<Amount> = Key::optional("co2_grams_per_kwh", "grams of CO2 that a kWh of your electricity costs");
}

/// A parameter of `[space]`: one key says which values it takes, and some go with it.
pub(super) mod parameter {
    use super::*;
    pub(crate) static UNIFORM: Key<[f64; 2]> = Key::optional("uniform", "real numbers from low to high");
    pub(crate) static LOG_UNIFORM: Key<[f64; 2]> = Key::optional("log_uniform", "real numbers from low to high, every ratio as likely");
    pub(crate) static INT: Key<[i64; 2]> = Key::optional("int", "whole numbers from low to high, both included");
    pub(crate) static LOG_INT: Key<[i64; 2]> = Key::optional("log_int", "whole numbers from low to high, every ratio as likely");
    pub(crate) static CHOICE: Key<Vec<Value>> = Key::optional("choice", "one of these values");
    pub(crate) static ORDERED: Key<Vec<Value>> = Key::optional("ordered", "one of these values, of which neighbours are alike");
    pub(crate) static BOOL: Key<bool> = Key::optional("bool", "`true`: true or false");
    pub(crate) static VALUE: Key<Value> = Key::optional("value", "a constant");
    pub(crate) static STEP: Key<f64> = Key::optional("step", "distance between values");
    pub(crate) static WHEN: Key<BTreeMap<String, OneOf>> =
        Key::optional("when", "it exists only where these parameters have (one of) these values");

    /// Each key that says which values there are, and the keys that go with it (`when` goes with all).
    pub(crate) static DOMAINS: [(&dyn Entry, &[&dyn Entry]); 8] = [
        (&UNIFORM, &[&STEP]),
        (&LOG_UNIFORM, &[]),
        (&INT, &[&STEP]),
        (&LOG_INT, &[]),
        (&CHOICE, &[]),
        (&ORDERED, &[]),
        (&BOOL, &[]),
        (&VALUE, &[]),
    ];
    /// What any parameter may say; messages call it by the parameter's name.
    pub(crate) static TABLE: Table = Table {
        path: "space",
        keys: &[&UNIFORM, &LOG_UNIFORM, &INT, &LOG_INT, &CHOICE, &ORDERED, &BOOL, &VALUE, &STEP, &WHEN],
        kinds: None,
    };

    /// `[space]`: its keys are the names of parameters.
    pub(crate) struct Space;

    impl Entry for Space {
        fn name(&self) -> &'static str {
            "space"
        }
        fn doc(&self) -> &'static str {
            "the parameters to search, in the order of dimensions"
        }
        fn need(&self) -> Need {
            Need::Required
        }
        fn schema(&self) -> Json {
            schema::space()
        }
    }
}
