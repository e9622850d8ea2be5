//! Densities against their definition.
use hpo_core::space::{Domain, Fold};
use hpo_core::{Seed, Value};

use super::*;
use crate::chance::unit;

fn parameter(name: &str, domain: Domain) -> Parameter {
    Parameter { name: name.to_owned(), domain, when: Default::default() }
}

fn float() -> Domain {
    Domain::Float { low: 0.0, high: 1.0, fold: Fold::Linear, step: None }
}

/// One axis of each form, and one that only a word has.
fn space() -> Space {
    let words = Domain::Choice { values: vec!["a".into(), "b".into(), "c".into()], ordered: false };
    let only_b = Parameter { when: [("word".to_owned(), vec![Value::from("b")])].into(), ..parameter("y", float()) };
    Space::new(vec![
        parameter("x", float()),
        parameter("few", Domain::Int { low: 1, high: 5, fold: Fold::Log, step: 1 }),
        parameter("word", words),
        only_b,
        parameter("one", Domain::Constant(Value::Int(1))),
    ])
    .unwrap()
}

fn draws(space: &Space, seed: u64, count: usize) -> Vec<Params> {
    let mut rng = Seed(seed).rng();
    (0..count).map(|_| space.draw(|| unit(&mut rng))).collect()
}

fn mixture(axes: &Axes, points: &[Params]) -> Mixture {
    let places: Vec<Places> = points.iter().map(|params| axes.places(params)).collect();
    Mixture::of_good(axes, &places.iter().collect::<Vec<_>>())
}

/// Densities are against the uniform one, so their mean over uniform draws is 1: on every axis, under conditions, at edges.
#[test]
fn a_density_integrates_to_one() {
    let space = space();
    let axes = Axes::new(space.clone());
    for (count, seed) in [(1, 1), (3, 2), (25, 3)] {
        let mixture = mixture(&axes, &draws(&space, seed, count));
        let points: Vec<Places> = draws(&space, 100 + seed, 40_000).iter().map(|params| axes.places(params)).collect();
        let mean = mixture.ln(&points).iter().map(|log| log.exp()).sum::<f64>() / points.len() as f64;
        assert!((mean - 1.0).abs() < 0.05, "{count}: {mean}");
    }
}

/// E over draws from p of 1/p is 1 as well, if the draws are from that density and no other.
#[test]
fn draws_are_from_the_density() {
    let space = space();
    let axes = Axes::new(space.clone());
    for (count, seed) in [(1, 1), (3, 2), (25, 3)] {
        let mixture = mixture(&axes, &draws(&space, seed, count));
        let mut rng = Seed(seed).rng();
        let points: Vec<Places> = (0..40_000).map(|_| axes.places(&space.from_unit(&mixture.draw(&axes, &mut rng)))).collect();
        let mean = mixture.ln(&points).iter().map(|log| (-log).exp()).sum::<f64>() / points.len() as f64;
        assert!((mean - 1.0).abs() < 0.05, "{count}: {mean}");
    }
}

/// A normal density around 0.25, with the prior: by hand.
#[test]
fn one_kernel_is_as_by_hand() {
    let space = Space::new(vec![parameter("x", float())]).unwrap();
    let axes = Axes::new(space);
    let mut mixture = Mixture::of_others(&axes, 32.0);
    mixture.insert(0, &[0.25], true);
    // 12^-1/2 32^-1/5 is 0.14434; between 0 and 1 lies 0.95837 of the mass.
    let by_hand = |x: f64| 0.5 * (1.0 + (-0.5 * ((x - 0.25) / 0.144_338).powi(2)).exp() / (0.144_338 * 2.506_628 * 0.958_36));
    for x in [0.0, 0.25, 0.5, 0.9] {
        let found = mixture.ln(&[vec![x]])[0].exp();
        assert!((found / by_hand(x) - 1.0).abs() < 1e-3, "{x}: {found} and {}", by_hand(x));
    }
    mixture.set(0, false);
    assert!(mixture.ln(&[vec![0.25]])[0].abs() < 1e-6, "without it only the uniform density is left");
}

/// Enough kernels for several blocks, some taken out, some put in between.
#[test]
fn order_and_blocks_change_nothing_but_rounding() {
    let space = space();
    let axes = Axes::new(space.clone());
    let points: Vec<Places> = draws(&space, 7, 1500).iter().map(|params| axes.places(params)).collect();
    let (mut forwards, mut backwards) = (Mixture::of_others(&axes, 1500.0), Mixture::of_others(&axes, 1500.0));
    for (at, point) in points.iter().enumerate() {
        forwards.insert(at, point, at % 3 > 0);
        backwards.insert(0, point, true);
    }
    (0..1500).filter(|at| at % 3 == 0).for_each(|at| backwards.set(1499 - at, false));
    let asked = &points[..50];
    for (one, other) in forwards.ln(asked).iter().zip(backwards.ln(asked)) {
        assert!((one - other).abs() < 1e-5, "{one} and {other}");
    }
}

#[test]
fn the_exponential_is_one_to_a_millionth() {
    for step in 0..=8000 {
        let x = -f64::from(step) / 100.0;
        let (found, exact) = (f64::from(exp(x as f32)), f64::from(x as f32).exp());
        // Of a single-precision argument of 80 the rounding alone is as much.
        assert!((found / exact - 1.0).abs() < 1e-5, "{x}: {found} and {exact}");
    }
    assert_eq!((exp(-81.0), exp(f32::NEG_INFINITY), exp(0.0)), (0.0, 0.0, 1.0));
}
