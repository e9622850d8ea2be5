//! The points of a space without a continuum, numbered.
use super::{Params, Space, is_active};

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
        let mut weights = vec![1_u128; self.parameters().len()];
        let mut weight = 1_u128;
        for (index, parameter) in self.parameters().iter().enumerate().rev() {
            weights[index] = weight;
            weight = weight.checked_mul(parameter.domain.size()?.into())?;
        }
        let mut walk = Walk { space: self, weights, most, found: vec![] };
        walk.on(0, &mut Params::new(), 0)?;
        walk.found.sort_unstable();
        Some(walk.found)
    }
}

/// A walk over all points, parents before children, so that what is inactive is not branched on.
struct Walk<'a> {
    space: &'a Space,
    /// What a digit counts, by parameter.
    weights: Vec<u128>,
    most: usize,
    found: Vec<u128>,
}

impl Walk<'_> {
    /// Goes on at a place in the order of parents, below the values chosen so far. `None` if there are too many points.
    fn on(&mut self, place: usize, chosen: &mut Params, number: u128) -> Option<()> {
        let Some(&index) = self.space.parents_first.get(place) else {
            self.found.push(number);
            return (self.found.len() <= self.most).then_some(());
        };
        let parameter = &self.space.parameters[index];
        if !is_active(parameter, chosen) {
            return self.on(place + 1, chosen, number);
        }
        for digit in 0..parameter.domain.size()? {
            chosen.insert(parameter.name.clone(), parameter.domain.nth(digit)?);
            self.on(place + 1, chosen, number + u128::from(digit) * self.weights[index])?;
        }
        chosen.remove(&parameter.name);
        Some(())
    }
}
