//! Points of which only some values are given.
use std::collections::BTreeMap;

use hpo_core::space::{Domain, Parameter};
use hpo_core::{Params, Space, Value};

/// Why some values are part of no point.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum PartialFault {
    /// The space has no such parameter.
    #[error("there is no parameter `{name}`")]
    NoParameter {
        /// The name.
        name: String,
    },
    /// The parameter has other values.
    #[error("{value} is not one of the values of `{name}`")]
    Outside {
        /// The parameter.
        name: String,
        /// The value.
        value: Value,
    },
    /// Its condition does not hold, or cannot hold beside the other values.
    #[error("`{name}` does not exist here: its condition on `{parent}` does not hold")]
    Inactive {
        /// The parameter.
        name: String,
        /// On which the condition is.
        parent: String,
    },
    /// No row of the pool has these values together.
    #[error("no row of the pool has these values")]
    NoRow,
}

/// The point with these values; `fill` gives the coordinate in [0, 1] of each of the other parameters, by its number. Parents that
/// must have a certain value for a given one to exist have it.
///
/// # Errors
/// If there is no such point.
pub fn complete(space: &Space, given: &BTreeMap<String, Value>, mut fill: impl FnMut(usize) -> f64) -> Result<Params, PartialFault> {
    if space.pool().is_some() {
        return row(space, given, fill(0));
    }
    let parameters = by_name(space);
    for (name, value) in given {
        let parameter = parameters.get(name.as_str()).ok_or_else(|| PartialFault::NoParameter { name: name.clone() })?;
        if !parameter.domain.contains(value) {
            return Err(PartialFault::Outside { name: name.clone(), value: value.clone() });
        }
    }
    let asked = asked_of_parents(&parameters, given)?;
    let mut exact: BTreeMap<&str, Value> = BTreeMap::new();
    let units: Vec<f64> = (0..space.parameters().len())
        .map(|at| {
            let Parameter { name, domain, .. } = &space.parameters()[at];
            let filled = fill(at);
            let among = |values: &Vec<&Value>| values[((filled * values.len() as f64) as usize).min(values.len() - 1)].clone();
            let Some(value) = given.get(name).cloned().or_else(|| asked.get(name.as_str()).map(among)) else { return filled };
            let unit = domain.to_unit(&value);
            exact.insert(name, as_written(domain, value));
            unit
        })
        .collect();
    let mut params = space.from_unit(&units);
    for (name, value) in exact {
        if params.contains_key(name) {
            params.insert(name.to_owned(), value);
        }
    }
    match given.keys().find(|name| !params.contains_key(*name)) {
        None => Ok(params),
        // Its own condition holds, so that of an ancestor does not.
        Some(name) => Err(PartialFault::Inactive { name: name.clone(), parent: parent_of(parameters[name.as_str()]) }),
    }
}

fn by_name(space: &Space) -> BTreeMap<&str, &Parameter> {
    space.parameters().iter().map(|parameter| (parameter.name.as_str(), parameter)).collect()
}

fn parent_of(parameter: &Parameter) -> String {
    parameter.when.keys().next().cloned().unwrap_or_default()
}

/// Of parents that are not given, the values under which everything that is given exists.
fn asked_of_parents<'a>(
    parameters: &BTreeMap<&str, &'a Parameter>,
    given: &BTreeMap<String, Value>,
) -> Result<BTreeMap<&'a str, Vec<&'a Value>>, PartialFault> {
    let mut asked: BTreeMap<&str, Vec<&Value>> = BTreeMap::new();
    let mut todo: Vec<&Parameter> = given.keys().map(|name| parameters[name.as_str()]).collect();
    while let Some(child) = todo.pop() {
        for (parent, values) in &child.when {
            let conflict = || PartialFault::Inactive { name: child.name.clone(), parent: parent.clone() };
            if let Some(value) = given.get(parent) {
                values.iter().any(|wanted| wanted.same(value)).then_some(()).ok_or_else(conflict)?;
                continue;
            }
            match asked.get_mut(parent.as_str()) {
                Some(left) => left.retain(|value| values.iter().any(|other| other.same(value))),
                None => {
                    asked.insert(parent, values.iter().collect());
                    todo.push(parameters[parent.as_str()]);
                }
            }
            if asked[parent.as_str()].is_empty() {
                return Err(conflict());
            }
        }
    }
    Ok(asked)
}

/// The value as the space itself writes it: 1 is 1.0 where values are real.
fn as_written(domain: &Domain, value: Value) -> Value {
    match domain.index_of(&value).and_then(|index| domain.nth(index)) {
        Some(same) => same,
        None => value.number().map_or(value, Value::Float),
    }
}

