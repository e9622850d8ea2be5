//! A Parzen density over a space: one kernel a point, and one that is spread over all of the space.
use std::ops::Range;

use hpo_core::space::Parameter;
use hpo_core::{Params, Space};
use rand::Rng;

use super::axis::{Axis, Form, Kernel, NOWHERE};
use crate::chance::below;

/// So many kernels are summed at a time: few enough to stay near the processor.
const BLOCK: usize = 512;

/// The standard deviation of the uniform density: 1/sqrt(12).
const UNIFORM: f64 = 0.288_675_134_594_812_9;

/// The space as axes.
#[derive(Clone, Debug)]
pub(crate) struct Axes {
    space: Space,
    all: Vec<Axis>,
    /// How many of them vary.
    dimensions: usize,
}

/// A point: its place on each axis.
pub(crate) type Places = Vec<f64>;

impl Axes {
    pub(crate) fn new(space: Space) -> Self {
        let all: Vec<Axis> = space.parameters().iter().map(|parameter| Axis::of(&parameter.domain)).collect();
        let dimensions = all.iter().filter(|axis| !matches!(axis, Axis::Fixed)).count();
        Self { space, all, dimensions }
    }

    pub(crate) fn places(&self, params: &Params) -> Places {
        let place = |(parameter, axis): (&Parameter, &Axis)| {
            params.get(&parameter.name).map_or(NOWHERE, |value| axis.place(&parameter.domain, value))
        };
        self.space.parameters().iter().zip(&self.all).map(place).collect()
    }
}

/// One axis of all kernels. Single precision is enough for a density, and twice as quick.
#[derive(Clone, Debug)]
struct Column {
    kernel: Kernel,
    /// Whether every point has a place on it.
    always: bool,
    /// Where each kernel stands.
    places: Vec<f32>,
    /// The same as a number, of a [`Form::Table`]: the last for nowhere.
    numbers: Vec<u8>,
    /// See [`Kernel::peak`]; of an axis on which every point has a place they stand in [`Mixture::peaks`].
    peaks: Vec<f32>,
}

/// The density
///
/// ```text
/// p(x) = (1 + sum_k w_k prod_a K_a(x_a | m_ka)) / (1 + sum_k w_k),
/// ```
///
/// with w_k 0 or 1. A kernel that has no place on an axis is flat there: it never saw that parameter.
#[derive(Clone, Debug)]
pub(crate) struct Mixture {
    columns: Vec<Column>,
    /// ln w: 0, or minus infinity for a kernel that is out.
    weights: Vec<f32>,
    /// What a kernel adds wherever the point is.
    peaks: Vec<f32>,
    /// Those that are in.
    count: usize,
}

impl Mixture {
    /// Without a kernel yet, for about `count` points that may be anywhere: as wide as Scott's rule has it for the uniform
    /// density, so that it depends on their number alone.
    pub(crate) fn of_others(axes: &Axes, count: f64) -> Self {
        Self::new(axes, count, |_| UNIFORM)
    }

    /// A kernel at each of some points, as wide as Scott's rule has it for them.
    pub(crate) fn of_good(axes: &Axes, points: &[&Places]) -> Self {
        let deviation = |axis: &Axis, at: usize| deviation(points.iter().filter_map(|point| axis.coordinate(point[at])));
        let mut mixture = Self::new(axes, points.len() as f64, |at| deviation(&axes.all[at], at));
        points.iter().enumerate().for_each(|(at, point)| mixture.insert(at, point, true));
        mixture
    }

    /// `deviation` gives that of the points on an axis.
    fn new(axes: &Axes, count: f64, deviation: impl Fn(usize) -> f64) -> Self {
        let column = |(at, axis): (usize, &Axis)| {
            let width = width(deviation(at), count, axes.dimensions);
            let always = axes.space.parameters()[at].when.is_empty();
            Column { kernel: Kernel::new(axis, width, count), always, places: vec![], numbers: vec![], peaks: vec![] }
        };
        let columns = axes.all.iter().enumerate().map(column).collect();
        Self { columns, weights: vec![], peaks: vec![], count: 0 }
    }

