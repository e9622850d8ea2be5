//! `[simulate]`: from the file to the conditions of a virtual world.
use super::checked::Workers;
use super::keys::{SIMULATE, simulate};
use super::raw::{Reader, Section};
use crate::simulate::Conditions;

/// Reads `[simulate]`. Without `workers` there are as many as [workers] starts.
pub(super) fn read(file: &Section<'_>, workers: Option<&Workers>, reader: &mut Reader<'_>) -> Option<Conditions> {
    let section = file.table_or_empty(&SIMULATE, reader)?;
    let local = workers.and_then(|workers| u32::try_from(workers.local?).ok());
    let own = section.plain(&simulate::WORKERS, reader).map(|count| count.0);
    let worker_startup = section.plain(&simulate::WORKER_STARTUP, reader);
    let latency = section.plain(&simulate::LATENCY, reader);
    let words_per_second = section.plain(&simulate::WORDS_PER_SECOND, reader).map(|rate| rate.0);
    let startup = section.plain(&simulate::STARTUP, reader);
    let restore = section.plain(&simulate::RESTORE, reader);
    let checkpoint = section.plain(&simulate::CHECKPOINT, reader);
    let suggest = section.plain(&simulate::SUGGEST, reader);
    let share = section.plain(&simulate::STRAGGLER_SHARE, reader);
    let factor = section.plain(&simulate::STRAGGLER_FACTOR, reader);
    let mtbf = section.plain(&simulate::MTBF, reader).map(|mtbf| mtbf.0);
    let restart = section.plain(&simulate::RESTART, reader);
    Some(Conditions {
        workers: own.or(local).unwrap_or(1).max(1),
        worker_startup: worker_startup?.0,
        latency: latency?.0,
        words_per_second,
        startup: startup?.0,
        restore: restore?.0,
        checkpoint: checkpoint?.0,
        suggest: suggest?.0,
        straggler_share: share?.0,
        straggler_factor: factor?.0,
        mtbf,
        restart: restart?.0,
    })
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::check_text;
    use super::*;

    fn conditions(tail: &str) -> Result<Conditions, String> {
        let head = "
            sweep = { name = \"s\", metric = \"loss\", max_trials = 9 }
            space = { x = { uniform = [-5, 10] }, y = { uniform = [0, 15] } }
            scheduler = { kind = \"fifo\", max_resource = 3 }
            trial = { kind = \"synthetic\", function = \"branin\" }\n";
        let checked = check_text(&format!("{head}{tail}"), Path::new("sweep.toml"), &|_| None);
        checked.map(|checked| checked.simulate).map_err(|faults| faults.all()[0].message.clone())
    }

    #[test]
    fn without_a_word_nothing_keeps_workers_from_training() {
        let ideal = Conditions { straggler_factor: 2.0, ..Conditions::ideal(1) };
        assert_eq!(conditions(""), Ok(ideal));
        assert_eq!(conditions("workers = { local = 6 }"), Ok(Conditions { workers: 6, ..ideal }));
        assert_eq!(conditions("workers = { local = 0 }"), Ok(ideal));
        assert_eq!(conditions("workers = { local = 6 }\nsimulate = { workers = 12 }"), Ok(Conditions { workers: 12, ..ideal }));
    }

    #[test]
    fn every_key_is_read() {
        let all = "simulate = { workers = 4, worker_startup = '8s', latency = '5ms', words_per_second = 27000, startup = '30s', restore = '2s', checkpoint = '1500ms', suggest = '0s', \
                   straggler_share = 0.1, straggler_factor = 3, mtbf = '6h', restart = '2m' }";
        let wanted = Conditions {
            workers: 4,
            worker_startup: 8000,
            latency: 5,
            words_per_second: Some(27_000),
            startup: 30_000,
            restore: 2000,
            checkpoint: 1500,
            suggest: 0,
            straggler_share: 0.1,
            straggler_factor: 3.0,
            mtbf: Some(21_600_000),
            restart: 120_000,
        };
        assert_eq!(conditions(all), Ok(wanted));
    }

    #[test]
    fn what_cannot_be_is_refused() {
        for (key, wrong) in [
            ("straggler_factor = 0.5", "0.5 is out of range: expected a number of at least 1"),
            ("straggler_share = 2", "2 is out of range: expected a share from 0 to 1"),
            ("mtbf = '0s'", "0s is out of range: expected more than no time"),
            ("startup = 'soon'", "`soon` is not a length of time"),
            ("workers = 0", "0 is out of range: expected a whole number from 1 to 100000"),
        ] {
            assert_eq!(conditions(&format!("simulate = {{ {key} }}")), Err(wrong.to_owned()));
        }
    }
}
