//! The best of some candidates: what every searcher with a model ends with.
use hpo_core::{Params, Space};
use rand::Rng;

use crate::SuggestFault;
use crate::chance::below;
use crate::taken::Taken;

/// Of spaces of up to so many points, and of pools, what is left is ranked itself; of more, so many by chance.
const RANKED: usize = 1024;

/// Candidates are drawn anew so often if all of them are taken.
const ROUNDS: usize = 8;

/// The point to which `score` gives most and that is not taken: of `count` that `draw` gives, or of a pool's rows and a small
/// space's points themselves. Of equally good ones the first.
///
/// # Errors
/// If all points of a countable space are taken.
pub(crate) fn best<R: Rng>(
    taken: &Taken,
    count: u32,
    rng: &mut R,
    mut draw: impl FnMut(&mut R) -> Params,
    score: impl Fn(&[Params]) -> Vec<f64>,
) -> Result<Params, SuggestFault> {
    if is_ranked_whole(taken.space()) {
        return best_left(taken, rng, score);
    }
    for _ in 0..ROUNDS {
        let all: Vec<Params> = (0..count).map(|_| draw(rng)).collect();
        if let Some(params) = ranked(all, &score).find(|params| !taken.contains(params)) {
            return Ok(params);
        }
    }
    best_left(taken, rng, score)
}

/// Whether candidates are the points of the space themselves.
pub(crate) fn is_ranked_whole(space: &Space) -> bool {
    space.pool().is_some() || space.size().is_some_and(|size| size <= RANKED as u64)
}

/// The best of the points that are left.
fn best_left<R: Rng>(taken: &Taken, rng: &mut R, score: impl Fn(&[Params]) -> Vec<f64>) -> Result<Params, SuggestFault> {
    let Some(mut left) = taken.left() else { return taken.draw(rng) };
    // The first so many of a shuffle (Fisher and Yates).
    let most = left.len().min(RANKED);
    if left.len() > most {
        for place in 0..most {
            let other = place + below(rng, left.len() - place);
            left.swap(place, other);
        }
        left.truncate(most);
    }
    let left = left.into_iter().filter_map(|number| taken.space().point(number)).collect();
    ranked(left, &score).next().ok_or(SuggestFault::Exhausted)
}

/// Best first, equally good ones in their order.
fn ranked(all: Vec<Params>, score: impl Fn(&[Params]) -> Vec<f64>) -> impl Iterator<Item = Params> {
    let mut scored: Vec<(f64, Params)> = score(&all).into_iter().zip(all).collect();
    scored.sort_by(|(a, _), (b, _)| b.total_cmp(a));
    scored.into_iter().map(|(_, params)| params)
}
