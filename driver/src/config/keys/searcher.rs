//! `[searcher]`: who proposes trials.
use std::collections::BTreeMap;

use hpo_searchers::{Acquisition, Relation, Warp};

use crate::config::key::{Key, Kinds, Later, Table, kind, later};
use crate::config::shape::{InnerShare, Share, Within, Words};

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
            kind(
                "gp",
                "a Gaussian process over the highest rung with enough trials (arXiv:1206.2944)",
                &[&GP_STARTUP, &ACQUISITION, &TRANSFORM],
            ),
            kind(
                "gp-mf",
                "a Gaussian process over all rungs at once, for proposals for the highest (arXiv:2003.10865)",
                &[&GP_STARTUP, &ACQUISITION, &TRANSFORM, &RELATION],
            ),
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
pub(crate) static GP_STARTUP: Key<Within<1, 10_000>> = Key::with_default(
    "startup",
    "trials with a result on one rung before there is a model; until then the points are those of `sobol`",
    "8",
);
pub(crate) static ACQUISITION: Key<Acquisition> =
    Key::with_default("acquisition", "what a proposal makes large: the expected improvement, or a confidence bound", "\"log-ei\"");
pub(crate) static TRANSFORM: Key<Warp> = Key::with_default(
    "transform",
    "what losses are made into: `tail` keeps the better half and takes the logarithm of the worse, `standard` scales, `rank` takes normal quantiles",
    "\"tail\"",
);
pub(crate) static RELATION: Key<Relation> = Key::with_default(
    "relation",
    "what rungs say about each other: `chain` learns how much, `decay` has curves that decay exponentially, `apart` is nothing",
    "\"chain\"",
);

impl Words for Acquisition {
    const WHAT: &'static str = "acquisition";
    const ALL: &'static [(&'static str, Option<Self>)] = &[("log-ei", Some(Self::LogEi)), ("ucb", Some(Self::Ucb { beta: 2.0 }))];
}
impl Words for Warp {
    const WHAT: &'static str = "transform";
    const ALL: &'static [(&'static str, Option<Self>)] =
        &[("tail", Some(Self::Tail)), ("standard", Some(Self::Standard)), ("rank", Some(Self::Rank))];
}
impl Words for Relation {
    const WHAT: &'static str = "relation of rungs";
    const ALL: &'static [(&'static str, Option<Self>)] =
        &[("chain", Some(Self::Chain)), ("decay", Some(Self::Decay)), ("apart", Some(Self::Apart))];
}
