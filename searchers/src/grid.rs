//! Grid search: every combination of some values of each parameter, in the order of the file, the last parameter changing
//! fastest; Bergstra and Bengio (JMLR 13, 2012) on why chance covers each dimension better.
//!
//! A parameter of a few values gives all of them, every other one `points` of them, evenly on its own scale and with both
//! edges. Values that conditions ask for are among them always. A pool is tried row by row.
use std::collections::BTreeMap;

use hpo_core::space::{Domain, Fold, Parameter, SpaceFault};
use hpo_core::{Params, Space, TrialId, Value};

use crate::taken::COUNTABLE;
use crate::{Observation, Searcher, SuggestFault};

/// A parameter of up to so many values gives all of them, unless `points` says otherwise.
const ALL: u64 = 10;

/// The most values of one parameter: each is compared with every other.
pub(crate) const MOST_VALUES: u32 = 1000;

/// What any other parameter gives.
const SOME: u32 = 5;

/// What a sweep file says about a grid.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GridOptions {
    /// How many values of a parameter, by name; the others are as the head of this file says.
    pub points: BTreeMap<String, u32>,
}

/// Why there is no grid.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum GridFault {
    /// `points` names something else.
    #[error("`points` names `{name}`, which is not a parameter of the space")]
    NoParameter {
        /// The name.
        name: String,
    },
    /// A pool has no values between its rows.
    #[error("a pool is tried row by row: leave `points` out")]
    Pool,
    /// None, or more than anybody tries.
    #[error("`points` of `{name}` must be from 1 to {MOST_VALUES}")]
    Points {
        /// The parameter.
        name: String,
    },
    /// More than can be counted out.
    #[error("the grid has more than {COUNTABLE} points: give fewer with `points = {{ .. }}`, or another searcher")]
    TooLarge,
    /// Values that make no space.
    #[error("the grid makes no space: {0}")]
    Space(#[from] SpaceFault),
}

/// The searcher. A suggestion costs nothing.
#[derive(Clone, Debug)]
pub struct Grid {
    /// The space that has the grid's points alone.
    grid: Space,
    /// Their numbers, in order.
    points: Vec<u128>,
    /// One a point.
    taken: Vec<bool>,
    /// The first that is not taken.
    next: usize,
}

impl Grid {
    /// Nothing seen yet.
    ///
    /// # Errors
    /// If the options do not fit the space, or the grid is too large.
    pub fn new(space: &Space, options: &GridOptions) -> Result<Self, GridFault> {
        let grid = thinned(space, options)?;
        let points = grid.points(COUNTABLE).ok_or(GridFault::TooLarge)?;
        Ok(Self { taken: vec![false; points.len()], grid, points, next: 0 })
    }

    /// The space that has its points alone.
    #[must_use]
    pub fn space(&self) -> &Space {
        &self.grid
    }

    /// How many points it has.
    #[must_use]
    pub fn size(&self) -> usize {
        self.points.len()
    }
}

impl Grid {
    /// How many points are tried at most, of it and of those that are known: these need not be on it, and are of `space` in any case.
    pub(crate) fn size_with(&self, space: &Space, known: &[BTreeMap<String, Value>]) -> usize {
        // What a known point leaves out is filled in from all of the space; a row of a pool is on the grid whatever is left out.
        let may_be_off = |given: &&BTreeMap<String, Value>| {
            let exists = |whole: &Parameter| {
                let holds =
                    |parent: &String, values: &[Value]| given.get(parent).is_none_or(|value| values.iter().any(|one| one.same(value)));
                whole.when.iter().all(|(parent, values)| holds(parent, values))
            };
            let is_off = |whole: &Parameter, thin: &Domain| match given.get(&whole.name) {
                Some(value) => !thin.contains(value),
                None => exists(whole) && whole.domain.size() != thin.size(),
            };
            space.pool().is_none() && space.parameters().iter().zip(self.grid.parameters()).any(|(whole, thin)| is_off(whole, &thin.domain))
        };
        let all = self.size() + known.iter().filter(may_be_off).count();
        space.size().and_then(|size| usize::try_from(size).ok()).map_or(all, |size| all.min(size))
    }
}

