//! What the virtual world is like.
use hpo_core::Millis;

/// `[simulate]`: how many workers there are, and what keeps them from training.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Conditions {
    /// Virtual workers, of one slot each.
    pub workers: u32,
    /// From the start of a worker, which is when it begins to cost, until it can be given a lease.
    pub worker_startup: Millis,
    /// From a worker's word to what the driver says to it: the network, there and back, and the journal's sync.
    pub latency: Millis,
    /// Words of workers that the driver takes a second, one after the other; None: any number.
    pub words_per_second: Option<u32>,
    /// From a lease to the first unit, unless it goes on in place: starting the trainer, loading data, building the model.
    pub startup: Millis,
    /// Reading a checkpoint, before a lease that does not go on in place.
    pub restore: Millis,
    /// Writing a checkpoint, at the end of a lease and when called back.
    pub checkpoint: Millis,
    /// What a suggestion takes. The searcher answers one question after the other, as in a real run.
    pub suggest: Millis,
    /// The share of workers that are slow. Drawn anew at each start of a worker.
    pub straggler_share: f64,
    /// How many times longer these take for each unit.
    pub straggler_factor: f64,
    /// Mean time between failures of one worker, exponentially distributed; None: none fails. The driver notices at once.
    pub mtbf: Option<Millis>,
    /// From a worker's failure until it is back.
    pub restart: Millis,
}

impl Conditions {
    /// Workers without any friction.
    #[must_use]
    pub fn ideal(workers: u32) -> Self {
        Self {
            workers,
            worker_startup: 0,
            latency: 0,
            words_per_second: None,
            startup: 0,
            restore: 0,
            checkpoint: 0,
            suggest: 0,
            straggler_share: 0.0,
            straggler_factor: 1.0,
            mtbf: None,
            restart: 0,
        }
    }
}
