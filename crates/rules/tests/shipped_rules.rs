//! The rules in `rules/built`: the gate, the list of hashes, and the vectors, in the engine that rooms use.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use quorate_rules::abi::{Call, CallKind, Host, Missing, Usage};
use quorate_rules::engine::{Engine, EngineConfig, Rule};
use quorate_rules::limits::GAS_LIMIT_CHECK;
use quorate_rules::state::StateError;
use quorate_rules::verdict::{Outcome, Verdict};
use quorate_rules::{gate, meter};
use quorate_types::{Hash, PublicKey};
use serde_json::Value;

/// Largest module that is shipped, in bytes.
const SMALL_BYTES: usize = 32 * 1024;

/// Gas that no vector comes near: a quarter of what there is.
const LITTLE_GAS: u64 = GAS_LIMIT_CHECK as u64 / 4;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../rules")
}

/// Name, hash and bytes of each rule, as `rules/built/SHA` lists them.
fn shipped() -> Vec<(String, String, Vec<u8>)> {
    let list = fs::read_to_string(folder().join("built/SHA")).unwrap();
    let rules: Vec<_> = list
        .lines()
        .map(|line| {
            let [name, hash, size] = line.split(' ').collect::<Vec<_>>()[..] else {
                panic!("a line of SHA: {line}")
            };
            let module = fs::read(folder().join(format!("built/{name}.wasm"))).unwrap();
            assert_eq!(module.len(), size.parse::<usize>().unwrap(), "{name}");
            (name.to_owned(), hash.to_owned(), module)
        })
        .collect();
    assert!(rules.len() >= 3, "rules/built/SHA lists {} rules", rules.len());
    rules
}

/// A state in memory.
#[derive(Default)]
struct Room {
    state: BTreeMap<Vec<u8>, Vec<u8>>,
}

impl Room {
    fn call(
        &mut self,
        rule: &Rule,
        kind: CallKind,
        index: u64,
        author: PublicKey,
        params: &[u8],
        payload: &[u8],
    ) -> Outcome {
        let gas = GAS_LIMIT_CHECK.unsigned_abs();
        let previous = Hash::new([7; 32]);
        let outcome =
            rule.check(&Call { kind, flags: 0, index, previous, author, params, payload, gas }, self);
        for (key, value) in &outcome.writes {
            match value {
                Some(value) => self.state.insert(key.clone(), value.clone()),
                None => self.state.remove(key),
            };
        }
        outcome
    }
}

impl Host for Room {
    fn block(&mut self, index: u64) -> Result<Bytes, Missing> {
        Err(Missing { index })
    }

    fn get(&mut self, key: &[u8]) -> Result<Option<Vec<u8>>, StateError> {
        Ok(self.state.get(key).cloned())
    }

    fn usage(&mut self) -> Result<Usage, StateError> {
        let bytes = self.state.iter().map(|(key, value)| (key.len() + value.len()) as u64).sum();
        Ok(Usage { bytes, keys: self.state.len() as u64 })
    }
}

/// The key of somebody in a vector: of a name, always the same.
fn key(who: &str) -> PublicKey {
    who.parse().unwrap_or_else(|_| {
        let hash = blake2b_simd::Params::new().hash_length(32).hash(format!("test key {who}").as_bytes());
        PublicKey::from_slice(hash.as_bytes()).unwrap()
    })
}

/// The value with each string `key:NAME` in it replaced by that key.
fn with_keys(value: &Value) -> Value {
    match value {
        Value::String(text) => match text.strip_prefix("key:") {
            Some(who) => Value::String(key(who).to_string()),
            None => value.clone(),
        },
        Value::Array(items) => Value::Array(items.iter().map(with_keys).collect()),
        Value::Object(members) => {
            Value::Object(members.iter().map(|(name, value)| (name.clone(), with_keys(value))).collect())
        }
        other => other.clone(),
    }
}

fn code(outcome: &Outcome) -> u32 {
    match &outcome.verdict {
        Verdict::Accept => 0,
        Verdict::Reject { code, .. } => *code,
        Verdict::Unable(why) => panic!("{why}"),
    }
}

#[test]
fn the_list_has_the_hashes_of_the_modules() {
    for (name, hash, module) in shipped() {
        assert_eq!(gate::inspect(&module).unwrap().hash().to_string(), hash, "{name}");
    }
}

#[test]
fn the_gate_lets_them_in_and_they_are_small() {
    for (name, _, module) in shipped() {
        let inspected = gate::inspect(&module).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert!(inspected.exports().init, "{name} reads its params when it begins");
        assert!(module.len() <= SMALL_BYTES, "{name} has {} bytes", module.len());
        assert_eq!(meter::meter(&inspected).version, meter::METER_VERSION);
    }
}

#[test]
fn their_vectors_hold_in_the_engine() {
    let engine = Engine::new(EngineConfig { instances: 1, ..EngineConfig::default() }).unwrap();
    for (name, _, module) in shipped() {
        let rule = engine.compile(&module).unwrap();
        let project = fs::read(folder().join(&name).join("rule.json")).unwrap();
        let project: Value = serde_json::from_slice(&project).unwrap();
        let params = project.get("params").map(|params| with_keys(params).to_string()).unwrap_or_default();
        let mut room = Room::default();
        let begun = room.call(&rule, CallKind::Init, 1, PublicKey::new([0; 32]), params.as_bytes(), b"");
        assert_eq!(begun.verdict, Verdict::Accept, "{name}");

        let vectors = project["vectors"].as_array().unwrap();
        assert!(!vectors.is_empty(), "{name} has no vectors");
        let mut index = 1;
        for vector in vectors {
            let author = vector["author"].as_str().map_or(PublicKey::new([0; 32]), key);
            let payload = match vector["text"].as_str() {
                Some(text) => text.to_owned(),
                None => with_keys(&vector["payload"]).to_string(),
            };
            let outcome =
                room.call(&rule, CallKind::Check, index, author, params.as_bytes(), payload.as_bytes());
            assert_eq!(
                u64::from(code(&outcome)),
                vector["code"].as_u64().unwrap(),
                "{name}: {vector}: {:?}",
                outcome.verdict
            );
            assert!(outcome.gas_used < LITTLE_GAS, "{name}: {vector} took {} gas", outcome.gas_used);
            index += u64::from(outcome.verdict == Verdict::Accept);
        }
    }
}

#[test]
fn a_payload_that_is_as_hard_to_read_as_can_be_is_refused_with_gas_left() {
    let engine = Engine::new(EngineConfig { instances: 1, ..EngineConfig::default() }).unwrap();
    let most = quorate_types::limits::MAX_PAYLOAD_BYTES;
    let object = |first: usize| {
        let members: Vec<String> = (0..128).map(|i| format!("\"{:03}\":{}", first + i, i % 10)).collect();
        format!("{{{}}}", members.join(","))
    };
    let mut many = String::from("{\"a\":[");
    while many.len() + 1100 < most {
        many += &object(0);
        many.push(',');
    }
    many += "1]}";
    let long = format!("{{\"a\":\"{}\"}}", "é".repeat((most - 8) / 2));
    for (name, _, module) in shipped() {
        let rule = engine.compile(&module).unwrap();
        for payload in [&many, &long] {
            let mut room = Room::default();
            let outcome = room.call(&rule, CallKind::Check, 1, key("alice"), b"", payload.as_bytes());
            assert!(code(&outcome) < 65_536, "{name}: {:?}", outcome.verdict);
            assert!(
                outcome.gas_used < GAS_LIMIT_CHECK.unsigned_abs() / 4 * 3,
                "{name} took {} gas",
                outcome.gas_used
            );
        }
    }
}
