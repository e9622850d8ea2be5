//! Test functions whose minimum is known.
use std::f64::consts::PI;

use hpo_core::job::Function;
use hpo_core::{Params, Value};

/// Why parameters are no point of a function.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum Misfit {
    /// Too few or too many.
    #[error("it has {0} parameters")]
    Count(usize),
    /// A value that it cannot use.
    #[error("`{name}` = {value} is no value of it")]
    Value {
        /// The parameter.
        name: String,
        /// Its value.
        value: Value,
    },
    /// One that it needs.
    #[error("`{0}` is missing")]
    Missing(&'static str),
    /// One that it does not know.
    #[error("`{0}` is none of its parameters")]
    Extra(String),
}

/// A loss over parameters. Numbers are in natural units, and taken in the order of their names.
pub trait Landscape {
    /// As sweep files name it.
    fn name(self) -> &'static str;
    /// The parameters that it takes, for people.
    fn takes(self) -> &'static str;
    /// The loss at a point.
    ///
    /// # Errors
    /// If the parameters are no point of it.
    fn loss(self, params: &Params) -> Result<f64, Misfit>;
    /// The least loss there is.
    fn optimum(self) -> f64;
    /// The loss of a training that has not begun: above that of most points.
    fn start(self) -> f64;
    /// About the standard deviation of the loss over the usual ranges.
    fn spread(self) -> f64;
}

impl Landscape for Function {
    fn name(self) -> &'static str {
        match self {
            Self::Branin => "branin",
            Self::Hartmann6 => "hartmann6",
            Self::Rosenbrock => "rosenbrock",
            Self::Mixed => "mixed",
        }
    }

    fn takes(self) -> &'static str {
        match self {
            Self::Branin => "two numbers, the first from -5 to 10, the second from 0 to 15",
            Self::Hartmann6 => "six numbers from 0 to 1",
            Self::Rosenbrock => "two or more numbers, usually from -2 to 2",
            Self::Mixed => "`optimizer` (\"sgd\" or \"adam\"), `lr`, `momentum` when `optimizer` is \"sgd\", `layers` and `norm`",
        }
    }

    fn loss(self, params: &Params) -> Result<f64, Misfit> {
        match self {
            Self::Branin => numbers(params).map(branin),
            Self::Hartmann6 => {
                if let Some((name, value)) = params.iter().find(|(_, value)| value.number().is_none_or(|x| !(0.0..=1.0).contains(&x))) {
                    return Err(Misfit::Value { name: name.clone(), value: value.clone() });
                }
                numbers(params).map(hartmann6)
            }
            Self::Rosenbrock => rosenbrock(params),
            Self::Mixed => mixed(params),
        }
    }

    fn optimum(self) -> f64 {
        match self {
            // 10 / (8 pi)
            Self::Branin => 0.397_887_357_729_738_2,
            Self::Hartmann6 => -3.322_368_011_415_514_4,
            Self::Rosenbrock => 0.0,
            Self::Mixed => MIXED_OPTIMUM,
        }
    }

    fn start(self) -> f64 {
        match self {
            Self::Branin => 150.0,
            Self::Hartmann6 => 0.0,
            Self::Rosenbrock => 1000.0,
            Self::Mixed => 2.3,
        }
    }

    fn spread(self) -> f64 {
        match self {
            Self::Branin => 50.0,
            Self::Hartmann6 => 0.4,
            Self::Rosenbrock => 500.0,
            Self::Mixed => 0.5,
        }
    }
}

/// The values of exactly `N` numeric parameters.
fn numbers<const N: usize>(params: &Params) -> Result<[f64; N], Misfit> {
    if params.len() != N {
        return Err(Misfit::Count(params.len()));
    }
    let mut all = [0.0; N];
    for (place, (name, value)) in all.iter_mut().zip(params) {
        *place = number(name, value)?;
    }
    Ok(all)
}

fn number(name: &str, value: &Value) -> Result<f64, Misfit> {
    value.number().ok_or_else(|| Misfit::Value { name: name.to_owned(), value: value.clone() })
}

