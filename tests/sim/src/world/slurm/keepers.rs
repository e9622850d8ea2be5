//! The production keeper of each driver, and its waits.
use std::collections::{BTreeMap, VecDeque};

use hpo_core::{Millis, Stamp};
use hpo_driver::engine::parts::Input;
use hpo_driver::journal::Medium;
use hpo_driver::launch::slurm::call::Said;
use hpo_driver::launch::slurm::keeper::{Deed, Demand, Ending, Keeper, KeeperOptions, Next};
use hpo_driver::launch::slurm::queue::Queue;
use hpo_driver::launch::slurm::scale::{News, Place, Policy};
use hpo_driver::launch::slurm::submit::{SubmitFault, seen, submitted};

use super::super::drivers::Stage;
use super::super::{CREATED_UNIX_MS, World};
use super::Due;
use super::calls::{Call, Request};
use super::controller::NAME;
use crate::check::Fact;

/// How often a keeper looks at the sweep, as in production.
const TURN: Millis = 500;

/// A keeper and what it is about to do.
pub(in crate::world) struct Keeping {
    mind: Mind,
    deeds: VecDeque<Deed>,
    begun: Stamp,
    turn: u64,
    /// What it waits for Slurm's answer to.
    call: Option<Call>,
    /// When it looks again, at the end.
    rests: Millis,
}

enum Mind {
    Keeps(Box<Keeper>),
    Ends(Box<Ending>),
}

impl World {
    fn unix_ms(&self) -> u64 {
        (CREATED_UNIX_MS + self.now.0).saturating_add_signed(self.wall_off)
    }

    /// A driver has begun: it goes on with the tasks of the one before it.
    pub(in crate::world) fn begin_to_keep(&mut self, driver: usize) {
        let (unix_ms, now) = (self.unix_ms(), self.now);
        let Some(slurm) = &mut self.slurm else { return };
        let cluster = &slurm.cluster;
        let policy = Policy {
            name: NAME.to_owned(),
            max_tasks: cluster.max_workers,
            throttle: cluster.throttle,
            slots_per_task: cluster.slots.into(),
            array_max: cluster.array_max,
            look_every: cluster.poll,
            submits: !cluster.driver_is_job,
        };
        let options = KeeperOptions { policy, own: None, logs: "logs".into(), machine: self.wall_off.to_string() };
        let mind = Mind::Keeps(Box::new(Keeper::new(options, slurm.notes.clone(), unix_ms)));
        slurm.keepers.insert(driver, Keeping { mind, deeds: VecDeque::new(), begun: now, turn: 0, call: None, rests: 0 });
        self.due(now, Due::Keep { driver, turn: 0 });
    }

    /// The driver is dead, or another has taken over.
    pub(in crate::world) fn keeps_no_more(&mut self, driver: usize) {
        if let Some(slurm) = &mut self.slurm {
            slurm.keepers.remove(&driver);
        }
    }

    /// The driver's sweep is over for now: it leaves when nobody is left. False where there is nothing to leave.
    pub(in crate::world) fn keeps_to_the_end(&mut self, driver: usize) -> bool {
        let now = self.now;
        let Some(keeping) = self.slurm.as_mut().and_then(|slurm| slurm.keepers.remove(&driver)) else { return false };
        if let Some(slurm) = &mut self.slurm {
            slurm.ended = Some(now);
        }
        let Keeping { mind, begun, turn, .. } = keeping;
        let Mind::Keeps(keeper) = mind else { return false };
        let mind = Mind::Ends(Box::new(keeper.end(now.since(begun))));
        let keeping = Keeping { mind, deeds: [Deed::Look].into(), begun, turn: turn + 1, call: None, rests: 0 };
        self.due(now, Due::Keep { driver, turn: turn + 1 });
        if let Some(slurm) = &mut self.slurm {
            slurm.keepers.insert(driver, keeping);
        }
        true
    }

