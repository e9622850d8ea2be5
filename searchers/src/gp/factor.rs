//! A Cholesky factor that grows: K = L L' by `faer`, on one thread, so that equal numbers give equal results on one kind of processor.
//! (Between kinds the last bits may differ.) Everything is in matrices of `faer`'s own, for how it sums depends on where in memory numbers
//! begin, and there they always begin alike.
use faer::dyn_stack::{MemBuffer, MemStack};
use faer::linalg::cholesky::llt;
use faer::linalg::triangular_solve::{solve_lower_triangular_in_place, solve_upper_triangular_in_place};
use faer::{Accum, Mat, MatMut, Par};

/// L.
#[derive(Clone, Debug)]
pub(crate) struct Factor {
    lower: Mat<f64>,
}

impl Factor {
    /// Of nothing yet.
    pub(crate) fn new() -> Self {
        Self { lower: Mat::new() }
    }

    /// How many rows it has.
    pub(crate) fn len(&self) -> usize {
        self.lower.nrows()
    }

    /// Leaves the first `count` rows.
    pub(crate) fn truncate(&mut self, count: usize) {
        if count < self.len() {
            self.lower.resize_with(count, count, |_, _| 0.0);
        }
    }

    /// Adds rows to K: `across` are their covariances with the rows there are, one column a new row, `own` those among
    /// themselves. b rows on n cost b n^2 steps. Where rounding leaves K not positive definite, `own` gets more noise.
    pub(crate) fn extend(&mut self, mut across: Mat<f64>, own: &Mat<f64>) {
        let (old, new) = (self.len(), own.nrows());
        if new == 0 {
            return;
        }
        self.forward(&mut across);
        let mut rest = own.clone();
        faer::linalg::matmul::matmul(rest.as_mut(), Accum::Add, across.transpose(), across.as_ref(), -1.0, Par::Seq);
        let rest = positive(&rest);
        self.lower.resize_with(old + new, old + new, |_, _| 0.0);
        let (_, _, mut left, mut corner) = self.lower.as_mut().split_at_mut(old, old);
        left.copy_from(across.transpose());
        corner.copy_from_triangular_lower(rest.as_ref());
    }

    /// L^-1 times each column.
    pub(crate) fn forward(&self, columns: &mut Mat<f64>) {
        if self.len() > 0 {
            solve_lower_triangular_in_place(self.lower.as_ref(), columns.as_mut(), Par::Seq);
        }
    }

    /// L'^-1 times each column.
    pub(crate) fn backward(&self, columns: &mut Mat<f64>) {
        if self.len() > 0 {
            solve_upper_triangular_in_place(self.lower.transpose(), columns.as_mut(), Par::Seq);
        }
    }

    /// ln of the determinant of K.
    pub(crate) fn ln_determinant(&self) -> f64 {
        (0..self.len()).map(|at| 2.0 * self.lower[(at, at)].ln()).sum()
    }

    /// The lower half of K^-1.
    pub(crate) fn inverse(&self) -> Mat<f64> {
        let count = self.len();
        let mut inverse = Mat::zeros(count, count);
        let scratch = llt::inverse::inverse_scratch::<f64>(count, Par::Seq);
        llt::inverse::inverse(inverse.as_mut(), self.lower.as_ref(), Par::Seq, MemStack::new(&mut MemBuffer::new(scratch)));
        inverse
    }
}

/// A factor of a matrix, of which the lower half is read: more and more is added to the diagonal until there is one.
fn positive(matrix: &Mat<f64>) -> Mat<f64> {
    let mut extra = 0.0;
    loop {
        let mut lower = matrix.clone();
        (0..lower.nrows()).for_each(|at| lower[(at, at)] += extra);
        // Far above any variance there is nothing but the diagonal left.
        if factorise(lower.as_mut()) || extra > 1e9 {
            return lower;
        }
        extra = if extra == 0.0 { 1e-8 } else { extra * 10.0 };
    }
}

fn factorise(matrix: MatMut<'_, f64>) -> bool {
    let scratch = llt::factor::cholesky_in_place_scratch::<f64>(matrix.nrows(), Par::Seq, Default::default());
    let mut memory = MemBuffer::new(scratch);
    llt::factor::cholesky_in_place(matrix, Default::default(), Par::Seq, MemStack::new(&mut memory), Default::default()).is_ok()
}

/// Numbers as one column.
pub(crate) fn column(numbers: impl ExactSizeIterator<Item = f64>) -> Mat<f64> {
    let mut column = Mat::zeros(numbers.len(), 1);
    column.col_as_slice_mut(0).iter_mut().zip(numbers).for_each(|(cell, number)| *cell = number);
    column
}
