//! The quorate command line.

mod args;
mod backend;
mod commands;
mod context;
mod demo;
mod explain;
mod exposed;
mod follow;
mod interrupt;
mod names;
mod news;
mod output;
mod progress;
mod screen;
mod stop;
mod text;
mod watch;

use std::ffi::OsString;
use std::io::{IsTerminal, Write};
use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::{ColorChoice, CommandFactory, FromArgMatches};
use quorate_node::Code;
use rustix::process::{Resource, getrlimit, setrlimit};
use tracing_subscriber::EnvFilter;

use crate::args::{Cli, Color, Global};
use crate::context::Context;
use crate::interrupt::Interrupt;
use crate::output::{Output, colours};
use crate::stop::{Outcome, Stop};
use crate::text::Paint;

fn main() -> ExitCode {
    let words: Vec<OsString> = std::env::args_os().collect();
    let cli = match parse(&words) {
        Ok(cli) => cli,
        Err(error) => return usage(&error, &words),
    };
    let output = Output::new(&cli.global);
    let paint = output.error_paint;
    start_log(&cli.global, paint);
    raise_file_limit();
    let json = cli.global.json;
    match run(cli, output) {
        Ok(()) => ExitCode::SUCCESS,
        Err(stop) => {
            stop.report(json, paint);
            ExitCode::from(stop.exit())
        }
    }
}

/// Lets this process have as many files open as the system allows it: each stream has a dozen.
fn raise_file_limit() {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    // Where it stays as it is, a home with many streams says what could not be opened.
    let _ = setrlimit(Resource::Nofile, limit);
}

fn run(cli: Cli, output: Output) -> Outcome {
    let interrupt = Interrupt::install().map_err(|error| Stop::io("preparing for Ctrl-C", &error))?;
    let mut context = Context::new(&cli.global, output, interrupt)?;
    let result = backend::block_on(commands::run(cli.command, &mut context));
    let result = result.map_err(|stop| stop.on_home(&context.output));
    // What was written before a failure is data, too.
    let flushed = context.output.flush();
    result.and(flushed)
}

fn parse(words: &[OsString]) -> Result<Cli, clap::Error> {
    let mut command = Cli::command().color(color_of(words));
    let matches = command.try_get_matches_from_mut(words)?;
    Cli::from_arg_matches(&matches).map_err(|error| error.format(&mut command))
}

/// Looks for `--color` before anything is parsed: help and usage errors follow it, too.
fn color_of(words: &[OsString]) -> ColorChoice {
    let mut choice = None;
    for (position, word) in words.iter().enumerate() {
        if word == "--" {
            break;
        }
        let Some(word) = word.to_str() else { continue };
        if word == "--color" {
            choice = words.get(position + 1).and_then(|word| word.to_str());
        } else if let Some(value) = word.strip_prefix("--color=") {
            choice = Some(value);
        }
    }
    match choice {
        Some("always") => ColorChoice::Always,
        Some("never") => ColorChoice::Never,
        _ => ColorChoice::Auto,
    }
}

/// Tells what is wrong with the arguments, or prints the help that was asked for.
fn usage(error: &clap::Error, words: &[OsString]) -> ExitCode {
    let asked = matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion);
    let json = words.iter().skip(1).take_while(|word| *word != "--").any(|word| word == "--json");
    if json && !asked {
        let rendered = error.render().to_string();
        let message = rendered.split("\n\n").next().unwrap_or_default();
        let message = message.strip_prefix("error: ").unwrap_or(message);
        let stop = Stop::usage(message.split_whitespace().collect::<Vec<_>>().join(" "), "quorate help");
        stop.report(true, Paint::new(false));
        return ExitCode::from(stop.exit());
    }
    if asked || !is_error(&error.render().to_string()) {
        // A closed pipe, as in `quorate help | head`, is no failure.
        let _ = error.print();
        return ExitCode::from(if asked { 0 } else { 2 });
    }
    let color = match color_of(words) {
        ColorChoice::Always => Color::Always,
        ColorChoice::Never => Color::Never,
        ColorChoice::Auto => Color::Auto,
    };
    let paint = Paint::new(colours(color, std::io::stderr().is_terminal()));
    let rendered = error.render();
    let text = if paint.is_on() { rendered.ansi().to_string() } else { rendered.to_string() };
    // Where standard error is closed there is nobody left to tell.
    let _ = std::io::stderr().lock().write_all(with_code(&text, paint).as_bytes());
    ExitCode::from(Stop::usage("", "").exit())
}

/// Tells whether it is an error, and not the help that is shown where a command is missing.
fn is_error(rendered: &str) -> bool {
    rendered.starts_with("error:")
}

/// Puts the code of a wrong request behind what is wrong, the first paragraph.
fn with_code(rendered: &str, paint: Paint) -> String {
    let code = paint.dim(&format!("({})", Code::BadRequest));
    match rendered.split_once("\n\n") {
        Some((what, rest)) => format!("{what}  {code}\n\n{rest}"),
        None => format!("{}  {code}\n", rendered.trim_end()),
    }
}

fn start_log(global: &Global, paint: Paint) {
    let level = match global.verbose {
        // Warnings are sentences for people: with --json, standard error is for failures.
        0 if global.json || global.quiet => "off",
        0 => "warn",
        1 => "info",
        2 => "debug",
        _ => "trace",
    };
    let filter = EnvFilter::try_from_env("QUORATE_LOG").unwrap_or_else(|_| EnvFilter::new(level));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(paint.is_on())
        .init();
}
