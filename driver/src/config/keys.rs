//! Every word of a sweep file, once. The reader checks against these tables, messages quote them, the JSON Schema and
//! the starter file are held against them.
pub(super) mod parameter;
pub(super) mod pool;
pub(super) mod searcher;
pub(super) mod simulate;
pub(super) mod slurm;

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::path::PathBuf;

use hpo_core::job::{Device, Function, Model};
use hpo_core::schedule::Brackets;
use hpo_core::{Goal, Value};
use serde_json::{Value as Json, json};
use toml::Spanned;

use super::key::{Entry, Key, Kinds, Later, Need, SubTable, Table, kind, later};
use super::schema;
use super::shape::{Amount, InnerShare, Length, Noise, OneOf, Positive, Share, SomeShare, Within, Words};

pub(super) static FILE: Table = Table {
    path: "",
    keys: &[&BASE, &SWEEP, &SPACE, &SEARCHER, &SCHEDULER, &TRIAL, &WORKERS, &REPORT, &SIMULATE, &SLURM, &Later("finals")],
    kinds: None,
};
pub(super) static BASE: Key<PathBuf> = Key::optional("base", "relative paths start here (default: the folder of the file)");
pub(super) static SWEEP: SubTable =
    SubTable { name: "sweep", doc: "what to reach, and when to end", need: Need::Required, table: &SWEEP_TABLE };
/// Its keys are the user's: see [`parameter`].
pub(super) static SPACE: parameter::Space = parameter::Space;
pub(super) static SEARCHER: SubTable =
    SubTable { name: "searcher", doc: "who proposes trials (default: random)", need: Need::Optional, table: &searcher::TABLE };
pub(super) static SCHEDULER: SubTable =
    SubTable { name: "scheduler", doc: "which trials go on", need: Need::Required, table: &SCHEDULER_TABLE };
pub(super) static TRIAL: SubTable = SubTable { name: "trial", doc: "what trains", need: Need::Required, table: &TRIAL_TABLE };
pub(super) static WORKERS: SubTable = SubTable { name: "workers", doc: "where trials run", need: Need::Optional, table: &WORKERS_TABLE };
pub(super) static REPORT: SubTable = SubTable { name: "report", doc: "what a slot-hour costs", need: Need::Optional, table: &REPORT_TABLE };
pub(super) static SIMULATE: SubTable =
    SubTable { name: "simulate", doc: "the virtual workers of `hpo simulate`", need: Need::Optional, table: &simulate::TABLE };
pub(super) static SLURM: SubTable =
    SubTable { name: "slurm", doc: "workers as jobs of Slurm, for `hpo slurm submit`", need: Need::Optional, table: &slurm::TABLE };

static SWEEP_TABLE: Table = Table {
    path: "sweep",
    keys: &[&sweep::NAME, &sweep::SEED, &sweep::METRIC, &sweep::GOAL, &sweep::MAX_TRIALS, &sweep::GPU_HOURS, &sweep::WALL, &sweep::TARGET],
    kinds: None,
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
            kind(
                "halving",
                "successive halving (arXiv:1502.07943): rungs wait until all are in, then the best 1/eta go on",
                &[&scheduler::MIN_RESOURCE, &scheduler::ETA, &scheduler::BRACKET],
            ),
            kind(
                "hyperband",
                "Hyperband (arXiv:1603.06560): halving in brackets that start on higher and higher rungs",
                &[&scheduler::MIN_RESOURCE, &scheduler::ETA],
            ),
            kind(
                "asha-stop",
                "ASHA as Ray Tune has it: who is not among the best 1/eta on a rung stops, the others train on",
                &[&scheduler::MIN_RESOURCE, &scheduler::ETA],
            ),
            kind(
                "hyperband-async",
                "several ASHAs side by side that start on higher and higher rungs; none waits",
                &[&scheduler::MIN_RESOURCE, &scheduler::ETA, &scheduler::BRACKETS, &scheduler::BRACKET_CHOICE, &scheduler::WEIGHTS],
            ),
            kind(
                "pasha",
                "PASHA (arXiv:2207.06940): ASHA that trains further only while the ranking changes",
                &[&scheduler::MIN_RESOURCE, &scheduler::ETA, &scheduler::EPSILON],
            ),
            kind(
                "median",
                "median stopping (Google Vizier): who is worse than the median of the others' averages stops",
                &[&scheduler::MIN_RESOURCE, &scheduler::MIN_TRIALS],
            ),
            kind(
                "swift",
                "Hyperband that predicts the end of a round (arXiv:2311.17508): who would be left behind stops half way",
                &[&scheduler::MIN_RESOURCE, &scheduler::ETA, &scheduler::DECIDE_AT, &scheduler::MARGIN],
            ),
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
            kind(
                "tabular",
                "recorded trainings from a CSV; [space] is its pool",
                &[&tabular::CSV, &tabular::CURVE, &tabular::COST, &trial::PACE],
            ),
            kind(
                "surrogate",
                "trainings as an ONNX model in the style of YAHPO Gym (arXiv:2109.03670) predicts them",
                &[
                    &surrogate::MODEL,
                    &surrogate::ENCODING,
                    &surrogate::CATEGORICAL,
                    &surrogate::CONTINUOUS,
                    &surrogate::FIXED,
                    &surrogate::FIDELITY,
                    &surrogate::FIDELITY_STEP,
                    &surrogate::OUTPUTS,
                    &surrogate::METRIC,
                    &surrogate::TEST,
                    &surrogate::COST,
                    &surrogate::NOISE,
                    &surrogate::FAILURE_RATE,
                    &trial::PACE,
                ],
            ),
            kind(
                "synthetic",
                "trainings in closed form, whose best loss is known",
                &[
                    &synthetic::FUNCTION,
                    &synthetic::NOISE,
                    &synthetic::FAILURE_RATE,
                    &synthetic::CROSSING,
                    &synthetic::RATE,
                    &synthetic::SECONDS,
                    &synthetic::COST_SPREAD,
                    &trial::PACE,
                ],
            ),
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

/// How trials are dealt out to brackets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BracketChoice {
    Hyperband,
    RoundRobin,
}
impl Words for BracketChoice {
    const WHAT: &'static str = "way to choose a bracket";
    const ALL: &'static [(&'static str, Option<Self>)] = &[("hyperband", Some(Self::Hyperband)), ("round-robin", Some(Self::RoundRobin))];
}

