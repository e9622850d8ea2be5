//! What `squeue` says. Its text form is the same in all releases (the types in its JSON are not), finished tasks vanish from
//! it after minutes, and its words change between sites and years: what is not understood counts as alive.
use hpo_core::Millis;

/// The columns asked for: array task, job, state, reason, time left, node, name. `%j` comes last: it may hold a `|`.
pub const FORMAT: &str = "%i|%A|%T|%r|%L|%N|%j";

/// In the reason of a task whose node could not be made ready: `launch failed requeued held`.
const LAUNCH_FAILED: &str = "launch failed";

/// One task of an array, or a job without one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Task {
    /// The array, which is the number of its first job.
    pub array: u32,
    /// Its number in the array; none for a job of its own.
    pub index: Option<u32>,
    /// The number of its own job. Slurm gives it to another job later, so it names nothing for long.
    pub job: u32,
    /// Where it stands.
    pub state: State,
    /// Why it waits, or `None`.
    pub reason: String,
    /// If it does not run, others took its machine away or cancelled it: that says nothing of whether it would have worked.
    pub taken: bool,
    /// Time until its limit; none if it has no limit or does not run.
    pub left: Option<Millis>,
    /// Where it runs; empty if it does not.
    pub node: String,
    /// The name that it was submitted under.
    pub name: String,
}

/// Where a task stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// It waits for its turn, perhaps again.
    Pending,
    /// It has a node: it starts, runs, is suspended or is ending.
    Running,
    /// It will not run again.
    Over,
    /// A word that this program does not know: it may live, so it is asked about again.
    Unknown,
}

impl State {
    fn of(word: &str) -> Self {
        match word {
            "PENDING" | "REQUEUED" | "REQUEUE_FED" | "REQUEUE_HOLD" | "SPECIAL_EXIT" => Self::Pending,
            "RUNNING" | "CONFIGURING" | "COMPLETING" | "SUSPENDED" | "STOPPED" | "RESIZING" | "SIGNALING" | "STAGE_OUT" => Self::Running,
            "COMPLETED" | "FAILED" | "TIMEOUT" | "CANCELLED" | "NODE_FAIL" | "PREEMPTED" | "OUT_OF_MEMORY" | "DEADLINE" | "BOOT_FAIL"
            | "REVOKED" => Self::Over,
            _ => Self::Unknown,
        }
    }

    /// Whether it runs or may run.
    #[must_use]
    pub fn is_alive(self) -> bool {
        self != Self::Over
    }
}

/// A look at the queue.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Queue {
    /// What was understood.
    pub tasks: Vec<Task>,
    /// Lines that were not: a site's greeting, a torn answer.
    pub strange: usize,
    /// The answer ends in the middle of a task, so that what it does not show may be there.
    pub torn: bool,
}

impl Queue {
    /// Reads the output of `squeue -h -r -t all -o` [`FORMAT`]: a line a task.
    #[must_use]
    pub fn read(text: &str) -> Self {
        let mut queue = Self::default();
        for line in text.lines().filter(|line| !line.trim().is_empty()) {
            match task(line) {
                Some(task) => {
                    queue.torn = false;
                    queue.tasks.push(task);
                }
                None => {
                    queue.strange += 1;
                    queue.torn = line.starts_with(|first: char| first.is_ascii_digit());
                }
            }
        }
        queue
    }
}

fn task(line: &str) -> Option<Task> {
    let mut columns = line.trim().splitn(7, '|').map(str::trim);
    let mut next = || columns.next();
    let (id, job, state, reason, left, node, name) = (next()?, next()?, next()?, next()?, next()?, next()?, next()?);
    let (array, index) = match id.split_once('_') {
        Some((array, index)) => (array.parse().ok()?, Some(index.parse().ok()?)),
        None => (id.parse().ok()?, None),
    };
    Some(Task {
        array,
        index,
        job: job.parse().ok()?,
        state: State::of(state),
        taken: taken(state, reason),
        reason: reason.to_owned(),
        left: time(left),
        node: if node == "(null)" { String::new() } else { node.to_owned() },
        name: name.to_owned(),
    })
}

