//! A project for a rule, and its `rule.json`.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use quorate_node::{Code, Failure};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::words;
use crate::args::Language;
use crate::stop::{Outcome, Stop};

/// Name of the file that makes a directory a project.
const MANIFEST: &str = "rule.json";

/// Longest name of a rule, in bytes.
const MAX_NAME_BYTES: usize = 32;

/// A directory with a `rule.json`.
pub(super) struct Project {
    directory: PathBuf,
    pub(super) manifest: Manifest,
}

/// What a `rule.json` says.
#[derive(Debug, Deserialize)]
pub(super) struct Manifest {
    /// Name of the rule.
    pub(super) name: String,
    /// Where the module is, from the directory.
    module: PathBuf,
    #[serde(default, deserialize_with = "words::present")]
    params: Option<Box<RawValue>>,
    /// Entries and what becomes of them.
    #[serde(default)]
    pub(super) vectors: Vec<Vector>,
}

/// An entry, and the code that the rule must give it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Vector {
    /// A name, or a key.
    pub(super) author: Option<String>,
    #[serde(default, deserialize_with = "words::present")]
    payload: Option<Box<RawValue>>,
    text: Option<String>,
    hex: Option<String>,
    /// 0 accepts.
    pub(super) code: u32,
}

impl Project {
    /// Reads the `rule.json` of a directory.
    pub(super) fn open(directory: PathBuf) -> Outcome<Self> {
        let path = directory.join(MANIFEST);
        let shown = path.display();
        let next = "quorate rule new NAME makes a project";
        let text = fs::read_to_string(&path).map_err(|error| {
            let code = if error.kind() == io::ErrorKind::NotFound { Code::BadRequest } else { Code::Io };
            Failure::new(code, format!("expected the file of a project, found {shown}: {error}")).next(next)
        })?;
        let manifest: Manifest = serde_json::from_str(&text).map_err(|error| {
            let message = format!("expected name, module and vectors in {shown}, found {error}");
            Stop::usage(message, "write them as in a new project: quorate rule new NAME")
        })?;
        check_name(&manifest.name)?;
        Ok(Self { directory, manifest })
    }

    /// Returns the directory.
    pub(super) fn directory(&self) -> &Path {
        &self.directory
    }

    /// Returns the path of the module.
    pub(super) fn module(&self) -> PathBuf {
        // As it would be typed: `build/x.wasm` rather than `./build/x.wasm`.
        match self.directory.as_os_str() == "." {
            true => self.manifest.module.clone(),
            false => self.directory.join(&self.manifest.module),
        }
    }

    /// Returns the source, where the rule is WebAssembly text.
    pub(super) fn text(&self) -> PathBuf {
        self.directory.join(&self.manifest.name).with_extension("wat")
    }

    /// Tells the language by the files that are there.
    pub(super) fn language(&self) -> Outcome<Language> {
        let has = |name: &str| self.directory.join(name).is_file();
        if has("package.json") {
            Ok(Language::AssemblyScript)
        } else if has("Cargo.toml") {
            Ok(Language::Rust)
        } else if self.text().is_file() {
            Ok(Language::Wat)
        } else {
            let name = &self.manifest.name;
            let message = format!(
                "expected package.json, Cargo.toml or {name}.wat in {}, found none of them",
                self.directory.display()
            );
            Err(Stop::usage(message, "quorate rule new NAME makes a project"))
        }
    }

    /// Returns the params that the vectors are run with.
    pub(super) fn params(&self) -> Vec<u8> {
        self.manifest.params.as_deref().map(words::compact_with_keys).unwrap_or_default().into_bytes()
    }
}

impl Vector {
    /// Returns the bytes of the payload.
    pub(super) fn payload(&self) -> Result<Vec<u8>, String> {
        match (&self.payload, &self.text, &self.hex) {
            (Some(json), None, None) => Ok(words::compact_with_keys(json).into_bytes()),
            (None, Some(text), None) => Ok(text.clone().into_bytes()),
            (None, None, Some(digits)) => words::hex(digits),
            _ => Err("expected one of payload, text and hex".into()),
        }
    }
}

/// Refuses a name that no rule of a room can have.
pub(super) fn check_name(name: &str) -> Outcome {
    let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    if (1..=MAX_NAME_BYTES).contains(&name.len()) && name.bytes().all(fits) {
        return Ok(());
    }
    let message = format!("expected a name of 1 to 32 of a to z, 0 to 9 and the hyphen, found {name:?}");
    Err(Stop::usage(message, "take another name"))
}
