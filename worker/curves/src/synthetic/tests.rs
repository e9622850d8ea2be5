use std::f64::consts::PI;

use hpo_core::Value;
use hpo_core::job::Function;
use proptest::prelude::*;

use super::*;
use crate::chance::uniform;

fn job(function: Function) -> SyntheticJob {
    SyntheticJob { function, noise: 0.0, failure_rate: 0.0, crossing: 0.0, rate: 5.0, seconds: 2.0, cost_spread: 0.0 }
}

fn source(job: &SyntheticJob) -> Synthetic {
    Synthetic::new(job, Resource(81), "loss", Goal::Minimize)
}

fn point(values: &[f64]) -> Params {
    values.iter().enumerate().map(|(axis, value)| (format!("x{axis}"), Value::Float(*value))).collect()
}

fn sgd(lr: f64, momentum: f64, layers: i64, norm: bool) -> Params {
    let values =
        [("optimizer", "sgd".into()), ("lr", lr.into()), ("momentum", momentum.into()), ("layers", layers.into()), ("norm", norm.into())];
    values.map(|(name, value): (&str, Value)| (name.to_owned(), value)).into()
}

/// Points of least loss, from the literature (and, for `mixed`, from its definition).
fn minima() -> Vec<(Function, Params)> {
    let hartmann = point(&[0.20169, 0.150011, 0.476874, 0.275332, 0.311652, 0.6573]);
    let branin = [[-PI, 12.275], [PI, 2.275], [9.42478, 2.475]];
    let mut all: Vec<_> = branin.iter().map(|at| (Function::Branin, point(at))).collect();
    all.extend([(Function::Hartmann6, hartmann), (Function::Rosenbrock, point(&[1.0; 5]))]);
    all.push((Function::Mixed, sgd(10_f64.powf(-1.5), 0.9, 6, true)));
    all
}

#[test]
fn the_known_minima_are_minima() {
    for (function, at) in minima() {
        let loss = function.loss(&at).unwrap();
        assert!((loss - function.optimum()).abs() < 1e-6, "{}: {loss}", function.name());
        let end = source(&job(function)).curve(&at, Seed(1)).unwrap().at(Resource(81)).unwrap();
        assert_eq!((end.metric, end.seconds), (loss, 162.0));
    }
}

#[test]
fn what_is_no_point_of_a_function_is_explained() {
    let no = |function: Function, params: &Params| function.loss(params).unwrap_err().to_string();
    let mut adam = sgd(1e-3, 0.9, 6, true);
    adam.insert("optimizer".to_owned(), "adam".into());
    let said = [
        no(Function::Branin, &point(&[1.0])),
        no(Function::Hartmann6, &point(&[0.0, 0.0, 0.0, 0.0, 0.0, 1.5])),
        no(Function::Mixed, &point(&[1.0])),
        no(Function::Mixed, &adam),
        no(Function::Mixed, &sgd(-1.0, 0.9, 6, true)),
    ];
    let expected = [
        "it has 1 parameters",
        "`x5` = 1.5 is no value of it",
        "`optimizer` is missing",
        "`momentum` is none of its parameters",
        "`lr` = -1.0 is no value of it",
    ];
    assert_eq!(said, expected);
    let fault = source(&job(Function::Branin)).curve(&point(&[1.0]), Seed(0)).unwrap_err();
    assert_eq!(fault.to_string(), "branin takes two numbers, the first from -5 to 10, the second from 0 to 15; it has 1 parameters");
}

/// 2,000 trials at random points, for figures about many.
fn many(job: &SyntheticJob) -> Vec<Curve> {
    let at = |trial: u64| point(&[uniform(Seed(9), "x", trial) * 15.0 - 5.0, uniform(Seed(9), "y", trial) * 15.0]);
    (0..2000).map(|trial| source(job).curve(&at(trial), Seed(3).derive("trial", trial)).unwrap()).collect()
}

fn ranks(values: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|a, b| values[*a].total_cmp(&values[*b]));
    let mut ranks = vec![0.0; values.len()];
    for (rank, place) in order.into_iter().enumerate() {
        ranks[place] = rank as f64;
    }
    ranks
}

/// Spearman's, of the metric after `early` units with that at the end.
fn rank_correlation(curves: &[Curve], early: u32) -> f64 {
    let at = |unit| ranks(&curves.iter().map(|curve| curve.at(Resource(unit)).unwrap().metric).collect::<Vec<_>>());
    let (a, b) = (at(early), at(81));
    let count = a.len() as f64;
    let squares: f64 = a.iter().zip(&b).map(|(a, b)| (a - b) * (a - b)).sum();
    1.0 - 6.0 * squares / (count * (count * count - 1.0))
}

