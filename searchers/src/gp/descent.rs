//! The nearest minimum of a smooth function within a box: L-BFGS (Nocedal and Wright, "Numerical Optimization", Springer 2006,
//! alg. 7.4 and 7.5), its steps cut off at the box's faces and shortened until they go down far enough (Armijo's rule, eq. 3.4).
//!
//! The caller evaluates: take [`Descent::point`], give its value to [`Descent::tell`], and so on. Several descents can then share
//! the work of one evaluation.
use std::collections::VecDeque;

/// Pairs of steps and changes of the gradient that are kept.
const MEMORY: usize = 8;

/// A step is shortened so often before the search ends.
const CUTS: u32 = 8;

/// A search under way.
#[derive(Clone, Debug)]
pub(crate) struct Descent {
    low: f64,
    high: f64,
    /// The best point, its value and gradient.
    best: Option<(Vec<f64>, f64, Vec<f64>)>,
    direction: Vec<f64>,
    /// The share of the direction that is tried.
    share: f64,
    cuts: u32,
    pairs: VecDeque<(Vec<f64>, Vec<f64>)>,
    trial: Vec<f64>,
    is_over: bool,
}

impl Descent {
    /// From `start`, each coordinate between `low` and `high`.
    pub(crate) fn new(start: Vec<f64>, low: f64, high: f64) -> Self {
        let trial: Vec<f64> = start.iter().map(|x| x.clamp(low, high)).collect();
        Self { low, high, best: None, direction: vec![], share: 1.0, cuts: 0, pairs: VecDeque::new(), is_over: trial.is_empty(), trial }
    }

    /// The point to evaluate next.
    pub(crate) fn point(&self) -> &[f64] {
        &self.trial
    }

    /// Whether there is nothing more to find.
    pub(crate) fn is_over(&self) -> bool {
        self.is_over
    }

    /// The best point so far.
    pub(crate) fn best(&self) -> &[f64] {
        self.best.as_ref().map_or(&self.trial, |(point, ..)| point)
    }

    /// The value and the gradient at [`Descent::point`].
    pub(crate) fn tell(&mut self, value: f64, gradient: Vec<f64>) {
        let is_sound = value.is_finite() && gradient.iter().all(|slope| slope.is_finite());
        match self.best.take() {
            None if is_sound => self.go_on(self.trial.clone(), value, gradient),
            None => self.is_over = true,
            Some((point, before, slopes)) => {
                let step = difference(&self.trial, &point);
                if is_sound && value <= before + 1e-4 * dot(&slopes, &step) {
                    let change = difference(&gradient, &slopes);
                    if dot(&step, &change) > 1e-10 * dot(&change, &change) {
                        self.pairs.push_front((step, change));
                        self.pairs.truncate(MEMORY);
                    }
                    self.is_over = before - value < 1e-6 * (1.0 + value.abs());
                    self.go_on(self.trial.clone(), value, gradient);
                } else {
                    self.cuts += 1;
                    self.is_over = self.cuts >= CUTS;
                    self.share *= 0.3;
                    self.best = Some((point, before, slopes));
                    self.step();
                }
            }
        }
    }

    /// Takes a new best point, and a new direction from there.
    fn go_on(&mut self, point: Vec<f64>, value: f64, gradient: Vec<f64>) {
        let is_free = |at: usize, slope: f64| !(point[at] <= self.low && slope > 0.0 || point[at] >= self.high && slope < 0.0);
        let free: Vec<f64> = gradient.iter().enumerate().map(|(at, &slope)| if is_free(at, slope) { slope } else { 0.0 }).collect();
        let steepest = dot(&free, &free).sqrt();
        let mut direction = self.newton(&free);
        direction.iter_mut().zip(&free).filter(|(_, slope)| **slope == 0.0).for_each(|(move_, _)| *move_ = 0.0);
        if dot(&direction, &free) > -1e-12 * steepest * steepest {
            self.pairs.clear();
            direction = free.iter().map(|slope| -slope).collect();
        }
        // Without a memory nothing is known of the scale: a tenth of the box, at most.
        let first = 0.1 * (self.high - self.low) / steepest;
        self.share = if self.pairs.is_empty() { first.min(1.0) } else { 1.0 };
        self.cuts = 0;
        self.is_over |= steepest < 1e-5;
        self.direction = direction;
        self.best = Some((point, value, gradient));
        self.step();
    }

