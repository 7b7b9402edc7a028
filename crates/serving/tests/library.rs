//! Loading the library itself. One test alone: a process loads it once, and this one has to begin without.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use serving::{Engine, EngineError, default_library};
use std::{
    env, fs,
    path::{Path, PathBuf},
};

fn missing(path: &Path) -> String {
    let error = Engine::load(path).unwrap_err();
    assert!(matches!(error, EngineError::Missing { .. }), "{error}");
    error.to_string()
}

#[test]
fn a_missing_library_is_an_error_that_says_what_to_do_and_a_later_load_works() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("libonnxruntime.so");
    let said = missing(&path);
    assert!(said.starts_with(&format!("the ONNX Runtime library {} cannot be loaded", path.display())), "{said}");
    assert!(said.ends_with("run `make setup`, or set SLIPWAY_ONNXRUNTIME to libonnxruntime.so"), "{said}");

    fs::write(&path, "not a library").unwrap();
    missing(&path);

    let library = env::var_os("SLIPWAY_ONNXRUNTIME").map_or_else(default_library, PathBuf::from);
    Engine::load(&library).unwrap_or_else(|error| panic!("the tests need the ONNX Runtime; run `make setup`: {error}"));
    // One engine for the process, whatever is asked for.
    assert!(Engine::load(&path).is_ok());
}
