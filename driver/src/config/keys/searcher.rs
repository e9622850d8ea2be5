//! `[searcher]`: who proposes trials.
use std::collections::BTreeMap;

use crate::config::key::{Key, Kinds, Later, Table, kind, later};
use crate::config::shape::{InnerShare, Share, Within};

pub(crate) static TABLE: Table = Table {
    path: "searcher",
    keys: &[&Later("seed_trials"), &Later("prior"), &Later("warm_start")],
    kinds: Some(Kinds {
        what: "searcher",
        kinds: &[
            kind("random", "independent draws from the space", &[]),
            kind("sobol", "an Owen-scrambled Sobol sequence: more even than chance", &[]),
            kind("grid", "every combination of some values of each parameter, in order", &[&POINTS]),
            kind(
                "tpe",
                "tree-structured Parzen estimators (NIPS 2011): where good trials are denser than the others",
                &[&GAMMA, &CANDIDATES, &STARTUP],
            ),
            kind(
                "bohb",
                "the same over the highest rung with enough trials (arXiv:1807.01774)",
                &[&GAMMA, &CANDIDATES, &STARTUP, &RANDOM_SHARE],
            ),
            later("gp"),
            later("gp-mf"),
            later("evolution"),
            later("ensemble"),
        ],
    }),
};

pub(crate) static POINTS: Key<BTreeMap<String, Within<1, 1000>>> = Key::with_default(
    "points",
    "how many values of a parameter to try, by its name (default: all if there are up to ten, else five, evenly on its scale)",
    "{}",
);
pub(crate) static GAMMA: Key<InnerShare> = Key::with_default("gamma", "share of the trials that are called good", "0.15");
pub(crate) static CANDIDATES: Key<Within<1, 10_000>> =
    Key::with_default("candidates", "points drawn from among the good ones, of which the most promising is proposed", "24");
pub(crate) static STARTUP: Key<Within<1, 10_000>> = Key::with_default(
    "startup",
    "trials with a result on one rung before there is a model; until then the points are those of `sobol`",
    "10",
);
pub(crate) static RANDOM_SHARE: Key<Share> = Key::with_default("random_share", "share of the trials that are drawn by chance", "0.333");