/// `[sweep]`
pub(super) mod sweep {
    use super::*;
    pub(crate) static NAME: Key<String> =
        Key::required("name", "the run folder is runs/NAME").within(|| json!({"pattern": r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,99}$|\$\{"}));
    pub(crate) static SEED: Key<u64> = Key::with_default("seed", "all chance in the sweep derives from it", "0");
    pub(crate) static METRIC: Key<String> =
        Key::required("metric", "the figure that every report must carry, such as \"val_loss\"").within(|| json!({"pattern": r"\S"}));
    pub(crate) static GOAL: Key<Goal> = Key::with_default("goal", "whether the metric is to be small or large", "\"minimize\"");
    /// A trial takes about a kilobyte of the driver's memory.
    pub(crate) static MAX_TRIALS: Key<Within<1, 10_000_000>> = Key::optional("max_trials", "start at most so many trials");
    pub(crate) static GPU_HOURS: Key<Positive> =
        Key::optional("gpu_hours", "reserve at most so many GPU-hours (slot-hours on CPUs), over all workers");
    pub(crate) static WALL: Key<Length> = Key::optional("wall", "end so long after the sweep began");
    pub(crate) static TARGET: Key<f64> = Key::optional("target", "end when the metric is this good");
}

/// `[scheduler]`
pub(super) mod scheduler {
    use super::*;
    pub(crate) static MIN_RESOURCE: Key<Within<0, { u32::MAX }>> =
        Key::with_default("min_resource", "epochs (or steps) after which trials are first compared", "1").within(|| json!({"minimum": 1}));
    pub(crate) static MAX_RESOURCE: Key<NonZeroU32> = Key::required("max_resource", "epochs (or steps) of a full trial");
    pub(crate) static ETA: Key<Within<0, { u32::MAX }>> =
        Key::with_default("eta", "one in eta goes on from each rung", "3").within(|| json!({"minimum": 2}));
    pub(crate) static DECIDE_AT: Key<InnerShare> =
        Key::with_default("decide_at", "share of the way to the next rung after which its end is predicted", "0.5");
    pub(crate) static MARGIN: Key<Amount> =
        Key::with_default("margin", "stop only if a prediction is worse than needed by so many times its usual error", "1");
    pub(crate) static BRACKET: Key<NonZeroU32> = Key::optional(
        "bracket",
        "trials that are compared with each other (default: all `max_trials`; without these the fewest of which one comes to the top)",
    );
    pub(crate) static BRACKETS: Key<Within<1, 32>> = Key::optional(
        "brackets",
        "so many ASHAs, the first from min_resource (default: one for each min_resource x eta^b up to max_resource)",
    );
    pub(crate) static BRACKET_CHOICE: Key<BracketChoice> =
        Key::with_default("bracket_choice", "which bracket gets a trial: in Hyperband's proportions, or each in turn", "\"hyperband\"");
    pub(crate) static WEIGHTS: Key<Vec<Within<0, { Brackets::MOST_WEIGHT }>>> =
        Key::optional("weights", "how many of the trials each bracket gets, in the place of `brackets` and `bracket_choice`")
            .within(|| json!({"contains": {"minimum": 1}}));
    pub(crate) static EPSILON: Key<Amount> =
        Key::optional("epsilon", "losses no further apart are equal (default: estimated from how curves cross)");
    pub(crate) static MIN_TRIALS: Key<NonZeroU32> =
        Key::with_default("min_trials", "others that must have come as far before a trial is judged", "3");
}

/// `[trial]`
pub(super) mod trial {
    use super::*;
    pub(crate) static RETRIES: Key<Within<0, 100>> =
        Key::with_default("retries", "tries after a failure that may be chance (a crash, a hang); never after NaN or out of memory", "1");
    pub(crate) static LOST_MAX: Key<Within<0, 1000>> =
        Key::with_default("lost_max", "times in a row that a trial may lose its worker without new progress", "5");
    pub(crate) static STALL: Key<Length> = Key::with_default("stall", "a trainer that tells no progress for so long hangs", "\"10m\"");
    pub(crate) static GRACE: Key<Length> =
        Key::with_default("grace", "how long a trainer that was told to leave may take before it is killed", "\"10s\"");
    pub(crate) static MODEL: Key<Model> = Key::required("model", "\"mlp\" or \"cnn\"");
    pub(crate) static PACE: Key<Amount> =
        Key::with_default("pace", "seconds that a real worker takes over one second of the training; 0: as fast as it can", "0.001");
    pub(crate) static DEVICE: Key<Device> =
        Key::with_default("device", "where it trains; \"auto\": the slot's GPU if there is one, else the CPU", "\"auto\"");
    pub(crate) static DATA: SubTable = SubTable { name: "data", doc: "what it trains on", need: Need::Required, table: &DATA_TABLE };
    pub(crate) static COMMAND: Key<Vec<Spanned<String>>> =
        Key::required("command", "the program and its arguments; {lr} stands for the value of lr").within(|| json!({"minItems": 1}));
    pub(crate) static DIRECTORY: Key<PathBuf> = Key::with_default("directory", "where it runs", "\".\"");
    pub(crate) static ENV: Key<BTreeMap<String, String>> =
        Key::with_default("env", "added to its environment", "{}").within(|| json!({"propertyNames": {"pattern": "^[^=]+$"}}));
    pub(crate) static METRIC_PATTERN: Key<String> =
        Key::optional("metric_pattern", "for programs that only print: a regular expression whose one group finds the metric in a line");
}

/// `[trial]` of recorded trainings
pub(super) mod tabular {
    use super::*;
    pub(crate) static CSV: Key<PathBuf> = Key::required("csv", "the file, a training a row");
    pub(crate) static CURVE: Key<String> =
        Key::required("curve", "the metric stands in the columns named so and a number, one a unit of resource");
    pub(crate) static COST: Key<String> =
        Key::optional("cost", "the column with the seconds of the whole training (default: a second a unit)");
}

/// `[trial]` of predicted trainings
pub(super) mod surrogate {
    use super::*;
    pub(crate) static MODEL: Key<PathBuf> = Key::required("model", "the ONNX file");
    pub(crate) static ENCODING: Key<PathBuf> =
        Key::optional("encoding", "a JSON file: for each categorical input the number of each of its words");
    pub(crate) static CATEGORICAL: Key<Vec<String>> = Key::with_default("categorical", "names of these inputs, in the model's order", "[]");
    pub(crate) static CONTINUOUS: Key<Vec<String>> = Key::required("continuous", "names of these inputs, in the model's order");
    pub(crate) static FIXED: Key<BTreeMap<String, Value>> =
        Key::with_default("fixed", "inputs that no trial changes, such as the task", "{}");
    pub(crate) static FIDELITY: Key<String> = Key::required("fidelity", "the continuous input that is the resource");
    pub(crate) static FIDELITY_STEP: Key<Positive> =
        Key::with_default("fidelity_step", "how much of that input one unit of resource is", "1.0");
    pub(crate) static OUTPUTS: Key<Vec<String>> = Key::required("outputs", "names of the outputs, in the model's order");
    pub(crate) static METRIC: Key<String> =
        Key::optional("metric", "the output that is the sweep's metric (default: the one of that name)");
    pub(crate) static TEST: Key<String> = Key::optional("test", "the output that is the test metric");
    pub(crate) static COST: Key<String> =
        Key::optional("cost", "the output that is the seconds since the training began (default: a second a unit)");
    pub(crate) static NOISE: Key<Amount> =
        Key::with_default("noise", "standard deviation of the noise on the metric of a report; the test metric has none", "0.0");
    pub(crate) static FAILURE_RATE: Key<Share> =
        Key::with_default("failure_rate", "share of the trials that fail, each at a unit drawn for it", "0.0");
}

/// `[trial]` in closed form
pub(super) mod synthetic {
    use super::*;
    pub(crate) static FUNCTION: Key<Function> = Key::required("function", "the loss after a whole training, over the parameters");
    pub(crate) static NOISE: Key<Amount> = Key::with_default("noise", "standard deviation of the noise on a report", "0.0");
    pub(crate) static FAILURE_RATE: Key<Share> = Key::with_default("failure_rate", "share of the trials that diverge", "0.0");
    pub(crate) static CROSSING: Key<Share> = Key::with_default("crossing", "how much early ranks mislead", "0.0");
    pub(crate) static RATE: Key<Positive> =
        Key::with_default("rate", "how fast curves come down: the exponent that they have lost at the end", "5.0");
    pub(crate) static SECONDS: Key<Positive> = Key::with_default("seconds", "median time that one unit takes", "1.0");
    pub(crate) static COST_SPREAD: Key<Amount> =
        Key::with_default("cost_spread", "standard deviation, over trials, of the logarithm of that time", "0.0");
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