#[test]
fn crossing_misleads_early_and_not_at_the_end() {
    let correlations = [0.0, 0.1, 1.0].map(|crossing| {
        let curves = many(&SyntheticJob { crossing, ..job(Function::Branin) });
        [rank_correlation(&curves, 1), rank_correlation(&curves, 27)]
    });
    let [[none, _], [some, some_later], [all, all_later]] = correlations;
    assert!(none == 1.0 && (0.2..0.8).contains(&some) && all.abs() < 0.15, "{correlations:?}");
    assert!(some_later > 0.95 && all_later > 0.5, "{correlations:?}");
}

#[test]
fn noise_failures_and_costs_are_as_asked() {
    let curves = many(&SyntheticJob { noise: 3.0, failure_rate: 0.25, cost_spread: 0.5, ..job(Function::Branin) });
    let failed: Vec<u32> = curves.iter().filter_map(Curve::fails_in).map(|unit| unit.0).collect();
    assert!((440..560).contains(&failed.len()), "{}", failed.len());
    assert!(failed.contains(&1) && failed.contains(&81) && failed.iter().all(|unit| (1..=81).contains(unit)));
    let noises: Vec<f64> = curves.iter().filter_map(|curve| curve.at(Resource(7)).ok()).map(|at| at.metric - at.test.unwrap()).collect();
    let deviation = (noises.iter().map(|noise| noise * noise).sum::<f64>() / noises.len() as f64).sqrt();
    assert!((2.8..3.2).contains(&deviation), "{deviation}");
    let logs: Vec<f64> = curves.iter().map(|curve| (curve.seconds(Resource(1)) / 2.0).ln()).collect();
    let mean = logs.iter().sum::<f64>() / logs.len() as f64;
    let deviation = (logs.iter().map(|log| (log - mean) * (log - mean)).sum::<f64>() / logs.len() as f64).sqrt();
    assert!(mean.abs() < 0.05 && (0.45..0.55).contains(&deviation), "{mean} {deviation}");
}

#[test]
fn a_trial_that_fails_has_figures_until_then() {
    let curves = many(&SyntheticJob { failure_rate: 1.0, ..job(Function::Branin) });
    for curve in &curves[..50] {
        let unit = curve.fails_in().unwrap();
        let fails = Stop::Fails { unit, kind: FailureKind::NotFinite };
        assert!((1..unit.0).all(|before| curve.at(Resource(before)).is_ok()));
        assert!((unit.0..=81).all(|after| curve.at(Resource(after)) == Err(fails)));
    }
    let endless = Params::from([("a".to_owned(), Value::Float(1e200)), ("b".to_owned(), Value::Float(1e200))]);
    let curve = source(&job(Function::Rosenbrock)).curve(&endless, Seed(0)).unwrap();
    assert_eq!(curve.fails_in(), Some(Resource(1)), "a loss that is no number has diverged");
}

#[test]
fn reports_carry_the_metric_and_what_it_would_be_without_noise() {
    let source = Synthetic::new(&SyntheticJob { noise: 1.0, ..job(Function::Branin) }, Resource(9), "score", Goal::Maximize);
    let curve = source.curve(&point(&[1.0, 2.0]), Seed(4)).unwrap();
    let (metrics, at) = (source.metrics(&curve, Resource(4)).unwrap(), curve.at(Resource(4)).unwrap());
    assert_eq!((metrics.get("score"), metrics.get(NOISELESS), metrics.0.len()), (Some(at.metric), at.test, 2));
    assert!(at.metric < 0.0 && source.optimum().unwrap() < 0.0, "a maximised loss is its negative");
    assert_eq!([0, 10].map(|unit| curve.at(Resource(unit))), [Err(Stop::Ends { longest: Resource(9) }); 2]);
}

proptest! {
    #[test]
    fn equal_seeds_give_equal_curves_that_come_down(x in -5.0..10.0_f64, y in 0.0..15.0_f64, seed: u64, noise in 0.0..2.0_f64) {
        let job = SyntheticJob { noise, crossing: 0.3, cost_spread: 1.0, ..job(Function::Branin) };
        let all = || {
            let curve = source(&job).curve(&point(&[x, y]), Seed(seed)).unwrap();
            (1..=81).map(|unit| curve.at(Resource(unit)).unwrap()).collect::<Vec<_>>()
        };
        let (first, second) = (all(), all());
        prop_assert_eq!(&first, &second);
        let exact: Vec<f64> = first.iter().map(|at| at.test.unwrap()).collect();
        prop_assert!(exact.is_sorted_by(|a, b| a >= b) || exact.is_sorted(), "a curve goes one way");
        prop_assert!(exact[80] >= job.function.optimum() - 1e-9);
        prop_assert!(first.is_sorted_by(|a, b| a.seconds < b.seconds));
    }
}
