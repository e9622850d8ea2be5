//! What the evidence means, and what is to be done.
use std::time::{Duration, Instant};

use hpo_driver::launch::slurm::{DriverPlace, Setup};

use super::host::Host;
use super::probe::Report;

/// Clocks of one cluster are this close, in milliseconds.
const CLOCKS: i64 = 2_000;
/// A file that takes longer from node to node slows down whatever waits for it.
const VISIBLE_MS: u64 = 3_000;

/// How grave it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Fine,
    Doubt,
    Bad,
}

impl Verdict {
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Fine => "ok",
            Self::Doubt => "warning",
            Self::Bad => "FAULT",
        }
    }
}

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Finding {
    pub(super) verdict: Verdict,
    pub(super) what: String,
    pub(super) advice: Option<String>,
}

/// What was seen from the login node.
#[derive(Clone, Debug, Default)]
pub(super) struct Evidence {
    /// Slurm did not take the job: in its words.
    pub(super) refused: Option<String>,
    /// The job has begun.
    pub(super) ran: bool,
    /// Why it waits, in Slurm's word.
    pub(super) reason: String,
    pub(super) waited: Duration,
    /// Somebody called with our word.
    pub(super) called: bool,
    pub(super) report: Option<Report>,
    /// The node's file was seen so many milliseconds after it was written.
    pub(super) seen_after_ms: Option<u64>,
    /// When the first sign of the job came.
    pub(super) first_word: Option<Instant>,
    /// What the job printed.
    pub(super) output: String,
}

impl Evidence {
    /// Takes note of what has come.
    pub(super) fn note(&mut self, host: &Host) {
        self.called |= host.called;
        if let Some((report, passed)) = &host.file {
            let ahead = report.ways.iter().find(|way| way.fault.is_none()).map_or(0, |way| way.ahead_ms);
            self.seen_after_ms = Some(passed.saturating_add_signed(ahead.saturating_neg()));
        }
        let file = host.file.as_ref().map(|(report, _)| report);
        if let Some(report) = host.report.as_ref().or(file) {
            self.report = Some(report.clone());
            self.ran = true;
        }
        if self.called || self.report.is_some() {
            self.first_word.get_or_insert_with(Instant::now);
        }
    }
}

fn fine(what: String) -> Finding {
    Finding { verdict: Verdict::Fine, what, advice: None }
}

fn doubt(what: String, advice: &str) -> Finding {
    Finding { verdict: Verdict::Doubt, what, advice: Some(advice.to_owned()) }
}

fn bad(what: String, advice: &str) -> Finding {
    Finding { verdict: Verdict::Bad, what, advice: Some(advice.to_owned()) }
}

/// What it all means for a sweep of this setup.
pub(super) fn findings(setup: &Setup, evidence: &Evidence) -> Vec<Finding> {
    if let Some(why) = &evidence.refused {
        return vec![bad(
            format!("Slurm does not take the job: {why}"),
            "change [slurm] in the sweep file; `extra` and `remove` reach every option",
        )];
    }
    let Some(report) = &evidence.report else { return vec![silence(evidence)] };
    let mut found = vec![fine(format!("hpo runs on {}, {:.0} s after the submission", report.node, evidence.waited.as_secs_f64()))];
    found.push(network(report));
    found.extend(folder(report, evidence.seen_after_ms));
    found.extend(clock(report));
    found.extend(gpu(setup, report));
    found.extend(controller(setup, report));
    found
}

/// Nothing was heard from the job.
fn silence(evidence: &Evidence) -> Finding {
    let Evidence { waited, reason, output, .. } = evidence;
    if !evidence.ran {
        let advice = "it may only have to wait: give it longer by --wait; `squeue --start` says when Slurm expects it to begin";
        return doubt(format!("the job was still waiting after {} s ({reason}); it was cancelled", waited.as_secs()), advice);
    }
    let said = output.trim();
    let advice = if said.contains("GLIBC") || said.contains("cannot open shared object") {
        "the node's system is older than the one hpo was built on: build it there, or on the oldest of them"
    } else if said.contains("No such file") || said.contains("not found") {
        "the node does not see the program: put hpo on a file system that all nodes share, and call it from there"
    } else if said.is_empty() {
        "the node neither reaches this host nor writes beside the run folder: choose a shared file system by --run-dir"
    } else {
        "the job's own words say why"
    };
    let words = if said.is_empty() { "it printed nothing".to_owned() } else { format!("it printed: {said}") };
    bad(format!("the job ran, and nothing was heard of it; {words}"), advice)
}

fn network(report: &Report) -> Finding {
    if let Some(way) = report.ways.iter().find(|way| way.fault.is_none()) {
        return fine(format!("it reaches this host at {} in {} ms", way.address, way.took_ms));
    }
    let tried: Vec<String> =
        report.ways.iter().map(|way| format!("{} ({})", way.address, way.fault.as_deref().unwrap_or_default())).collect();
    bad(
        format!("it reaches this host at none of its addresses: {}", tried.join(", ")),
        "let the firewall pass TCP from the nodes to this host, or keep the driver among them: [slurm] driver = \"job\"",
    )
}

