//! What another eta would have decided.
use std::fmt::Write as _;

use hpo_core::sweep::explain::{Alternative, Stand, What};

use super::super::words;
use super::answer::place_of;
use super::{Why, ordinal, time};

/// One decision: when, what it was, and where the trial stood.
struct Decision<'a> {
    when: String,
    what: &'static str,
    stand: &'a Stand,
}

impl Why {
    /// A row for each decision; empty where the rule knows no eta.
    pub(super) fn etas_text(&self) -> String {
        let decisions = self.decisions();
        let Some(first) = decisions.first() else { return String::new() };
        let ours = self.sweep.spec().scheduler.ladder().eta();
        let name = |eta: u32| if eta == ours { format!("eta {eta} (ours)") } else { format!("eta {eta}") };
        let mut rows = vec![["when", "decision", "resource", "place"].map(str::to_owned).to_vec()];
        rows[0].extend(first.stand.etas.iter().map(|with| name(with.eta)));
        for Decision { when, what, stand } in &decisions {
            let place = format!("{} of {}", ordinal(stand.rank), stand.population);
            let mut row = vec![when.clone(), (*what).to_owned(), place_of(stand), place];
            row.extend(stand.etas.iter().map(|with| self.verdict(stand, with)));
            rows.push(row);
        }
        let mut text = "What another eta would have decided on that rung, at that moment, with these rivals:\n".to_owned();
        let widths: Vec<usize> = (0..rows[0].len()).map(|at| rows.iter().map(|row| row[at].chars().count()).max().unwrap_or(0)).collect();
        for row in rows {
            let cells: Vec<String> = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
            let _ = writeln!(text, "  {}", cells.join("  ").trim_end());
        }
        text + "A sweep with another eta would have had other rungs, trials and rivals: this is not what it would have found.\n"
    }

    fn decisions(&self) -> Vec<Decision<'_>> {
        let mut all: Vec<Decision<'_>> = vec![];
        for moment in &self.of.moments {
            let (what, stand) = match &moment.what {
                What::Compared { stand } => ("compared", Some(stand)),
                What::Promoted { stand, .. } => ("promoted", stand.as_ref()),
                What::Stopped { stand, .. } => ("stopped", stand.as_ref()),
                What::HopeLost { stand } => ("out", stand.as_ref()),
                _ => continue,
            };
            let Some(stand) = stand.filter(|stand| !stand.etas.is_empty()) else { continue };
            let when = time(moment.at);
            // What follows from a comparison at once is one decision with it.
            all.pop_if(|last| last.when == when && last.stand == stand);
            all.push(Decision { when, what, stand });
        }
        let waits = self.waits_in().filter(|stand| !stand.etas.is_empty());
        if let Some(stand) = waits.filter(|stand| all.last().is_none_or(|last| last.stand != *stand)) {
            let what = if self.ended() { "the end" } else { "now" };
            all.push(Decision { when: time(self.sweep.now()), what, stand });
        }
        all
    }

    /// `goes on, best 10`; `stops, <= 0.41370`.
    fn verdict(&self, stand: &Stand, with: &Alternative) -> String {
        // Who does not count places does not let anyone wait.
        let otherwise = if stand.quota.is_some() { "waits" } else { "stops" };
        let word = if with.goes_on { "goes on" } else { otherwise };
        match (with.quota, with.cutoff) {
            (Some(0), _) => format!("{word}, none"),
            (Some(quota), _) => format!("{word}, best {quota}"),
            (None, Some(cutoff)) => format!("{word}, {} {}", self.reaches(), words::metric(cutoff)),
            (None, None) => word.to_owned(),
        }
    }
}