/// Dixon and Szego, Towards Global Optimisation 2 (1978).
fn branin([x, y]: [f64; 2]) -> f64 {
    let valley = y - 5.1 / (4.0 * PI * PI) * x * x + 5.0 / PI * x - 6.0;
    valley * valley + 10.0 * (1.0 - 1.0 / (8.0 * PI)) * x.cos() + 10.0
}

/// As `branin`.
fn hartmann6(x: [f64; 6]) -> f64 {
    const HEIGHT: [f64; 4] = [1.0, 1.2, 3.0, 3.2];
    const WIDTH: [[f64; 6]; 4] = [
        [10.0, 3.0, 17.0, 3.5, 1.7, 8.0],
        [0.05, 10.0, 17.0, 0.1, 8.0, 14.0],
        [3.0, 3.5, 1.7, 10.0, 17.0, 8.0],
        [17.0, 8.0, 0.05, 10.0, 0.1, 14.0],
    ];
    const CENTRE: [[f64; 6]; 4] = [
        [0.1312, 0.1696, 0.5569, 0.0124, 0.8283, 0.5886],
        [0.2329, 0.4135, 0.8307, 0.3736, 0.1004, 0.9991],
        [0.2348, 0.1451, 0.3522, 0.2883, 0.3047, 0.6650],
        [0.4047, 0.8828, 0.8732, 0.5743, 0.1091, 0.0381],
    ];
    let peak = |peak: usize| {
        let square = |axis: usize| WIDTH[peak][axis] * (x[axis] - CENTRE[peak][axis]).powi(2);
        HEIGHT[peak] * (-(0..6).map(square).sum::<f64>()).exp()
    };
    -(0..4).map(peak).sum::<f64>()
}

/// Rosenbrock, Computer Journal 3 (1960), in any dimension from two.
fn rosenbrock(params: &Params) -> Result<f64, Misfit> {
    if params.len() < 2 {
        return Err(Misfit::Count(params.len()));
    }
    let mut loss = 0.0;
    let mut before: Option<f64> = None;
    for (name, value) in params {
        let next = number(name, value)?;
        if let Some(x) = before {
            loss += 100.0 * (next - x * x).powi(2) + (1.0 - x).powi(2);
        }
        before = Some(next);
    }
    Ok(loss)
}

/// At sgd, lr = 10^-1.5, momentum = 0.9, 6 layers, with norm.
const MIXED_OPTIMUM: f64 = 0.1;

/// Ours. The best learning rate of sgd depends on its momentum; adam, at 10^-3, ends 0.02 above the optimum.
fn mixed(params: &Params) -> Result<f64, Misfit> {
    let get = |name: &'static str| params.get(name).ok_or(Misfit::Missing(name));
    let misfit = |name: &str, value: &Value| Misfit::Value { name: name.to_owned(), value: value.clone() };
    let within = |name: &'static str, low: f64, high: f64| {
        let value = get(name)?;
        value.number().filter(|number| *number > low && *number < high).ok_or_else(|| misfit(name, value))
    };
    let (optimizer, norm) = (get("optimizer")?, get("norm")?);
    let lr = within("lr", 0.0, f64::INFINITY)?;
    let (branch, known) = match optimizer.text() {
        Some("sgd") => {
            let momentum = within("momentum", -1.0, 1.0)?;
            let effective = (lr / (1.0 - momentum)).log10() + 0.5;
            (MIXED_OPTIMUM + 0.2 * effective * effective + 0.5 * (momentum - 0.9).powi(2), 5)
        }
        Some("adam") => (MIXED_OPTIMUM + 0.02 + 0.3 * (lr.log10() + 3.0).powi(2), 4),
        _ => return Err(misfit("optimizer", optimizer)),
    };
    let layers = within("layers", 0.0, f64::INFINITY)? - 6.0;
    let norm = norm.truth().ok_or_else(|| misfit("norm", norm))?;
    if params.len() > known {
        let ours = ["layers", "lr", "momentum", "norm", "optimizer"];
        let extra = params.keys().find(|name| !ours[..].contains(&name.as_str())).map_or("momentum", String::as_str);
        return Err(Misfit::Extra(extra.to_owned()));
    }
    Ok(branch + 0.02 * layers * layers + if norm { 0.0 } else { 0.05 })
}
