//! Where output goes: data to standard output, everything else to standard error.

use std::io::{self, BufWriter, IsTerminal, Write};

use quorate_node::{Code, Failure};
use serde::Serialize;

use crate::args::{Color, Global};
use crate::stop::{Outcome, Stop};
use crate::text::{self, Paint};

/// Standard output and what may be said besides.
pub(crate) struct Output {
    stdout: BufWriter<io::Stdout>,
    /// Whether data goes out as JSON.
    pub(crate) json: bool,
    /// Whether hints and progress are unwanted.
    pub(crate) quiet: bool,
    /// Whether standard output is a terminal.
    pub(crate) terminal: bool,
    /// Whether standard error is a terminal.
    pub(crate) error_terminal: bool,
    /// The home, quoted for a shell, where commands must name it: it is neither the default one nor that of the
    /// environment.
    home: Option<String>,
    /// Colours of standard output.
    pub(crate) paint: Paint,
    /// Colours of standard error.
    pub(crate) error_paint: Paint,
}

impl Output {
    /// Looks at the options and at what the two streams are.
    pub(crate) fn new(global: &Global) -> Self {
        let terminal = io::stdout().is_terminal();
        let error_terminal = io::stderr().is_terminal();
        Self {
            stdout: BufWriter::with_capacity(64 * 1024, io::stdout()),
            json: global.json,
            quiet: global.quiet,
            terminal,
            error_terminal,
            home: named_home(global),
            paint: Paint::new(colours(global.color, terminal)),
            error_paint: Paint::new(colours(global.color, error_terminal)),
        }
    }

    /// Names the home in commands that are to be typed, where it must be named.
    pub(crate) fn on_home(&self, words: &str) -> String {
        match &self.home {
            Some(home) => text::on_home(words, home),
            None => words.to_owned(),
        }
    }

    /// Writes bytes as they are.
    pub(crate) fn bytes(&mut self, bytes: &[u8]) -> Outcome {
        self.stdout.write_all(bytes).map_err(|error| closed(&error))
    }

    /// Writes a line.
    pub(crate) fn line(&mut self, text: &str) -> Outcome {
        self.bytes(text.as_bytes())?;
        self.bytes(b"\n")
    }

    /// Writes one JSON object on a line of its own.
    pub(crate) fn object(&mut self, value: &impl Serialize) -> Outcome {
        serde_json::to_writer(&mut self.stdout, value).map_err(|error| closed(&error.into()))?;
        self.bytes(b"\n")
    }

    /// Sends off what was written.
    pub(crate) fn flush(&mut self) -> Outcome {
        self.stdout.flush().map_err(|error| closed(&error))
    }

    /// Says something on standard error, unless it must be quiet. `--json` leaves standard error to failures.
    pub(crate) fn note(&self, text: &str) {
        if !self.quiet && !self.json {
            self.warn(&self.on_home(text));
        }
    }

    /// Says something on standard error that must be known, in words even where `--json` is given.
    pub(crate) fn warn(&self, text: &str) {
        // Where standard error is closed there is nobody left to tell.
        let _ = writeln!(io::stderr().lock(), "{text}");
    }

    /// Prints commands to type next, as they are: some are for another machine.
    pub(crate) fn next(&self, commands: &[String]) {
        for (position, command) in commands.iter().enumerate() {
            let head = if position == 0 { "next:" } else { "     " };
            if !self.quiet && !self.json {
                self.warn(&format!("{} {command}", self.error_paint.dim(head)));
            }
        }
    }
}

fn named_home(global: &Global) -> Option<String> {
    let home = global.home.as_ref()?;
    let is_known = std::env::var_os("QUORATE_HOME").is_some_and(|value| value == home.as_os_str());
    (!is_known).then(|| text::shell(&home.to_string_lossy()))
}

/// Tells whether to colour a stream.
pub(crate) fn colours(color: Color, terminal: bool) -> bool {
    match color {
        Color::Always => true,
        Color::Never => false,
        Color::Auto => {
            terminal
                && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
                && std::env::var_os("TERM").is_none_or(|value| value != "dumb")
        }
    }
}

fn closed(error: &io::Error) -> Stop {
    if error.kind() == io::ErrorKind::BrokenPipe {
        Stop::Pipe
    } else {
        Stop::Failed(
            Failure::new(Code::Io, format!("writing to standard output: {error}"))
                .next("free space, or write somewhere else"),
        )
    }
}
