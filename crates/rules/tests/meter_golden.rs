//! METER v1 is pinned: these modules have these metered forms for ever. A change that a vector notices needs a new version
//! of the meter beside this one.

use std::fs;
use std::path::{Path, PathBuf};

use quorate_rules::{gate, meter};
use quorate_types::ModuleHash;
use serde_json::Value;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden")
}

/// The module of a vector: its bytes in hexadecimal digits, or a file beside the list.
fn module(vector: &Value) -> Vec<u8> {
    match (vector["module"].as_str(), vector["file"].as_str()) {
        (Some(digits), None) => (0..digits.len())
            .step_by(2)
            .map(|at| u8::from_str_radix(&digits[at..at + 2], 16).unwrap())
            .collect(),
        (None, Some(file)) => fs::read(folder().join(file)).unwrap(),
        _ => panic!("expected a module or a file in {vector}"),
    }
}

#[test]
fn metered_modules_are_what_they_were() {
    let list = fs::read_to_string(folder().join("meter-v1.json")).unwrap();
    let vectors: Vec<Value> = serde_json::from_str(&list).unwrap();
    assert!(vectors.len() >= 14, "{} vectors", vectors.len());
    for vector in &vectors {
        let (name, bytes) = (&vector["name"], module(vector));
        let inspected = gate::inspect(&bytes).unwrap_or_else(|error| panic!("{name}: {error}"));
        let metered = meter::meter(&inspected);
        assert_eq!(metered.version, 1);
        let found = (metered.bytes.len(), ModuleHash::of(&metered.bytes).to_string());
        let expected = (
            vector["metered_bytes"].as_u64().unwrap() as usize,
            vector["metered"].as_str().unwrap().to_owned(),
        );
        assert_eq!(found, expected, "{name}");
    }
}