fn folder(report: &Report, seen_after_ms: Option<u64>) -> Vec<Finding> {
    let share = "the run folder must be on a file system that login node and nodes share: choose one by --run-dir";
    let mut found = vec![];
    match &report.unread {
        None => found.push(fine("it reads what this host wrote beside the run folder".to_owned())),
        Some(why) => found.push(bad(format!("it does not see what this host wrote beside the run folder: {why}"), share)),
    }
    found.push(match (&report.unwritten, seen_after_ms) {
        (Some(why), _) => bad(format!("it cannot write beside the run folder: {why}"), share),
        (None, None) => bad("what it wrote is not to be seen here".to_owned(), share),
        (None, Some(ms)) if ms > VISIBLE_MS => doubt(
            format!("what it wrote was to be seen here after {:.1} s only", ms as f64 / 1e3),
            "the file system keeps old answers (NFS: `actimeo`): a worker finds a new driver that much later",
        ),
        (None, Some(ms)) => fine(format!("what it wrote was to be seen here within {:.1} s", ms as f64 / 1e3)),
    });
    found
}

fn clock(report: &Report) -> Option<Finding> {
    let ahead = report.ways.iter().find(|way| way.fault.is_none())?.ahead_ms;
    Some(if ahead.abs() > CLOCKS {
        doubt(
            format!("its clock is {:.1} s away from this host's", ahead as f64 / -1e3),
            "sweeps count lengths of time and do not mind; but a job's time limit is reckoned by the node's clock: tell the administrator (NTP)",
        )
    } else {
        fine(format!("its clock agrees with this host's ({ahead} ms)"))
    })
}

fn gpu(setup: &Setup, report: &Report) -> Option<Finding> {
    if !setup.gpus {
        return None;
    }
    let given = report
        .visible
        .as_deref()
        .filter(|visible| visible.split(',').next().is_some_and(|first| first.parse::<u32>().is_ok() || first.contains('-')));
    Some(match given {
        None => bad(
            "the job was given no GPU (CUDA_VISIBLE_DEVICES is empty)".to_owned(),
            "ask for one: [slurm] gres = \"gpu:1\", or `extra` as your site wants it",
        ),
        Some(visible) if report.devices.is_empty() => doubt(
            format!("the job was given GPU {visible}, but there is no /dev/nvidia0"),
            "the node's driver may not be loaded, or the GPU is another maker's",
        ),
        Some(visible) => fine(format!("the job was given GPU {visible} of {}", report.devices.join(", "))),
    })
}

fn controller(setup: &Setup, report: &Report) -> Option<Finding> {
    let needed = setup.driver != DriverPlace::Login || setup.settings.requeue;
    match &report.no_slurm {
        Some(why) if needed => Some(doubt(
            format!("it cannot ask Slurm's controller: {why}"),
            "a driver or worker in a job then cannot put itself back into the queue; keep [slurm] driver = \"login\", which submits anew",
        )),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::probe::Way;
    use super::*;

    fn setup(gpus: bool) -> Setup {
        Setup {
            settings: Default::default(),
            max_workers: 1,
            slots: 1,
            gpus,
            driver: DriverPlace::Login,
            driver_options: vec![],
            submit_from_nodes: false,
            poll: 30_000,
        }
    }

    fn way(fault: Option<&str>, ahead_ms: i64) -> Way {
        Way { address: "10.0.0.1:4000".to_owned(), fault: fault.map(str::to_owned), took_ms: 1, ahead_ms }
    }

    fn evidence(report: Report) -> Evidence {
        Evidence { ran: true, report: Some(report), seen_after_ms: Some(5), ..Evidence::default() }
    }

    fn verdicts(setup: &Setup, evidence: &Evidence) -> Vec<&'static str> {
        findings(setup, evidence).iter().map(|finding| finding.verdict.word()).collect()
    }

    #[test]
    fn a_healthy_cluster_has_nothing_to_change() {
        let report = Report {
            ways: vec![way(Some("no route"), 0), way(None, 3)],
            visible: Some("1".into()),
            devices: vec!["nvidia0".into()],
            ..Report::default()
        };
        assert_eq!(verdicts(&setup(true), &evidence(report)), ["ok"; 6]);
    }

    #[test]
    fn each_fault_is_named_with_what_to_do() {
        let report = Report {
            unread: Some("No such file".into()),
            ways: vec![way(Some("No route to host"), 0)],
            no_slurm: Some("no scontrol".into()),
            ..Report::default()
        };
        let found = findings(&Setup { driver: DriverPlace::Job, ..setup(true) }, &Evidence { seen_after_ms: None, ..evidence(report) });
        let text: String =
            found.iter().map(|finding| format!("{} {}\n", finding.what, finding.advice.as_deref().unwrap_or_default())).collect();
        for words in ["No route to host", "driver = \"job\"", "--run-dir", "is not to be seen here", "gres = \"gpu:1\"", "no scontrol"] {
            assert!(text.contains(words), "{words}: {text}");
        }
        let slow = evidence(Report { ways: vec![way(None, -90_000)], ..Report::default() });
        assert_eq!(verdicts(&setup(false), &Evidence { seen_after_ms: Some(9_000), ..slow }), ["ok", "ok", "ok", "warning", "warning"]);
    }

    #[test]
    fn a_job_of_which_nothing_is_heard_is_explained_by_what_it_printed() {
        let ran =
            |output: &str| findings(&setup(false), &Evidence { ran: true, output: output.to_owned(), ..Evidence::default() }).remove(0);
        assert!(ran("hpo: /lib/libc.so.6: version `GLIBC_2.39' not found").advice.unwrap().contains("older"));
        assert!(ran("/opt/hpo: No such file or directory").advice.unwrap().contains("all nodes share"));
        assert!(ran("").advice.unwrap().contains("--run-dir"));
        let waits = Evidence { reason: "Resources".to_owned(), ..Evidence::default() };
        assert_eq!(verdicts(&setup(false), &waits), ["warning"], "to wait is no fault");
        let refused = Evidence { refused: Some("Invalid account".to_owned()), ..Evidence::default() };
        assert_eq!(verdicts(&setup(false), &refused), ["FAULT"]);
    }
}
