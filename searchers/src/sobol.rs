//! Sobol's sequence, which fills the unit cube more evenly than chance: Sobol', "On the distribution of points in a cube and
//! the approximate evaluation of integrals", USSR Comput. Math. Math. Phys. 7 (1967); with the direction numbers of Joe and
//! Kuo (SIAM J. Sci. Comput. 30, 2008), scrambled as Owen has it (J. Complexity 14, 1998) by Burley's hash (JCGT 9, 2020),
//! all of which is the work of `sobol_burley`.
//!
//! Trial t gets point t of the sequence that the sweep's seed scrambles. A coordinate becomes a value as in every other
//! searcher ([`Space::from_unit`]): discrete values own equal shares, and those of inactive parameters are left out.
//!
//! In a pool the coordinates are those of ranks: a column's value has the share of the rows that lie below it, half of its
//! equals among them, so that a table that is crowded somewhere is covered row by row and not range by range. The point
//! takes the nearest row that is left.
use hpo_core::space::Domain;
use hpo_core::{Params, Seed, Space, TrialId};

use crate::taken::Taken;
use crate::{Observation, Searcher, SuggestFault};

/// Points in one scramble of the library.
const LENGTH: u32 = 1 << 16;

/// The searcher. A suggestion costs a point, in a pool a walk over its rows.
#[derive(Clone, Debug)]
pub struct Sobol {
    sequence: Sequence,
    taken: Taken,
}

impl Sobol {
    /// Nothing seen yet.
    #[must_use]
    pub fn new(space: Space, seed: Seed) -> Self {
        Self { sequence: Sequence::new(&space, seed), taken: Taken::new(space) }
    }
}

impl Searcher for Sobol {
    fn begin(&mut self, _: TrialId, params: &Params) {
        self.taken.insert(params);
    }

    /// The sequence knows no results.
    fn tell(&mut self, _: &Observation) {}

    fn suggest(&self, trial: TrialId) -> Result<Params, SuggestFault> {
        self.sequence.suggest(trial, &self.taken)
    }
}

/// The sequence over a space; other searchers begin with it.
#[derive(Clone, Debug)]
pub(crate) struct Sequence {
    seed: Seed,
    /// Of a pool.
    ranks: Option<Ranks>,
}

impl Sequence {
    pub(crate) fn new(space: &Space, seed: Seed) -> Self {
        Self { seed, ranks: Ranks::of(space) }
    }

    /// The trial's point; where that is taken, one by chance.
    ///
    /// # Errors
    /// If all points of a countable space are taken.
    pub(crate) fn suggest(&self, trial: TrialId, taken: &Taken) -> Result<Params, SuggestFault> {
        let space = taken.space();
        let unit = self.unit(trial, space.parameters().len());
        if let (Some(ranks), Some(left)) = (&self.ranks, taken.left()) {
            return ranks.nearest(&unit, &left).and_then(|row| space.point(row)).ok_or(SuggestFault::Exhausted);
        }
        let params = space.from_unit(&unit);
        match taken.contains(&params) {
            true => taken.draw(&mut self.seed.derive("suggest", trial.0.into()).rng()),
            false => Ok(params),
        }
    }

    /// The trial's point of the unit cube of so many dimensions.
    pub(crate) fn unit(&self, trial: TrialId, dimensions: usize) -> Vec<f64> {
        (0..dimensions).map(|axis| self.coordinate(trial, axis)).collect()
    }

    /// Beyond the library's length and dimensions another scramble goes on.
    fn coordinate(&self, trial: TrialId, axis: usize) -> f64 {
        let (set, axis) = (axis as u32 / sobol_burley::NUM_DIMENSIONS, axis as u32 % sobol_burley::NUM_DIMENSIONS);
        let scramble = self.seed.derive("sobol", u64::from(trial.0 / LENGTH) << 32 | u64::from(set));
        sobol_burley::sample(trial.0 % LENGTH, axis, scramble.0 as u32).into()
    }
}

/// The rows of a pool as points of the unit cube.
#[derive(Clone, Debug)]
struct Ranks {
    /// Row by row.
    units: Vec<f64>,
    /// One a column: whether its values are words, which are equal or not.
    words: Vec<bool>,
}

impl Ranks {
    fn of(space: &Space) -> Option<Self> {
        let pool = space.pool()?;
        let parameters = space.parameters();
        let mut columns = vec![vec![]; parameters.len()];
        for point in (0..pool.rows()).filter_map(|row| pool.point(row)) {
            for (column, parameter) in columns.iter_mut().zip(parameters) {
                column.push(parameter.domain.to_unit(&point[&parameter.name]));
            }
        }
        let mut units = vec![0.0; pool.rows() * parameters.len()];
        for (axis, column) in columns.iter().enumerate() {
            let mut sorted = column.clone();
            sorted.sort_by(f64::total_cmp);
            for (row, value) in column.iter().enumerate() {
                let (below, up_to) = (sorted.partition_point(|other| other < value), sorted.partition_point(|other| other <= value));
                units[row * parameters.len() + axis] = (below + up_to) as f64 / (2 * column.len()) as f64;
            }
        }
        let words = parameters.iter().map(|parameter| matches!(parameter.domain, Domain::Choice { ordered: false, .. })).collect();
        Some(Self { units, words })
    }