    fn with_keeper(&mut self, driver: usize, then: impl FnOnce(&mut Keeper, Millis, u64, Demand<'_>, &mut VecDeque<Deed>)) {
        let (now, unix_ms) = (self.now, self.unix_ms());
        let Stage::Running(running) = &self.drivers[driver].stage else { return };
        let progress = running.heart.progress(self.drivers[driver].clock.now(now));
        let Some(keeping) = self.slurm.as_mut().and_then(|slurm| slurm.keepers.get_mut(&driver)) else { return };
        let Mind::Keeps(keeper) = &mut keeping.mind else { return };
        let demand =
            Demand { slots: progress.appetite, connected: progress.connected, tasks: &progress.tasks, bad_nodes: &progress.bad_nodes };
        then(keeper, now.since(keeping.begun), unix_ms, demand, &mut keeping.deeds);
    }

    pub(super) fn keep(&mut self, driver: usize, turn: u64) {
        let Some(keeping) = self.slurm.as_ref().and_then(|slurm| slurm.keepers.get(&driver)) else { return };
        if keeping.turn != turn {
            return;
        }
        let asleep = self.drivers[driver].asleep_until;
        if self.now < asleep {
            return self.due(asleep, Due::Keep { driver, turn });
        }
        if keeping.deeds.is_empty() && matches!(keeping.mind, Mind::Keeps(_)) {
            let asked = self.slurm.as_ref().map(|slurm| slurm.asked).unwrap_or_default();
            self.with_keeper(driver, |keeper, now, unix_ms, demand, deeds| {
                keeper.obey(asked, deeds);
                keeper.step(now, unix_ms, demand, deeds);
            });
        }
        self.do_next(driver);
    }

    /// Does what is to be done, up to the next call.
    fn do_next(&mut self, driver: usize) {
        loop {
            let Some(keeping) = self.slurm.as_mut().and_then(|slurm| slurm.keepers.get_mut(&driver)) else { return };
            let ending = matches!(keeping.mind, Mind::Ends(_));
            let Some(deed) = keeping.deeds.pop_front() else {
                let rests = if ending { keeping.rests } else { TURN };
                keeping.turn += 1;
                if ending {
                    keeping.deeds.push_back(Deed::Look);
                }
                let turn = keeping.turn;
                return self.due(self.now.plus(rests), Due::Keep { driver, turn });
            };
            match deed {
                Deed::Note => {
                    if let Mind::Keeps(keeper) = &keeping.mind {
                        let notes = keeper.notes().clone();
                        if let Some(slurm) = &mut self.slurm {
                            slurm.notes = notes;
                        }
                    }
                }
                Deed::Spare { workers, own } => self.bring(driver, Input::Spare { workers, own }),
                Deed::Drain => self.bring(driver, Input::Drain),
                Deed::Look => return self.call(driver, Call::Look { ending }),
                Deed::Cancel(places) => return self.call(driver, Call::Cancel(places)),
                // Another may have taken over.
                Deed::Submit { .. } if self.drivers[driver].head.check().is_err() => {}
                Deed::Throttle { array, most } => return self.call(driver, Call::Throttle { array, most }),
                Deed::Submit { tasks, exclude, most } => return self.call(driver, Call::Submit { tasks, exclude, most }),
            }
        }
    }

    fn call(&mut self, driver: usize, call: Call) {
        let epoch = self.drivers[driver].epoch;
        let Some(keeping) = self.slurm.as_mut().and_then(|slurm| slurm.keepers.get_mut(&driver)) else { return };
        keeping.turn += 1;
        keeping.call = Some(call.clone());
        let turn = keeping.turn;
        match &call {
            Call::Look { ending } => self.fact(&Fact::Looked { epoch, ending: *ending }),
            Call::Submit { tasks, exclude, most } => {
                self.fact(&Fact::Asked { epoch, tasks: *tasks, exclude: exclude.clone() });
                most.iter().for_each(|most| self.fact(&Fact::Throttled { epoch, most: *most }));
            }
            Call::Throttle { array, most } => {
                self.note(format_args!("driver {driver} lets {most} tasks of array {array} run"));
                self.fact(&Fact::Throttled { epoch, most: *most });
            }
            Call::Cancel(places) => self.note(format_args!("driver {driver} cancels {places:?}")),
        }
        self.send_request(Request { driver, turn, call, tried: 0 });
    }

    /// Slurm's program has ended; `None` if it was killed for its slowness.
    pub(super) fn answer(&mut self, driver: usize, turn: u64, said: Option<&Said>) {
        let Some(keeping) = self.slurm.as_mut().and_then(|slurm| slurm.keepers.get_mut(&driver)) else { return };
        if keeping.turn != turn {
            return;
        }
        let asleep = self.drivers[driver].asleep_until;
        if self.now < asleep {
            return self.due(asleep, Due::Answer { driver, turn, said: said.cloned() });
        }
        let Some(call) = keeping.call.take() else { return };
        match call {
            Call::Look { ending } => {
                let queue = said.and_then(|said| seen(said).ok());
                if ending {
                    self.looks_around(driver, queue.as_ref());
                } else {
                    self.hear_news(driver, &queue.map_or(News::NoQueue, News::Queue));
                }
            }
            Call::Submit { tasks, .. } => self.heard_of_submission(driver, tasks, said),
            Call::Throttle { array, most } => {
                if said.is_some_and(Said::is_fine) {
                    self.hear_news(driver, &News::Throttled { array, most });
                }
            }
            Call::Cancel(_) => {
                if let (Mind::Ends(ending), Some(Said { code: Some(0), .. })) = (&mut keeping.mind, said) {
                    ending.cancelled();
                }
            }
        }
        self.do_next(driver);
    }

    fn heard_of_submission(&mut self, driver: usize, tasks: u32, said: Option<&Said>) {
        let (accepted, news) = match said.map(submitted) {
            Some(Ok(array)) => (Some(true), News::Submitted { array, tasks }),
            Some(Err(refused @ SubmitFault::Refused { .. })) => (Some(false), News::Refused { for_nodes: refused.is_for_nodes() }),
            Some(Err(SubmitFault::NoAnswer { .. })) | None => (None, News::NoAnswer),
        };
        let epoch = self.drivers[driver].epoch;
        self.fact(&Fact::Answered { epoch, accepted });
        self.hear_news(driver, &news);
    }

    fn hear_news(&mut self, driver: usize, news: &News) {
        self.with_keeper(driver, |keeper, now, unix_ms, demand, deeds| keeper.hear(now, unix_ms, news, demand, deeds));
    }

    /// At the end.
    fn looks_around(&mut self, driver: usize, queue: Option<&Queue>) {
        let now = self.now;
        let Some(keeping) = self.slurm.as_mut().and_then(|slurm| slurm.keepers.get_mut(&driver)) else { return };
        let Mind::Ends(ending) = &mut keeping.mind else { return };
        let next = ending.looked(now.since(keeping.begun), queue);
        match next {
            Next::Again { cancel, after } => {
                keeping.rests = after;
                if !cancel.is_empty() {
                    keeping.deeds.push_back(Deed::Cancel(cancel));
                }
            }
            Next::Over | Next::Left => {
                self.note(format_args!("driver {driver} leaves the queue: {next:?}"));
                self.keeps_no_more(driver);
                if self.end.is_none() {
                    self.start_later();
                }
            }
        }
    }

    /// What Slurm calls the tasks whose processes run: those of which it knows.
    pub(super) fn task_of(&self, worker: usize) -> Option<Place> {
        let tasks: &BTreeMap<Place, super::controller::Task> = &self.slurm.as_ref()?.controller.tasks;
        tasks.iter().find(|(_, task)| task.worker == Some(worker)).map(|(place, _)| *place)
    }
}