impl Searcher for Grid {
    /// Points off the grid are no matter of it.
    fn begin(&mut self, _: TrialId, params: &Params) {
        let number = self.grid.contains(params).ok().and_then(|()| self.grid.number_of(params));
        if let Some(at) = number.and_then(|number| self.points.binary_search(&number).ok()) {
            self.taken[at] = true;
            self.next += self.taken[self.next..].iter().take_while(|taken| **taken).count();
        }
    }

    /// The grid knows no results.
    fn tell(&mut self, _: &Observation) {}

    fn suggest(&self, _: TrialId) -> Result<Params, SuggestFault> {
        self.points.get(self.next).and_then(|&number| self.grid.point(number)).ok_or(SuggestFault::Exhausted)
    }
}

/// The space of the grid's points.
fn thinned(space: &Space, options: &GridOptions) -> Result<Space, GridFault> {
    if let Some((name, _)) = options.points.iter().find(|(_, count)| !(1..=MOST_VALUES).contains(*count)) {
        return Err(GridFault::Points { name: name.clone() });
    }
    if space.pool().is_some() {
        return if options.points.is_empty() { Ok(space.clone()) } else { Err(GridFault::Pool) };
    }
    if let Some(name) = options.points.keys().find(|name| space.parameters().iter().all(|parameter| parameter.name != **name)) {
        return Err(GridFault::NoParameter { name: name.clone() });
    }
    let asked = |name: &String| space.parameters().iter().filter_map(|child| child.when.get(name)).flatten().cloned().collect::<Vec<_>>();
    let thin = |parameter: &Parameter| Parameter {
        domain: some_of(&parameter.domain, options.points.get(&parameter.name).copied(), asked(&parameter.name)),
        ..parameter.clone()
    };
    Ok(Space::try_from(space.parameters().iter().map(thin).collect::<Vec<_>>())?)
}

/// `points` values of a domain, and those that are `asked` for.
fn some_of(domain: &Domain, points: Option<u32>, asked: Vec<Value>) -> Domain {
    let count = match (domain.size(), points) {
        (Some(size), None) if size <= ALL => return domain.clone(),
        (Some(size), Some(points)) if size <= points.into() => return domain.clone(),
        (_, points) => points.unwrap_or(SOME),
    };
    let mut values = asked;
    for index in 0..count {
        let value = evenly(domain, index, count);
        if !values.iter().any(|other| other.same(&value)) {
            values.push(value);
        }
    }
    values.sort_by(|a, b| domain.to_unit(a).total_cmp(&domain.to_unit(b)));
    Domain::Choice { values, ordered: true }
}