    /// A kernel at `places`, as number `at`.
    pub(crate) fn insert(&mut self, at: usize, places: &[f64], is_in: bool) {
        let mut everywhere = 0.0;
        for (column, &place) in self.columns.iter_mut().zip(places) {
            let peak = column.kernel.peak(place);
            column.places.insert(at, place as f32);
            if let Form::Table { row, .. } = column.kernel.form {
                column.numbers.insert(at, if place.is_nan() { row - 1 } else { place as usize } as u8);
            }
            if column.always {
                everywhere += peak;
            } else {
                column.peaks.insert(at, peak as f32);
            }
        }
        self.peaks.insert(at, everywhere as f32);
        self.weights.insert(at, f32::NEG_INFINITY);
        self.set(at, is_in);
    }

    /// How many kernels are in.
    pub(crate) fn count(&self) -> usize {
        self.count
    }

    /// Takes a kernel in or out.
    pub(crate) fn set(&mut self, at: usize, is_in: bool) {
        let was = self.weights[at] == 0.0;
        self.count = self.count + usize::from(is_in) - usize::from(was);
        self.weights[at] = if is_in { 0.0 } else { f32::NEG_INFINITY };
    }

    /// A coordinate in [0, 1] for each axis, drawn from the density. All kernels are in.
    pub(crate) fn draw(&self, axes: &Axes, rng: &mut impl Rng) -> Vec<f64> {
        let pick = below(rng, self.weights.len() + 1);
        let place = |column: &Column| column.places.get(pick).map_or(NOWHERE, |&place| place.into());
        self.columns.iter().zip(&axes.all).map(|(column, axis)| axis.draw(place(column), &column.kernel, rng)).collect()
    }

    /// ln p at some points, against the uniform density.
    pub(crate) fn ln(&self, points: &[Places]) -> Vec<f64> {
        let mut sums = vec![LogSum { most: 0.0, sum: 1.0 }; points.len()];
        let mut logs = [0.0; BLOCK];
        // All points for a few kernels, and not all kernels for a point: they are fetched from memory once.
        for start in (0..self.weights.len()).step_by(BLOCK) {
            let block = start..(start + BLOCK).min(self.weights.len());
            let logs = &mut logs[..block.len()];
            for (point, sum) in points.iter().zip(&mut sums) {
                for ((log, weight), peak) in logs.iter_mut().zip(&self.weights[block.clone()]).zip(&self.peaks[block.clone()]) {
                    *log = weight + peak;
                }
                for (column, &x) in self.columns.iter().zip(point).filter(|(_, x)| !x.is_nan()) {
                    column.add(logs, block.clone(), x as f32);
                }
                sum.add(logs);
            }
        }
        sums.iter().map(|sum| sum.ln() - (1.0 + self.count as f64).ln()).collect()
    }
}

impl Column {
    /// Adds what the axis says about `x` to the logarithms of a block of kernels. The loops have choices and no branches, so
    /// that the compiler can take several kernels at once.
    fn add(&self, logs: &mut [f32], block: Range<usize>, x: f32) {
        let places = &self.places[block.clone()];
        match &self.kernel.form {
            Form::Flat => {}
            Form::Normal { narrow } if self.always => {
                for (log, place) in logs.iter_mut().zip(places) {
                    let z = (x - place) * narrow;
                    *log -= z * z;
                }
            }
            Form::Normal { narrow } => {
                for ((log, place), peak) in logs.iter_mut().zip(places).zip(&self.peaks[block]) {
                    let z = (x - place) * narrow;
                    *log += if place.is_nan() { 0.0 } else { peak - z * z };
                }
            }
            Form::Table { row, logs: table } => {
                // By the point, so that what a kernel needs lies side by side.
                let table = &table[x as usize * row..][..*row];
                for (log, number) in logs.iter_mut().zip(&self.numbers[block]) {
                    *log += table[usize::from(*number)];
                }
            }
            Form::Words { same, other } => {
                for (log, place) in logs.iter_mut().zip(places) {
                    let term = if *place == x { *same } else { *other };
                    *log += if place.is_nan() { 0.0 } else { term };
                }
            }
        }
    }
}

