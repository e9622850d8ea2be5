//! Slurm's programs: how long they take, what the controller does, what they print.
use hpo_core::Millis;
use hpo_driver::launch::slurm::call::Said;
use hpo_driver::launch::slurm::scale::Place;

use super::super::World;
use super::Due;
use super::controller::Life;
use crate::check::Fact;

/// A program is killed when it takes longer, as in production.
const PATIENCE: Millis = 60_000;
/// How long a program waits for a controller that is away.
const AWAY: Millis = 9_000;
/// A queue that is shown late is younger than the time between two looks.
const STALE: Millis = 29_000;

/// What a keeper calls a program of Slurm for.
#[derive(Clone, Debug)]
pub(in crate::world) enum Call {
    Look { ending: bool },
    Submit { tasks: u32, exclude: Vec<String>, most: Option<u32> },
    Throttle { array: u32, most: u32 },
    Cancel(Vec<Place>),
}

/// A call on its way to the controller.
#[derive(Clone, Debug)]
pub(in crate::world) struct Request {
    pub(super) driver: usize,
    pub(super) turn: u64,
    pub(super) call: Call,
    /// When it was sent, in milliseconds of the world.
    pub(super) tried: u64,
}

fn said(code: i32, out: String, err: &str) -> Said {
    Said { code: Some(code), out, err: err.to_owned() }
}

impl World {
    pub(super) fn send_request(&mut self, mut request: Request) {
        request.tried = self.now.0;
        let slow = self.healed.is_none() && self.chance.hits("slow call", self.setup.faults.slurm.slow_pm);
        let span = if slow { (1_000, PATIENCE + 30_000) } else { (5, 500) };
        let at = self.after("call", span);
        let (driver, turn) = (request.driver, request.turn);
        if at.since(self.now) >= PATIENCE {
            // The program is killed, but its request may be on its way.
            self.due(self.now.plus(PATIENCE), Due::Answer { driver, turn, said: None });
        }
        self.due(at, Due::Request(request));
    }

    pub(super) fn request(&mut self, request: Request) {
        let now = self.now;
        let Some(slurm) = &mut self.slurm else { return };
        let answer = if now < slurm.controller.away_until {
            said(1, String::new(), "Unable to contact slurm controller (connect failure)")
        } else {
            match &request.call {
                Call::Look { .. } => self.show_queue(),
                Call::Submit { tasks, exclude, most } => self.take_submission(*tasks, exclude, *most),
                Call::Throttle { array, most } => {
                    slurm.controller.throttle(*array, Some(*most));
                    said(0, String::new(), "")
                }
                Call::Cancel(places) => {
                    places.iter().for_each(|place| self.cancel_task(*place));
                    said(0, String::new(), "")
                }
            }
        };
        let Request { driver, turn, tried, .. } = request;
        let wait = if answer.err.starts_with("Unable") { AWAY } else { 5 };
        let at = self.now.plus(wait);
        if at.0 - tried < PATIENCE {
            self.due(at, Due::Answer { driver, turn, said: Some(answer) });
        } else if self.now.0 - tried < PATIENCE {
            self.due(self.now.plus(PATIENCE - (self.now.0 - tried)), Due::Answer { driver, turn, said: None });
        }
    }

    fn take_submission(&mut self, tasks: u32, exclude: &[String], throttle: Option<u32>) -> Said {
        let (now, quiet) = (self.now, self.healed.is_some());
        let faults = self.setup.faults.slurm.clone();
        let Some(slurm) = &mut self.slurm else { return said(1, String::new(), "no Slurm") };
        let most = slurm.cluster.submit_max;
        let alive = slurm.controller.alive();
        let nowhere = slurm.controller.nodes.iter().all(|node| exclude.contains(&node.name));
        let why = if most > 0 && alive + tasks > most {
            Some("sbatch: error: QOSMaxSubmitJobPerUserLimit")
        } else if tasks > slurm.cluster.array_max {
            Some("sbatch: error: Batch job submission failed: Invalid job array specification")
        } else if nowhere {
            Some("sbatch: error: Batch job submission failed: Requested node configuration is not available")
        } else if !quiet && self.chance.hits("refusal", faults.refuse_pm) {
            Some("sbatch: error: Batch job submission failed: Resource temporarily unavailable")
        } else {
            None
        };
        if let Some(why) = why {
            return said(1, String::new(), why);
        }
        let Some(slurm) = &mut self.slurm else { return said(1, String::new(), "no Slurm") };
        let array = slurm.controller.submit(now, tasks, exclude, throttle);
        let alive = slurm.controller.alive();
        self.fact(&Fact::Queued { tasks: alive });
        for index in 0..tasks {
            self.wait_in_queue((array, index));
        }
        self.may_fall();
        if !quiet && self.chance.hits("lost answer", faults.lose_pm) {
            return said(1, String::new(), "sbatch: error: Batch job submission failed: Socket timed out on send/recv operation");
        }
        let greeting = if self.chance.one_of("greeting", 4) == 0 { "Welcome to our 3 clusters\n" } else { "" };
        said(0, format!("{greeting}{array};main\n"), "")
    }

    fn show_queue(&mut self) -> Said {
        let (now, quiet) = (self.now, self.healed.is_some());
        let faults = self.setup.faults.slurm.clone();
        let stale = !quiet && self.chance.hits("stale", faults.stale_pm);
        let age = if stale { self.chance.between("age of the queue", (0, STALE)) } else { 0 };
        let Some(slurm) = &mut self.slurm else { return said(1, String::new(), "no Slurm") };
        let frozen = slurm.frozen.filter(|(_, until)| now < *until).map(|(then, _)| now.since(then));
        // What was shown once is never shown older.
        let age = frozen.unwrap_or(age).min(now.since(slurm.shown));
        slurm.shown = hpo_core::Stamp(now.0 - age);
        let text = slurm.controller.queue(now, age);
        let text = if !quiet && self.chance.hits("garbled", faults.garble_pm) { self.garble(&text) } else { text };
        said(0, text, "")
    }

    /// Words of a site, an answer that is cut off in the middle of a line, states of a later year.
    fn garble(&mut self, text: &str) -> String {
        match self.chance.one_of("way to garble", 4) {
            0 => format!("*** maintenance on Friday | all day ***\n{text}"),
            1 => {
                let lines: Vec<&str> = text.lines().collect();
                if lines.is_empty() {
                    return String::new();
                }
                let line = self.chance.one_of("line that is cut", lines.len());
                let part: String = lines[line].chars().take(1 + self.chance.one_of("where", 6)).collect();
                format!("{}\n{part}", lines[..line].join("\n"))
            }
            2 => text.replace("RUNNING", "POWERING_UP_NODE"),
            _ => text.replace("PENDING", "DREAMING"),
        }
    }

    pub(super) fn cancel_task(&mut self, place: Place) {
        let Some(task) = self.slurm.as_ref().and_then(|slurm| slurm.controller.tasks.get(&place)) else { return };
        let run = task.run;
        match task.life {
            Life::Pending(_) => self.end_task(place, run, "CANCELLED"),
            Life::Running => {
                if let Some(task) = self.slurm.as_mut().and_then(|slurm| slurm.controller.tasks.get_mut(&place)) {
                    task.doomed = true;
                }
                self.notice_task(place, run);
                let at = self.now.plus(30_000);
                self.due(at, Due::Kill { place, run, word: "CANCELLED" });
            }
            Life::Completing | Life::Over(_) => {}
        }
    }
}
