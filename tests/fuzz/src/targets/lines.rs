//! What trainers and agents say to each other. The first line is a `metric_pattern` and a command, the others are output.
use hpo_core::{Params, Value};
use hpo_worker::trainer::lines::{LINE_MAX, Line, Pattern, next_line};
use hpo_worker::trainer::protocol::{Start, ToTrainer, environment};
use hpo_worker::trainer::template::expand;

use crate::{Target, scratch};

pub(crate) const TARGET: Target = Target {
    name: "lines",
    run,
    examples,
    found: &[],
    words: &[
        "@hpo {\"say\":\"",
        "ready",
        "started",
        "report",
        "reached",
        "left",
        "stopped",
        "unsaved",
        "failed",
        "\"resource\":",
        "\"metrics\":{",
        "\"checkpoint\":null",
        "\r",
        "(.*)",
        "{1000}",
        "(?i)",
        "\\d+",
        "{lr}",
        "{{",
        "}}",
        "{checkpoint_in}",
    ],
    // A regular expression of a few bytes may take a megabyte, but not more than ten.
    bytes_per_byte: 512,
};

fn examples() -> Vec<Vec<u8>> {
    let output = r#"loss=([0-9.]+) {lr} {{x}} --trial={trial}
@hpo {"say":"ready"}
@hpo {"say":"started","startup_ms":1,"restore_ms":0}
epoch 1 loss=0.25 val=0.5
@hpo {"say":"report","resource":1,"metrics":{"loss":0.5,"acc":"nan"}}
 40% |####   |@hpo {"say":"reached","resource":1,"checkpoint":"a/b","wrote_ms":3}
@hpo {"say":"left","resource":1}
@hpo {"say":"failed","kind":"not_finite","message":"nan"}
@hpo {"say":"unsaved","message":"disk full"}
"#;
    let orders = r#"(.*)
{"say":"start","trial":0,"attempt":1,"params":{"lr":0.1,"n":3,"s":"x","b":true},"seed":3,"from":0,"until":9,"checkpoint":null,"checkpoint_out":"a","in_place":false}
{"say":"call_back"}
{"say":"stop"}
"#;
    vec![output.as_bytes().to_vec(), orders.as_bytes().to_vec()]
}

fn run(data: &[u8]) {
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime of one thread");
    let (mut input, mut line) = (tokio::io::BufReader::with_capacity(512, data), vec![]);
    let mut pattern = None;
    while runtime.block_on(next_line(&mut input, &mut line)).expect("memory can be read") {
        assert!(line.len() <= LINE_MAX && line.capacity() <= 4 * LINE_MAX, "a line is cut");
        if pattern.is_none() {
            let text = String::from_utf8_lossy(&line).into_owned();
            let words: Vec<String> = text.split(' ').map(str::to_owned).collect();
            if let Ok(words) = expand(&words, &start()) {
                assert!(!words.is_empty());
            }
            pattern = Some(Pattern::new(&words[0], "loss", 0, u32::MAX).ok());
        }
        if let Line::Garbled(why) = Line::of(&line) {
            assert!(why.len() < 4096, "a fault is short enough for a journal: {} bytes", why.len());
        }
        if let Some(Some(Err(why))) = pattern.iter_mut().flatten().map(|pattern| pattern.find(&line)).next() {
            assert!(why.len() < 4096);
        }
        if let Ok(ToTrainer::Start(start)) = serde_json::from_slice(&line) {
            assert_eq!(environment(&start).len(), 8);
        }
    }
}

fn start() -> Start {
    let params: Params = [("lr".to_owned(), Value::Float(0.1)), ("name".to_owned(), Value::from("--flag; rm"))].into();
    let file = scratch::folder().join("state");
    Start { trial: 7, attempt: 2, params, seed: 11, from: 3, until: 9, checkpoint: None, checkpoint_out: file, in_place: false }
}
