mod any;
mod pool;

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
    assert!(matches!(Space::new(vec![child.clone(), word]).unwrap_err()[0].kind, K::NoSuchValue { .. }));
    let real = parameter("b", float(0.0, 1.0, Fold::Linear, None));
    assert!(matches!(Space::new(vec![child, real]).unwrap_err()[0].kind, K::ContinuousParent { .. }));
}

#[test]
fn numbers_that_a_coordinate_cannot_keep_apart_are_refused() {
    use SpaceFaultKind as K;
    let int = |low, high, fold, step| Domain::Int { low, high, fold, step }.check();
    assert_eq!(int(i64::MIN, i64::MAX, Fold::Linear, 1), Err(K::TooMany));
    assert_eq!(int(0, 1 << 41, Fold::Linear, 1), Err(K::TooMany));
    assert_eq!(int(0, 1 << 41, Fold::Linear, 2), Err(K::TooMany));
    assert_eq!(int(0, 1 << 41, Fold::Linear, 4), Ok(()));
    assert_eq!(int(1, 1 << 40, Fold::Log, 1), Err(K::TooMany));
    assert_eq!(int(1, (1 << 40) - 1, Fold::Log, 1), Ok(()));
    assert!(matches!(int(1, 9, Fold::Linear, 0), Err(K::Step { .. })));
    assert!(matches!(int(1, 9, Fold::Log, 2), Err(K::Step { .. })));
    assert_eq!(float(-1e308, 1e308, Fold::Linear, None).check(), Err(K::NotFinite));
    assert_eq!(float(1e12, 1e12 + 1.0, Fold::Linear, Some(0.5)).check(), Err(K::TooMany));
    assert_eq!(Domain::Constant(f64::NAN.into()).check(), Err(K::NotFinite));
    assert_eq!(Domain::Choice { values: vec![1.0.into(), f64::INFINITY.into()], ordered: true }.check(), Err(K::NotFinite));
}

#[test]
fn conditions_that_exclude_each_other_are_found_at_any_depth() {
    let when = |name: &str, when: &[(&str, &[&str])]| Parameter {
        name: name.to_owned(),
        domain: Domain::Choice { values: vec!["x".into(), "y".into(), "z".into()], ordered: false },
        when: when.iter().map(|(parent, values)| ((*parent).to_owned(), values.iter().map(|value| (*value).into()).collect())).collect(),
    };
    let root = when("root", &[]);
    let (x, xy) = (when("x", &[("root", &["x"])]), when("xy", &[("root", &["x", "y"])]));
    let both = when("both", &[("x", &["x"]), ("xy", &["x"])]);
    assert!(Space::new(vec![both.clone(), x.clone(), xy.clone(), root.clone()]).is_ok());
    let yz = when("yz", &[("root", &["y", "z"])]);
    let never = when("never", &[("both", &["x"]), ("yz", &["x"])]);
    let below = when("below", &[("never", &["x"])]);
    let faults = Space::new(vec![below, never, both, x, xy, yz, root]).unwrap_err();
    let kind = SpaceFaultKind::Contradiction { ancestor: "root".to_owned() };
    assert_eq!(faults, [SpaceFault { parameter: "never".to_owned(), kind }], "what lies below goes without saying");
}

/// Each whole number owns the logarithms from half below to half above it.
#[test]
fn whole_numbers_on_a_log_scale_own_the_shares_of_the_logarithm() {
    let domain = Domain::Int { low: 1, high: 4, fold: Fold::Log, step: 1 };
    let edge = |number: f64| (number / 0.5).ln() / (4.5_f64 / 0.5).ln();
    for number in 1..=4_i32 {
        for inside in [edge(f64::from(number) - 0.5) + 1e-9, edge(f64::from(number) + 0.5) - 1e-9] {
            assert_eq!(domain.from_unit(inside), number.into());
        }
    }
}

#[test]
fn a_real_number_is_in_its_range_to_the_last_bit() {
    let domain = float(1e-12, 1.0, Fold::Log, None);
    for (number, inside) in [(1e-12, true), (1.0, true), (0.0, false), (1.0_f64.next_up(), false), (f64::NAN, false)] {
        assert_eq!(domain.contains(&number.into()), inside, "{number}");
    }
    let stepped = float(0.0, 1.0, Fold::Linear, Some(0.1));
    for (number, inside) in [(0.1 + 0.2, true), (0.35, false), (-0.1, false), (1.1, false)] {
        assert_eq!(stepped.contains(&number.into()), inside, "{number}");
    }
}

