//! A space as a Gaussian process sees it: one axis a parameter, with a distance on each.
//!
//! - **Numbers** lie at their coordinate in [0, 1], on which a draw by chance is uniform; those on a grid at the middle of
//!   their share. Their distance is the difference.
//! - **Words** are one-hot: two different ones are 1 apart.
//! - **Conditions**: where a parameter is inactive it has one place of its own, apart from all of its values, as in Hutter
//!   and Osborne, "A Kernel for Hierarchical Parameter Spaces" (arXiv:1310.5738): a number that may be inactive lies on an arc of
//!   one radian around that place, a word on a corner of a simplex around it.
//!
//! All of these are distances between points of a Euclidean space, so that a kernel of their weighted sum is positive definite.
use hpo_core::space::Domain;
use hpo_core::{Params, Space};

/// One parameter that varies.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Axis {
    /// Which, in the order of the space.
    parameter: usize,
    /// Whether its values have no order.
    is_word: bool,
    /// Whether there are points without it.
    is_conditional: bool,
}

/// The axes of a space.
#[derive(Clone, Debug)]
pub(crate) struct Cube {
    space: Space,
    axes: Vec<Axis>,
}

/// A coordinate in [0, 1] on each axis; of a word, the number of the word; NaN where the parameter is inactive.
pub(crate) type Point = Vec<f64>;

impl Cube {
    pub(crate) fn new(space: Space) -> Self {
        let axis = |(parameter, one): (usize, &hpo_core::space::Parameter)| {
            let is_word = matches!(one.domain, Domain::Choice { ordered: false, .. } | Domain::Bool);
            (one.domain.size() != Some(1)).then_some(Axis { parameter, is_word, is_conditional: !one.when.is_empty() })
        };
        let axes = space.parameters().iter().enumerate().filter_map(axis).collect();
        Self { space, axes }
    }

    pub(crate) fn space(&self) -> &Space {
        &self.space
    }

    pub(crate) fn axes(&self) -> &[Axis] {
        &self.axes
    }

    /// Where a configuration lies.
    pub(crate) fn point(&self, params: &Params) -> Point {
        let place = |axis: &Axis| {
            let parameter = &self.space.parameters()[axis.parameter];
            let place = |value| match axis.is_word {
                true => parameter.domain.index_of(value).map_or(f64::NAN, |index| index as f64),
                false => parameter.domain.to_unit(value),
            };
            params.get(&parameter.name).map_or(f64::NAN, place)
        };
        self.axes.iter().map(place).collect()
    }

    /// The configuration nearest to a point: numbers are rounded to their grid. An inactive parameter that becomes active takes
    /// the middle of its range.
    pub(crate) fn params(&self, point: &[f64]) -> Params {
        let mut unit = vec![0.5; self.space.parameters().len()];
        for (axis, &place) in self.axes.iter().zip(point).filter(|(_, place)| !place.is_nan()) {
            let size = self.space.parameters()[axis.parameter].domain.size().unwrap_or(1) as f64;
            unit[axis.parameter] = if axis.is_word { (place + 0.5) / size } else { place };
        }
        self.space.from_unit(&unit)
    }

    /// The points next to one on the axes with few values: a step up or down, or, of a word, every other up to a few.
    pub(crate) fn neighbours(&self, point: &[f64]) -> Vec<Point> {
        /// More values than these are as good as a continuum.
        const FEW: u64 = 64;
        let mut all = vec![];
        for (at, axis) in self.axes.iter().enumerate().filter(|&(at, _)| !point[at].is_nan()) {
            let domain = &self.space.parameters()[axis.parameter].domain;
            let Some(size) = domain.size().filter(|&size| size <= FEW) else { continue };
            let mut moved =
                |place: f64| all.push(point.iter().enumerate().map(|(other, &old)| if other == at { place } else { old }).collect());
            if axis.is_word {
                (0..size.min(8)).map(|word| word as f64).filter(|&word| word != point[at]).for_each(&mut moved);
                continue;
            }
            let index = domain.index_of(&domain.from_unit(point[at])).unwrap_or(0);
            let next = [index.checked_sub(1), Some(index + 1)].into_iter().flatten();
            next.filter_map(|index| domain.nth(index)).map(|value| domain.to_unit(&value)).for_each(&mut moved);
        }
        all
    }
}

impl Axis {
    /// Whether a point can be moved along it a little.
    pub(crate) fn is_line(&self) -> bool {
        !self.is_word
    }

    /// Adds `weight` times the squared distance of `x` from each of `places` to `sums`.
    pub(crate) fn add(&self, weight: f64, x: f64, places: &[f64], sums: &mut [f64]) {
        if !self.is_word && !self.is_conditional {
            sums.iter_mut().zip(places).for_each(|(sum, place)| *sum += weight * (x - place) * (x - place));
        } else {
            sums.iter_mut().zip(places).for_each(|(sum, &place)| *sum += weight * self.squared(x, place));
        }
    }

    /// The squared distance of two places.
    fn squared(&self, x: f64, place: f64) -> f64 {
        match (x.is_nan(), place.is_nan()) {
            (true, true) => 0.0,
            (false, false) if self.is_word => f64::from(x != place),
            (false, false) if self.is_conditional => 2.0 - 2.0 * (x - place).cos(),
            (false, false) => (x - place) * (x - place),
            // From the middle to a corner of a simplex whose corners are 1 apart, or along the arc's radius.
            _ if self.is_word => 0.5,
            _ => 1.0,
        }
    }

    /// Half the derivative of the squared distance by `x`.
    pub(crate) fn slope(&self, x: f64, place: f64) -> f64 {
        match x.is_nan() || place.is_nan() || self.is_word {
            true => 0.0,
            false if self.is_conditional => (x - place).sin(),
            false => x - place,
        }
    }
}

/// Points column by column, each on a rung.
#[derive(Clone, Debug, Default)]
pub(crate) struct Points {
    columns: Vec<Vec<f64>>,
    rungs: Vec<usize>,
}

impl Points {
    pub(crate) fn new(dimensions: usize) -> Self {
        Self { columns: vec![vec![]; dimensions], rungs: vec![] }
    }

    pub(crate) fn push(&mut self, point: &[f64], rung: usize) {
        self.columns.iter_mut().zip(point).for_each(|(column, &place)| column.push(place));
        self.rungs.push(rung);
    }

    pub(crate) fn truncate(&mut self, count: usize) {
        self.columns.iter_mut().for_each(|column| column.truncate(count));
        self.rungs.truncate(count);
    }

    pub(crate) fn len(&self) -> usize {
        self.rungs.len()
    }

    pub(crate) fn rungs(&self) -> &[usize] {
        &self.rungs
    }

    /// The places of all points on an axis.
    pub(crate) fn column(&self, axis: usize) -> &[f64] {
        &self.columns[axis]
    }

    pub(crate) fn point(&self, at: usize) -> Point {
        self.columns.iter().map(|column| column[at]).collect()
    }

    /// Some of them.
    pub(crate) fn select(&self, which: &[usize]) -> Self {
        let pick = |all: &[f64]| which.iter().map(|&at| all[at]).collect();
        Self { columns: self.columns.iter().map(|column| pick(column)).collect(), rungs: which.iter().map(|&at| self.rungs[at]).collect() }
    }
}
