//! `quorate rule new`: a project that builds.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use quorate_node::{Code, Failure};
use serde::Serialize;

use super::project;
use super::templates::{self, Made};
use crate::args::{Language, RuleNewArgs};
use crate::output::Output;
use crate::stop::{Outcome, Stop};
use crate::text;

#[derive(Serialize)]
struct Project<'a> {
    schema: &'static str,
    name: &'a str,
    language: &'static str,
    directory: &'a str,
    files: Vec<&'a str>,
}

/// `quorate rule new NAME [--lang LANGUAGE] [--dir DIR]`.
pub(super) fn new(args: &RuleNewArgs, output: &mut Output) -> Outcome {
    project::check_name(&args.name)?;
    let directory = args.dir.clone().unwrap_or_else(|| PathBuf::from(&args.name));
    let files = templates::project(args.lang, &args.name);
    write(&directory, &files)?;
    let shown = directory.to_string_lossy();
    if output.json {
        return output.object(&Project {
            schema: "quorate.project/1",
            name: &args.name,
            language: language(args.lang),
            directory: &shown,
            files: files.iter().map(|file| file.path.as_str()).collect(),
        });
    }
    let (sdk, own): (Vec<&Made>, Vec<&Made>) = files.iter().partition(|file| file.path.starts_with("sdk/"));
    output.line(&format!("{} in {}", output.paint.bold(&args.name), text::clean(&shown)))?;
    for file in own {
        output.line(&format!("  {}", file.path))?;
    }
    if !sdk.is_empty() {
        output.line(&format!("  sdk/  {}", text::count(sdk.len() as u64, "file")))?;
    }
    let mut next = vec![format!("cd {}", text::shell(&shown))];
    next.extend(steps(args.lang).iter().map(|step| step.to_string()));
    output.next(&next);
    Ok(())
}

const fn language(language: Language) -> &'static str {
    match language {
        Language::AssemblyScript => "assemblyscript",
        Language::Rust => "rust",
        Language::Wat => "wat",
    }
}

/// What to type in a new project.
const fn steps(language: Language) -> &'static [&'static str] {
    match language {
        Language::AssemblyScript => &["npm install", "npm test", "quorate rule test"],
        Language::Rust => &["cargo test", "quorate rule build", "quorate rule test"],
        Language::Wat => &["quorate rule build", "quorate rule test"],
    }
}

fn write(directory: &Path, files: &[Made]) -> Outcome {
    let shown = directory.display();
    let writing = |error: io::Error| Stop::io(format_args!("writing a project into {shown}"), &error);
    fs::create_dir_all(directory).map_err(|error| match error.kind() {
        io::ErrorKind::AlreadyExists | io::ErrorKind::NotADirectory => taken(directory, "a file"),
        _ => writing(error),
    })?;
    if fs::read_dir(directory).map_err(writing)?.next().is_some() {
        return Err(taken(directory, "files in it"));
    }
    for file in files {
        let path = directory.join(&file.path);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent).map_err(writing)?;
        }
        fs::write(path, file.text.as_bytes()).map_err(writing)?;
    }
    Ok(())
}

fn taken(directory: &Path, found: &str) -> Stop {
    let message = format!("expected no directory {}, or an empty one, found {found}", directory.display());
    Stop::Failed(Failure::new(Code::DestinationExists, message).next("name another one: --dir DIR"))
}