#[test]
fn equal_numbers_are_the_same_value_however_they_are_written() {
    let same = |a: Value, b: Value| a.same(&b);
    assert!(same(1.into(), 1.0.into()) && same(1.0.into(), 1.into()) && same(0.0.into(), (-0.0).into()));
    assert!(!same(((1_i64 << 53) + 1).into(), (1_i64 << 53).into()) && !same(1.into(), true.into()) && !same(1.into(), "1".into()));
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

#[test]
fn as_many_parameters_as_there_may_be_make_few_points_and_one_more_is_refused() {
    let mut all: Vec<Parameter> =
        (0..Space::MOST_PARAMETERS).map(|name| parameter(&name.to_string(), Domain::Constant(0.into()))).collect();
    all[500].domain = Domain::Bool;
    // A constant that is there with one value only, and on which another hangs.
    all[700].when.insert("500".to_owned(), vec![true.into()]);
    all[999].domain = Domain::Int { low: 1, high: 3, fold: Fold::Linear, step: 1 };
    all[999].when.insert("700".to_owned(), vec![0.into()]);
    let space = Space::new(all.clone()).unwrap();
    assert_eq!(space.points(4), Some(vec![0, 3, 4, 5]));
    assert_eq!(space.points(3), None);
    all.push(parameter("more", Domain::Bool));
    let faults = Space::new(all).unwrap_err();
    assert_eq!(faults, [SpaceFault { parameter: "more".into(), kind: SpaceFaultKind::TooManyParameters { found: 1001 } }]);
}

#[test]
fn lists_of_values_are_bounded_and_have_no_twins() {
    let choice = |values: Vec<Value>| Space::new(vec![parameter("x", Domain::Choice { values, ordered: false })]);
    let numbers = |count: usize| (0..count as i64).map(Value::Int).collect::<Vec<_>>();
    assert!(choice(numbers(Space::MOST_VALUES)).is_ok());
    assert_eq!(choice(numbers(1001)).unwrap_err()[0].kind, SpaceFaultKind::LongList { found: 1001 });
    let mut child = parameter("child", Domain::Bool);
    child.when.insert("x".to_owned(), numbers(1001));
    let x = parameter("x", Domain::Choice { values: numbers(3), ordered: false });
    assert_eq!(Space::new(vec![x, child]).unwrap_err()[0].kind, SpaceFaultKind::LongList { found: 1001 });
    let twins: [&[Value]; 4] = [
        &[1.into(), "1".into(), 1.0.into()],
        &[0.0.into(), 3.into(), (-0.0).into()],
        &["a".into(), true.into(), "b".into(), "a".into()],
        &[false.into(), true.into(), false.into()],
    ];
    for values in twins {
        assert_eq!(choice(values.to_vec()).unwrap_err()[0].kind, SpaceFaultKind::Choices, "{values:?}");
    }
    // Alike as floats.
    assert!(choice(vec![(1_i64 << 60).into(), ((1_i64 << 60) + 1).into(), "1".into(), 1.into(), true.into()]).is_ok());
}

/// What a person would write comes out as written; what chance draws keeps its digits.
#[test]
fn round_values_of_a_continuum_have_no_dust() {
    let said = |domain: &Domain, unit: f64| domain.from_unit(unit).to_string();
    let log = float(1e-4, 1.0, Fold::Log, None);
    assert_eq!([0.0, 0.25, 0.5, 0.75, 1.0].map(|unit| said(&log, unit)), ["0.0001", "0.001", "0.01", "0.1", "1.0"]);
    let wide = float(1e-12, 1e12, Fold::Log, None);
    assert_eq!([0.25, 0.5, 0.75].map(|unit| said(&wide, unit)), ["1e-6", "1.0", "1000000.0"]);
    let line = float(0.0, 3.0, Fold::Linear, None);
    assert_eq!([0.0, 0.1, 0.2, 0.7].map(|unit| said(&line, unit)), ["0.0", "0.3", "0.6", "2.1"]);
    let below = float(-1.0, 1.0, Fold::Linear, None);
    assert_eq!([0.0, 0.05, 0.4, 0.6].map(|unit| said(&below, unit)), ["-1.0", "-0.9", "-0.2", "0.2"]);
    let unit = 0.123_456_789_012;
    assert_eq!(below.from_unit(unit), Value::Float(-1.0 + unit * 2.0), "no digit of a draw is lost");
}
