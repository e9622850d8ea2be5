//! `[simulate]`: what the virtual workers of `hpo simulate` are like.
use crate::config::key::{Key, Table};
use crate::config::shape::{Factor, Length, Share, Wait, Within};

pub(crate) static TABLE: Table = Table {
    path: "simulate",
    keys: &[
        &WORKERS,
        &WORKER_STARTUP,
        &LATENCY,
        &WORDS_PER_SECOND,
        &STARTUP,
        &RESTORE,
        &CHECKPOINT,
        &SUGGEST,
        &STRAGGLER_SHARE,
        &STRAGGLER_FACTOR,
        &MTBF,
        &RESTART,
    ],
    kinds: None,
};
pub(crate) static WORKERS: Key<Within<1, 100_000>> =
    Key::optional("workers", "virtual workers, of one slot each (default: `local` of [workers], else 1)");
pub(crate) static WORKER_STARTUP: Key<Wait> =
    Key::with_default("worker_startup", "from the start of a worker until it can be given a lease", "\"0s\"");
pub(crate) static LATENCY: Key<Wait> = Key::with_default(
    "latency",
    "from a worker's word to the driver's answer: the network, there and back, and the journal's sync",
    "\"0s\"",
);
pub(crate) static WORDS_PER_SECOND: Key<Within<1, 10_000_000>> = Key::optional(
    "words_per_second",
    "words of workers that the driver takes, one after the other; `hpo bench grpc` measures them (default: any number)",
);
pub(crate) static STARTUP: Key<Wait> = Key::with_default("startup", "from a lease to its first unit, unless it goes on in place", "\"0s\"");
pub(crate) static RESTORE: Key<Wait> =
    Key::with_default("restore", "reading a checkpoint, before a lease that does not go on in place", "\"0s\"");
pub(crate) static CHECKPOINT: Key<Wait> = Key::with_default("checkpoint", "writing a checkpoint, at the end of each lease", "\"0s\"");
pub(crate) static SUGGEST: Key<Wait> = Key::with_default("suggest", "what one suggestion takes the searcher", "\"0s\"");
pub(crate) static STRAGGLER_SHARE: Key<Share> =
    Key::with_default("straggler_share", "share of workers that are slow, drawn at each start of one", "0.0");
pub(crate) static STRAGGLER_FACTOR: Key<Factor> =
    Key::with_default("straggler_factor", "how many times longer a slow worker takes for each unit", "2.0");
pub(crate) static MTBF: Key<Length> =
    Key::optional("mtbf", "mean time between failures of one worker, exponentially distributed (default: none fails)");
pub(crate) static RESTART: Key<Wait> = Key::with_default("restart", "from a worker's failure until it is back", "\"0s\"");