/// ln of a sum of e^x, without overflow: e^most times `sum`.
#[derive(Clone, Copy)]
struct LogSum {
    most: f64,
    sum: f64,
}

impl LogSum {
    /// Of a whole block at once; `logs` are used up.
    fn add(&mut self, logs: &mut [f32]) {
        // The uniform density is always there, so that nothing is lost below it.
        let larger = |most: f32, log: f32| if log > most { log } else { most };
        let most = lanes(logs, 0.0, larger).into_iter().fold(0.0, larger);
        logs.iter_mut().for_each(|log| *log = exp(*log - most));
        let sum = f64::from(lanes(logs, 0.0, |sum, one| sum + one).iter().sum::<f32>());
        let most = f64::from(most);
        if most > self.most {
            self.sum *= (self.most - most).exp();
            self.most = most;
        }
        self.sum += sum * (most - self.most).exp();
    }

    fn ln(&self) -> f64 {
        self.most + self.sum.ln()
    }
}

/// A fold in eight independent lanes, of which none waits for another.
fn lanes(all: &[f32], start: f32, fold: impl Fn(f32, f32) -> f32) -> [f32; 8] {
    let mut lanes = [start; 8];
    let (chunks, rest) = all.as_chunks::<8>();
    for chunk in chunks {
        lanes = std::array::from_fn(|lane| fold(lanes[lane], chunk[lane]));
    }
    lanes.iter_mut().zip(rest).for_each(|(lane, one)| *lane = fold(*lane, *one));
    lanes
}

/// e^x for x up to 0, to a millionth of itself, and 0 below e^-80: without a call, so that the compiler can take several
/// at once. 2^n times a polynomial for the rest of the exponent (Taylor's, within half a unit of 2^r).
fn exp(x: f32) -> f32 {
    /// Adding it rounds to a whole number, which then stands in the lowest bits.
    const ROUND: f32 = 12_582_912.0;
    let power = x.max(-80.0) * std::f32::consts::LOG2_E;
    let shifted = power + ROUND;
    let r = (power - (shifted - ROUND)) * std::f32::consts::LN_2;
    let series = 1.0 + r * (1.0 + r * (1.0 / 2.0 + r * (1.0 / 6.0 + r * (1.0 / 24.0 + r * (1.0 / 120.0 + r / 720.0)))));
    let scale = f32::from_bits((shifted.to_bits().wrapping_add(127)) << 23);
    if x < -80.0 { 0.0 } else { series * scale }
}

/// Scott's rule (Multivariate Density Estimation, 1992), clipped as by Bergstra et al.
fn width(deviation: f64, count: f64, dimensions: usize) -> f64 {
    let scott = deviation * count.max(1.0).powf(-1.0 / (dimensions as f64 + 4.0));
    scott.clamp(1.0 / (count + 1.0).min(100.0), 1.0)
}

/// The standard deviation of some numbers; of fewer than two, that of the uniform density.
fn deviation(numbers: impl Iterator<Item = f64>) -> f64 {
    let numbers: Vec<f64> = numbers.collect();
    if numbers.len() < 2 {
        return UNIFORM;
    }
    let count = numbers.len() as f64;
    let mean = numbers.iter().sum::<f64>() / count;
    (numbers.iter().map(|number| (number - mean).powi(2)).sum::<f64>() / (count - 1.0)).sqrt()
}

#[cfg(test)]
mod tests;
