//! The words of a surrogate's inputs. There is no model behind them: what a runtime makes of a hostile one is not ours.
use hpo_core::job::SurrogateJob;
use hpo_core::{Resource, Value};
use hpo_curves::SurrogateFault;
use hpo_curves::surrogate::Surrogate;

use crate::{Found, Target, scratch};

pub(crate) const TARGET: Target = Target {
    name: "encoding",
    run,
    examples,
    found: FOUND,
    words: &["\"task\":{", "\"learner\":{", "#na#", "2147483648", "-1", "true", "{", "},"],
    bytes_per_byte: 256,
};

const FOUND: &[Found] =
    &[Found { what: "no harm: a hundred thousand objects, one in the other", input: || "{\"a\":".repeat(100_000).into_bytes() }];

fn examples() -> Vec<Vec<u8>> {
    vec![br##"{"task":{"31":0,"53":1},"learner":{"glmnet":0,"ranger":1,"#na#":2},"replace":{"#na#":0,"FALSE":1,"TRUE":2}}"##.to_vec()]
}

fn run(data: &[u8]) {
    let names = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect::<Vec<_>>();
    let fixed = [("task".to_owned(), Value::from("31")), ("replace".to_owned(), Value::Bool(true))];
    let job = SurrogateJob {
        noise: 0.0,
        failure_rate: 0.0,
        model: scratch::folder().join("no model"),
        encoding: Some(scratch::file("encoding.json", data)),
        categorical: names(&["task", "learner", "replace"]),
        continuous: names(&["trainsize", "alpha"]),
        fixed: fixed.into(),
        fidelity: "trainsize".to_owned(),
        fidelity_step: 0.1,
        outputs: names(&["acc"]),
        metric: "acc".to_owned(),
        test: None,
        cost: None,
    };
    match Surrogate::open(&job, Resource(10), "acc") {
        Ok(_) => panic!("there is no model"),
        Err(fault) => {
            let understood = matches!(fault, SurrogateFault::Unreadable { .. });
            assert!(understood || !fault.to_string().is_empty(), "{fault:?}");
        }
    }
}