    /// The row of `left` that is nearest to a point, the first of equally near ones; words that differ are as far apart as
    /// the ends of a range.
    fn nearest(&self, unit: &[f64], left: &[u128]) -> Option<u128> {
        let width = self.words.len();
        // The word that a coordinate falls on: the one whose ranks begin last before it.
        let asked: Vec<f64> = (0..width).map(|axis| if self.words[axis] { self.word(axis, unit[axis]) } else { unit[axis] }).collect();
        let distance = |row: u128| {
            let row = &self.units[row as usize * width..][..width];
            let gap = |axis: usize| match self.words[axis] {
                true => f64::from(row[axis] != asked[axis]),
                false => (row[axis] - asked[axis]) * (row[axis] - asked[axis]),
            };
            (0..width).map(gap).sum::<f64>()
        };
        left.iter().map(|&row| (distance(row), row)).min_by(|(a, _), (b, _)| a.total_cmp(b)).map(|(_, row)| row)
    }

    /// The coordinate of the word nearest to `unit`.
    fn word(&self, axis: usize, unit: f64) -> f64 {
        let all = self.units.iter().skip(axis).step_by(self.words.len());
        all.copied().min_by(|a, b| (a - unit).abs().total_cmp(&(b - unit).abs())).unwrap_or(unit)
    }
}

#[cfg(test)]
mod tests {
    use hpo_core::space::{Fold, Parameter, Pool};

    use super::*;
    use crate::Random;

    fn cube(dimensions: usize) -> Space {
        let domain = Domain::Float { low: 0.0, high: 1.0, fold: Fold::Linear, step: None };
        let parameters =
            (0..dimensions).map(|axis| Parameter { name: format!("x{axis:03}"), domain: domain.clone(), when: Default::default() });
        Space::new(parameters.collect()).unwrap()
    }

    fn points(searcher: &dyn Searcher, space: &Space, count: u32) -> Vec<Vec<f64>> {
        let point = |trial| space.to_unit(&searcher.suggest(TrialId(trial)).unwrap()).unwrap();
        (0..count).map(|trial| point(trial).into_iter().map(Option::unwrap).collect()).collect()
    }

    /// Of the first 2^k points each of 2^k equal shares holds exactly one, in every dimension; chance does not do that.
    #[test]
    fn every_share_of_every_dimension_is_visited_once() {
        let space = cube(9);
        let sobol = Sobol::new(space.clone(), Seed(5));
        for (axis, count) in [(0, 256), (1, 256), (8, 64)] {
            let mut shares: Vec<usize> =
                points(&sobol, &space, count).iter().map(|point| (point[axis] * f64::from(count)) as usize).collect();
            shares.sort_unstable();
            assert_eq!(shares, (0..count as usize).collect::<Vec<_>>());
        }
        let random = Random::new(space.clone(), Seed(5));
        let mut shares: Vec<usize> = points(&random, &space, 256).iter().map(|point| (point[0] * 256.0) as usize).collect();
        shares.sort_unstable();
        shares.dedup();
        assert!(shares.len() < 200);
    }

    /// The mean of a product over the cube, 2^-5: chance errs by about 5 % of it here, the sequence by far less, whatever
    /// the seed. That is what scrambling must keep.
    #[test]
    fn means_over_the_cube_are_nearer_to_the_truth_than_by_chance() {
        let space = cube(5);
        let error = |searcher: &dyn Searcher| {
            let mean = points(searcher, &space, 512).iter().map(|point| point.iter().product::<f64>()).sum::<f64>() / 512.0;
            (mean * 32.0 - 1.0).powi(2)
        };
        let (mut sobol, mut random) = (0.0, 0.0);
        for seed in 0..20 {
            sobol += error(&Sobol::new(space.clone(), Seed(seed)));
            random += error(&Random::new(space.clone(), Seed(seed)));
        }
        assert!(sobol < random / 9.0, "{sobol} and {random}");
    }

    #[test]
    fn the_sequence_goes_on_where_the_library_ends() {
        let space = cube(300);
        let sobol = Sobol::new(space.clone(), Seed(1));
        let at = |trial| space.to_unit(&sobol.suggest(TrialId(trial)).unwrap()).unwrap();
        let (first, later) = (at(7), at(7 + LENGTH));
        assert_ne!(first, later);
        assert_ne!(first[0], first[256]);
    }

    /// 1, 2, .. 30 and 1,000: by ranges all but one row would lie in one share of thirty.
    #[test]
    fn a_crowded_pool_is_covered_row_by_row() {
        let cells: Vec<Vec<String>> = (1..=31).map(|x| vec![if x == 31 { 1000 } else { x }.to_string()]).collect();
        let pool = Space::from(Pool::of_text(vec!["x".to_owned()], &cells).unwrap());
        for seed in 0..20 {
            let mut sobol = Sobol::new(pool.clone(), Seed(seed));
            let mut rows = vec![];
            for trial in (0..8).map(TrialId) {
                let params = sobol.suggest(trial).unwrap();
                sobol.begin(trial, &params);
                rows.push(params["row"].integer().unwrap());
            }
            rows.sort_unstable();
            let gaps = rows.windows(2).map(|pair| pair[1] - pair[0]);
            assert!(gaps.max().unwrap() <= 9 && rows[0] <= 5 && rows[7] >= 25, "{rows:?}");
        }
    }

    #[test]
    fn words_of_a_pool_have_their_share() {
        let cells: Vec<Vec<String>> = (0..64).map(|row| vec![["a", "b", "b", "b"][row % 4].to_owned()]).collect();
        let pool = Space::from(Pool::of_text(vec!["word".to_owned()], &cells).unwrap());
        let mut sobol = Sobol::new(pool, Seed(3));
        let mut words = vec![];
        for trial in (0..16).map(TrialId) {
            let params = sobol.suggest(trial).unwrap();
            sobol.begin(trial, &params);
            words.push(params["word"].clone());
        }
        let seen = words.iter().filter(|word| word.text() == Some("a")).count();
        assert!((2..=9).contains(&seen), "{seen}");
    }
}
