//! Random spaces of every kind, with conditions nested to any depth.
use std::collections::BTreeSet;

use proptest::prelude::*;
use proptest::sample::Index;

use super::*;

/// Any domain that passes its check.
fn any_domain() -> impl Strategy<Value = Domain> {
    let tenth = |digits: u32| 10_f64.powi(-(digits as i32));
    let stepped = (-1000_i32..1000, 0_u32..200, 1_u32..50, 0_u32..6).prop_map(move |(low, count, step, digits)| {
        let (low, step) = (f64::from(low) * tenth(digits), f64::from(step) * tenth(digits));
        float(low, low + f64::from(count) * step, Fold::Linear, Some(step))
    });
    let any = prop_oneof![
        (-1e300_f64..1e300, 0.0..7e307).prop_map(|(low, wide)| float(low, low + wide, Fold::Linear, None)),
        (-10.0_f64..10.0, 0.0..10.0).prop_map(|(low, wide)| float(low, low + wide, Fold::Linear, None)),
        (-300.0_f64..300.0, 0.0_f64..30.0).prop_map(|(low, wide)| float(
            10_f64.powf(low),
            10_f64.powf((low + wide).min(305.0)),
            Fold::Log,
            None
        )),
        stepped,
        (-100_000_i64..100_000, 0_i64..1 << 39, 1_i64..1000).prop_map(|(low, count, step)| Domain::Int {
            low,
            high: low + count * step,
            fold: Fold::Linear,
            step
        }),
        (-9_i64..9, 0_i64..9, 1_i64..4).prop_map(|(low, count, step)| Domain::Int {
            low,
            high: low + count * step,
            fold: Fold::Linear,
            step
        }),
        (1_i64..100_000, 0_i64..1 << 39).prop_map(|(low, wide)| Domain::Int { low, high: low + wide, fold: Fold::Log, step: 1 }),
        (1_i64..9, 0_i64..30).prop_map(|(low, wide)| Domain::Int { low, high: low + wide, fold: Fold::Log, step: 1 }),
        few_values(),
        any::<i64>().prop_map(|constant| Domain::Constant(constant.into())),
    ];
    any.prop_filter("sound", |domain| domain.check().is_ok())
}

/// A domain with so few values that conditions on it often hold.
fn few_values() -> impl Strategy<Value = Domain> {
    let words = prop::collection::btree_set("[a-z]{1,3}", 1..5);
    prop_oneof![
        Just(Domain::Bool),
        (words, any::<bool>())
            .prop_map(|(words, ordered)| { Domain::Choice { values: words.iter().map(|word| word.as_str().into()).collect(), ordered } }),
        prop::collection::btree_set(-9_i64..9, 1..4)
            .prop_map(|numbers| Domain::Choice { values: numbers.into_iter().map(Value::Int).collect(), ordered: true }),
        (0_i64..3).prop_map(|high| Domain::Int { low: 0, high, fold: Fold::Linear, step: 1 }),
    ]
}

/// A space of such domains: each parameter has up to three parents among those before it, several values of each, and
/// the file names them in any order.
fn any_space(domain: impl Strategy<Value = Domain>, most: usize) -> impl Strategy<Value = Space> {
    let parents = prop::collection::vec((any::<Index>(), prop::collection::vec(any::<Index>(), 1..3)), 0..4);
    let declared = prop::collection::vec((domain, parents), 1..most);
    (declared, any::<Index>()).prop_map(|(declared, turn)| {
        let mut parameters: Vec<Parameter> = vec![];
        for (index, (domain, parents)) in declared.into_iter().enumerate() {
            let mut when = BTreeMap::new();
            for (parent, values) in parents.iter().filter(|_| index > 0) {
                let parent = &parameters[parent.index(index)];
                let Some(size) = parent.domain.size() else { continue };
                let values = values.iter().map(|value| parent.domain.nth(value.index(size as usize) as u64).unwrap());
                when.insert(parent.name.clone(), values.collect());
            }
            parameters.push(Parameter { name: format!("p{index}"), domain, when });
        }
        let turn = turn.index(parameters.len());
        parameters.rotate_left(turn);
        // What can never be active is refused: let it be always.
        while let Err(faults) = Space::new(parameters.clone()) {
            for SpaceFault { parameter, kind } in faults {
                assert!(matches!(kind, SpaceFaultKind::Contradiction { .. }), "{kind:?}");
                parameters.iter_mut().filter(|other| other.name == parameter).for_each(|parameter| parameter.when.clear());
            }
        }
        Space::new(parameters).unwrap()
    })
}

/// A point of a space, and its coordinates.
fn any_point(space: Space) -> impl Strategy<Value = (Space, Vec<f64>)> {
    let edge = prop_oneof![1 => Just(0.0), 1 => Just(1.0), 8 => 0.0_f64..=1.0];
    let units = prop::collection::vec(edge, space.parameters().len());
    (Just(space), units)
}

