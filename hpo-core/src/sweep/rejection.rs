//! Why a word from outside was turned away at the door.

/// Outside words that make no sense now: counted, answered, harmless.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, thiserror::Error)]
pub enum Rejection {
    /// This worker never joined, or has left.
    #[error("the worker is not known")]
    UnknownWorker,
    /// No trial of this number.
    #[error("the trial is not known")]
    UnknownTrial,
    /// Not the newest attempt of its trial, or one that has ended.
    #[error("the attempt is not the newest of its trial")]
    StaleAttempt,
    /// This message was applied before.
    #[error("the message was applied before")]
    Duplicate,
    /// The resource is beyond the lease, or not above the last report.
    #[error("the resource lies outside the lease")]
    OutsideLease,
    /// Nobody asked for this trial's values.
    #[error("no suggestion was asked for")]
    NotAsked,
    /// The values are not a point of the space.
    #[error("the values are not a point of the space")]
    NotInSpace,
    /// The sweep is over.
    #[error("the sweep has ended")]
    Over,
    /// A worker with no slot, or with more than can be numbered or booked.
    #[error("a worker offers between 1 and 1024 slots, and all workers together no more than 100,000 GPUs")]
    Slots,
    /// A driver epoch that is not above the last.
    #[error("another driver has taken over")]
    Fenced,
}
