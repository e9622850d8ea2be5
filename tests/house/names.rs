//! Which names may stand where.
use crate::hold;
use crate::source::{Source, sources};

/// Where `find` finds something outside the places that begin with one of `allowed`.
fn outside(allowed: &[&str], find: impl Fn(&Source) -> Vec<String>) -> Vec<String> {
    let elsewhere = |file: &&Source| !allowed.iter().any(|place| file.path.starts_with(place));
    sources().iter().filter(elsewhere).flat_map(find).collect()
}

#[test]
fn only_the_two_ends_of_the_connection_speak_protobuf() {
    // ONNX files are protobuf too, and have nothing to do with the connection.
    let ends = ["hpo-core/wire/src/", "driver/src/serve/", "worker/src/connect.rs", "worker/src/onnx/"];
    let broken = outside(&ends, |file| {
        ["prost", "prost_types", "tonic", "tonic_prost", "tokio_rustls", "rcgen", "hyper_util"]
            .iter()
            .flat_map(|name| file.find_crate(name))
            .chain(file.find("hpo_wire : : pb"))
            .collect()
    });
    hold(
        "Only hpo-wire and the two ends of the connection name prost, tonic, TLS or generated types:\nall others use the plain types, so that the transport can change without them.",
        &broken,
    );
}

#[test]
fn burn_stands_in_a_few_folders() {
    let rooms = ["worker/src/models/", "worker/src/trainable/burn/", "worker/src/onnx/", "worker/cubecl-llvm/", "worker/examples/"];
    let broken = outside(&rooms, |file| ["burn", "burn_onnx", "cubecl_cuda"].iter().flat_map(|name| file.find_crate(name)).collect());
    hold(
        "burn is named in worker/src/models, worker/src/trainable/burn and worker/src/onnx alone:\nits interface moves with each release, and sessions, trainers and checkpoints are no business of it.",
        &broken,
    );
}

#[test]
fn the_driver_library_never_names_the_worker() {
    let words = ["driver/src/main.rs", "driver/src/cli/"];
    let is_driver = |file: &Source| file.path.starts_with("driver/");
    let broken = outside(&words, |file| if is_driver(file) { file.find("hpo_worker") } else { vec![] });
    hold(
        "The driver's library never names hpo_worker; only its main.rs and cli do, behind the feature `worker`:\na login node builds the driver without burn, and tests drive it with workers of their own.",
        &broken,
    );
}

#[test]
fn pure_packages_read_no_clock_no_file_and_no_chance() {
    let impure = [
        ["std : : fs", "std : : net", "std : : thread", "std : : process", "std : : env", "std : : time", "HashMap", "HashSet"].as_slice(),
        ["rand : : rng", "rand : : random", "thread_rng", "from_os_rng", "SysRng", "from_entropy"].as_slice(),
    ];
    let pure = |file: &Source| file.path.starts_with("hpo-core/src/") || file.path.starts_with("searchers/src/");
    let broken = outside(&[], |file| if pure(file) { impure.concat().iter().flat_map(|name| file.find(name)).collect() } else { vec![] });
    hold(
        "hpo-core and searchers read no clock, draw no chance of their own, do no I/O and use no map of random order:\nequal histories must give equal decisions on every machine. Time is a Stamp, chance comes from a Seed.",
        &broken,
    );
}

#[test]
fn nothing_is_left_undone_and_nothing_panics_on_the_outside_world() {
    let left = [". unwrap ( )", ". unwrap_err ( )", "todo !", "unimplemented !", "dbg !"];
    let broken = outside(&[], |file| left.iter().flat_map(|words| file.find(words)).collect());
    hold(
        "No unwrap, todo!, unimplemented! or dbg! outside tests: the world's failures are typed errors that say what to do,\nand what is not built is not there.",
        &broken,
    );
}