/// What was put back waits for its turn as everybody does, but for what Slurm could not start, which it holds.
fn taken(state: &str, reason: &str) -> bool {
    match State::of(state) {
        State::Pending => !reason.contains(LAUNCH_FAILED),
        State::Over => matches!(state, "PREEMPTED" | "CANCELLED" | "DEADLINE" | "REVOKED"),
        State::Running | State::Unknown => false,
    }
}

/// Slurm's lengths of time: `[days-]hours:minutes:seconds`, `minutes:seconds`; none for its words (`UNLIMITED`, `NOT_SET`, ..).
#[must_use]
pub fn time(text: &str) -> Option<Millis> {
    let (days, clock) = match text.split_once('-') {
        Some((days, clock)) => (days.parse::<u64>().ok()?, clock),
        None => (0, text),
    };
    let parts: Vec<u64> = clock.split(':').map(|part| part.parse().ok()).collect::<Option<_>>()?;
    let seconds = match parts[..] {
        [hours, minutes, seconds] => hours.checked_mul(3600)?.checked_add(minutes.checked_mul(60)?)?.checked_add(seconds)?,
        [minutes, seconds] => minutes.checked_mul(60)?.checked_add(seconds)?,
        _ => return None,
    };
    days.checked_mul(86_400)?.checked_add(seconds)?.checked_mul(1000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_queue_is_read_as_slurm_prints_it() {
        let queue = Queue::read(
            "14_0|15|RUNNING|None|3:59:12|n1|hpo-1f\n14_3|14|PENDING|Resources|4:00:00||hpo-1f\n\n\
             20|20|COMPLETING|None|UNLIMITED|n2|a|b\n21_1|23|NODE_FAIL|None|0:00|(null)|hpo-1f\n",
        );
        assert_eq!(queue.strange, 0);
        let ids: Vec<_> = queue.tasks.iter().map(|task| (task.array, task.index, task.job, task.state)).collect();
        assert_eq!(
            ids,
            [
                (14, Some(0), 15, State::Running),
                (14, Some(3), 14, State::Pending),
                (20, None, 20, State::Running),
                (21, Some(1), 23, State::Over)
            ]
        );
        assert_eq!(queue.tasks[0].left, Some(((3 * 60 + 59) * 60 + 12) * 1000));
        assert_eq!((queue.tasks[2].left, queue.tasks[2].name.as_str()), (None, "a|b"), "a name may hold the separator");
        assert_eq!((queue.tasks[1].reason.as_str(), queue.tasks[1].node.as_str()), ("Resources", ""));
        assert_eq!(queue.tasks[3].node, "");
    }

    #[test]
    fn who_was_preempted_or_cancelled_is_told_from_who_did_not_start() {
        let taken = |state, reason| Queue::read(&format!("7_1|8|{state}|{reason}|0:00||x\n")).tasks[0].taken;
        for (state, reason) in [("PREEMPTED", "None"), ("CANCELLED", "None"), ("PENDING", "BeginTime"), ("PENDING", "Priority")] {
            assert!(taken(state, reason), "{state} {reason}");
        }
        for (state, reason) in [("FAILED", "NonZeroExitCode"), ("NODE_FAIL", "None"), ("PENDING", "launch failed requeued held")] {
            assert!(!taken(state, reason), "{state} {reason}");
        }
    }

    #[test]
    fn what_is_not_understood_is_alive_or_counted() {
        let queue = Queue::read("Welcome to our cluster!\n7_1|8|DANCING|None|1-00:00:00|n1|x\n7_|9|RUNNING|None|1:00|n1|x\n7_2|9|RUNN");
        assert_eq!((queue.tasks.len(), queue.strange, queue.torn), (1, 3, true));
        assert!(!Queue::read("3 clusters here\n7_1|8|RUNNING|None|1:00|n1|x\n").torn, "a greeting comes before");
        assert!(queue.tasks[0].state.is_alive());
        assert_eq!(queue.tasks[0].left, Some(86_400_000));
    }

    #[test]
    fn lengths_of_time_are_read_and_words_are_none() {
        for (text, seconds) in [("0:00", 0), ("59:59", 3599), ("1:00:00", 3600), ("2-03:04:05", 183_845)] {
            assert_eq!(time(text), Some(seconds * 1000), "{text}");
        }
        for text in ["UNLIMITED", "NOT_SET", "INVALID", "", "5", "1:2:3:4", "99999999999999-00:00:00", "-1:00"] {
            assert_eq!(time(text), None, "{text}");
        }
    }
}
