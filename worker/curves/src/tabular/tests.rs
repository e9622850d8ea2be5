use std::error::Error;
use std::path::PathBuf;

use hpo_core::sweep::event::FailureKind;
use hpo_tests::Scratch;

use super::*;

const GOOD: &str = "lr,name,curve_2,seconds,curve_1\n0.1,a,2.5,10,3\n1,b,nan,4,2\n1.0,b,,6,inf\n";

/// Opens a table of this text; faults without the scratch folder in them.
fn open(text: &str, cost: Option<&str>) -> Result<Table, String> {
    let folder = Scratch::new();
    let csv = folder.path().join("t.csv");
    std::fs::write(&csv, text).unwrap();
    let job = TabularJob { csv, curve: "curve_".to_owned(), cost: cost.map(str::to_owned) };
    Table::open(&job, "loss").map_err(|fault| fault.source().unwrap().to_string())
}

fn params(row: i64, lr: f64) -> Params {
    Params::from([(ROW.to_owned(), Value::Int(row)), ("lr".to_owned(), Value::Float(lr))])
}

#[test]
fn a_row_is_a_training() {
    let table = open(GOOD, Some("seconds")).unwrap();
    assert_eq!(table.longest(), Some(Resource(2)));
    let curve = table.curve(&params(0, 0.1), Seed(0)).unwrap();
    let points = [1, 2].map(|unit| curve.at(Resource(unit)).unwrap());
    assert_eq!(points.map(|at| (at.metric, at.test, at.seconds)), [(3.0, None, 5.0), (2.5, None, 10.0)], "by the numbers of the columns");
    let metrics: Metrics = [("loss".to_owned(), 2.5)].into_iter().collect();
    assert_eq!(table.metrics(&curve, Resource(2)), Ok(metrics));
    assert_eq!([0, 3].map(|unit| curve.at(Resource(unit))), [Err(Stop::Ends { longest: Resource(2) }); 2]);
    let free = open(GOOD, None).unwrap().curve(&params(0, 0.1), Seed(0)).unwrap();
    assert_eq!(free.seconds(Resource(2)), 2.0, "without a cost a unit takes a second");
}

#[test]
fn a_metric_that_is_no_number_is_a_training_that_diverged() {
    let table = open(GOOD, Some("seconds")).unwrap();
    let fails = |row| table.curve(&params(row, 1.0), Seed(0)).unwrap().fails_in();
    assert_eq!([fails(1), fails(2)], [Some(Resource(2)), Some(Resource(1))]);
    let curve = table.curve(&params(1, 1.0), Seed(0)).unwrap();
    assert!(curve.at(Resource(1)).is_ok());
    assert_eq!(curve.at(Resource(2)), Err(Stop::Fails { unit: Resource(2), kind: FailureKind::NotFinite }));
    assert_eq!(curve.seconds(Resource(2)), 4.0, "the unit that fails takes its time");
}

#[test]
fn a_file_that_is_no_such_table_is_explained_by_line_and_column() {
    let no = |text: &str| open(text, Some("seconds")).unwrap_err();
    let head = "lr,seconds,curve_0,curve_1\n";
    let said = [
        no("lr,seconds\n1,2\n"),
        no("lr,seconds,curve_0,curve_2\n1,2,3,4\n"),
        no("lr,lr,seconds,curve_0\n1,1,2,3\n"),
        no("lr,curve_0\n1,2\n"),
        no(head),
        no(&format!("{head}1,2,3,4\n1,2,3,\n")),
        no(&format!("{head}1,2,,4\n")),
        no(&format!("{head}1,2,3,4\n1,2,three,4\n")),
        no(&format!("{head}1,soon,3,4\n")),
        no(&format!("{head}1,-2,3,4\n")),
        no(&format!("{head}1,nan,3,4\n")),
        no(&format!("{head}1,2,3\n")),
    ];
    let expected = [
        "no column is named `curve_` and a number; set `curve` to what the names of the curve's columns begin with",
        "`curve_0` is followed by `curve_2`: the numbers of the curve's columns must count on by one",
        "it has two columns `lr`",
        "it has no column `seconds`",
        "it has no row below its header",
        "line 3, column `curve_1`: the curve ends after 1 units; write `nan` where a training diverged",
        "line 2, column `curve_0`: the curve ends after 0 units; write `nan` where a training diverged",
        "line 3, column `curve_0`: `three` is not a number",
        "line 2, column `seconds`: `soon` is not a number of seconds",
        "line 2, column `seconds`: `-2` is not a number of seconds",
        "line 2, column `seconds`: `nan` is not a number of seconds",
        "CSV error: record 1 (line: 2, byte: 27): found record with 3 fields, but the previous record has 4 fields",
    ];
    assert_eq!(said, expected);
    let job = TabularJob { csv: PathBuf::from("no/such.csv"), curve: String::new(), cost: None };
    assert_eq!(Table::open(&job, "loss").unwrap_err().to_string(), "the recorded curves `no/such.csv` cannot be used");
}

#[test]
fn a_configuration_must_be_the_one_of_its_row() {
    let table = open(GOOD, Some("seconds")).unwrap();
    let no = |params: &Params| table.curve(params, Seed(0)).unwrap_err().source().unwrap().to_string();
    let with = |name: &str, value: Value| {
        let mut params = params(0, 0.1);
        params.insert(name.to_owned(), value);
        params
    };
    assert!(table.curve(&with("name", "a".into()), Seed(0)).is_ok());
    let said = [
        no(&Params::new()),
        no(&params(3, 0.1)),
        no(&params(-1, 0.1)),
        no(&params(0, 0.2)),
        no(&with("name", "b".into())),
        no(&with("depth", 1_i64.into())),
        no(&with("curve_1", 3.0.into())),
    ];
    let expected = [
        "a configuration must name its recording by `row`; take [space] from this file by `pool = { csv = .., params = [..] }`",
        "`row` = 3 is none of its rows, 0 to 2",
        "`row` = -1 is none of its rows, 0 to 2",
        "line 2, column `lr` says 0.1, and the pool 0.2; both must be read from one file",
        "line 2, column `name` says a, and the pool b; both must be read from one file",
        "it has no column `depth`",
        "it has no column `curve_1`",
    ];
    assert_eq!(said, expected);
}

/// The recorded trainings of MLPF: 296 of 100 epochs, some of one configuration; the best final loss is 442.2677.
#[test]
fn the_curves_of_mlpf_are_what_was_published() {
    let Some(csv) = hpo_tests::data("mlpf-curves/curves.csv") else { return };
    let table = Table::open(&TabularJob { csv, curve: "loss_".to_owned(), cost: None }, "loss").unwrap();
    assert_eq!((table.rows.len(), table.longest()), (296, Some(Resource(100))));
    let row = |row: i64| {
        Params::from([(ROW.to_owned(), Value::Int(row)), ("n_glayers_reg".to_owned(), table.rows[row as usize].settings[4].clone())])
    };
    let ends = (0..296).map(|trial| table.curve(&row(trial), Seed(0)).unwrap().at(Resource(100)).unwrap().metric);
    let best = ends.fold(f64::INFINITY, f64::min);
    assert_eq!(format!("{best:.4}"), "442.2677");
    let first = table.curve(&row(0), Seed(0)).unwrap();
    assert_eq!(first.at(Resource(1)).unwrap().metric, 484.08880615234375);
}