/// A row of the pool with these values.
fn row(space: &Space, given: &BTreeMap<String, Value>, unit: f64) -> Result<Params, PartialFault> {
    if let Some(name) = given.keys().find(|name| space.names().all(|known| known != *name)) {
        return Err(PartialFault::NoParameter { name: name.clone() });
    }
    let has_all = |point: &Params| given.iter().all(|(name, value)| point.get(name).is_some_and(|other| other.same(value)));
    let rows = space.pool().map_or(0, |pool| pool.rows());
    let found: Vec<Params> = (0..rows).filter_map(|row| space.point(row as u128)).filter(has_all).collect();
    let at = ((unit * found.len() as f64) as usize).min(found.len().saturating_sub(1));
    found.into_iter().nth(at).ok_or(PartialFault::NoRow)
}

#[cfg(test)]
mod tests {
    use hpo_core::space::{Fold, Pool};

    use super::*;

    fn space() -> Space {
        let parameter = |name: &str, domain| Parameter { name: name.to_owned(), domain, when: Default::default() };
        let words = |words: &[&str]| Domain::Choice { values: words.iter().map(|&word| word.into()).collect(), ordered: false };
        let mut momentum = parameter("momentum", Domain::Float { low: 0.0, high: 0.9, fold: Fold::Linear, step: None });
        momentum.when.insert("kind".to_owned(), vec!["nesterov".into(), "heavy".into()]);
        let mut kind = parameter("kind", words(&["none", "heavy", "nesterov"]));
        kind.when.insert("optimizer".to_owned(), vec!["sgd".into()]);
        Space::new(vec![
            momentum,
            kind,
            parameter("optimizer", words(&["adam", "sgd"])),
            parameter("lr", Domain::Float { low: 1e-5, high: 1.0, fold: Fold::Log, step: None }),
        ])
        .unwrap()
    }

    fn given(values: &[(&str, Value)]) -> BTreeMap<String, Value> {
        values.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect()
    }

    #[test]
    fn what_is_given_stays_and_parents_follow_from_it() {
        let space = space();
        for fill in [0.0, 0.3, 0.7, 0.99] {
            let params = complete(&space, &given(&[("momentum", 0.1.into()), ("lr", 1.into())]), |_| fill).unwrap();
            space.contains(&params).unwrap();
            assert_eq!((&params["momentum"], &params["lr"], &params["optimizer"]), (&0.1.into(), &Value::Float(1.0), &"sgd".into()));
        }
        assert_eq!(complete(&space, &given(&[]), |_| 0.1).unwrap()["optimizer"], "adam".into());
    }

    #[test]
    fn what_is_part_of_no_point_is_refused() {
        let fault = |values: &[(&str, Value)]| complete(&space(), &given(values), |_| 0.5).unwrap_err();
        let text = |text: &str| text.to_owned();
        assert_eq!(fault(&[("x", 1.into())]), PartialFault::NoParameter { name: text("x") });
        assert_eq!(fault(&[("lr", 2.into())]), PartialFault::Outside { name: text("lr"), value: 2.into() });
        let inactive = |name: &str, parent: &str| PartialFault::Inactive { name: text(name), parent: text(parent) };
        assert_eq!(fault(&[("momentum", 0.1.into()), ("kind", "none".into())]), inactive("momentum", "kind"));
        assert_eq!(fault(&[("momentum", 0.1.into()), ("optimizer", "adam".into())]), inactive("kind", "optimizer"));
    }

    #[test]
    fn of_a_pool_it_is_a_row_with_these_values() {
        let cells: Vec<Vec<String>> = (0..9).map(|row| vec![(row / 3).to_string(), format!("{}", 0.1 * f64::from(row))]).collect();
        let pool = Space::from(Pool::of_text(vec!["n".to_owned(), "x".to_owned()], &cells).unwrap());
        let row = |values: &[(&str, Value)], fill: f64| complete(&pool, &given(values), |_| fill).map(|params| params["row"].clone());
        assert_eq!(row(&[("n", 1.into())], 0.0), Ok(Value::Int(3)));
        assert_eq!(row(&[("n", 1.into())], 0.99), Ok(Value::Int(5)));
        assert_eq!(row(&[("row", 7.into())], 0.5), Ok(Value::Int(7)));
        assert_eq!(row(&[("n", 1.into()), ("x", 0.0.into())], 0.5), Err(PartialFault::NoRow));
        assert!(row(&[("y", 1.into())], 0.5).is_err());
    }
}
