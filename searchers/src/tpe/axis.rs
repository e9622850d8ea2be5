//! One parameter as an axis of the model: how a value is placed on it, and what kernels on it look like.
//!
//! All densities are relative to the uniform one, on the unit interval or over the values, so that what is spread evenly
//! has density 1 and an axis that says nothing adds 0 to a logarithm.
use std::f64::consts::{SQRT_2, TAU};

use hpo_core::Value;
use hpo_core::space::Domain;
use rand::Rng;
use statrs::function::erf::erfc;

use crate::chance::{normal, unit};

/// A parameter of more ordered values is treated as a continuum.
const FEW: u64 = 64;

/// A place that no value has: the parameter is inactive there.
pub(crate) const NOWHERE: f64 = f64::NAN;

/// What kind of axis a parameter makes.
#[derive(Clone, Debug)]
pub(crate) enum Axis {
    /// One value: no dimension.
    Fixed,
    /// A continuum. Places are coordinates in [0, 1].
    Real,
    /// A few values in order. Places are their numbers from 0; `edges[i]..edges[i + 1]` is the share of value i.
    Few {
        /// Coordinates of the values.
        middles: Vec<f64>,
        /// One more than there are values, from 0 to 1.
        edges: Vec<f64>,
    },
    /// Values without an order. Places are their numbers from 0.
    Words {
        /// How many.
        size: f64,
    },
}

impl Axis {
    pub(crate) fn of(domain: &Domain) -> Self {
        match (domain, domain.size()) {
            (_, Some(0 | 1)) => Self::Fixed,
            (Domain::Choice { ordered: false, .. } | Domain::Bool, Some(size)) => Self::Words { size: size as f64 },
            (_, Some(size)) if size <= FEW => {
                let middles: Vec<f64> = (0..size).filter_map(|index| domain.nth(index)).map(|value| domain.to_unit(&value)).collect();
                let between = middles.windows(2).map(|pair| (pair[0] + pair[1]) / 2.0);
                let edges = std::iter::once(0.0).chain(between).chain([1.0]).collect();
                Self::Few { middles, edges }
            }
            _ => Self::Real,
        }
    }

    /// Where a value is.
    pub(crate) fn place(&self, domain: &Domain, value: &Value) -> f64 {
        match self {
            Self::Fixed => 0.0,
            Self::Real => domain.to_unit(value),
            Self::Few { .. } | Self::Words { .. } => domain.index_of(value).map_or(NOWHERE, |index| index as f64),
        }
    }

    /// The coordinate in [0, 1] of a place, where neighbours are alike.
    pub(crate) fn coordinate(&self, place: f64) -> Option<f64> {
        match self {
            _ if place.is_nan() => None,
            Self::Real => Some(place),
            Self::Few { middles, .. } => middles.get(place as usize).copied(),
            Self::Fixed | Self::Words { .. } => None,
        }
    }

    /// The coordinate in [0, 1] of a draw from the kernel around `place`; from the uniform density if that is nowhere.
    pub(crate) fn draw(&self, place: f64, kernel: &Kernel, rng: &mut impl Rng) -> f64 {
        if place.is_nan() {
            return unit(rng);
        }
        match self {
            Self::Fixed => 0.5,
            Self::Real => truncated(place, kernel.width, rng),
            // The share in which a draw falls has the kernel's mass.
            Self::Few { middles, .. } => truncated(middles[place as usize], kernel.width, rng),
            Self::Words { size } => {
                let any = (unit(rng) * size).floor().min(size - 1.0);
                let word = if unit(rng) < kernel.width { any } else { place };
                (word + 0.5) / size
            }
        }
    }
}

/// The form of all kernels of a mixture on one axis.
#[derive(Clone, Debug)]
pub(crate) struct Kernel {
    /// On a real axis and one of few values the standard deviation of a normal density, cut off at 0 and 1; on one of words the
    /// probability of not asking for the word itself but for any (Aitchison and Aitken, Biometrika 63, 1976).
    pub(crate) width: f64,
    pub(crate) form: Form,
}

/// What is computed once for all kernels of an axis.
#[derive(Clone, Debug)]
pub(crate) enum Form {
    /// Nothing to compute.
    Flat,
    /// A normal kernel is its peak minus ((x - m) narrow)^2 in logarithms.
    Normal {
        /// 1/(width sqrt 2).
        narrow: f32,
    },
    /// ln density of value x under the kernel around value m, at x row + m; 0 for the last m, which stands for nowhere.
    Table {
        /// Values and one more.
        row: usize,
        /// Row by row.
        logs: Vec<f32>,
    },
    /// ln density of the kernel's own word, and of another.
    Words {
        /// Its own.
        same: f32,
        /// Another.
        other: f32,
    },
}

impl Kernel {
    /// The kernel of an axis for a mixture whose `width` on real axes is this, of `count` points.
    pub(crate) fn new(axis: &Axis, width: f64, count: f64) -> Self {
        match axis {
            Axis::Fixed => Self { width, form: Form::Flat },
            Axis::Real => Self { width, form: Form::Normal { narrow: (1.0 / (width * SQRT_2)) as f32 } },
            Axis::Few { middles, edges } => Self { width, form: table(middles, edges, width) },
            Axis::Words { size } => {
                // As if each word had been seen once in `count` times more.
                let width = size / (size + count);
                Self { width, form: Form::Words { same: ((1.0 - width) * size + width).ln() as f32, other: width.ln() as f32 } }
            }
        }
    }

    /// ln density of a normal kernel at its own `place`: minus ln of width sqrt(2 pi) and of the mass between 0 and 1.
    pub(crate) fn peak(&self, place: f64) -> f64 {
        match self.form {
            Form::Normal { .. } if !place.is_nan() => -(self.width * TAU.sqrt() * mass(0.0, 1.0, place, self.width)).ln(),
            _ => 0.0,
        }
    }
}

fn table(middles: &[f64], edges: &[f64], width: f64) -> Form {
    let mut logs = vec![];
    for share in edges.windows(2) {
        let density = |&middle: &f64| mass(share[0], share[1], middle, width) / mass(0.0, 1.0, middle, width) / (share[1] - share[0]);
        logs.extend(middles.iter().map(|middle| density(middle).max(f64::MIN_POSITIVE).ln() as f32));
        logs.push(0.0);
    }
    Form::Table { row: middles.len() + 1, logs }
}

/// Of a normal density the share between two points.
pub(crate) fn mass(from: f64, until: f64, middle: f64, width: f64) -> f64 {
    let tail = |x: f64| 0.5 * erfc(x / SQRT_2);
    let (from, until) = ((from - middle) / width, (until - middle) / width);
    // The difference of two small numbers is exact, that of two near 1 is not.
    if from > 0.0 { tail(from) - tail(until) } else { tail(-until) - tail(-from) }
}

/// A normal number between 0 and 1: drawn until it is. The middle is inside, so that one in three is at worst.
pub(crate) fn truncated(middle: f64, width: f64, rng: &mut impl Rng) -> f64 {
    for _ in 0..64 {
        let x = middle + width * normal(rng);
        if (0.0..=1.0).contains(&x) {
            return x;
        }
    }
    middle
}