    fn step(&mut self) {
        let Some((point, ..)) = &self.best else { return };
        let moved = point.iter().zip(&self.direction).map(|(x, by)| (x + self.share * by).clamp(self.low, self.high));
        self.trial = moved.collect();
    }

    /// Minus the inverse of the Hessian, as the memory has it, times the gradient.
    fn newton(&self, gradient: &[f64]) -> Vec<f64> {
        let mut q: Vec<f64> = gradient.iter().map(|slope| -slope).collect();
        let mut factors = vec![];
        for (step, change) in &self.pairs {
            let factor = dot(step, &q) / dot(step, change);
            add(&mut q, -factor, change);
            factors.push(factor);
        }
        if let Some((step, change)) = self.pairs.front() {
            let scale = dot(step, change) / dot(change, change);
            q.iter_mut().for_each(|x| *x *= scale);
        }
        for ((step, change), factor) in self.pairs.iter().zip(factors).rev() {
            let back = dot(change, &q) / dot(step, change);
            add(&mut q, factor - back, step);
        }
        q
    }
}

fn dot(one: &[f64], other: &[f64]) -> f64 {
    one.iter().zip(other).map(|(a, b)| a * b).sum()
}

fn difference(one: &[f64], other: &[f64]) -> Vec<f64> {
    one.iter().zip(other).map(|(a, b)| a - b).collect()
}

fn add(to: &mut [f64], factor: f64, what: &[f64]) {
    to.iter_mut().zip(what).for_each(|(x, y)| *x += factor * y);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(start: &[f64], low: f64, high: f64, evaluations: usize, function: impl Fn(&[f64]) -> (f64, Vec<f64>)) -> Vec<f64> {
        let mut descent = Descent::new(start.to_vec(), low, high);
        for _ in 0..evaluations {
            let (value, gradient) = function(descent.point());
            descent.tell(value, gradient);
            if descent.is_over() {
                break;
            }
        }
        descent.best().to_vec()
    }

    fn rosenbrock(x: &[f64]) -> (f64, Vec<f64>) {
        let (a, b) = (1.0 - x[0], x[1] - x[0] * x[0]);
        (a * a + 100.0 * b * b, vec![-2.0 * a - 400.0 * x[0] * b, 200.0 * b])
    }

    #[test]
    fn a_curved_valley_is_followed_to_its_end() {
        let end = run(&[-1.2, 1.0], -5.0, 5.0, 80, rosenbrock);
        assert!(end.iter().all(|x| (x - 1.0).abs() < 1e-3), "{end:?}");
    }

    #[test]
    fn a_minimum_outside_is_approached_along_the_face() {
        let end = run(&[-0.5, -0.5], -2.0, 0.5, 80, rosenbrock);
        assert!((end[0] - 0.5).abs() < 1e-3 && (end[1] - 0.25).abs() < 1e-3, "{end:?}");
    }

    #[test]
    fn what_is_no_number_ends_it() {
        assert_eq!(run(&[0.3], 0.0, 1.0, 9, |_| (f64::NAN, vec![0.0])), [0.3]);
        let wall = |x: &[f64]| if x[0] < 0.2 { (f64::NAN, vec![f64::NAN]) } else { (x[0], vec![1.0]) };
        let end = run(&[0.9], 0.0, 1.0, 60, wall);
        assert!((0.2..0.3).contains(&end[0]), "{end:?}");
    }
}
