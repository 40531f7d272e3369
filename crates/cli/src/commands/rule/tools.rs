//! The programs that build rules.

use std::ffi::OsStr;
use std::io::{self, Write};
use std::path::Path;
use std::process::{Command, Output, Stdio};

use quorate_node::{Code, Failure};

use crate::stop::{Outcome, Stop};

/// Most lines of a program's words that a failure repeats.
const LAST_LINES: usize = 20;

/// A program, and how to get it.
pub(super) struct Tool {
    /// What is run.
    pub(super) program: &'static str,
    /// What to do where it is missing.
    pub(super) install: &'static str,
}

/// What becomes of the words of a program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Words {
    /// They go to standard error as they come.
    Shown,
    /// They go to standard error when the program fails.
    OnFailure,
    /// The last of them are part of the failure.
    InFailure,
}

impl Tool {
    /// Runs the program in a directory, and returns what it wrote on standard output, if that is `wanted`.
    pub(super) fn run(
        &self,
        arguments: &[&str],
        directory: &Path,
        wanted: bool,
        words: Words,
    ) -> Outcome<Vec<u8>> {
        let mut command = self.command(arguments, directory);
        if words == Words::Shown {
            command.stderr(Stdio::inherit());
            if !wanted {
                command.stdout(io::stderr());
            }
        }
        let output = command.output().map_err(|error| self.missing(&error))?;
        if output.status.success() {
            return Ok(output.stdout);
        }
        let said = self.said(&output, wanted);
        let mut message = format!("{} {} ended with {}", self.program, arguments.join(" "), output.status);
        match words {
            Words::Shown => {}
            // Where standard error is closed there is nobody left to tell.
            Words::OnFailure => drop(io::stderr().write_all(said.as_bytes())),
            Words::InFailure => {
                let lines: Vec<&str> = said.lines().collect();
                let last = lines.get(lines.len().saturating_sub(LAST_LINES)..).unwrap_or_default();
                message = format!("{message}:\n{}", last.join("\n"));
            }
        }
        Err(Failure::new(Code::BuildFailed, message).into())
    }

    /// Asks the program for a line. `None` when it does not answer.
    pub(super) fn ask(&self, arguments: &[impl AsRef<OsStr>], directory: &Path) -> Option<String> {
        let output = self.command(arguments, directory).output().ok()?;
        let answer = String::from_utf8(output.stdout).ok()?;
        output.status.success().then(|| answer.trim().to_string())
    }

    fn command(&self, arguments: &[impl AsRef<OsStr>], directory: &Path) -> Command {
        let mut command = Command::new(self.program);
        command.args(arguments).current_dir(directory).stdin(Stdio::null());
        command
    }

    fn said(&self, output: &Output, wanted: bool) -> String {
        let mut said = String::new();
        if !wanted {
            said.push_str(&String::from_utf8_lossy(&output.stdout));
        }
        said.push_str(&String::from_utf8_lossy(&output.stderr));
        said
    }

    fn missing(&self, error: &io::Error) -> Stop {
        if error.kind() == io::ErrorKind::NotFound {
            let message = format!("expected {} on the PATH, found none", self.program);
            return Failure::new(Code::ToolMissing, message).next(self.install).into();
        }
        Stop::io(format_args!("starting {}", self.program), error)
    }
}
