//! The committed code is what `hpo.proto` generates, so that no build needs protoc.
use std::path::Path;

#[test]
fn generated_code_is_up_to_date() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folder = tempfile::tempdir().expect("a temporary folder");
    let files = protox::compile(["hpo.proto"], [root]).expect("hpo.proto compiles");
    tonic_prost_build::configure()
        // BTreeMap: equal messages have equal bytes.
        .btree_map(".")
        .build_transport(true)
        .out_dir(folder.path())
        .compile_fds(files)
        .expect("code is generated");
    let fresh = std::fs::read_to_string(folder.path().join("hpo.v1.rs")).expect("the generated file");
    let committed = root.join("src/pb.rs");
    if std::env::var_os("HPO_REGENERATE").is_some() {
        std::fs::write(&committed, &fresh).expect("src/pb.rs can be written");
    }
    let kept = std::fs::read_to_string(&committed).unwrap_or_default();
    assert!(kept == fresh, "src/pb.rs is not what hpo.proto generates; run: HPO_REGENERATE=1 cargo test -p hpo-wire --test generated");
}
