//! `[slurm]`: from the file to what scripts and launcher are given.
use hpo_core::Millis;
use toml::Spanned;

use super::key::Key;
use super::keys::{SLURM, slurm};
use super::message::Message;
use super::raw::{Reader, Section};
use super::shape::{Length, Within};
use super::text::write_duration;
use crate::launch::slurm::Setup;
use crate::launch::slurm::script::{Settings, name_of};

/// What a worker needs beside `grace` to bring its states to the disk and say so.
const SAVING: Millis = 60_000;
/// A controller is not asked more often, not even by tests.
const POLL_LEAST: Millis = 1_000;
/// Of one worker.
const MOST_SLOTS: u32 = 1024;
/// Options that this program must set itself.
const OURS: [&str; 4] = ["--array", "--parsable", "--wrap", "--test-only"];

/// Reads `[slurm]`, if the file has it. `grace` is that of [trial].
pub(super) fn read(file: &Section<'_>, grace: Option<Millis>, reader: &mut Reader<'_>) -> Option<Option<Setup>> {
    if !file.has(SLURM.name) {
        return Some(None);
    }
    let section = file.table(&SLURM, reader)?;
    let faults_before = reader.faults.len();
    let word = |key: &Key<Spanned<String>>, reader: &mut Reader<'_>| one_word(section.plain(key, reader)?, key.name, reader);
    let partition = word(&slurm::PARTITION, reader);
    let account = word(&slurm::ACCOUNT, reader);
    let qos = word(&slurm::QOS, reader);
    let constraint = word(&slurm::CONSTRAINT, reader);
    let gres = word(&slurm::GRES, reader);
    let mem = word(&slurm::MEM, reader);
    let time = section.plain(&slurm::TIME, reader);
    let notice = section.plain(&slurm::NOTICE, reader);
    let notice = check_notice(time.as_ref(), notice.as_ref(), grace, reader);
    let exclude = section.plain(&slurm::EXCLUDE, reader).unwrap_or_default();
    let exclude = exclude.into_iter().filter_map(|node| one_word(node, slurm::EXCLUDE.name, reader)).collect();
    let extra = options(&section, &slurm::EXTRA, reader);
    let remove = options(&section, &slurm::REMOVE, reader);
    let driver_options = options(&section, &slurm::DRIVER_OPTIONS, reader);
    let prologue = section.plain(&slurm::PROLOGUE, reader).unwrap_or_default();
    let cpus_per_task = section.plain(&slurm::CPUS_PER_TASK, reader).map(|cpus| cpus.0);
    let throttle = section.plain(&slurm::THROTTLE, reader).map(|most| most.0);
    let slots = section.plain(&slurm::SLOTS, reader).map(|slots| slots.0);
    let gpus = gres.as_deref().and_then(gpus_of);
    let poll = section.plain(&slurm::POLL, reader).and_then(|poll| check_poll(poll, reader));
    let (requeue, max_workers) = (section.plain(&slurm::REQUEUE, reader), section.plain(&slurm::MAX_WORKERS, reader));
    let (driver, submit_from_nodes) = (section.plain(&slurm::DRIVER, reader), section.plain(&slurm::SUBMIT_FROM_NODES, reader));
    if reader.faults.len() > faults_before {
        return None;
    }
    let time = time.map(|time| time.get_ref().0);
    let (requeue, notice, remove) = (requeue?, notice?, remove.iter().map(|option| name_of(option).to_owned()).collect());
    let settings = Settings {
        partition,
        account,
        qos,
        constraint,
        gres,
        time,
        cpus_per_task,
        mem,
        exclude,
        throttle,
        requeue,
        notice,
        extra,
        remove,
        prologue,
    };
    let Within(max_workers) = max_workers?;
    let slots = slots.or(gpus).unwrap_or(1);
    let (gpus, driver, submit_from_nodes) = (gpus.is_some(), driver?, submit_from_nodes?);
    Some(Some(Setup { settings, max_workers, slots, gpus, driver, driver_options, submit_from_nodes, poll: poll? }))
}

/// GPUs in a `--gres`: `gpu`, `gpu:2`, `gpu:a100:2`, beside others after commas. `gpu:0` gives none, and a worker has so many slots at most.
fn gpus_of(gres: &str) -> Option<u32> {
    let wanted = gres.split(',').find(|one| *one == "gpu" || one.starts_with("gpu:"))?;
    let count = wanted.rsplit(':').next().and_then(|count| count.parse().ok()).unwrap_or(1);
    (count > 0).then_some(count.min(MOST_SLOTS))
}

/// A value that stands in a line of the script, where a space would begin something else.
fn one_word(value: Spanned<String>, key: &'static str, reader: &mut Reader<'_>) -> Option<String> {
    let text = value.get_ref();
    if text.is_empty() || text.chars().any(|letter| letter.is_whitespace() || letter.is_control()) {
        return reader.fault(value.span(), Message::SlurmWord { key, value: text.clone() });
    }
    Some(value.into_inner())
}

fn options(section: &Section<'_>, key: &Key<Vec<Spanned<String>>>, reader: &mut Reader<'_>) -> Vec<String> {
    let given = section.plain(key, reader).unwrap_or_default();
    given.into_iter().filter_map(|option| check_option(option, key.name, reader)).collect()
}

fn check_option(option: Spanned<String>, key: &'static str, reader: &mut Reader<'_>) -> Option<String> {
    let text = option.get_ref().clone();
    let long = text.strip_prefix("--").is_some_and(|name| name.starts_with(|first: char| first.is_ascii_alphabetic()));
    if !long || text.chars().any(char::is_control) || name_of(&text).contains(' ') {
        return reader.fault(option.span(), Message::SlurmOption { key, option: text });
    }
    if OURS.contains(&name_of(&text)) {
        return reader.fault(option.span(), Message::SlurmOwn { option: name_of(&text).to_owned() });
    }
    Some(text)
}

/// A worker must have the time to save what it trains, and some before that.
fn check_notice(
    time: Option<&Spanned<Length>>,
    notice: Option<&Spanned<Length>>,
    grace: Option<Millis>,
    reader: &mut Reader<'_>,
) -> Option<Millis> {
    let grace = grace?;
    let least = grace.saturating_add(SAVING);
    let usual = notice.map_or(least, |notice| notice.get_ref().0);
    if let Some(given) = notice.filter(|given| given.get_ref().0 <= grace) {
        let (notice, grace) = (write_duration(usual), write_duration(grace));
        return reader.fault(given.span(), Message::Notice { notice, grace });
    }
    if let Some(time) = time.filter(|time| time.get_ref().0 <= usual) {
        let (limit, notice) = (write_duration(time.get_ref().0), write_duration(usual));
        return reader.fault(time.span(), Message::SlurmTime { limit, notice });
    }
    Some(usual)
}

fn check_poll(poll: Spanned<Length>, reader: &mut Reader<'_>) -> Option<Millis> {
    if poll.get_ref().0 < POLL_LEAST {
        let found = write_duration(poll.get_ref().0);
        return reader.fault(poll.span(), Message::OutOfRange { wanted: "at least 1s".to_owned(), found });
    }
    Some(poll.into_inner().0)
}

#[cfg(test)]
mod tests;
