//! What a classifier says of a batch, and what follows from it.
use serde::{Deserialize, Serialize};

/// Unnormalised scores, one row an example, one column a class.
#[derive(Clone, Debug, PartialEq)]
pub struct Logits {
    values: Vec<f32>,
    classes: usize,
}

/// How well logits agree with labels.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Score {
    /// Mean cross-entropy, in nats.
    pub loss: f64,
    /// Share of the examples whose label has the largest logit, 0 to 1.
    pub accuracy: f64,
    /// How many were scored.
    pub examples: usize,
}

impl Logits {
    /// `values` is row after row of `classes` scores; a last row that is not whole is dropped.
    #[must_use]
    pub fn new(mut values: Vec<f32>, classes: usize) -> Self {
        let classes = classes.max(1);
        values.truncate(values.len() / classes * classes);
        Self { values, classes }
    }

    /// Rows, in order.
    pub fn rows(&self) -> impl ExactSizeIterator<Item = &[f32]> {
        self.values.chunks_exact(self.classes)
    }

    /// How many scores a row has.
    #[must_use]
    pub fn classes(&self) -> usize {
        self.classes
    }

    /// All scores, row after row.
    #[must_use]
    pub fn values(&self) -> &[f32] {
        &self.values
    }

    /// Adds the rows of another batch of the same model.
    pub fn append(&mut self, other: Self) {
        debug_assert_eq!(self.classes, other.classes);
        self.values.extend(other.values);
    }

    /// Scores the rows against their labels, in f64. `None` without rows, or where a label is no class, or where their
    /// numbers differ.
    #[must_use]
    pub fn score(&self, labels: &[usize]) -> Option<Score> {
        let examples = self.rows().len();
        if examples == 0 || examples != labels.len() || labels.iter().any(|&label| label >= self.classes) {
            return None;
        }
        let (mut loss, mut right) = (0.0, 0_usize);
        for (row, &label) in self.rows().zip(labels) {
            loss += log_sum_exp(row) - f64::from(row[label]);
            right += usize::from(argmax(row) == label);
        }
        Some(Score { loss: loss / examples as f64, accuracy: right as f64 / examples as f64, examples })
    }
}

/// The column of the largest score; the first of equals, and 0 of an empty row.
#[must_use]
pub fn argmax(row: &[f32]) -> usize {
    let mut best = 0;
    for (column, value) in row.iter().enumerate() {
        if *value > row[best] {
            best = column;
        }
    }
    best
}

/// The softmax probability of one column, in f64.
#[must_use]
pub fn probability(row: &[f32], column: usize) -> f64 {
    (f64::from(row[column]) - log_sum_exp(row)).exp()
}

/// log(sum(exp(row))), by the largest score, so that nothing overflows.
fn log_sum_exp(row: &[f32]) -> f64 {
    let largest = f64::from(row[argmax(row)]);
    largest + row.iter().map(|&value| (f64::from(value) - largest).exp()).sum::<f64>().ln()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn probabilities_sum_to_one_at_any_magnitude() {
        for row in [[1.0_f32, 2.0, 3.0], [1e30, 0.0, -1e30], [-500.0, -500.0, -500.0]] {
            let sum: f64 = (0..3).map(|column| probability(&row, column)).sum();
            assert!((sum - 1.0).abs() < 1e-12, "{row:?}: {sum}");
        }
        assert!((probability(&[0.0, 3.0_f32.ln()], 1) - 0.75).abs() < 1e-7);
    }

    #[test]
    fn scores_are_the_mean_cross_entropy_and_the_share_of_hits() {
        let logits = Logits::new(vec![0.0, 0.0, 9.0, 0.0], 2);
        let score = logits.score(&[1, 0]).unwrap();
        let expected = (2.0_f64.ln() + (1.0 + (-9.0_f64).exp()).ln()) / 2.0;
        assert!((score.loss - expected).abs() < 1e-12);
        assert_eq!((score.accuracy, score.examples), (0.5, 2)); // a tie goes to the first class, which is wrong here
        assert_eq!(logits.score(&[1]), None, "one label for two rows");
        assert_eq!(logits.score(&[1, 2]), None, "no class 2");
    }
}
