//! A density around a point, and the step from one point to another: what a belief about good values, a search near the best
//! point and mutation have in common.
use std::f64::consts::TAU;

use hpo_core::space::{Domain, Parameter};
use hpo_core::{Params, Space, Value};
use rand::Rng;

use crate::chance::{below, unit};
use crate::tpe::{mass, truncated};

/// How values of a parameter lie around one of them.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Spread {
    /// Of what has an order: the standard deviation of a normal density, cut off at 0 and 1, in the units in which a draw by chance
    /// is uniform.
    pub(crate) width: f64,
    /// Of words: how many times as likely the value is as each other one.
    pub(crate) weight: f64,
}

/// The density of one parameter.
#[derive(Clone, Debug, PartialEq)]
enum Axis {
    /// As by chance.
    Flat,
    /// Normal around a coordinate.
    Bell { middle: f64, width: f64 },
    /// One word of `size` is `weight` times as likely as each other.
    Word { index: u64, size: u64, weight: f64 },
}

/// A product of densities, one a parameter.
#[derive(Clone, Debug)]
pub(crate) struct Around(Vec<Axis>);

impl Around {
    /// As `values` have it; a parameter without a value is spread as by chance.
    pub(crate) fn new<'a>(space: &Space, values: impl Fn(&Parameter) -> Option<(&'a Value, Spread)>) -> Self {
        let axis = |parameter: &Parameter| match values(parameter) {
            Some((value, spread)) => axis(&parameter.domain, value, spread),
            None => Axis::Flat,
        };
        Self(space.parameters().iter().map(axis).collect())
    }

    /// Where it is densest on a parameter; `None` where it is flat.
    pub(crate) fn middle(&self, at: usize) -> Option<f64> {
        match self.0[at] {
            Axis::Flat => None,
            Axis::Bell { middle, .. } => Some(middle),
            Axis::Word { index, size, .. } => Some(share(index, size)),
        }
    }

    /// A coordinate of parameter number `at`.
    pub(crate) fn draw(&self, at: usize, rng: &mut impl Rng) -> f64 {
        match self.0[at] {
            Axis::Flat => unit(rng),
            Axis::Bell { middle, width } => truncated(middle, width, rng),
            Axis::Word { index, size, weight } => {
                let others = (size - 1) as f64;
                if unit(rng) * (weight + others) < weight {
                    return share(index, size);
                }
                let other = below(rng, size as usize - 1) as u64;
                share(other + u64::from(other >= index), size)
            }
        }
    }

    /// The density at a point, against that of a draw by chance.
    pub(crate) fn at(&self, space: &Space, params: &Params) -> f64 {
        let one =
            |(parameter, axis): (&Parameter, &Axis)| params.get(&parameter.name).map_or(1.0, |value| axis.at(&parameter.domain, value));
        space.parameters().iter().zip(&self.0).map(one).product()
    }
}

impl Axis {
    fn at(&self, domain: &Domain, value: &Value) -> f64 {
        match *self {
            Self::Flat => 1.0,
            Self::Bell { middle, width } => {
                let z = (domain.to_unit(value) - middle) / width;
                (-z * z / 2.0).exp() / (width * TAU.sqrt() * mass(0.0, 1.0, middle, width))
            }
            Self::Word { index, size, weight } => {
                let one = if domain.index_of(value) == Some(index) { weight } else { 1.0 };
                one * size as f64 / (weight + (size - 1) as f64)
            }
        }
    }
}

fn axis(domain: &Domain, value: &Value, spread: Spread) -> Axis {
    match (domain, domain.size()) {
        (_, Some(0 | 1)) => Axis::Flat,
        (Domain::Choice { ordered: false, .. } | Domain::Bool, Some(size)) => {
            domain.index_of(value).map_or(Axis::Flat, |index| Axis::Word { index, size, weight: spread.weight })
        }
        _ => Axis::Bell { middle: domain.to_unit(value), width: spread.width },
    }
}

/// The coordinate of one of `size` values in order.
fn share(index: u64, size: u64) -> f64 {
    (index as f64 + 0.5) / size as f64
}

