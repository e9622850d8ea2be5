use hpo_core::space::{Domain, Fold, Parameter};
use hpo_core::{Resource, Seed, Space};

use super::super::cube::Cube;
use super::super::ladder::Relation;
use super::*;
use crate::chance::unit;

fn cube() -> Cube {
    let domain = Domain::Float { low: 0.0, high: 1.0, fold: Fold::Linear, step: None };
    let parameter = |name: &str| Parameter { name: name.to_owned(), domain: domain.clone(), when: Default::default() };
    Cube::new(Space::new(vec![parameter("x"), parameter("y")]).unwrap())
}

fn process(ladder: &Ladder) -> Process {
    let theta = Theta { lengths: vec![-1.0, -0.5], noise: -9.0, ladder: vec![-2.0], amplitudes: vec![0.1, 0.3] };
    Process::new(cube().axes(), ladder, &theta)
}

fn points(count: usize) -> Points {
    let mut rng = Seed(2).rng();
    let mut points = Points::new(2);
    (0..count).for_each(|at| points.push(&[unit(&mut rng), unit(&mut rng)], at % 2));
    points
}

fn losses(points: &Points) -> Vec<f64> {
    (0..points.len()).map(|at| points.point(at)[0] + points.rungs()[at] as f64).collect()
}

#[test]
fn grown_row_by_row_it_expects_what_it_expects_made_at_once() {
    let ladder = Ladder::new(Relation::Chain, &[Resource(1), Resource(3)]);
    let all = points(40);
    let (mut whole, mut grown) = (process(&ladder), process(&ladder));
    whole.extend(&all);
    whole.observe(&losses(&all));
    for at in 0..40 {
        grown.extend(&all.select(&[at]));
        if at == 30 {
            // Something wrong, and back.
            grown.extend(&points(3));
            grown.truncate(31);
        }
    }
    grown.observe(&losses(&all));
    let wanted = [vec![0.2, 0.4], vec![0.9, 0.1]];
    for (one, other) in whole.expect(&wanted, 1).iter().zip(grown.expect(&wanted, 1)) {
        assert!((one.mean - other.mean).abs() < 1e-8 && (one.deviation - other.deviation).abs() < 1e-8);
    }
    for (expected, mean) in whole.expect(&wanted, 0).iter().zip(whole.means(&wanted, 0)) {
        assert!((expected.mean - mean).abs() < 1e-8);
    }
}

#[test]
fn observations_are_believed_and_far_from_them_little_is_known() {
    let ladder = Ladder::new(Relation::Chain, &[Resource(1), Resource(3)]);
    let (mut process, all) = (process(&ladder), points(40));
    process.extend(&all);
    process.observe(&losses(&all));
    let seen = process.expect(&[all.point(5)], 1)[0];
    assert!((seen.mean * 0.3_f64.exp() - losses(&all)[5]).abs() < 0.02 && seen.deviation < 0.05, "{seen:?}");
    assert!(process.expect(&[vec![9.0, 9.0]], 1)[0].deviation > 0.9);
}

#[test]
fn slopes_are_those_of_what_is_expected() {
    let ladder = Ladder::new(Relation::Chain, &[Resource(1), Resource(3)]);
    let (mut process, all) = (process(&ladder), points(25));
    process.extend(&all);
    process.observe(&losses(&all));
    let at = vec![0.31, 0.62];
    let sloped = &process.slopes(std::slice::from_ref(&at), 1)[0];
    for axis in 0..2 {
        let moved = |step: f64| {
            let mut moved = at.clone();
            moved[axis] += step;
            process.expect(&[moved], 1)[0]
        };
        let (above, below) = (moved(1e-5), moved(-1e-5));
        assert!((sloped.mean[axis] - (above.mean - below.mean) / 2e-5).abs() < 1e-5);
        assert!((sloped.deviation[axis] - (above.deviation - below.deviation) / 2e-5).abs() < 1e-5);
    }
}

#[test]
fn believing_changes_no_mean_and_makes_sure_of_the_point() {
    let ladder = Ladder::new(Relation::Chain, &[Resource(1), Resource(3)]);
    let (mut process, all) = (process(&ladder), points(25));
    process.extend(&all);
    process.observe(&losses(&all));
    let wanted = [vec![0.3, 0.3], vec![0.8, 0.5]];
    let before = process.expect(&wanted, 1);
    let mut pending = Points::new(2);
    pending.push(&wanted[0], 1);
    process.believe(&pending);
    let after = process.expect(&wanted, 1);
    assert!(before.iter().zip(&after).all(|(before, after)| (before.mean - after.mean).abs() < 1e-9));
    assert!(after[0].deviation < 0.1 * before[0].deviation && after[1].deviation <= before[1].deviation);
}
