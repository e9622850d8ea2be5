//! What was proposed already, so that no point is proposed twice while the space has others.
use std::cell::OnceCell;
use std::collections::BTreeSet;

use hpo_core::{Params, Space, Value};
use rand::Rng;

use crate::SuggestFault;
use crate::chance::{below, unit};

/// Spaces of up to so many points are counted out, and end when each was proposed once. In larger ones so many repeated
/// draws do not happen by chance.
pub const COUNTABLE: usize = 100_000;

/// Draws before the points that are left are counted out instead.
const DRAWS: usize = 256;

/// The points of a space that are finished or pending.
#[derive(Clone, Debug)]
pub(crate) struct Taken {
    space: Space,
    /// What was proposed already, as [`Taken::key`].
    keys: BTreeSet<u128>,
    /// The numbers of all points, if they can be counted out: found out when it matters first.
    points: OnceCell<Option<Vec<u128>>>,
}

impl Taken {
    pub(crate) fn new(space: Space) -> Self {
        Self { space, keys: BTreeSet::new(), points: OnceCell::new() }
    }

    pub(crate) fn space(&self) -> &Space {
        &self.space
    }

    pub(crate) fn insert(&mut self, params: &Params) {
        self.keys.insert(self.key(params));
    }

    pub(crate) fn contains(&self, params: &Params) -> bool {
        self.keys.contains(&self.key(params))
    }

    /// Equal for equal points, and different for others: their number where points have numbers.
    fn key(&self, params: &Params) -> u128 {
        self.space.number_of(params).unwrap_or_else(|| fingerprint(params))
    }

    /// The numbers of the points that were not proposed yet, in order; `None` if they cannot be counted out.
    pub(crate) fn left(&self) -> Option<Vec<u128>> {
        let points = self.points.get_or_init(|| self.space.points(COUNTABLE)).as_ref()?;
        // Both are in order, so one walk along both is enough.
        let mut taken = self.keys.iter().peekable();
        let is_left = |point: &u128| {
            while taken.next_if(|earlier| *earlier < point).is_some() {}
            taken.peek() != Some(&point)
        };
        Some(points.iter().copied().filter(is_left).collect())
    }

    /// A point by chance that is not taken, if there is one.
    ///
    /// # Errors
    /// If all points of a countable space are.
    pub(crate) fn draw(&self, rng: &mut impl Rng) -> Result<Params, SuggestFault> {
        for _ in 0..DRAWS {
            let params = self.space.draw(|| unit(rng));
            if !self.contains(&params) {
                return Ok(params);
            }
        }
        match self.left() {
            None => Ok(self.space.draw(|| unit(rng))),
            Some(left) if left.is_empty() => Err(SuggestFault::Exhausted),
            Some(left) => self.space.point(left[below(rng, left.len())]).ok_or(SuggestFault::Exhausted),
        }
    }
}

/// FNV-1a of 128 bits over names and values: among 10^9 points two are equal with a probability of 10^-21.
fn fingerprint(params: &Params) -> u128 {
    /// The kind and the length keep apart what would read the same.
    fn add(hash: u128, kind: u8, bytes: &[u8]) -> u128 {
        let bytes = bytes.iter().copied().chain([kind, bytes.len() as u8]);
        bytes.fold(hash, |hash, byte| (hash ^ u128::from(byte)).wrapping_mul(0x0100_0000_0000_0000_0000_013b))
    }
    params.iter().fold(0x6c62_272e_07bb_0142_62b8_2175_6295_c58d, |hash, (name, value)| {
        let hash = add(hash, 0, name.as_bytes());
        match value {
            Value::Bool(truth) => add(hash, 1, &[u8::from(*truth)]),
            Value::Text(text) => add(hash, 2, text.as_bytes()),
            // 3 and 3.0 are the same.
            Value::Int(_) | Value::Float(_) => match value.integer() {
                Some(number) => add(hash, 3, &number.to_le_bytes()),
                None => add(hash, 4, &value.number().unwrap_or_default().to_bits().to_le_bytes()),
            },
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fingerprints_tell_points_apart_and_forgive_how_a_number_is_written() {
        let point =
            |values: &[(&str, Value)]| -> Params { values.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect() };
        let all = [
            point(&[]),
            point(&[("a", Value::Int(1))]),
            point(&[("a", Value::Int(2))]),
            point(&[("b", Value::Int(1))]),
            point(&[("a", 1.5.into())]),
            point(&[("a", "1".into())]),
            point(&[("a", true.into())]),
            point(&[("a", "true".into())]),
            point(&[("a", "x".into()), ("b", "y".into())]),
            point(&[("a", "xb".into()), ("", "y".into())]),
        ];
        let keys: BTreeSet<u128> = all.iter().map(fingerprint).collect();
        assert_eq!(keys.len(), all.len());
        assert_eq!(fingerprint(&point(&[("a", Value::Int(1))])), fingerprint(&point(&[("a", 1.0.into())])));
    }
}
