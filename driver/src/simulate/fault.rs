//! Why there is no simulation.
use hpo_core::Resource;
use hpo_curves::CurveFault;
use hpo_searchers::BuildFault;

/// What went wrong, and what to do about it.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// Trials that have to be trained.
    #[error(
        "a sweep with [trial] kind = \"{kind}\" has to be trained and cannot be simulated; kind = \"tabular\", \"surrogate\" or \
         \"synthetic\" can"
    )]
    NotSimulated {
        /// The file's kind.
        kind: &'static str,
    },
    /// The curves cannot be used, or the parameters mean nothing to them.
    #[error(transparent)]
    Curves(#[from] CurveFault),
    /// Curves that end too soon.
    #[error("the curves have {longest} units; set `max_resource` in [scheduler] to that or less, it is {max_resource}")]
    Short {
        /// Units that there are.
        longest: Resource,
        /// Units that a full trial needs.
        max_resource: Resource,
    },
    /// There is no such searcher for the space.
    #[error("[searcher]: {0}")]
    Searcher(#[from] BuildFault),
    /// A sweep that may go on forever.
    #[error(
        "only `target` ends this sweep, and it may never be reached; give --until-resource, or set `max_trials`, `wall` or \
         `gpu_hours` in [sweep]"
    )]
    NoEnd,
    /// Trial after trial comes to nothing.
    #[error("{trials} trials in a row trained nothing; `failure_rate`, `mtbf` and `restart` leave no room for training")]
    Barren {
        /// How many.
        trials: u32,
    },
    /// Nothing is to come and the sweep has not ended.
    #[error("the sweep stands still: nothing runs, nothing is to come, and it has not ended; this is a fault of the scheduler")]
    StandsStill,
}