/// Whether a parameter exists, by the definition: all of its parents exist and have one of the values.
fn exists(space: &Space, name: &str, params: &Params) -> bool {
    let parameter = space.parameters().iter().find(|parameter| parameter.name == name).unwrap();
    parameter.when.iter().all(|(parent, values)| exists(space, parent, params) && values.contains(&params[parent]))
}

/// What rounding may do to a value, by [`Domain::to_unit`].
fn near(domain: &Domain, a: &Value, b: &Value) -> bool {
    match (domain, a, b) {
        (Domain::Float { low, high, fold, step: None }, Value::Float(a), Value::Float(b)) => {
            let measure = |number: f64| if *fold == Fold::Log { number.ln() } else { number };
            let scale = measure(*low).abs().max(measure(*high).abs());
            (measure(*a) - measure(*b)).abs() <= 1e-12 * scale
        }
        _ => a == b,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn every_point_of_the_cube_is_a_point_of_the_space_and_comes_back(
        (space, units) in any_space(any_domain(), 12).prop_flat_map(any_point),
    ) {
        let params = space.from_unit(&units);
        prop_assert_eq!(space.contains(&params), Ok(()));
        let back = space.to_unit(&params).unwrap();
        let again = space.from_unit(&back.iter().map(|unit| unit.unwrap_or(0.3)).collect::<Vec<_>>());
        for (parameter, unit) in space.parameters().iter().zip(&back) {
            let name = &parameter.name;
            let exists = exists(&space, name, &params);
            prop_assert_eq!(unit.is_some(), exists, "{}", name);
            prop_assert_eq!(params.contains_key(name), exists, "{}", name);
            if exists {
                prop_assert!(parameter.domain.contains(&params[name]), "{} = {:?}", name, params[name]);
                prop_assert!(near(&parameter.domain, &params[name], &again[name]), "{:?} became {:?}", params[name], again[name]);
            }
        }
        prop_assert_eq!(params.len(), again.len());
    }

    #[test]
    fn every_value_has_a_coordinate_that_leads_back_and_a_number(domain in any_domain(), at in any::<prop::sample::Index>()) {
        if let Some(size) = domain.size() {
            let index = at.index(size as usize) as u64;
            let value = domain.nth(index).unwrap();
            prop_assert!(domain.contains(&value));
            prop_assert_eq!(domain.index_of(&value), Some(index));
            prop_assert_eq!(domain.from_unit(domain.to_unit(&value)), value);
            prop_assert_eq!(domain.nth(size), None);
        } else {
            prop_assert_eq!((domain.nth(0), domain.index_of(&domain.from_unit(0.5))), (None, None));
        }
    }

    #[test]
    fn discrete_values_are_within_their_edges_and_reach_both(domain in any_domain()) {
        let (first, last) = (domain.from_unit(0.0), domain.from_unit(1.0));
        if let Some(size) = domain.size() {
            prop_assert_eq!([domain.nth(0), domain.nth(size - 1)], [Some(first.clone()), Some(last.clone())]);
        }
        match domain {
            Domain::Float { low, high, fold: Fold::Linear, .. } => prop_assert_eq!((first, last), (low.into(), high.into())),
            Domain::Int { low, high, .. } => prop_assert_eq!((first, last), (low.into(), high.into())),
            _ => {}
        }
    }

    #[test]
    fn a_space_and_its_points_are_the_same_after_a_journal((space, units) in any_space(any_domain(), 8).prop_flat_map(any_point)) {
        let text = serde_json::to_string(&space).unwrap();
        prop_assert!(text.starts_with('['), "a list of parameters, as journals have always had");
        prop_assert_eq!(&serde_json::from_str::<Space>(&text).unwrap(), &space);
        let params = space.from_unit(&units);
        let text = serde_json::to_string(&params).unwrap();
        let read: Params = serde_json::from_str(&text).unwrap();
        prop_assert_eq!(&read, &params);
        prop_assert_eq!(space.contains(&read), Ok(()));
    }

    #[test]
    fn the_points_of_a_finite_space_are_all_there_each_once(
        (space, units) in any_space(few_values(), 7).prop_flat_map(any_point),
    ) {
        const MOST: usize = 5000;
        let Some(points) = space.points(MOST) else { return Ok(()) };
        prop_assert!(points.is_sorted_by(|a, b| a < b) && points.len() as u64 <= space.size().unwrap());
        let mut seen = BTreeSet::new();
        for &number in &points {
            let params = space.point(number).unwrap();
            prop_assert_eq!(space.contains(&params), Ok(()));
            prop_assert_eq!(space.number_of(&params), Some(number));
            seen.insert(format!("{params:?}"));
        }
        prop_assert_eq!(seen.len(), points.len());
        let drawn = space.number_of(&space.from_unit(&units)).unwrap();
        prop_assert!(points.binary_search(&drawn).is_ok());
        prop_assert_eq!(space.points(points.len() - 1), None);
        let beyond = (0..2 * space.size().unwrap() as u128).filter(|number| points.binary_search(number).is_err());
        for number in beyond.take(100) {
            prop_assert_eq!(space.point(number), None);
        }
    }
}
