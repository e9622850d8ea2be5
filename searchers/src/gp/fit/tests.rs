use hpo_core::space::{Domain, Fold, Parameter};
use hpo_core::{Params, Resource, Seed, Space, Value};

use super::super::cube::Cube;
use super::super::ladder::Relation;
use super::*;
use crate::chance::{normal, unit};

/// Two numbers, one of them conditional, and a word.
fn space() -> Space {
    let float = Domain::Float { low: 0.0, high: 1.0, fold: Fold::Linear, step: None };
    let words = Domain::Choice { values: vec!["a".into(), "b".into(), "c".into()], ordered: false };
    Space::new(vec![
        Parameter { name: "x".into(), domain: float.clone(), when: Default::default() },
        Parameter { name: "word".into(), domain: words, when: Default::default() },
        Parameter { name: "y".into(), domain: float, when: [("word".to_owned(), vec![Value::from("a"), "b".into()])].into() },
    ])
    .unwrap()
}

fn data<'a>(cube: &'a Cube, ladder: &'a Ladder, count: usize, loss: impl Fn(&Params, usize) -> f64) -> Data<'a> {
    let mut rng = Seed(4).rng();
    let (mut points, mut losses) = (Points::new(cube.axes().len()), vec![]);
    for at in 0..count {
        let params = cube.space().draw(|| unit(&mut rng));
        let rung = at % ladder.len();
        points.push(&cube.point(&params), rung);
        losses.push(loss(&params, rung) + 0.1 * normal(&mut rng));
    }
    Data { axes: cube.axes(), ladder, points, losses }
}

fn steep(params: &Params, rung: usize) -> f64 {
    (9.0 * params["x"].number().unwrap()).sin() * (1.0 + rung as f64) + rung as f64
}

#[test]
fn derivatives_are_those_of_the_likelihood() {
    let cube = Cube::new(space());
    for relation in [Relation::Chain, Relation::Decay, Relation::Apart] {
        let ladder = Ladder::new(relation, &[Resource(1), Resource(3), Resource(9)]);
        let data = data(&cube, &ladder, 23, steep);
        let pairs = Pairs::new(&data);
        let mut theta = medians(&data);
        theta.lengths = vec![-0.5, 0.3, 0.1];
        theta.amplitudes = vec![0.2, -0.1, 0.4];
        let (at, (_, gradient)) = (theta.flat(), pairs.likelihood(&data, &theta));
        for by in 0..at.len() {
            let moved = |step: f64| {
                let mut moved = at.clone();
                moved[by] += step;
                pairs.likelihood(&data, &theta.with(&moved)).0
            };
            let slope = (moved(1e-5) - moved(-1e-5)) / 2e-5;
            assert!((slope - gradient[by]).abs() < 1e-4 * (1.0 + slope.abs()), "{relation:?} {by}: {slope} and {}", gradient[by]);
        }
    }
}

/// The loss follows `x` alone, with a deviation of 0.1 in the noise, and grows with the rung.
#[test]
fn what_matters_is_found_out() {
    let cube = Cube::new(space());
    let ladder = Ladder::new(Relation::Chain, &[Resource(1), Resource(3)]);
    let theta = fit(&data(&cube, &ladder, 120, steep));
    let [x, word, y] = theta.lengths[..] else { panic!("three axes") };
    assert!(x < 0.0 && word > 1.0 && y > 1.0, "{theta:?}");
    assert!(theta.amplitudes[1] - theta.amplitudes[0] > 0.3, "{theta:?}");
    assert!(theta.ladder[0] < -2.0, "both rungs follow the same function: {theta:?}");
}

#[test]
fn rungs_that_have_nothing_in_common_are_told_apart() {
    let cube = Cube::new(space());
    let ladder = Ladder::new(Relation::Chain, &[Resource(1), Resource(3)]);
    let theta = fit(&data(&cube, &ladder, 120, |params, rung| (9.0 * params["x"].number().unwrap() + 1.6 * rung as f64).sin()));
    assert!(theta.ladder[0] > -1.0, "{theta:?}");
}
