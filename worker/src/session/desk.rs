//! What all slots share: the clock, the job, the words that wait for the driver.
use std::path::Path;

use hpo_core::Millis;
use hpo_core::job::{Job, Trainable};
use hpo_core::sweep::event::Held;
use hpo_wire::{About, FromWorker};

use super::Output;
use super::outbox::Outbox;

/// What a slot may touch beside itself.
pub(super) struct Desk<'a> {
    pub(super) now: Millis,
    pub(super) job: &'a Job,
    pub(super) scratch: &'a Path,
    pub(super) outbox: &'a mut Outbox,
    /// Whether words can be sent at once.
    pub(super) up: bool,
    pub(super) out: &'a mut Vec<Output>,
}

impl Desk<'_> {
    /// Keeps a word about an attempt whose lease came at `arrived`, and sends it if the driver is there.
    pub(super) fn say(&mut self, held: Held, arrived: Millis, about: About) {
        let word = self.outbox.push(held, self.now.saturating_sub(arrived), about);
        if self.up {
            self.out.push(Output::Send(FromWorker::Word(word)));
        }
    }

    /// A built-in trainer serves lease after lease; a user's program is started for each.
    pub(super) fn keeps_trainers(&self) -> bool {
        matches!(self.job.trainable, Trainable::Burn(_) | Trainable::Curves(_))
    }

    pub(super) fn grace_ends(&self) -> Millis {
        self.now.saturating_add(self.job.grace_ms)
    }
}
