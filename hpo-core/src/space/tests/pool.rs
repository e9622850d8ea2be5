//! Tables of configurations.
use proptest::prelude::*;

use super::*;

fn of_text(columns: &[&str], rows: &[&[&str]]) -> Result<Pool, PoolFault> {
    let cells: Vec<Vec<String>> = rows.iter().map(|row| row.iter().map(|cell| (*cell).to_owned()).collect()).collect();
    Pool::of_text(columns.iter().map(|column| (*column).to_owned()).collect(), &cells)
}

/// Rows 1 and 3 are equal but for their number.
fn pool() -> Pool {
    let columns = ["bin_size", "lr", "dropout", "optimizer", "fixed"];
    let rows: [&[&str]; 4] = [
        &["64.0", "1e-4", "0.1", "sgd", "3"],
        &["8.0", "0.5", "0", "adam", "3"],
        &["128.0", "0.01", "0.5", "sgd", "3"],
        &["8.0", "0.5", "0", "adam", "3"],
    ];
    of_text(&columns, &rows).unwrap()
}

#[test]
fn columns_are_counts_reals_or_words_each_on_its_scale() {
    let domains: Vec<Domain> = pool().parameters().into_iter().map(|parameter| parameter.domain).collect();
    assert_eq!(
        domains,
        [
            Domain::Int { low: 8, high: 128, fold: Fold::Linear, step: 1 },
            float(1e-4, 0.5, Fold::Log, None),
            float(0.0, 0.5, Fold::Linear, None),
            Domain::Choice { values: vec!["sgd".into(), "adam".into()], ordered: false },
            Domain::Constant(3.into()),
        ]
    );
    assert_eq!(Space::from(pool()).dimensions(), 4);
    // A word makes a column one of words.
    let words = of_text(&["a"], &[&["1"], &["two"]]).unwrap();
    assert_eq!(words.point(0).unwrap()["a"], "1".into());
    // Exactly three decades are not more than three.
    let fold = |text| match of_text(&["a"], &[&["1"], &[text]]).unwrap().parameters().remove(0).domain {
        Domain::Int { fold, .. } => fold,
        other => panic!("{other:?}"),
    };
    assert_eq!((fold("1000"), fold("1001")), (Fold::Linear, Fold::Log));
}

#[test]
fn among_numbers_every_cell_is_a_finite_one() {
    for text in ["nan", "NaN", "-inf", "Infinity"] {
        let fault = PoolFault::NotFinite { column: "b".to_owned(), row: 2, text: text.to_owned() };
        assert_eq!(of_text(&["a", "b"], &[&["1", "0.5"], &["2", "3"], &["3", text]]), Err(fault));
    }
    // Beside words it is one.
    assert_eq!(of_text(&["a"], &[&["nan"], &["two"]]).unwrap().point(0).unwrap()["a"], "nan".into());
}

#[test]
fn a_point_is_a_row_with_its_number() {
    let space = Space::from(pool());
    let [one, three] = [1, 3].map(|row| space.pool().unwrap().point(row).unwrap());
    let values = [("bin_size", 8.into()), ("lr", 0.5.into()), ("dropout", 0.0.into()), ("optimizer", "adam".into()), ("fixed", 3.into())];
    let mut expected: Params = values.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    expected.insert("row".to_owned(), 1.into());
    assert_eq!(one, expected);
    assert_ne!(one, three, "equal configurations stay different points");
    assert_eq!((space.number_of(&one), space.number_of(&three)), (Some(1), Some(3)));
    assert_eq!((space.size(), space.points(4).unwrap().len(), space.points(3)), (Some(4), 4, None));
    assert_eq!(space.names().collect::<Vec<_>>(), ["bin_size", "lr", "dropout", "optimizer", "fixed", "row"]);
    // Coordinates are those of the columns, and lead to the first of equal rows.
    let units: Vec<f64> = space.to_unit(&three).unwrap().into_iter().map(Option::unwrap).collect();
    assert_eq!(units.len(), 5);
    assert_eq!(space.from_unit(&units), one);
}

#[test]
fn what_is_no_row_is_said() {
    let space = Space::from(pool());
    let good = space.pool().unwrap().point(2).unwrap();
    let with = |name: &str, value: Value| {
        let mut params = good.clone();
        params.insert(name.to_owned(), value);
        space.contains(&params).unwrap_err()
    };
    let without = |name: &str| space.contains(&good.iter().filter(|(key, _)| *key != name).map(|(k, v)| (k.clone(), v.clone())).collect());
    assert_eq!(without("row"), Err(NotInSpace::Missing("row".to_owned())));
    assert_eq!(without("lr"), Err(NotInSpace::Missing("lr".to_owned())));
    assert_eq!(with("row", 4.into()), NotInSpace::Outside { name: "row".to_owned(), value: 4.into() });
    assert_eq!(with("row", (-1).into()), NotInSpace::Outside { name: "row".to_owned(), value: (-1).into() });
    assert!(matches!(with("row", 1.into()), NotInSpace::Outside { .. }), "the values of another row");
    assert_eq!(with("lr", 0.02.into()), NotInSpace::Outside { name: "lr".to_owned(), value: 0.02.into() });
    assert_eq!(with("other", 1.into()), NotInSpace::Extra("other".to_owned()));
}