/// Another point: parameters to which `change` gives a coordinate take it, those that exist only now are drawn by chance, and all
/// others keep their value to the last bit. In a pool it is the row nearest to that.
pub(crate) fn step<R: Rng>(space: &Space, from: &Params, rng: &mut R, mut change: impl FnMut(usize, &mut R) -> Option<f64>) -> Params {
    let mut kept = vec![];
    let mut units = vec![];
    for (at, parameter) in space.parameters().iter().enumerate() {
        let value = from.get(&parameter.name);
        units.push(match (change(at, rng), value) {
            (Some(unit), _) => unit,
            (None, Some(value)) => {
                kept.push((&parameter.name, value));
                parameter.domain.to_unit(value)
            }
            (None, None) => unit(rng),
        });
    }
    let mut params = space.from_unit(&units);
    if space.pool().is_none() {
        for (name, value) in kept {
            if params.contains_key(name) {
                params.insert(name.clone(), value.clone());
            }
        }
    }
    params
}

#[cfg(test)]
mod tests {
    use hpo_core::Seed;
    use hpo_core::space::Fold;

    use super::*;

    fn space() -> Space {
        let parameter = |name: &str, domain| Parameter { name: name.to_owned(), domain, when: Default::default() };
        let mut child = parameter("child", Domain::Bool);
        child.when.insert("word".to_owned(), vec!["b".into()]);
        let words = Domain::Choice { values: ["a", "b", "c"].map(Value::from).to_vec(), ordered: false };
        let x = Domain::Float { low: 1e-4, high: 1.0, fold: Fold::Log, step: None };
        Space::new(vec![parameter("x", x), parameter("word", words), child]).unwrap()
    }

    fn around(width: f64, weight: f64) -> Around {
        let (x, word) = (Value::Float(1e-3), Value::from("b"));
        Around::new(&space(), |parameter| match parameter.name.as_str() {
            "x" => Some((&x, Spread { width, weight })),
            "word" => Some((&word, Spread { width, weight })),
            _ => None,
        })
    }

    /// The density against chance has mean 1 over points by chance, and draws lie where it says.
    #[test]
    fn densities_are_densities_and_draws_follow_them() {
        let (space, around) = (space(), around(0.2, 4.0));
        let mut rng = Seed(1).rng();
        let count = 20_000;
        let mean = (0..count).map(|_| around.at(&space, &space.draw(|| unit(&mut rng)))).sum::<f64>() / f64::from(count);
        assert!((mean - 1.0).abs() < 0.05, "{mean}");
        let draws: Vec<f64> = (0..count).map(|_| around.draw(0, &mut rng)).collect();
        let near = draws.iter().filter(|x| (*x - 0.25).abs() < 0.2).count() as f64 / f64::from(count);
        let expected = mass(0.05, 0.45, 0.25, 0.2) / mass(0.0, 1.0, 0.25, 0.2);
        assert!((near - expected).abs() < 0.02, "{near} and {expected}");
        let words = (0..count).filter(|_| (around.draw(1, &mut rng) - 0.5).abs() < 0.1).count() as f64 / f64::from(count);
        assert!((words - 4.0 / 6.0).abs() < 0.02, "{words}");
        assert_eq!((around.middle(0).map(|x| (x * 1e6).round()), around.middle(2)), (Some(250_000.0), None));
    }

    #[test]
    fn a_step_keeps_to_the_bit_what_it_does_not_change() {
        let space = space();
        let mut rng = Seed(2).rng();
        let from: Params = [("x".to_owned(), Value::Float(0.012_345_678_901_234_5)), ("word".to_owned(), "a".into())].into();
        let to = step(&space, &from, &mut rng, |at, _| (at == 1).then_some(0.5));
        assert_eq!((&to["x"], &to["word"]), (&from["x"], &Value::from("b")));
        assert!(to.contains_key("child"), "what exists only now has a value");
        let back = step(&space, &to, &mut rng, |at, _| (at == 1).then_some(0.9));
        assert_eq!((back.get("child"), &back["word"]), (None, &Value::from("c")));
        space.contains(&back).unwrap();
    }
}
