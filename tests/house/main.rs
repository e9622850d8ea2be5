//! The rules of the house, held against the manifests and the sources. ARCHITECTURE.md says what each is for.
mod arrows;
mod names;
mod paper;
mod size;
mod source;

/// Fails with the rule, its reason and every place where it is broken.
#[track_caller]
fn hold(rule: &str, broken: &[String]) {
    assert!(broken.is_empty(), "\n{rule}\n\nbroken here:\n  {}\n", broken.join("\n  "));
}
