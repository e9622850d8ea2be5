//! The small files of a run folder: where the driver listens, who claims the run, its token.
use hpo_driver::journal::Claim;
use hpo_driver::process::Process;
use hpo_driver::rendezvous::{Rendezvous, read_token};
use hpo_driver::rundir::RunDir;

use crate::{Target, scratch};

pub(crate) const TARGET: Target = Target {
    name: "folder",
    run,
    examples,
    found: &[],
    words: &["\"addresses\":", "\"format\":", "\"epoch\":", "\"pid\":", "\"started\":", "\"host\":", "\"ended\":"],
    bytes_per_byte: 256,
};

fn examples() -> Vec<Vec<u8>> {
    let rendezvous = r#"{"format":1,"sweep":"c0a1","epoch":3,"addresses":["127.0.0.1:4000","[::1]:4000"],"pid":4711,"host":"node7"}"#;
    let claim = r#"{"epoch":3,"pid":4711,"started":81723,"host":"node7","ended":false}"#;
    vec![rendezvous.as_bytes().to_vec(), claim.as_bytes().to_vec()]
}

fn run(data: &[u8]) {
    let run = RunDir::new(scratch::folder());
    std::fs::write(run.rendezvous(), data).expect("a file");
    if let Ok(Some(found)) = Rendezvous::read(&run) {
        let again: Rendezvous = serde_json::from_slice(&serde_json::to_vec(&found).expect("JSON")).expect("what was written");
        assert_eq!(again, found);
    }
    std::fs::write(run.token(), data).expect("a file");
    if let Ok(token) = read_token(&run) {
        assert_eq!(token.trim(), token);
    }
    // Not by way of `living`, which watches a claim of another host for seconds: whether it moves.
    if let Ok(claim) = serde_json::from_slice::<Claim>(data) {
        assert!(claim.process != Process::me() || claim.process.is_alive());
    }
}