#[test]
fn each_kind_of_fault_is_found() {
    let rows: &[&[&str]] = &[&["1", "2"]];
    assert_eq!(of_text(&[], rows), Err(PoolFault::NoColumns));
    assert_eq!(of_text(&["a", "b"], &[]), Err(PoolFault::NoRows));
    assert_eq!(of_text(&["a", "row"], rows), Err(PoolFault::NamedRow));
    assert_eq!(of_text(&["a", "a"], rows), Err(PoolFault::Twice { column: "a".to_owned() }));
    assert_eq!(of_text(&["a", "b"], &[&["1", "2"], &["1", " "]]), Err(PoolFault::Empty { column: "b".to_owned(), row: 1 }));
    let columns = || vec!["a".to_owned()];
    let ragged = Pool::new(columns(), vec![vec![1.into()], vec![]]);
    assert_eq!(ragged, Err(PoolFault::Ragged { row: 1, found: 0, wanted: 1 }));
    assert_eq!(Pool::new(columns(), vec![vec![1.into()], vec!["x".into()]]), Err(PoolFault::Mixed { column: "a".to_owned() }));
    assert!(matches!(of_text(&["a"], &[&["-1.7e308"], &["1.7e308"]]), Err(PoolFault::Column { kind: SpaceFaultKind::NotFinite, .. })));
    let row = |x: usize| vec![Value::Int(x as i64)];
    assert!(Pool::new(columns(), (0..Pool::MOST_ROWS).map(row).collect()).is_ok());
    assert_eq!(Pool::new(columns(), (0..=Pool::MOST_ROWS).map(row).collect()), Err(PoolFault::TooManyRows));
    let word = |length: usize| Pool::new(columns(), vec![vec!["x".repeat(length).as_str().into()]]);
    assert_eq!(word(Pool::MOST_BYTES / 6), Err(PoolFault::TooLarge));
    assert!(word(Pool::MOST_BYTES / 6 - 1).is_ok());
}

#[test]
fn a_journal_keeps_the_rows_and_refuses_rows_that_are_no_pool() {
    let space = Space::from(pool());
    let text = serde_json::to_string(&space).unwrap();
    assert!(text.starts_with(r#"{"columns":["bin_size","lr","dropout","optimizer","fixed"],"rows":[[64,0.0001,0.1,"sgd",3],"#), "{text}");
    assert_eq!(serde_json::from_str::<Space>(&text).unwrap(), space);
    assert!(serde_json::from_str::<Space>(r#"{"columns":["row"],"rows":[[1]]}"#).is_err());
}

proptest! {
    /// Against a plain search over the definition.
    #[test]
    fn the_nearest_row_is_the_nearest(
        rows in prop::collection::vec((0.0_f64..1.0, 1_u32..50, "[ab]"), 1..20),
        units in prop::collection::vec(0.0_f64..=1.0, 3),
    ) {
        let cells: Vec<Vec<String>> = rows.iter().map(|(x, n, word)| vec![x.to_string(), n.to_string(), word.clone()]).collect();
        let space = Space::from(Pool::of_text(["x", "n", "word"].map(str::to_owned).into(), &cells).unwrap());
        let domains: Vec<&Domain> = space.parameters().iter().map(|parameter| &parameter.domain).collect();
        let distance = |params: &Params| {
            let here = space.to_unit(params).unwrap();
            let gap = |at: usize| here[at].unwrap() - domains[at].to_unit(&domains[at].from_unit(units[at]));
            let word = if params["word"] == domains[2].from_unit(units[2]) { 0.0 } else { 1.0 };
            gap(0) * gap(0) + gap(1) * gap(1) + word
        };
        let found = space.from_unit(&units);
        prop_assert_eq!(space.contains(&found), Ok(()));
        // Every second row's neighbours of one, against a sort by the definition.
        let pool = space.pool().unwrap();
        let row = pool.row_of(&found).unwrap();
        let apart = |other: usize| {
            let (here, there) = (space.to_unit(&found).unwrap(), space.to_unit(&pool.point(other).unwrap()).unwrap());
            let gap = |at: usize| here[at].unwrap() - there[at].unwrap();
            gap(0) * gap(0) + gap(1) * gap(1) + f64::from(gap(2) != 0.0)
        };
        let among: Vec<usize> = (0..rows.len()).rev().step_by(2).collect();
        let mut sorted = among.clone();
        sorted.sort_by(|&a, &b| apart(a).total_cmp(&apart(b)).then(a.cmp(&b)));
        sorted.truncate(4);
        prop_assert_eq!(pool.neighbours(row, &among, 4), sorted);
        for row in 0..rows.len() {
            prop_assert!(distance(&found) <= distance(&space.pool().unwrap().point(row).unwrap()) + 1e-12);
        }
    }
}
