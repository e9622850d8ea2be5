//! What a worker reads before it dials: `rendezvous.json` and, the other half of the input, `ca.pem`. Nobody is dialled.
use std::time::Duration;

use hpo_core::WorkerId;
use hpo_wire::Trust;
use hpo_worker::connect::{ConnectFault, Link, LinkEvent, Target as Whom};

use crate::{Found, Target, scratch};

pub(crate) const TARGET: Target = Target {
    name: "dial",
    run,
    examples,
    found: FOUND,
    words: &[
        "\"format\":1",
        "\"epoch\":",
        "\"addresses\":[",
        "\"tls\":true",
        "-----BEGIN CERTIFICATE-----",
        "-----END CERTIFICATE-----",
        "\n---\n",
    ],
    bytes_per_byte: 256,
};

const FOUND: &[Found] = &[
    Found { what: "no harm: a hundred thousand lists, one in the other", input: || "[".repeat(100_000).into_bytes() },
    Found { what: "no harm: a certificate without an end", input: || b"{}\n---\n-----BEGIN CERTIFICATE-----\nAAAA".repeat(9_000) },
];

fn examples() -> Vec<Vec<u8>> {
    let pem = "-----BEGIN CERTIFICATE-----\nMIIBAjCBqQIBATAKBggqhkjOPQQDAjARMQ8wDQYDVQQDDAZocG8gY2EwHhcNMjYw\n-----END CERTIFICATE-----\n";
    let rendezvous =
        r#"{"format":1,"sweep":"c0a1","epoch":3,"addresses":["127.0.0.1:4000","[::1]:4000"],"tls":true,"pid":4711,"host":"n7"}"#;
    vec![format!("{rendezvous}\n---\n{pem}").into_bytes(), rendezvous.as_bytes().to_vec()]
}

fn run(data: &[u8]) {
    let (rendezvous, authority) = scratch::halves(data);
    if let Err(fault) = Trust::authority(authority) {
        assert!(!fault.to_string().is_empty());
    }
    // Without TLS it would be dialled as soon as it is understood; with it, the authority is missed first.
    let plain = serde_json::from_slice::<serde_json::Value>(rendezvous).is_ok_and(|found| found["tls"] == false);
    if !plain {
        looks(rendezvous);
    }
}

fn looks(rendezvous: &[u8]) {
    let folder = scratch::folder();
    let whom = Whom {
        rendezvous: scratch::file("rendezvous.json", rendezvous),
        authority: folder.join("no authority"),
        token_file: scratch::private("worker-token", b"0123456789abcdef"),
        worker: WorkerId(1),
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime of one thread");
    let event = runtime.block_on(async { Link::dial(whom, Duration::ZERO).next().await });
    let Some(LinkEvent::Down(fault)) = event else { panic!("nobody can be dialled: {event:?}") };
    let known = matches!(fault, ConnectFault::Rendezvous { .. } | ConnectFault::Read { .. });
    assert!(known && !fault.to_string().is_empty(), "{fault:?}");
}
