//! Whether parameters make a space: each on its own, and their conditions together.
use std::collections::{BTreeMap, VecDeque};

use super::{Domain, Parameter, Space, SpaceFault, SpaceFaultKind, Value};

/// Indices of the parameters such that every parent comes before its children.
///
/// # Errors
/// Every fault found, never an empty list.
pub(super) fn check(parameters: &[Parameter]) -> Result<Vec<usize>, Vec<SpaceFault>> {
    let mut faults = too_long(parameters);
    if !faults.is_empty() {
        return Err(faults);
    }
    let index_of = index(parameters);
    for (index, parameter) in parameters.iter().enumerate() {
        let mut fault = |kind| faults.push(SpaceFault { parameter: parameter.name.clone(), kind });
        if index_of[parameter.name.as_str()] != index {
            fault(SpaceFaultKind::Twice);
        }
        if let Err(kind) = parameter.domain.check() {
            fault(kind);
        }
        for (parent, values) in &parameter.when {
            match index_of.get(parent.as_str()).map(|&index| &parameters[index].domain) {
                None => fault(SpaceFaultKind::NoParent { parent: parent.clone() }),
                Some(domain) if is_continuum(domain) => fault(SpaceFaultKind::ContinuousParent { parent: parent.clone() }),
                Some(domain) => {
                    for value in values.iter().filter(|value| !domain.contains(value)) {
                        fault(SpaceFaultKind::NoSuchValue { parent: parent.clone(), value: value.clone() });
                    }
                }
            }
        }
    }
    match parents_first(parameters, &index_of) {
        Ok(order) => {
            // Of conditions that are wrong by themselves no more can be said.
            if faults.is_empty() {
                faults = contradictions(parameters, &index_of, &order);
            }
            if faults.is_empty() { Ok(order) } else { Err(faults) }
        }
        Err(on_circle) => {
            faults.push(SpaceFault { parameter: parameters[on_circle].name.clone(), kind: SpaceFaultKind::Circular });
            Err(faults)
        }
    }
}

/// Looked at first: what follows takes the square of these lengths.
fn too_long(parameters: &[Parameter]) -> Vec<SpaceFault> {
    let fault = |parameter: &Parameter, kind| SpaceFault { parameter: parameter.name.clone(), kind };
    if let Some(beyond) = parameters.get(Space::MOST_PARAMETERS) {
        return vec![fault(beyond, SpaceFaultKind::TooManyParameters { found: parameters.len() })];
    }
    let longest = |parameter: &Parameter| {
        let choices = if let Domain::Choice { values, .. } = &parameter.domain { values.len() } else { 0 };
        parameter.when.values().map(Vec::len).fold(choices, usize::max)
    };
    let long = parameters.iter().map(|parameter| (parameter, longest(parameter))).filter(|(_, found)| *found > Space::MOST_VALUES);
    long.map(|(parameter, found)| fault(parameter, SpaceFaultKind::LongList { found })).collect()
}

/// Where each name is declared first.
fn index(parameters: &[Parameter]) -> BTreeMap<&str, usize> {
    parameters.iter().enumerate().rev().map(|(index, parameter)| (parameter.name.as_str(), index)).collect()
}

/// Whether a single value has no chance. Of reversed edges another fault tells.
fn is_continuum(domain: &Domain) -> bool {
    matches!(domain, Domain::Float { low, high, step: None, .. } if low < high)
}

/// Sorts indices so that parents come first (Kahn, CACM 1962). Parents that do not exist are another fault.
///
/// # Errors
/// A parameter on a circle of conditions.
fn parents_first(parameters: &[Parameter], index_of: &BTreeMap<&str, usize>) -> Result<Vec<usize>, usize> {
    let parents = |child: usize| parameters[child].when.keys().filter_map(|name| index_of.get(name.as_str()).copied());
    let mut children = vec![vec![]; parameters.len()];
    let mut waits_for: Vec<usize> = (0..parameters.len()).map(|child| parents(child).count()).collect();
    (0..parameters.len()).for_each(|child| parents(child).for_each(|parent| children[parent].push(child)));
    let mut ready: VecDeque<usize> = (0..parameters.len()).filter(|&index| waits_for[index] == 0).collect();
    let mut order = vec![];
    while let Some(parent) = ready.pop_front() {
        order.push(parent);
        for &child in &children[parent] {
            waits_for[child] -= 1;
            if waits_for[child] == 0 {
                ready.push_back(child);
            }
        }
    }
    let Some(start) = (0..parameters.len()).find(|&index| waits_for[index] > 0) else { return Ok(order) };
    // Everyone left waits for another that is left: after as many steps as there are parameters, a walk from parent to
    // parent is on a circle.
    Err((0..parameters.len()).fold(start, |at, _| parents(at).find(|&parent| waits_for[parent] > 0).unwrap_or(at)))
}

/// Parameters that can never be active. What a parameter asks of its ancestors is what it says itself and what each
/// parent asks; the ancestors choose independently of each other, so it can be had unless some ancestor has no value left.
fn contradictions(parameters: &[Parameter], index_of: &BTreeMap<&str, usize>, order: &[usize]) -> Vec<SpaceFault> {
    let mut asked: Vec<BTreeMap<usize, Vec<&Value>>> = vec![BTreeMap::new(); parameters.len()];
    let mut faults = vec![];
    for &child in order {
        let mut all: BTreeMap<usize, Vec<&Value>> = BTreeMap::new();
        for (parent, values) in &parameters[child].when {
            let parent = index_of[parent.as_str()];
            narrow(&mut all, parent, values.iter().collect());
            asked[parent].iter().for_each(|(&ancestor, values)| narrow(&mut all, ancestor, values.clone()));
        }
        if let Some((&ancestor, _)) = all.iter().find(|(_, values)| values.is_empty()) {
            let kind = SpaceFaultKind::Contradiction { ancestor: parameters[ancestor].name.clone() };
            faults.push(SpaceFault { parameter: parameters[child].name.clone(), kind });
            // Its children cannot be active either, which goes without saying.
            continue;
        }
        asked[child] = all;
    }
    faults
}

/// Leaves of an ancestor's values those that are among `values`, too.
fn narrow<'a>(all: &mut BTreeMap<usize, Vec<&'a Value>>, ancestor: usize, values: Vec<&'a Value>) {
    match all.get_mut(&ancestor) {
        Some(left) => left.retain(|value| values.iter().any(|other| other.same(value))),
        None => drop(all.insert(ancestor, values)),
    }
}
