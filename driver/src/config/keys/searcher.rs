//! `[searcher]`: who proposes trials, and what is known beforehand.
use std::collections::BTreeMap;
use std::path::PathBuf;

use hpo_core::Value;
use hpo_searchers::{Acquisition, Confidence, Relation, Warp};
use serde_json::json;
use toml::Spanned;

use crate::config::key::{Key, Kinds, Table, kind};
use crate::config::searcher::{BeliefEntry, MOST_SEED_TRIALS, Member, Point};
use crate::config::shape::{InnerShare, Share, Within, Words};

pub(crate) static TABLE: Table = Table {
    path: "searcher",
    keys: &[&SEED_TRIALS, &PRIOR, &WARM_START],
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
            kind(
                "evolution",
                "regularised evolution (arXiv:1802.01548): a changed copy of the best of some young trials",
                &[&POPULATION, &SAMPLE],
            ),
            kind("ensemble", "several searchers, of which the one that earns most gets most of the trials", &[&MEMBERS]),
        ],
    }),
};

/// The second pass limits how many there are.
pub(crate) static SEED_TRIALS: Key<Vec<Spanned<Point>>> =
    Key::optional("seed_trials", "points to try first, in order; what a point leaves out is filled in from `prior`, or by chance")
        .within(|| json!({"maxItems": MOST_SEED_TRIALS}));
pub(crate) static PRIOR: Key<BTreeMap<String, Spanned<BeliefEntry>>> = Key::optional(
    "prior",
    "values believed to be good, by parameter (PriorBand, arXiv:2306.12370): lr = { value = 1e-3, confidence = \"medium\" }",
);
pub(crate) static WARM_START: Key<Vec<Spanned<PathBuf>>> =
    Key::optional("warm_start", "run folders of earlier sweeps, whose trials are taken account of by name and rank");

/// One belief of `prior`.
pub(crate) static BELIEF: Table = Table { path: "searcher.prior", keys: &[&VALUE, &CONFIDENCE], kinds: None };
pub(crate) static VALUE: Key<Spanned<Value>> = Key::required("value", "the value that is believed to be good");
pub(crate) static CONFIDENCE: Key<Confidence> =
    Key::with_default("confidence", "how sure that is: \"low\", \"medium\" or \"high\"", "\"medium\"");

pub(crate) static POPULATION: Key<Within<1, 100_000>> =
    Key::with_default("population", "youngest trials with a result, from among which parents are taken", "20");
pub(crate) static SAMPLE: Key<Within<1, 10_000>> =
    Key::with_default("sample", "of how many of them, drawn by chance, the best is the parent", "5");
pub(crate) static MEMBERS: Key<Vec<Spanned<Member>>> =
    Key::with_default("members", "who is in it, each with its default options", "[\"random\", \"tpe\", \"evolution\"]")
        .within(|| json!({"minItems": 1}));

pub(crate) static POINTS: Key<BTreeMap<String, Within<1, 1000>>> = Key::with_default(
    "points",
    "how many values of a parameter to try, by its name (default: all if there are up to ten, else five, evenly on its scale; those that a `when` of another names are tried in any case)",
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
