use proptest::prelude::*;

use super::*;

fn parameter(name: &str, domain: Domain) -> Parameter {
    Parameter { name: name.to_owned(), domain, when: BTreeMap::new() }
}

fn float(low: f64, high: f64, fold: Fold, step: Option<f64>) -> Domain {
    Domain::Float { low, high, fold, step }
}

/// One parameter of every kind, and conditions two deep.
fn space() -> Space {
    let mut momentum = parameter("momentum", float(0.5, 0.99, Fold::Linear, None));
    momentum.when.insert("optimizer".to_owned(), vec!["sgd".into()]);
    let mut nesterov = parameter("nesterov", Domain::Bool);
    nesterov.when.insert("optimizer".to_owned(), vec!["sgd".into(), "adam".into()]);
    let mut deep = parameter("deep", Domain::Int { low: 0, high: 7, fold: Fold::Linear, step: 1 });
    deep.when.insert("nesterov".to_owned(), vec![true.into()]);
    Space::new(vec![
        deep, // declared before its parents
        parameter("lr", float(1e-4, 3e-2, Fold::Log, None)),
        parameter("rate", float(0.9, 1.0, Fold::Linear, Some(0.01))),
        parameter("width", Domain::Int { low: 16, high: 128, fold: Fold::Linear, step: 16 }),
        parameter("batch", Domain::Int { low: 16, high: 512, fold: Fold::Log, step: 1 }),
        parameter("optimizer", Domain::Choice { values: vec!["sgd".into(), "adam".into(), "adamw".into()], ordered: false }),
        parameter("depth", Domain::Choice { values: vec![1.into(), 2.into(), 4.into()], ordered: true }),
        momentum,
        nesterov,
        parameter("fixed", Domain::Constant(20.into())),
    ])
    .unwrap()
}

impl From<i32> for Value {
    fn from(value: i32) -> Self {
        Self::Int(value.into())
    }
}

proptest! {
    #[test]
    fn every_point_of_the_cube_is_a_point_of_the_space_and_comes_back(unit in proptest::collection::vec(0.0_f64..=1.0, 10)) {
        let space = space();
        let params = space.from_unit(&unit);
        space.contains(&params).unwrap();
        let back: Vec<f64> = space.to_unit(&params).unwrap().into_iter().map(|at| at.unwrap_or(0.3)).collect();
        let again = space.from_unit(&back);
        prop_assert_eq!(params.keys().collect::<Vec<_>>(), again.keys().collect::<Vec<_>>());
        for (name, value) in &params {
            match (value, &again[name]) {
                (Value::Float(a), Value::Float(b)) => prop_assert!((a - b).abs() <= 1e-12 * a.abs(), "{} {} {}", name, a, b),
                (a, b) => prop_assert_eq!(a, b),
            }
        }
    }

    #[test]
    fn steps_hit_both_edges_and_never_leave_the_range(low in -100_i32..100, count in 1_u32..50, tenths in 1_u32..30, unit in 0.0_f64..=1.0) {
        let (low, step) = (f64::from(low) / 10.0, f64::from(tenths) / 100.0);
        let high = low + f64::from(count) * step;
        let domain = float(low, high, Fold::Linear, Some(step));
        prop_assert_eq!(domain.check(), Ok(()));
        prop_assert!(domain.contains(&domain.from_unit(unit)));
        prop_assert!((domain.from_unit(0.0).number().unwrap() - low).abs() < 1e-9);
        prop_assert!((domain.from_unit(1.0).number().unwrap() - high).abs() < 1e-9);
        prop_assert_eq!(domain.size(), Some(u64::from(count) + 1));
    }
}

#[test]
fn each_kind_of_fault_is_found() {
    let faults = |parameter: Parameter| Space::new(vec![parameter]).unwrap_err().remove(0).kind;
    use SpaceFaultKind as K;
    assert!(matches!(faults(parameter("a", float(2.0, 1.0, Fold::Linear, None))), K::Reversed { .. }));
    assert!(matches!(faults(parameter("a", float(0.0, 1.0, Fold::Log, None))), K::LogFromZero { .. }));
    assert!(matches!(faults(parameter("a", float(0.0, 1.0, Fold::Linear, Some(0.3)))), K::Step { .. }));
    assert!(matches!(faults(parameter("a", float(0.0, f64::NAN, Fold::Linear, None))), K::NotFinite));
    assert!(matches!(faults(parameter("a", Domain::Int { low: 1, high: 9, fold: Fold::Linear, step: 3 })), K::Step { .. }));
    assert!(matches!(faults(parameter("a", Domain::Choice { values: vec![1.into(), 1.0.into()], ordered: false })), K::Choices));
    let mut child = parameter("a", Domain::Bool);
    child.when.insert("b".to_owned(), vec![true.into()]);
    assert!(matches!(faults(child.clone()), K::NoParent { .. }));
    let mut other = parameter("b", Domain::Bool);
    other.when.insert("a".to_owned(), vec![true.into()]);
    assert!(matches!(Space::new(vec![child.clone(), other]).unwrap_err()[0].kind, K::Circular));
    let word = parameter("b", Domain::Choice { values: vec!["x".into()], ordered: false });
    assert!(matches!(Space::new(vec![child, word]).unwrap_err()[0].kind, K::NoSuchValue { .. }));
}

#[test]
fn what_is_not_a_point_is_said() {
    let space = space();
    let good = space.from_unit(&[0.1; 10]);
    assert_eq!(good["optimizer"], "sgd".into());
    let mut missing = good.clone();
    missing.remove("momentum");
    assert_eq!(space.contains(&missing), Err(NotInSpace::Missing("momentum".to_owned())));
    let mut extra = good.clone();
    extra.insert("other".to_owned(), 1.into());
    assert_eq!(space.contains(&extra), Err(NotInSpace::Extra("other".to_owned())));
    let mut inactive = good.clone();
    inactive.insert("optimizer".to_owned(), "adamw".into());
    assert!(matches!(space.contains(&inactive), Err(NotInSpace::Extra(_))));
    let mut outside = good;
    outside.insert("width".to_owned(), 17.into());
    assert!(matches!(space.contains(&outside), Err(NotInSpace::Outside { .. })));
}

#[test]
fn stepped_values_are_what_a_person_would_write() {
    let domain = float(0.9, 1.0, Fold::Linear, Some(0.01));
    let values: Vec<String> = (0..11).map(|k| domain.from_unit((f64::from(k) + 0.5) / 11.0).to_string()).collect();
    assert_eq!(values.join(" "), "0.9 0.91 0.92 0.93 0.94 0.95 0.96 0.97 0.98 0.99 1.0");
}

#[test]
fn a_circle_is_found_beside_other_faults_and_named_by_a_parameter_on_it() {
    let bool_when = |name: &str, parent: &str| {
        let mut child = parameter(name, Domain::Bool);
        child.when.insert(parent.to_owned(), vec![true.into()]);
        child
    };
    let faults =
        Space::new(vec![bool_when("below", "x"), bool_when("x", "y"), bool_when("y", "x"), bool_when("lost", "nobody")]).unwrap_err();
    let circular: Vec<_> =
        faults.iter().filter(|fault| fault.kind == SpaceFaultKind::Circular).map(|fault| fault.parameter.as_str()).collect();
    assert!(circular == ["x"] || circular == ["y"], "{faults:?}");
    assert!(faults.iter().any(|fault| fault.parameter == "lost" && matches!(fault.kind, SpaceFaultKind::NoParent { .. })));
    assert_eq!(faults.len(), 2);
}
