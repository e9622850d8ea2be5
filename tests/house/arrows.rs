//! Who may depend on whom.
use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use hpo_tests::root;
use serde_json::Value;

use crate::hold;

/// Each package, which of the others it depends on, and what else it may depend on outside tests; `*` is anything.
const ARROWS: [(&str, &[&str], &[&str]); 10] = [
    ("hpo-core", &[], &["rand", "serde", "thiserror"]),
    ("hpo-wire", &["hpo-core"], &["hyper-util", "prost", "thiserror", "tokio", "tokio-rustls", "tonic", "tonic-prost"]),
    ("hpo-searchers", &["hpo-core"], &["faer", "rand", "sobol_burley", "statrs", "thiserror"]),
    ("hpo-curves", &["hpo-core"], &["csv", "ort", "ort-tract", "serde", "serde_json", "thiserror", "tracing"]),
    ("hpo-worker", &["hpo-core", "hpo-curves", "hpo-wire"], &["*"]),
    ("hpo-driver", &["hpo-core", "hpo-curves", "hpo-searchers", "hpo-wire", "hpo-worker"], &["*"]),
    ("hpo-tests", &[], &["serde_json", "tempfile"]),
    ("hpo-fuzz", &["hpo-core", "hpo-curves", "hpo-driver", "hpo-wire", "hpo-worker"], &["*"]),
    ("hpo-slurm", &["hpo-tests"], &["serde_json"]),
    ("hpo-sim", &["hpo-core", "hpo-driver", "hpo-searchers", "hpo-wire", "hpo-worker"], &["rand", "serde_json", "tempfile", "thiserror"]),
];

fn cargo(arguments: &[&str]) -> String {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo).args(arguments).current_dir(root()).output().expect("cargo can be run");
    assert!(output.status.success(), "cargo {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn packages() -> Vec<Value> {
    let metadata: Value =
        serde_json::from_str(&cargo(&["metadata", "--format-version", "1", "--no-deps", "--locked"])).expect("cargo writes JSON");
    metadata["packages"].as_array().cloned().unwrap_or_default()
}

/// Dependencies of the given kind (`"dev"`, `"build"`; normal ones have none).
fn dependencies(package: &Value, kind: Option<&str>) -> BTreeSet<String> {
    let all = package["dependencies"].as_array().into_iter().flatten();
    all.filter(|one| one["kind"].as_str() == kind).filter_map(|one| one["name"].as_str()).map(str::to_owned).collect()
}

#[test]
fn arrows_point_one_way() {
    let packages: BTreeMap<String, Value> =
        packages().into_iter().filter_map(|package| Some((package["name"].as_str()?.to_owned(), package.clone()))).collect();
    let expected: BTreeSet<&str> = ARROWS.iter().map(|(name, ..)| *name).collect();
    assert_eq!(
        packages.keys().map(String::as_str).collect::<BTreeSet<_>>(),
        expected,
        "the packages of the workspace; a new one needs its arrows here"
    );
    let mut broken = vec![];
    for (name, inside, outside) in ARROWS {
        let (ours, others): (BTreeSet<_>, BTreeSet<_>) =
            dependencies(&packages[name], None).into_iter().partition(|other| expected.contains(other.as_str()));
        if !ours.iter().map(String::as_str).eq(inside.iter().copied()) {
            broken.push(format!("{name} depends on {ours:?} of the workspace, and should on {inside:?}"));
        }
        let foreign = others.iter().filter(|other| !outside.contains(&"*") && !outside.contains(&other.as_str()));
        broken.extend(foreign.map(|other| format!("{name} depends on {other}")));
    }
    hold(
        "Arrows point one way: hpo-core <- searchers <- driver, hpo-core <- {wire, curves} <- {driver, worker}.\n\
         hpo-core and searchers are pure (no runtime, no network, no burn), so that a journal replays on any machine and\n\
         one thread can simulate a cluster.",
        &broken,
    );
}

#[test]
fn the_driver_builds_without_burn() {
    let tree = cargo(&["tree", "--locked", "-p", "hpo-driver", "--no-default-features", "-e", "normal,build", "--prefix", "none"]);
    let names = tree.lines().filter_map(|line| line.split(' ').next());
    let heavy = |name: &str| name == "ort" || ["burn", "cubecl", "tract", "hpo-worker"].iter().any(|stem| name.starts_with(stem));
    let broken: BTreeSet<String> = names.filter(|name| heavy(name)).map(str::to_owned).collect();
    assert!(tree.lines().count() > 20, "cargo tree lists what the driver is built from: {tree}");
    hold(
        "A login node builds the driver without burn, tract and the worker: `cargo build --no-default-features`.",
        &Vec::from_iter(broken),
    );
}

#[test]
fn nothing_runs_at_build_time() {
    let targets = |package: &Value| package["targets"].as_array().cloned().unwrap_or_default();
    let is_script = |target: &Value| target["kind"].as_array().is_some_and(|kinds| kinds.iter().any(|kind| kind == "custom-build"));
    let scripts =
        packages().into_iter().filter(|package| targets(package).iter().any(is_script) || !dependencies(package, Some("build")).is_empty());
    let broken: Vec<String> = scripts.map(|package| format!("{} has a build script", package["name"])).collect();
    hold("No build scripts: generated code is committed and compared in a test, so a build needs a Rust toolchain and no more.", &broken);
}

#[test]
fn every_package_takes_the_workspaces_lints_and_has_its_own_clippy_file() {
    let manifest: toml::Table = crate::source::text("Cargo.toml").parse().expect("Cargo.toml is TOML");
    let lints = &manifest["workspace"]["lints"];
    let mut broken = vec![];
    for (group, name, level) in [
        ("rust", "unsafe_code", "forbid"),
        ("rust", "missing_docs", "warn"),
        ("clippy", "unwrap_used", "deny"),
        ("clippy", "disallowed_types", "deny"),
        ("clippy", "disallowed_methods", "deny"),
        ("clippy", "too_many_lines", "warn"),
    ] {
        if lints[group].get(name).and_then(toml::Value::as_str) != Some(level) {
            broken.push(format!("Cargo.toml: [workspace.lints.{group}] {name} is not \"{level}\""));
        }
    }
    for package in packages() {
        let manifest = package["manifest_path"].as_str().unwrap_or_default();
        let table: toml::Table = std::fs::read_to_string(manifest).expect("a manifest").parse().expect("a manifest is TOML");
        if table.get("lints").and_then(|lints| lints.get("workspace")) != Some(&toml::Value::Boolean(true)) {
            broken.push(format!("{manifest}: [lints] workspace = true is missing"));
        }
        let clippy = manifest.replace("Cargo.toml", "clippy.toml");
        let clippy_table: toml::Table = std::fs::read_to_string(&clippy).unwrap_or_default().parse().expect("clippy.toml is TOML");
        if clippy_table.get("too-many-lines-threshold") != Some(&toml::Value::Integer(70)) {
            broken.push(format!("{clippy}: too-many-lines-threshold = 70 is missing"));
        }
    }
    hold(
        "clippy holds the rules that it can (functions of 70 lines, no unwrap outside tests, what a pure package may not name).\nIt reads the nearest clippy.toml alone, so each package has one.",
        &broken,
    );
}
