//! A project for a rule, and its `rule.json`.

use std::fs;
use std::io::ErrorKind::{IsADirectory, NotADirectory, NotFound};
use std::path::{Path, PathBuf};

use quorate_node::{Code, Failure};
use quorate_types::PublicKey;
use serde_json::value::RawValue;

use super::fields::{self, Fields};
use super::words;
use crate::args::Language;
use crate::stop::{Outcome, Stop};
use crate::text;

/// Name of the file that makes a directory a project.
const MANIFEST: &str = "rule.json";

/// What to type where there is no project.
const NEW: &str = "quorate rule new NAME makes a project";

/// Longest name of a rule, in bytes.
const MAX_NAME_BYTES: usize = 32;

/// A directory with a `rule.json`.
pub(super) struct Project {
    directory: PathBuf,
    pub(super) manifest: Manifest,
}

/// What a `rule.json` says.
pub(super) struct Manifest {
    /// Name of the rule.
    pub(super) name: String,
    /// Where the module is, from the directory.
    module: PathBuf,
    params: Option<Box<RawValue>>,
    /// Entries and what becomes of them.
    pub(super) vectors: Vec<Vector>,
}

/// An entry, and the code that the rule must give it.
pub(super) struct Vector {
    /// A name, or a key, as it was written.
    pub(super) author: Option<String>,
    /// The author's key.
    pub(super) key: Option<PublicKey>,
    pub(super) payload: Vec<u8>,
    /// 0 accepts.
    pub(super) code: u32,
}

impl Project {
    /// Reads the `rule.json` of a directory. `command` of `quorate rule` is the one to type with another directory, where
    /// this is none.
    pub(super) fn open(directory: PathBuf, command: &str) -> Outcome<Self> {
        let path = within(&directory, Path::new(MANIFEST));
        let shown = path.display().to_string();
        let text = fs::read(&path).map_err(|error| {
            if let Some(file) = file_in(&directory) {
                let message =
                    format!("expected the directory of a project, found the file {}", file.display());
                return Stop::usage(message, with_directory(&file, command));
            }
            let is_named_wrong = matches!(error.kind(), NotFound | IsADirectory | NotADirectory);
            let code = if is_named_wrong { Code::BadRequest } else { Code::Io };
            let message = format!("expected the file of a project, found {shown}: {error}");
            Failure::new(code, message).next(NEW).into()
        })?;
        let manifest = Manifest::read(&text, &shown)?;
        check_name(&manifest.name)?;
        Ok(Self { directory, manifest })
    }

    /// Returns the directory.
    pub(super) fn directory(&self) -> &Path {
        &self.directory
    }

    /// Returns the path of the module.
    pub(super) fn module(&self) -> PathBuf {
        within(&self.directory, &self.manifest.module)
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
            Err(Stop::usage(message, NEW))
        }
    }

    /// Returns the params that the vectors are run with.
    pub(super) fn params(&self) -> Vec<u8> {
        self.manifest.params.as_deref().map(words::compact_with_keys).unwrap_or_default().into_bytes()
    }
}

/// Returns the path of something in a directory as it would be typed: `build/x.wasm` rather than `./build/x.wasm`.
fn within(directory: &Path, path: &Path) -> PathBuf {
    match directory.as_os_str() == "." {
        true => path.to_path_buf(),
        false => directory.join(path),
    }
}

/// Finds what is no directory in the path of one.
fn file_in(directory: &Path) -> Option<PathBuf> {
    // Without a separator at the end, behind which no file is found.
    let path: PathBuf = directory.components().collect();
    let is_file = |path: &&Path| path.metadata().is_ok_and(|found| !found.is_dir());
    path.ancestors().find(is_file).map(Path::to_path_buf)
}

/// Writes the command for the project that a file is of: it is the file's directory, or the one above.
fn with_directory(file: &Path, command: &str) -> String {
    let above = file.ancestors().skip(1).take(2);
    match above.into_iter().find(|directory| directory.join(MANIFEST).is_file()) {
        Some(here) if here.as_os_str().is_empty() => format!("quorate rule {command}"),
        Some(directory) => {
            format!("quorate rule {command} {}", text::shell(&directory.to_string_lossy()))
        }
        None => NEW.into(),
    }
}

impl Manifest {
    fn read(text: &[u8], shown: &str) -> Outcome<Self> {
        let wrong = |problem: String| {
            let next = "write it as in a new project: quorate rule new NAME";
            Stop::usage(format!("{shown}: {problem}"), next)
        };
        let fields = Fields::read(text, "an object with name, module and vectors").map_err(wrong)?;
        let vectors = match fields.get("vectors").map_err(wrong)? {
            Some(json) => fields::elements(json, "vectors").map_err(wrong)?,
            None => vec![],
        };
        let vectors = (1..).zip(vectors).map(|(index, json): (u64, _)| {
            Vector::read(json).map_err(|problem| {
                let next = r#"write it as {"author": "alice", "payload": {}, "code": 0}"#;
                Stop::usage(format!("vector {index} of {shown}: {problem}"), next)
            })
        });
        Ok(Self {
            name: fields.required("name").map_err(wrong)?,
            module: fields.required("module").map_err(wrong)?.into(),
            params: fields.get("params").map_err(wrong)?.map(RawValue::to_owned),
            vectors: vectors.collect::<Outcome<_>>()?,
        })
    }
}

impl Vector {
    fn read(json: &RawValue) -> Result<Self, String> {
        let fields = Fields::of(json, "an object with author, payload, text or hex, and code")?;
        if let Some(field) = fields.other_than(&["author", "payload", "text", "hex", "code"]) {
            return Err(format!("expected author, payload, text or hex, and code, found {field:?}"));
        }
        let author = fields.string("author")?;
        let payload = match (fields.get("payload")?, fields.string("text")?, fields.string("hex")?) {
            (Some(json), None, None) => words::compact_with_keys(json).into_bytes(),
            (None, Some(text), None) => text.into_bytes(),
            (None, None, Some(digits)) => words::hex(&digits)?,
            (None, None, None) => return Err("expected one of payload, text and hex, found none".into()),
            (json, text, digits) => {
                let given =
                    [(json.is_some(), "payload"), (text.is_some(), "text"), (digits.is_some(), "hex")];
                let given: Vec<&str> = given.iter().filter(|(is, _)| *is).map(|(_, name)| *name).collect();
                return Err(format!("expected one of payload, text and hex, found {}", given.join(" and ")));
            }
        };
        let code =
            fields.get("code")?.ok_or("expected code, which is 0 for what the rule accepts, found none")?;
        let code = serde_json::from_str(code.get()).map_err(|_| {
            format!("expected a whole number of 0 to {} as code, found {}", u32::MAX, fields::kind(code))
        })?;
        let key = author.as_deref().map(words::author).transpose()?;
        Ok(Self { author, key, payload, code })
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
