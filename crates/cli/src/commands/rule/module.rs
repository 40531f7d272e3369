//! Modules: out of a file, or out of this program.

use std::borrow::Cow;
use std::fs::File;
use std::io::ErrorKind::{IsADirectory, NotADirectory, NotFound};
use std::io::{self, Read};
use std::path::Path;

use quorate_node::{Code, Failure};
use quorate_rules::builtin;
use quorate_rules::engine::{CompileError, Engine, EngineConfig, Rule};
use quorate_rules::gate::{self, GateError, Inspected};
use quorate_rules::limits::MAX_MODULE_BYTES;

use super::project;
use crate::stop::{Outcome, Stop};

/// What stands before the name of a rule that comes with the program.
const BUILTIN: &str = "builtin:";

/// What every module begins with.
const MAGIC: &[u8] = b"\0asm";

/// Bytes that are read of a file that is far too large for a module, so that its size can be told.
const MOST_READ: u64 = 64 * MAX_MODULE_BYTES as u64;

/// A module, as it was found.
pub(in crate::commands) struct Module {
    /// How it was named.
    pub(super) shown: String,
    bytes: Cow<'static, [u8]>,
}

/// A module, and the name that its rule is to have.
pub(in crate::commands) struct Named {
    /// The name.
    pub(in crate::commands) name: String,
    /// The module.
    pub(in crate::commands) module: Module,
}

impl Named {
    /// Returns what stands before the name in `FILE[:NAME]`.
    pub(in crate::commands) fn module_of(text: &str) -> &str {
        let (start, rest) = match text.strip_prefix(BUILTIN) {
            Some(rest) => (BUILTIN.len(), rest),
            None => (0, text),
        };
        match rest.rsplit_once(':') {
            Some((module, name)) if !name.contains('/') => text.get(..start + module.len()).unwrap_or(text),
            _ => text,
        }
    }

    /// Reads `FILE[:NAME]`. Without a name it is that of the file, or of the rule that comes with the program. `nothing`
    /// says what was not done, as in [`Module::inspect_for_room`].
    pub(in crate::commands) fn read(text: &str, nothing: &str) -> Outcome<Self> {
        let (path, name, is_of_file) = match text.strip_prefix(BUILTIN) {
            Some(rest) => match rest.split_once(':') {
                Some((builtin, name)) => (format!("{BUILTIN}{builtin}"), name.to_owned(), false),
                None => (text.to_owned(), rest.to_owned(), false),
            },
            None => match text.rsplit_once(':') {
                Some((path, name)) if !name.contains('/') => (path.to_owned(), name.to_owned(), false),
                _ => {
                    let stem = Path::new(text).file_stem().unwrap_or_default();
                    (text.to_owned(), stem.to_string_lossy().into_owned(), true)
                }
            },
        };
        let module = Module::read(Path::new(&path))?;
        if is_of_file {
            // The name of a file that is no module says nothing about rules.
            module.inspect_for_room(nothing)?;
        }
        project::check_name(&name)?;
        Ok(Self { name, module })
    }
}

impl Module {
    /// Returns its bytes.
    pub(in crate::commands) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Reads a module: a file, or `builtin:NAME`.
    pub(super) fn read(path: &Path) -> Outcome<Self> {
        let shown = path.display().to_string();
        if let Some(name) = path.to_str().and_then(|path| path.strip_prefix(BUILTIN)) {
            let builtin = builtin::named(name).ok_or_else(|| {
                let names: Vec<&str> = builtin::ALL.iter().map(|builtin| builtin.name).collect();
                let expected = names.join(", ");
                let message = format!("expected one of {expected} after {BUILTIN}, found {name:?}");
                Stop::usage(message, "quorate rule check builtin:chess")
            })?;
            return Ok(Self { shown, bytes: builtin.module.into() });
        }
        let reading = |error: io::Error| {
            let is_named_wrong = matches!(error.kind(), NotFound | IsADirectory | NotADirectory);
            let code = if is_named_wrong { Code::BadRequest } else { Code::Io };
            Stop::Failed(
                Failure::new(code, format!("expected a module to read, found {shown}: {error}"))
                    .next("quorate rule build DIR builds one"),
            )
        };
        let mut bytes = Vec::new();
        File::open(path).and_then(|file| file.take(MOST_READ).read_to_end(&mut bytes)).map_err(reading)?;
        Ok(Self { shown, bytes: bytes.into() })
    }

    /// Puts the module before the gate.
    pub(super) fn inspect(&self) -> Outcome<Inspected<'_>> {
        gate::inspect(&self.bytes).map_err(|error| self.refused(&error))
    }

    /// Puts the module of a room before the gate; `nothing` says what was not done when it is refused.
    pub(in crate::commands) fn inspect_for_room(&self, nothing: &str) -> Outcome<Inspected<'_>> {
        let told = |failure: Failure| {
            let message = format!("{}; {nothing}", failure.message);
            Failure { message, ..failure }
        };
        self.inspect().map_err(|stop| match stop {
            Stop::Failed(failure) => Stop::Failed(told(failure)),
            stop => stop,
        })
    }

    /// Makes it ready to run.
    pub(super) fn compile(&self) -> Outcome<Rule> {
        let unable = |error: &dyn std::error::Error| Failure::new(Code::Unable, error.to_string());
        let engine = Engine::new(EngineConfig { instances: 1, calls_a_store: 1, ..EngineConfig::default() })
            .map_err(|error| unable(&error))?;
        engine.compile(&self.bytes).map_err(|error| match &error {
            CompileError::Gate(refused) => self.refused(refused),
            CompileError::Backend { .. } => unable(&error).into(),
        })
    }

    fn refused(&self, error: &GateError) -> Stop {
        let shown = &self.shown;
        if self.bytes.starts_with(MAGIC) {
            return Failure::new(Code::GateRefuses, format!("the gate refuses {shown}: {error}")).into();
        }
        let found = match std::str::from_utf8(&self.bytes) {
            Ok("") => "nothing",
            Ok(text) if text.trim_start().starts_with(['(', ';']) => "WebAssembly text",
            Ok(text) if text.chars().any(|found| found.is_control() && !found.is_whitespace()) => {
                "other bytes"
            }
            Ok(_) => "text",
            Err(_) => "other bytes",
        };
        let message = format!(
            "the gate refuses {shown}: expected a WebAssembly module, which begins with the bytes 00 61 73 6d, found {found}"
        );
        Failure::new(Code::GateRefuses, message).next("quorate rule build DIR builds one").into()
    }
}
