//! Tables of recorded curves.
use hpo_core::job::TabularJob;
use hpo_core::space::ROW;
use hpo_core::{Params, Resource, Seed, Value};
use hpo_curves::Curves;
use hpo_curves::tabular::Table;

use crate::{Found, Target, scratch};

pub(crate) const TARGET: Target = Target {
    name: "curves",
    run,
    examples,
    found: FOUND,
    words: &["loss_0", "loss_1", "loss_", "nan", "inf", "1e999", "\"", ",,", "cost"],
    // A cell of one byte and its comma is a value of its own.
    bytes_per_byte: 512,
};

const FOUND: &[Found] = &[
    Found {
        what: "each of 100,000 columns was compared with all others",
        input: || (0..100_000).map(|number| format!("c{number},")).collect::<String>().into_bytes(),
    },
    Found {
        what: "each of 60,000 columns was looked for among as many of the curve",
        input: || (0..60_000).map(|number| format!("loss_{number},c{number},")).collect::<String>().into_bytes(),
    },
    Found { what: "a cell that is never closed", input: || [b"loss_1\n\"".as_slice(), &b"x".repeat(1 << 20)].concat() },
];

fn examples() -> Vec<Vec<u8>> {
    let table = "lr,width,cost,loss_0,loss_1,loss_2\n0.1,8,30,3,2,1\n0.01,16,60,3,nan,\n0.001,\"4,5\",1e3,3,2.5,2\n";
    let plain = "loss_9,loss_10\n1,2\n";
    vec![table.as_bytes().to_vec(), plain.as_bytes().to_vec()]
}

fn run(data: &[u8]) {
    let csv = scratch::file("curves.csv", data);
    for cost in [None, Some("cost".to_owned())] {
        let job = TabularJob { csv: csv.clone(), curve: "loss_".to_owned(), cost };
        let table = match Table::open(&job, "loss") {
            Ok(table) => table,
            Err(fault) => {
                assert!(!fault.to_string().is_empty());
                continue;
            }
        };
        let longest = table.longest().unwrap_or_default();
        for row in [0, 1, i64::MAX, -1] {
            let params: Params = [(ROW.to_owned(), Value::Int(row))].into();
            let Ok(curve) = table.curve(&params, Seed(1)) else { continue };
            for resource in [0, 1, longest.0, longest.0.saturating_add(1), u32::MAX].map(Resource) {
                let (metrics, point) = (table.metrics(&curve, resource), curve.at(resource));
                assert_eq!(metrics.is_ok(), point.is_ok());
                assert!(point.is_err() || (1..=longest.0).contains(&resource.0));
            }
        }
    }
}
