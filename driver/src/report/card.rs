//! The cards that lie beside exported models, read with tolerance: a report must not fail because a card has grown.
use std::path::{Path, PathBuf};

use hpo_core::TrialId;
use serde_json::Value;

/// What a report needs of a model's card.
#[derive(Clone, Debug, PartialEq)]
pub struct ModelCard {
    /// The model's file.
    pub path: PathBuf,
    /// Whose state it is.
    pub trial: TrialId,
    /// The model by its content.
    pub id: Option<String>,
    /// `onnx`, or `native` if the export was refused.
    pub format: String,
    /// Why there is no ONNX model.
    pub refused: Option<String>,
    /// Scores on the test split, which the search never saw.
    pub test: Vec<(String, f64)>,
    /// Largest absolute difference between the outputs of the ONNX model and of the network it came from.
    pub max_abs_diff: Option<f64>,
    /// Share of the held inputs to which both give the same class.
    pub argmax_agreement: Option<f64>,
    /// How many inputs were compared.
    pub examples: Option<u64>,
    /// The independent runtime that ran the ONNX model.
    pub runtime: Option<String>,
}

impl ModelCard {
    /// The cards in a folder of models, of the sweep `sweep`. What is not a card is passed over.
    #[must_use]
    pub fn read_all(models: &Path, sweep: &str) -> Vec<Self> {
        let Ok(entries) = std::fs::read_dir(models) else { return vec![] };
        let mut paths: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
        paths.retain(|path| path.to_string_lossy().ends_with(".card.json"));
        paths.sort();
        let cards = paths.iter().filter_map(|path| Self::parse(path, &std::fs::read(path).ok()?));
        cards.filter(|(of, _)| of.as_deref().is_none_or(|of| of == sweep)).map(|(_, card)| card).collect()
    }

    /// The card in `text`, which lies at `path`, and the id of the sweep that it names.
    fn parse(path: &Path, text: &[u8]) -> Option<(Option<String>, Self)> {
        let card: Value = serde_json::from_slice(text).ok()?;
        let word = |name: &str| card[name].as_str().map(str::to_owned);
        // Only a name: a card cannot point out of its folder.
        let file = Path::new(card["file"].as_str()?).file_name()?.to_owned();
        let parity = &card["parity"];
        let test = card["metrics"]["test"].as_object();
        let this = Self {
            path: path.with_file_name(file),
            trial: TrialId(u32::try_from(card["trial"].as_u64()?).ok()?),
            id: word("id"),
            format: word("format").unwrap_or_else(|| "onnx".to_owned()),
            refused: word("refused"),
            test: test.into_iter().flatten().filter_map(|(name, score)| Some((name.clone(), score.as_f64()?))).collect(),
            max_abs_diff: parity["max_abs_diff"].as_f64(),
            argmax_agreement: parity["argmax_agreement"].as_f64(),
            examples: parity["examples"].as_u64(),
            runtime: runtime(&parity["runtime"]),
        };
        Some((word("sweep_id"), this))
    }

    /// The best model of `trial`: an ONNX one before a native one.
    pub(super) fn choose(cards: Vec<Self>, trial: TrialId) -> Option<Self> {
        let mut of_trial: Vec<Self> = cards.into_iter().filter(|card| card.trial == trial).collect();
        of_trial.sort_by_key(|card| !card.is_onnx());
        of_trial.into_iter().next()
    }

    /// Whether it is an ONNX model.
    #[must_use]
    pub fn is_onnx(&self) -> bool {
        self.format == "onnx"
    }

    /// The test score that corresponds to a validation metric: `val_loss` is compared with `loss`.
    #[must_use]
    pub fn test_of(&self, metric: &str) -> Option<f64> {
        let bare = ["validation_", "valid_", "val_"].iter().find_map(|prefix| metric.strip_prefix(prefix)).unwrap_or(metric);
        self.test.iter().find(|(name, _)| name == metric || name == bare).map(|(_, score)| *score)
    }

    /// The test scores in words, such as `accuracy 0.975, loss 0.07`; how many examples is said by the card alone.
    pub(super) fn test_scores(&self) -> Option<String> {
        let scores = self.test.iter().filter(|(name, _)| name != "examples");
        let words: Vec<String> = scores.map(|(name, score)| format!("{name} {}", super::words::short(*score, 5))).collect();
        (!words.is_empty()).then(|| words.join(", "))
    }
}

/// A name, or a name and a version.
fn runtime(value: &Value) -> Option<String> {
    let name = value.as_str().or_else(|| value["name"].as_str())?;
    Some(match value["version"].as_str() {
        Some(version) => format!("{name} {version}"),
        None => name.to_owned(),
    })
}

impl ModelCard {
    /// How far the model was checked, in a sentence without its full stop.
    pub(super) fn verdict(&self) -> String {
        if !self.is_onnx() {
            let why = self.refused.as_deref().unwrap_or("no reason was given");
            return format!("a native checkpoint; it was not exported to ONNX: {why}");
        }
        let Some(diff) = self.max_abs_diff else { return "an ONNX model; its card holds no comparison with the network".to_owned() };
        let inputs = self.examples.map_or(String::new(), |count| format!(" on {count} held inputs"));
        let runtime = self.runtime.as_ref().map_or(String::new(), |name| format!(" by {name}"));
        let same = self
            .argmax_agreement
            .map_or(String::new(), |share| format!(", the same class for {} %", super::words::short(100.0 * share, 5)));
        format!("verified{runtime}{inputs}: largest difference {diff:.1e}{same}")
    }
}
