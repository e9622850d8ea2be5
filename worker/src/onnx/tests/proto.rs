/// `proto.rs` is what prost makes of `proto/onnx.proto`. With `HPO_BLESS=1` this test writes it.
#[test]
fn generated_code_is_fresh() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let committed = root.join("src/onnx/proto.rs");
    let files = protox::compile(["onnx.proto"], [root.join("proto")]).unwrap();
    let out = tempfile::tempdir().unwrap();
    prost_build::Config::new().disable_comments(["."]).out_dir(out.path()).compile_fds(files).unwrap();
    let fresh = std::fs::read_to_string(out.path().join("onnx.rs")).unwrap();
    if std::env::var_os("HPO_BLESS").is_some() {
        std::fs::write(&committed, &fresh).unwrap();
    }
    assert!(std::fs::read_to_string(&committed).unwrap() == fresh, "run this test with HPO_BLESS=1 and commit src/onnx/proto.rs");
}
