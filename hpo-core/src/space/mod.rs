//! The search space: parameters in order, each with a domain and perhaps a condition, and the way between parameter
//! values and the unit cube in which searchers think.
mod domain;
mod value;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub use domain::{Domain, Fold};
pub use value::Value;

/// The values of one trial's active parameters, by name.
pub type Params = BTreeMap<String, Value>;

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

/// What is wrong with a space, and with which parameter.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("parameter `{parameter}`: {kind}")]
pub struct SpaceFault {
    /// Whose fault.
    pub parameter: String,
    /// What it is.
    pub kind: SpaceFaultKind,
}

/// The ways in which a parameter can be wrong.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum SpaceFaultKind {
    /// Two parameters of one name.
    #[error("it is declared twice")]
    Twice,
    /// `low > high`.
    #[error("low is {low}, above high, which is {high}")]
    Reversed {
        /// The lower edge given.
        low: f64,
        /// The upper edge given.
        high: f64,
    },
    /// An edge is NaN or infinite.
    #[error("its edges must be finite")]
    NotFinite,
    /// A log scale needs positive values.
    #[error("a log scale starts above zero, but low is {low}")]
    LogFromZero {
        /// The lower edge given.
        low: f64,
    },
    /// Step not positive, or no whole number of steps between the edges.
    #[error("step {step} does not lead from {low} to {high} in a whole number of steps")]
    Step {
        /// The step given.
        step: f64,
        /// Lower edge.
        low: f64,
        /// Upper edge.
        high: f64,
    },
    /// A choice among nothing, or with a value given twice.
    #[error("its choices must be at least one, each once")]
    Choices,
    /// The condition names no parameter of the space.
    #[error("its condition is on `{parent}`, which is not a parameter of this space")]
    NoParent {
        /// The name given.
        parent: String,
    },
    /// The parent can never have that value.
    #[error("its condition asks for `{parent}` = {value}, a value that `{parent}` never takes")]
    NoSuchValue {
        /// The parent.
        parent: String,
        /// The impossible value.
        value: Value,
    },
    /// Conditions that lead back to the parameter itself.
    #[error("its condition leads back to itself")]
    Circular,
}

/// Why a set of values is not a point of the space.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum NotInSpace {
    /// A parameter that is active has no value.
    #[error("`{0}` has no value")]
    Missing(String),
    /// A value for a parameter that is not active under the others, or not in the space.
    #[error("`{0}` does not exist here")]
    Extra(String),
    /// A value outside the parameter's domain.
    #[error("`{name}` = {value} is not one of its values")]
    Outside {
        /// The parameter.
        name: String,
        /// The value given.
        value: Value,
    },
}

/// A checked search space. The order of parameters is the order of dimensions.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Vec<Parameter>", into = "Vec<Parameter>")]
pub struct Space {
    parameters: Vec<Parameter>,
    /// Indices such that every parent comes before its children.
    parents_first: Vec<usize>,
}

impl From<Space> for Vec<Parameter> {
    fn from(space: Space) -> Self {
        space.parameters
    }
}

impl TryFrom<Vec<Parameter>> for Space {
    type Error = SpaceFault;
    fn try_from(parameters: Vec<Parameter>) -> Result<Self, SpaceFault> {
        Self::new(parameters).map_err(|mut faults| faults.swap_remove(0))
    }
}

impl Space {
    /// Checks the parameters.
    ///
    /// # Errors
    /// Every fault found, never an empty list.
    pub fn new(parameters: Vec<Parameter>) -> Result<Self, Vec<SpaceFault>> {
        let mut faults = vec![];
        for (index, parameter) in parameters.iter().enumerate() {
            let mut fault = |kind| faults.push(SpaceFault { parameter: parameter.name.clone(), kind });
            if parameters[..index].iter().any(|earlier| earlier.name == parameter.name) {
                fault(SpaceFaultKind::Twice);
            }
            if let Err(kind) = parameter.domain.check() {
                fault(kind);
            }
            for (parent, values) in &parameter.when {
                match parameters.iter().find(|other| other.name == *parent) {
                    None => fault(SpaceFaultKind::NoParent { parent: parent.clone() }),
                    Some(found) => {
                        for value in values.iter().filter(|value| !found.domain.contains(value)) {
                            fault(SpaceFaultKind::NoSuchValue { parent: parent.clone(), value: value.clone() });
                        }
                    }
                }
            }
        }
        match parents_first(&parameters) {
            Ok(parents_first) if faults.is_empty() => return Ok(Self { parameters, parents_first }),
            Ok(_) => {}
            Err(parameter) => faults.push(SpaceFault { parameter, kind: SpaceFaultKind::Circular }),
        }
        Err(faults)
    }

    /// The parameters in the order of the file.
    #[must_use]
    pub fn parameters(&self) -> &[Parameter] {
        &self.parameters
    }

    /// How many parameters can vary; constants are no dimension.
    #[must_use]
    pub fn dimensions(&self) -> usize {
        self.parameters.iter().filter(|parameter| parameter.domain.varies()).count()
    }

    /// How many different points there are, or `None` if there is no end to them (or more than 2^53).
    #[must_use]
    pub fn size(&self) -> Option<u64> {
        // Conditions only make it smaller; an upper bound is what callers need.
        self.parameters.iter().try_fold(1_u64, |size, parameter| {
            let next = size.checked_mul(parameter.domain.size()?)?;
            (next < 1 << 53).then_some(next)
        })
    }

    /// The point at `unit`: one coordinate in [0, 1] for each parameter, in order (a constant's is ignored, and so is
    /// that of a parameter which its parents leave inactive). Coordinates out of range are clamped.
    ///
    /// # Panics
    /// If `unit` has another length than [`Space::parameters`].
    #[must_use]
    pub fn from_unit(&self, unit: &[f64]) -> Params {
        assert_eq!(unit.len(), self.parameters.len(), "one coordinate a parameter");
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

/// Sorts indices so that parents come first; parents that do not exist are another fault. Err names a parameter on a circle.
fn parents_first(parameters: &[Parameter]) -> Result<Vec<usize>, String> {
    let index_of = |name: &String| parameters.iter().position(|parameter| parameter.name == *name);
    let mut order: Vec<usize> = vec![];
    while order.len() < parameters.len() {
        let waits_for = |index: &usize| parameters[*index].when.keys().filter_map(index_of).find(|parent| !order.contains(parent));
        let mut waiting = (0..parameters.len()).filter(|index| !order.contains(index));
        if let Some(next) = waiting.clone().find(|index| waits_for(index).is_none()) {
            order.push(next);
            continue;
        }
        // Everyone waits for another: after as many steps as there are parameters, a walk from parent to parent is on a circle.
        let start = waiting.next().unwrap_or_default();
        let on_circle = (0..parameters.len()).fold(start, |at, _| waits_for(&at).unwrap_or(at));
        return Err(parameters[on_circle].name.clone());
    }
    Ok(order)
}

#[cfg(test)]
mod tests;
