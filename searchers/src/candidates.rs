//! The best of some candidates: what every searcher with a model ends with.
use std::collections::BTreeSet;

use hpo_core::space::Pool;
use hpo_core::{Params, Space};
use rand::Rng;

use crate::SuggestFault;
use crate::chance::below;
use crate::taken::Taken;

/// Of spaces of up to so many points, and of pools, what is left is ranked itself; of more, so many by chance.
const RANKED: usize = 1024;

/// Candidates are drawn anew so often if all of them are taken.
const ROUNDS: usize = 8;

/// Of a pool with more rows than are ranked, so many of the best are looked around, ..
const TOPS: usize = 4;

/// .. at so many rows that are nearest to each, ..
const NEAR: usize = 16;

/// .. and that again with what is then best, so often at most.
const STEPS: usize = 8;

/// The point to which `score` gives most and that is not taken: of `count` that `draw` gives, or of a pool's rows and a small
/// space's points themselves. Of equally good ones the first.
///
/// Of a pool with more than [`RANKED`] rows left as many are compared as that, drawn by chance, and then the neighbours of the best of
/// them: what that costs a model does not grow with the pool, and of the rows that it would like best it gets one of the first few.
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
        if let Some((_, params)) = ranked(all, &score).into_iter().find(|(_, params)| !taken.contains(params)) {
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
    }
    let others = left.split_off(most);
    let space = taken.space();
    let mut all = ranked(left.into_iter().filter_map(|number| space.point(number)).collect(), &score);
    if let Some(pool) = space.pool().filter(|_| !others.is_empty()) {
        let others: Vec<usize> = others.into_iter().map(|row| row as usize).collect();
        climb(pool, &others, &mut all, score);
    }
    all.into_iter().next().map(|(_, params)| params).ok_or(SuggestFault::Exhausted)
}

/// From the best of some ranked rows to their neighbours among `others`, as long as these are better.
fn climb(pool: &Pool, others: &[usize], all: &mut Vec<(f64, Params)>, score: impl Fn(&[Params]) -> Vec<f64>) {
    let (mut left_behind, mut known) = (BTreeSet::new(), BTreeSet::new());
    for _ in 0..STEPS {
        let tops = all.iter().take(TOPS).filter_map(|(_, params)| pool.row_of(params).ok());
        let from: Vec<usize> = tops.filter(|row| left_behind.insert(*row)).collect();
        let near = from.into_iter().flat_map(|row| pool.neighbours(row, others, NEAR));
        let new: Vec<Params> = near.filter(|row| known.insert(*row)).filter_map(|row| pool.point(row)).collect();
        if new.is_empty() {
            break;
        }
        all.extend(ranked(new, &score));
        sort(all);
    }
}

/// Best first, equally good ones in their order.
fn ranked(all: Vec<Params>, score: impl Fn(&[Params]) -> Vec<f64>) -> Vec<(f64, Params)> {
    let mut scored: Vec<(f64, Params)> = score(&all).into_iter().zip(all).collect();
    sort(&mut scored);
    scored
}

fn sort(scored: &mut [(f64, Params)]) {
    scored.sort_by(|(a, _), (b, _)| b.total_cmp(a));
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use hpo_core::Seed;

    use super::*;
    use crate::chance::unit;

    fn pool(rows: usize) -> Space {
        let mut rng = Seed(1).rng();
        let cells: Vec<Vec<String>> = (0..rows).map(|_| (0..5).map(|_| unit(&mut rng).to_string()).collect()).collect();
        Pool::of_text(["a", "b", "c", "d", "e"].map(str::to_owned).into(), &cells).unwrap().into()
    }

    /// Two hills, the higher one narrow.
    fn height(params: &Params) -> f64 {
        let distance = |middle: f64| {
            let gap = |name| params[name].number().unwrap() - middle;
            ["a", "b", "c", "d", "e"].into_iter().map(gap).map(|gap| gap * gap).sum::<f64>()
        };
        (-distance(0.3)).exp() + 2.0 * (-20.0 * distance(0.7)).exp()
    }

    #[test]
    fn of_a_pool_of_twenty_thousand_rows_one_of_the_best_is_found_and_a_tenth_is_looked_at() {
        let mut taken = Taken::new(pool(20_000));
        let mut heights: Vec<f64> =
            taken.left().unwrap().into_iter().filter_map(|row| taken.space().point(row)).map(|row| height(&row)).collect();
        heights.sort_by(|a, b| b.total_cmp(a));
        let looked = Cell::new(0);
        let score = |all: &[Params]| {
            looked.set(looked.get() + all.len());
            all.iter().map(height).collect()
        };
        let mut missed = 0;
        // By chance alone the best of 1,024 is about the twentieth of 20,000.
        for asked in 0..40 {
            looked.set(0);
            let mut rng = Seed(asked).rng();
            let row = best(&taken, 1, &mut rng, |_| Params::new(), score).unwrap();
            missed += heights.iter().filter(|other| **other > height(&row)).count();
            heights.retain(|other| *other != height(&row));
            assert!(!taken.contains(&row) && (RANKED..2_000).contains(&looked.get()), "{} rows", looked.get());
            taken.insert(&row);
        }
        assert!(missed < 40 * 3, "{missed} rows were better, of 40 times");
    }

    #[test]
    fn of_a_pool_of_1024_rows_the_best_is_found_each_time_with_one_look_at_each() {
        let mut taken = Taken::new(pool(RANKED));
        let mut before = f64::INFINITY;
        for asked in 0..RANKED {
            let looked = Cell::new(0);
            let score = |all: &[Params]| {
                looked.set(looked.get() + all.len());
                all.iter().map(height).collect()
            };
            let row = best(&taken, 1, &mut Seed(asked as u64).rng(), |_| Params::new(), score).unwrap();
            assert!(height(&row) <= before && looked.get() == RANKED - asked);
            before = height(&row);
            taken.insert(&row);
        }
        assert_eq!(best(&taken, 1, &mut Seed(0).rng(), |_| Params::new(), |all| vec![0.0; all.len()]), Err(SuggestFault::Exhausted));
    }
}