/// Value number `index` of `count` between the edges; the middle, if there is but one.
fn evenly(domain: &Domain, index: u32, count: u32) -> Value {
    let share = if count == 1 { 0.5 } else { f64::from(index) / f64::from(count - 1) };
    match (domain, domain.size()) {
        // Discrete values own shares of the interval, so that even steps of it are uneven ones of them.
        (Domain::Int { fold: Fold::Log, .. }, _) | (_, None) => domain.from_unit(share),
        (_, Some(size)) => domain.nth((share * (size - 1) as f64).round() as u64).unwrap_or_else(|| domain.from_unit(share)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parameter(name: &str, domain: Domain) -> Parameter {
        Parameter { name: name.to_owned(), domain, when: BTreeMap::new() }
    }

    fn log(low: f64, high: f64) -> Domain {
        Domain::Float { low, high, fold: Fold::Log, step: None }
    }

    fn all_of(space: &Space, points: &[(&str, u32)]) -> Vec<Params> {
        let options = GridOptions { points: points.iter().map(|&(name, count)| (name.to_owned(), count)).collect() };
        let mut grid = Grid::new(space, &options).unwrap();
        let mut all = vec![];
        while let Ok(params) = grid.suggest(TrialId(all.len() as u32)) {
            space.contains(&params).unwrap();
            grid.begin(TrialId(all.len() as u32), &params);
            all.push(params);
        }
        assert_eq!(all.len(), grid.size());
        all
    }

    fn numbers(all: &[Params], name: &str) -> Vec<f64> {
        all.iter().map(|params| params[name].number().unwrap()).collect()
    }

    #[test]
    fn values_are_even_on_their_own_scale_and_reach_both_edges() {
        let space = Space::new(vec![parameter("lr", log(1e-4, 1.0))]).unwrap();
        for (found, wanted) in numbers(&all_of(&space, &[]), "lr").iter().zip([1e-4, 1e-3, 1e-2, 1e-1, 1.0]) {
            assert!((found / wanted - 1.0).abs() < 1e-9, "{found}");
        }
        let space = Space::new(vec![parameter("n", Domain::Int { low: 0, high: 100, fold: Fold::Linear, step: 1 })]).unwrap();
        assert_eq!(numbers(&all_of(&space, &[]), "n"), [0.0, 25.0, 50.0, 75.0, 100.0]);
        assert_eq!(numbers(&all_of(&space, &[("n", 3)]), "n"), [0.0, 50.0, 100.0]);
        assert_eq!(numbers(&all_of(&space, &[("n", 1)]), "n"), [50.0]);
        assert_eq!(numbers(&all_of(&space, &[("n", 1000)]), "n").len(), 101);
    }

    #[test]
    fn the_last_parameter_changes_fastest_and_every_combination_comes_once() {
        let few = |name| parameter(name, Domain::Int { low: 1, high: 3, fold: Fold::Linear, step: 1 });
        let all = all_of(&Space::new(vec![few("a"), few("b")]).unwrap(), &[]);
        assert_eq!(numbers(&all, "a"), [1.0, 1.0, 1.0, 2.0, 2.0, 2.0, 3.0, 3.0, 3.0]);
        assert_eq!(numbers(&all, "b"), [1.0, 2.0, 3.0, 1.0, 2.0, 3.0, 1.0, 2.0, 3.0]);
    }

    /// Depth 7 is not among five of 1 to 20, but without it `rate` would never be.
    #[test]
    fn values_that_conditions_ask_for_are_on_the_grid() {
        let mut rate = parameter("rate", log(0.1, 1.0));
        rate.when.insert("depth".to_owned(), vec![Value::Int(7)]);
        let depth = parameter("depth", Domain::Int { low: 1, high: 20, fold: Fold::Linear, step: 1 });
        let all = all_of(&Space::new(vec![rate, depth]).unwrap(), &[]);
        assert_eq!(all.len(), 5 + 5);
        assert_eq!(all.iter().filter(|params| params.contains_key("rate")).count(), 5);
    }

    #[test]
    fn what_makes_no_grid_is_refused() {
        let space = Space::new((0..9).map(|axis| parameter(&format!("x{axis}"), log(0.1, 1.0))).collect()).unwrap();
        let grid = |points: &[(&str, u32)]| {
            let options = GridOptions { points: points.iter().map(|&(name, count)| (name.to_owned(), count)).collect() };
            Grid::new(&space, &options).unwrap_err()
        };
        assert_eq!(grid(&[]), GridFault::TooLarge);
        assert_eq!(grid(&[("y", 3)]), GridFault::NoParameter { name: "y".to_owned() });
        assert_eq!(grid(&[("x0", 0)]), GridFault::Points { name: "x0".to_owned() });
        assert_eq!(grid(&[("x0", 1001)]), GridFault::Points { name: "x0".to_owned() });
    }

    #[test]
    fn points_that_were_begun_elsewhere_are_not_tried_again() {
        let space = Space::new(vec![parameter("n", Domain::Int { low: 1, high: 4, fold: Fold::Linear, step: 1 })]).unwrap();
        let mut grid = Grid::new(&space, &GridOptions::default()).unwrap();
        for (trial, n) in [(0, 1), (1, 3)] {
            grid.begin(TrialId(trial), &[("n".to_owned(), Value::Int(n))].into());
        }
        assert_eq!(grid.suggest(TrialId(2)).unwrap()["n"], Value::Int(2));
        grid.begin(TrialId(2), &grid.suggest(TrialId(2)).unwrap());
        assert_eq!(grid.suggest(TrialId(3)).unwrap()["n"], Value::Int(4));
    }
}
