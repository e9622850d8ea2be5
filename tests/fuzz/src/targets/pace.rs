//! The states of trials that train on a curve.
use hpo_core::job::{CurveSource, CurvesJob, Function, SyntheticJob};
use hpo_core::{Goal, Params, Resource, Seed, Value};
use hpo_worker::trainable::curves::Bench;

use crate::{Found, Target, scratch};

pub(crate) const TARGET: Target = Target {
    name: "pace",
    run,
    examples,
    found: FOUND,
    words: &["\"params\":{", "\"seed\":", "\"resource\":", "\"x1\":", "1e999", "18446744073709551616", "4294967296", "null"],
    bytes_per_byte: 256,
};

const FOUND: &[Found] = &[
    Found { what: "no harm: a hundred thousand lists, one in the other", input: || "[".repeat(100_000).into_bytes() },
    Found {
        what: "no harm: twenty thousand values",
        input: || {
            let values: Vec<String> = (0..20_000).map(|number| format!("\"x{number}\":1")).collect();
            format!("{{\"params\":{{{}}},\"seed\":5,\"resource\":2}}", values.join(",")).into_bytes()
        },
    },
];

const FROM: Resource = Resource(2);
const SEED: Seed = Seed(5);

fn params() -> Params {
    [("x1", 1.5), ("x2", 0.25)].map(|(name, value)| (name.to_owned(), Value::Float(value))).into()
}

fn bench() -> Bench {
    let function = Function::Branin;
    let job = SyntheticJob { function, noise: 0.0, failure_rate: 0.0, crossing: 0.0, rate: 1.0, seconds: 0.0, cost_spread: 0.0 };
    let job = CurvesJob { source: CurveSource::Synthetic(job), max_resource: Resource(9), pace: 0.0 };
    Bench::open(&job, "loss", Goal::Minimize).expect("a formula needs no file")
}

fn examples() -> Vec<Vec<u8>> {
    let bench = bench();
    let mut trial = bench.begin(&params(), SEED).expect("a trial");
    for _ in 0..FROM.0 {
        bench.unit(&mut trial, &mut || false).expect("a unit");
    }
    let file = scratch::folder().join("a state");
    trial.save(&file).expect("a state");
    vec![std::fs::read(&file).expect("a state")]
}

fn run(data: &[u8]) {
    let bench = bench();
    match bench.resume(&params(), SEED, FROM, &scratch::file("state on a curve", data)) {
        // Whatever it looks like: of another trial it is none.
        Ok(mut trial) => {
            assert_eq!(trial.done(), FROM);
            bench.unit(&mut trial, &mut || false).expect("the next unit");
        }
        Err(fault) => assert!(!fault.to_string().is_empty()),
    }
}
