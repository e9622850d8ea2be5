//! The points of a space without a continuum, numbered.
use std::collections::BTreeSet;

use super::{Parameter, Params, Space, is_active};

impl Space {
    /// At most so many different points there are, or `None` if there is no end to them (or 2^53 and more). Exact unless
    /// there are conditions, which make for fewer.
    #[must_use]
    pub fn size(&self) -> Option<u64> {
        if let Some(pool) = self.pool() {
            return Some(pool.rows() as u64);
        }
        self.parameters().iter().try_fold(1_u64, |size, parameter| {
            let next = size.checked_mul(parameter.domain.size()?)?;
            (next < 1 << 53).then_some(next)
        })
    }

    /// The number of a point: the row in a pool, else the indices of its values as digits, the first parameter's counting
    /// most and an inactive one's being 0. `None` in a space with a continuum (or without a number for all of its
    /// points), and for values that are not in the space.
    #[must_use]
    pub fn number_of(&self, params: &Params) -> Option<u128> {
        if let Some(pool) = self.pool() {
            return pool.row_of(params).ok().map(|row| row as u128);
        }
        self.parameters().iter().try_fold(0_u128, |number, parameter| {
            let digit = match params.get(&parameter.name) {
                Some(value) => parameter.domain.index_of(value)?,
                None => 0,
            };
            number.checked_mul(parameter.domain.size()?.into())?.checked_add(digit.into())
        })
    }

    /// The point of a number; `None` if no point has it.
    #[must_use]
    pub fn point(&self, number: u128) -> Option<Params> {
        if let Some(pool) = self.pool() {
            return pool.point(usize::try_from(number).ok()?);
        }
        let mut rest = number;
        let mut digits = vec![0; self.parameters().len()];
        for (digit, parameter) in digits.iter_mut().zip(self.parameters()).rev() {
            let size = u128::from(parameter.domain.size()?);
            *digit = (rest % size) as u64;
            rest /= size;
        }
        let mut params = Params::new();
        for &index in &self.parents_first {
            let parameter = &self.parameters[index];
            if is_active(parameter, &params) {
                params.insert(parameter.name.clone(), parameter.domain.nth(digits[index])?);
            } else if digits[index] > 0 {
                return None;
            }
        }
        (rest == 0).then_some(params)
    }

    /// The numbers of all points, in order; `None` if they are more than `most`, or have no numbers.
    #[must_use]
    pub fn points(&self, most: usize) -> Option<Vec<u128>> {
        if let Some(pool) = self.pool() {
            return (pool.rows() <= most).then(|| (0..pool.rows() as u128).collect());
        }
        let mut weight = 1_u128;
        let mut steps: Vec<Option<Step>> = vec![None; self.parameters().len()];
        let parents: BTreeSet<&String> = self.parameters().iter().flat_map(|parameter| parameter.when.keys()).collect();
        for (step, parameter) in steps.iter_mut().zip(self.parameters()).rev() {
            let size = parameter.domain.size()?;
            // What has one value makes no other points, unless its being there lets others be.
            *step = (size > 1 || parents.contains(&parameter.name)).then_some(Step { parameter, size, weight });
            weight = weight.checked_mul(size.into())?;
        }
        let steps: Vec<Step> = self.parents_first.iter().filter_map(|&index| steps[index]).collect();
        let mut points = walk(&steps, most)?;
        points.sort_unstable();
        Some(points)
    }
}

/// A parameter on the way to a point.
#[derive(Clone, Copy)]
struct Step<'a> {
    parameter: &'a Parameter,
    /// How many values it has.
    size: u64,
    /// What a digit counts.
    weight: u128,
}

/// The numbers of all points, parents chosen before children, so that what is inactive is not branched on; `None` if they
/// are more than `most`. A loop and no recursion: there may be more parameters than a stack has room for.
fn walk(steps: &[Step], most: usize) -> Option<Vec<u128>> {
    let mut found = vec![];
    let mut chosen = Params::new();
    let mut number = 0;
    // One for each step taken; `None` where it is inactive.
    let mut digits: Vec<Option<u64>> = vec![];
    loop {
        for Step { parameter, .. } in &steps[digits.len()..] {
            let active = is_active(parameter, &chosen);
            if active {
                chosen.insert(parameter.name.clone(), parameter.domain.nth(0)?);
            }
            digits.push(active.then_some(0));
        }
        found.push(number);
        if found.len() > most {
            return None;
        }
        // Back to the last step that has another value.
        loop {
            let Some(last) = digits.pop() else { return Some(found) };
            let Some(digit) = last else { continue };
            let Step { parameter, size, weight } = steps[digits.len()];
            if digit + 1 < size {
                chosen.insert(parameter.name.clone(), parameter.domain.nth(digit + 1)?);
                digits.push(Some(digit + 1));
                number += weight;
                break;
            }
            chosen.remove(&parameter.name);
            number -= u128::from(digit) * weight;
        }
    }
}
