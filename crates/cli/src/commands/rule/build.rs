//! `quorate rule build`: the build of a project, and the gate.

use std::fs;
use std::path::{Path, PathBuf};

use quorate_node::{Code, Failure};
use serde::{Deserialize, Serialize};

use super::apart;
use super::check::Report;
use super::module::Module;
use super::project::Project;
use super::tools::{Tool, Words};
use crate::args::Language;
use crate::output::Output;
use crate::stop::{Outcome, Stop};
use crate::text;

const NPM: Tool = Tool {
    program: if cfg!(windows) { "npm.cmd" } else { "npm" },
    install: "install Node.js 20 or newer, which brings npm: https://nodejs.org",
};

const CARGO: Tool = Tool {
    program: "cargo",
    install: "install Rust, https://rustup.rs, then: rustup target add wasm32-unknown-unknown",
};

const RUSTC: Tool = Tool { program: "rustc", install: CARGO.install };

const TARGET: &str = "wasm32-unknown-unknown";

#[derive(Serialize)]
struct Built<'a> {
    schema: &'static str,
    name: &'a str,
    module: &'a str,
    hash: &'a str,
    bytes: usize,
    metered_bytes: usize,
}

/// `quorate rule build [DIR]`.
pub(super) async fn build(directory: PathBuf, output: &mut Output) -> Outcome {
    let words = match (output.json, output.quiet) {
        (true, _) => Words::InFailure,
        (false, true) => Words::OnFailure,
        (false, false) => Words::Shown,
    };
    let project = Project::open(directory, "build")?;
    let (name, module) = (project.manifest.name.clone(), project.module());
    let directory = project.directory().to_path_buf();
    let report = apart::once(move || {
        make(&project, words)?;
        let module = Module::read(&project.module())?;
        Ok(Report::of(&module.shown, &module.inspect()?))
    })
    .await?;
    let shown = module.to_string_lossy();
    if output.json {
        return output.object(&Built {
            schema: "quorate.built/1",
            name: &name,
            module: &shown,
            hash: &report.hash,
            bytes: report.bytes,
            metered_bytes: report.metered_bytes,
        });
    }
    let size = text::bytes(report.bytes as u64);
    output.line(&format!("{}  {size}  {}", output.paint.bold(&text::clean(&shown)), report.hash))?;
    let project = match directory.as_os_str() == "." {
        true => String::new(),
        false => format!(" {}", text::shell(&directory.to_string_lossy())),
    };
    let check = format!("quorate rule check {}", text::shell(&shown));
    output.next(&[format!("quorate rule test{project}"), check]);
    Ok(())
}

fn make(project: &Project, words: Words) -> Outcome {
    match project.language()? {
        Language::AssemblyScript => assemblyscript(project.directory(), words),
        Language::Rust => {
            let built = rust(project.directory(), words)?;
            let bytes = fs::read(&built)
                .map_err(|error| Stop::io(format_args!("reading {}", built.display()), &error))?;
            write(&project.module(), &bytes)
        }
        Language::Wat => {
            let source = project.text();
            let bytes = wat::parse_file(&source).map_err(|error| {
                let found = error.to_string().lines().map(str::trim).collect::<Vec<_>>().join(" ");
                let source = source.display();
                Failure::new(
                    Code::BuildFailed,
                    format!("{source} cannot be read as WebAssembly text: {found}"),
                )
            })?;
            write(&project.module(), &bytes)
        }
    }
}

fn assemblyscript(directory: &Path, words: Words) -> Outcome {
    if !directory.join("node_modules").is_dir() {
        NPM.run(&["install"], directory, false, words)?;
    }
    NPM.run(&["run", "build"], directory, false, words)?;
    Ok(())
}

/// What cargo says of something that it has made.
#[derive(Deserialize)]
struct Message {
    reason: String,
    #[serde(default)]
    filenames: Vec<PathBuf>,
}

/// Builds with cargo, and returns where the module is.
fn rust(directory: &Path, words: Words) -> Outcome<PathBuf> {
    let arguments = ["build", "--release", "--target", TARGET, "--message-format", "json-render-diagnostics"];
    let messages = CARGO.run(&arguments, directory, true, words).map_err(|stop| match &stop {
        Stop::Failed(failure) if failure.code == Code::BuildFailed && !has_target(directory) => {
            let message = format!("expected the standard library of Rust for {TARGET}, found none");
            Failure::new(Code::ToolMissing, message).next(format!("rustup target add {TARGET}")).into()
        }
        _ => stop,
    })?;
    let made = messages.split(|byte| *byte == b'\n').filter_map(|line| serde_json::from_slice(line).ok());
    made.filter(|message: &Message| message.reason == "compiler-artifact")
        .flat_map(|message| message.filenames)
        .rfind(|path| path.extension().is_some_and(|extension| extension == "wasm"))
        .ok_or_else(|| {
            let message = "expected cargo to make a .wasm file, found none among what it made";
            Failure::new(Code::BuildFailed, message)
                .next("Cargo.toml: [lib] crate-type = [\"cdylib\"]")
                .into()
        })
}

/// Tells whether the compiler that cargo uses here has a library for the target. A compiler that does not say is
/// taken at cargo's word.
fn has_target(directory: &Path) -> bool {
    let answer = RUSTC.ask(&["--print", "target-libdir", "--target", TARGET], directory);
    answer.is_none_or(|library| Path::new(&library).is_dir())
}

fn write(path: &Path, bytes: &[u8]) -> Outcome {
    let writing = |error: std::io::Error| Stop::io(format_args!("writing {}", path.display()), &error);
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent).map_err(writing)?;
    }
    fs::write(path, bytes).map_err(writing)
}
