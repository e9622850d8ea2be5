//! Spaces to search in.
use hpo_core::job::Function;
use hpo_core::space::{Domain, Fold, Parameter, Pool};
use hpo_core::{Space, Value};

pub(super) fn parameter(name: &str, domain: Domain) -> Parameter {
    Parameter { name: name.to_owned(), domain, when: Default::default() }
}

fn when(parent: &str, values: Vec<Value>, child: Parameter) -> Parameter {
    Parameter { when: [(parent.to_owned(), values)].into(), ..child }
}

pub(super) fn float(low: f64, high: f64) -> Domain {
    Domain::Float { low, high, fold: Fold::Linear, step: None }
}

pub(super) fn log(low: f64, high: f64) -> Domain {
    Domain::Float { low, high, fold: Fold::Log, step: None }
}

pub(super) fn int(low: i64, high: i64, step: i64) -> Domain {
    Domain::Int { low, high, fold: Fold::Linear, step }
}

pub(super) fn choice(words: &[&str], ordered: bool) -> Domain {
    Domain::Choice { values: words.iter().map(|&word| word.into()).collect(), ordered }
}

pub(super) fn space(parameters: Vec<Parameter>) -> Space {
    Space::new(parameters).unwrap()
}

/// Every kind of parameter, and conditions two deep.
pub(super) fn every_kind() -> Space {
    space(vec![
        when("optimizer", vec!["sgd".into()], parameter("momentum", float(0.5, 0.99))),
        parameter("lr", log(1e-5, 1e-1)),
        parameter("rate", Domain::Float { low: 0.9, high: 1.0, fold: Fold::Linear, step: Some(0.01) }),
        parameter("width", int(16, 128, 16)),
        parameter("batch", Domain::Int { low: 3, high: 700, fold: Fold::Log, step: 1 }),
        parameter("heads", Domain::Int { low: 1, high: 9, fold: Fold::Log, step: 1 }),
        parameter("optimizer", choice(&["sgd", "adam", "lion"], false)),
        parameter("depth", Domain::Choice { values: vec![Value::Int(1), Value::Int(2), Value::Int(8)], ordered: true }),
        parameter("norm", Domain::Bool),
        when("momentum_kind", vec!["nesterov".into()], parameter("restart", Domain::Bool)),
        when("optimizer", vec!["sgd".into(), "lion".into()], parameter("momentum_kind", choice(&["plain", "nesterov"], false))),
        parameter("epochs", Domain::Constant(Value::Int(20))),
        parameter("point", int(7, 7, 1)),
    ])
}

/// Exactly thirty points.
pub(super) fn thirty() -> Space {
    space(vec![parameter("n", int(1, 10, 1)), parameter("word", choice(&["a", "b", "c"], false))])
}

/// So many rows of two numbers and a word.
pub(super) fn pool(rows: usize) -> Space {
    let cells: Vec<Vec<String>> = (0..rows)
        .map(|row| {
            vec![(row * 7919 % 1009).to_string(), format!("{:e}", 1e-5 * 1.01_f64.powi(row as i32)), ["a", "b", "c"][row % 3].to_owned()]
        })
        .collect();
    Pool::of_text(vec!["x".to_owned(), "lr".to_owned(), "word".to_owned()], &cells).unwrap().into()
}

/// Spaces with hardly anything in them, and how many points each has.
pub(super) fn degenerate() -> Vec<(Space, usize)> {
    let words = |name: &str| parameter(name, choice(&["a", "b", "c"], false));
    vec![
        (space(vec![parameter("x", Domain::Constant(Value::Int(1)))]), 1),
        (space(vec![parameter("x", float(0.5, 0.5)), parameter("n", int(3, 3, 1))]), 1),
        (space(vec![parameter("b", Domain::Bool)]), 2),
        (space(vec![parameter("n", Domain::Int { low: 1, high: 9, fold: Fold::Log, step: 1 })]), 9),
        (space(vec![words("p"), words("q"), words("r"), parameter("b", Domain::Bool)]), 54),
        (space(vec![words("p"), when("p", vec!["b".into()], parameter("n", int(0, 4, 1)))]), 7),
        (thirty(), 30),
        (pool(1), 1),
        (pool(5), 5),
    ]
}

/// Where a function is to be searched.
pub(super) fn of(function: Function) -> Space {
    match function {
        Function::Branin => space(vec![parameter("x", float(-5.0, 10.0)), parameter("y", float(0.0, 15.0))]),
        Function::Hartmann6 => space((0..6).map(|axis| parameter(&format!("x{axis}"), float(0.0, 1.0))).collect()),
        Function::Rosenbrock => space((0..4).map(|axis| parameter(&format!("x{axis}"), float(-2.0, 2.0))).collect()),
        Function::Mixed => space(vec![
            parameter("optimizer", choice(&["sgd", "adam"], false)),
            parameter("lr", log(1e-5, 1.0)),
            when("optimizer", vec!["sgd".into()], parameter("momentum", float(0.0, 0.99))),
            parameter("layers", int(1, 12, 1)),
            parameter("norm", Domain::Bool),
        ]),
    }
}
