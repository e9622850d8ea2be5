//! The search space: parameters in order, each with a domain and perhaps a condition, or a [`Pool`] of configurations;
//! and the way between parameter values and the unit cube in which searchers think.
mod check;
mod count;
mod domain;
mod fault;
mod params;
mod pool;
mod value;

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize, Serializer};

pub use domain::{Domain, Fold};
pub use fault::{NotInSpace, SpaceFault, SpaceFaultKind};
pub use params::Params;
pub use pool::{Pool, PoolFault, ROW};
pub use value::Value;

/// One dimension of the search.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Parameter {
    /// Its name, unique in the space.
    pub name: String,
    /// The values it may take.
    pub domain: Domain,
    /// It exists only where every one of these parents is active and has one of the values; empty means always.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub when: BTreeMap<String, Vec<Value>>,
}

/// A checked search space. The order of parameters is the order of dimensions; those of a pool are its columns.
///
/// Journals carry it as the list of its parameters, or as the columns and rows of its pool.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(try_from = "Written")]
pub struct Space {
    parameters: Vec<Parameter>,
    /// Indices such that every parent comes before its children.
    parents_first: Vec<usize>,
    /// Shared, for it may be large and nobody changes it.
    pool: Option<Arc<Pool>>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Written {
    Parameters(Vec<Parameter>),
    Pool(Pool),
}

impl TryFrom<Written> for Space {
    type Error = SpaceFault;
    fn try_from(written: Written) -> Result<Self, SpaceFault> {
        match written {
            Written::Parameters(parameters) => parameters.try_into(),
            Written::Pool(pool) => Ok(pool.into()),
        }
    }
}

impl Serialize for Space {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match &self.pool {
            Some(pool) => pool.serialize(serializer),
            None => self.parameters.serialize(serializer),
        }
    }
}

impl TryFrom<Vec<Parameter>> for Space {
    type Error = SpaceFault;
    fn try_from(parameters: Vec<Parameter>) -> Result<Self, SpaceFault> {
        Self::new(parameters).map_err(|mut faults| faults.swap_remove(0))
    }
}

impl From<Pool> for Space {
    fn from(pool: Pool) -> Self {
        let parameters = pool.parameters();
        Self { parents_first: (0..parameters.len()).collect(), parameters, pool: Some(Arc::new(pool)) }
    }
}

impl Space {
    /// A space has no more parameters than this. Conditions are held against each other, so time and memory grow with the
    /// square.
    pub const MOST_PARAMETERS: usize = 1000;

    /// A choice or a condition lists no more values than this, for the same reason. A pool may have more words in a column.
    pub const MOST_VALUES: usize = 1000;

    /// Checks the parameters.
    ///
    /// # Errors
    /// Every fault found, never an empty list.
    pub fn new(parameters: Vec<Parameter>) -> Result<Self, Vec<SpaceFault>> {
        let parents_first = check::check(&parameters)?;
        Ok(Self { parameters, parents_first, pool: None })
    }

    /// The parameters in the order of the file; of a pool, its columns.
    #[must_use]
    pub fn parameters(&self) -> &[Parameter] {
        &self.parameters
    }

    /// The table that it is, if it is one.
    #[must_use]
    pub fn pool(&self) -> Option<&Pool> {
        self.pool.as_deref()
    }

    /// Every name that a point may have a value for: the parameters, and [`ROW`] in a pool.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        let row = self.pool.as_ref().map(|_| ROW);
        self.parameters.iter().map(|parameter| parameter.name.as_str()).chain(row)
    }

    /// How many parameters can vary; constants are no dimension.
    #[must_use]
    pub fn dimensions(&self) -> usize {
        self.parameters.iter().filter(|parameter| parameter.domain.varies()).count()
    }

    /// A point by chance: each parameter uniform on its own scale, or each row of a pool as likely. `unit` gives
    /// independent numbers in [0, 1), and is asked for as many at each draw.
    #[must_use]
    pub fn draw(&self, mut unit: impl FnMut() -> f64) -> Params {
        if let Some(pool) = &self.pool {
            let row = (unit() * pool.rows() as f64) as usize;
            return pool.point(row.min(pool.rows() - 1)).unwrap_or_default();
        }
        let units: Vec<f64> = self.parameters.iter().map(|_| unit()).collect();
        self.from_unit(&units)
    }

    /// The point at `unit`: one coordinate in [0, 1] for each parameter, in order (a constant's is ignored, and so is
    /// that of a parameter which its parents leave inactive). Coordinates out of range are clamped. In a pool it is the
    /// nearest row.
    ///
    /// # Panics
    /// If `unit` has another length than [`Space::parameters`].
    #[must_use]
    pub fn from_unit(&self, unit: &[f64]) -> Params {
        assert_eq!(unit.len(), self.parameters.len(), "one coordinate a parameter");
        if let Some(pool) = &self.pool {
            return pool.point(pool.nearest(unit)).unwrap_or_default();
        }
        let mut params = Params::new();
        for &index in &self.parents_first {
            let parameter = &self.parameters[index];
            if is_active(parameter, &params) {
                params.insert(parameter.name.clone(), parameter.domain.from_unit(unit[index]));
            }
        }
        params
    }

    /// The coordinates of a point, in the order of the parameters; `None` where the parameter is inactive.
    /// [`Space::from_unit`] leads back to the same point (in a pool: to the first row of the same values), reals within
    /// rounding: see [`Domain::to_unit`].
    ///
    /// # Errors
    /// If the values are not a point of the space.
    pub fn to_unit(&self, params: &Params) -> Result<Vec<Option<f64>>, NotInSpace> {
        self.contains(params)?;
        Ok(self.parameters.iter().map(|parameter| params.get(&parameter.name).map(|value| parameter.domain.to_unit(value))).collect())
    }

    /// Whether the values are a point of this space: every active parameter has a value of its domain, no other has.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn contains(&self, params: &Params) -> Result<(), NotInSpace> {
        if let Some(pool) = &self.pool {
            return pool.row_of(params).map(drop);
        }
        let mut active = 0;
        for parameter in &self.parameters {
            match (is_active(parameter, params), params.get(&parameter.name)) {
                (true, None) => return Err(NotInSpace::Missing(parameter.name.clone())),
                (true, Some(value)) if !parameter.domain.contains(value) => {
                    return Err(NotInSpace::Outside { name: parameter.name.clone(), value: value.clone() });
                }
                (true, Some(_)) => active += 1,
                (false, Some(_)) => return Err(NotInSpace::Extra(parameter.name.clone())),
                (false, None) => {}
            }
        }
        if active < params.len() {
            let known = |name: &str| self.parameters.iter().any(|parameter| parameter.name == name);
            let extra = params.keys().find(|name| !known(name)).cloned().unwrap_or_default();
            return Err(NotInSpace::Extra(extra));
        }
        Ok(())
    }
}

/// Active parents are in `params`, inactive ones are not, so one look at the direct parents is enough at any depth.
fn is_active(parameter: &Parameter, params: &Params) -> bool {
    parameter.when.iter().all(|(parent, values)| params.get(parent).is_some_and(|value| values.iter().any(|wanted| wanted.same(value))))
}

#[cfg(test)]
mod tests;
