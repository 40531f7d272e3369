//! `cargo xtask check`: the one gate.

use std::ffi::OsString;
use std::time::Instant;

use anyhow::{Result, bail};

use crate::run::{cargo, is_there, run as call, target_directory};
use crate::{codegen, floors, fuzz, lan, rules};

type Step = (&'static str, fn() -> Result<()>);

/// What a change must pass; cheap steps first, and each runs even when one before it failed.
const STEPS: [Step; 9] = [
    ("fmt", || call(&mut cargo(&["fmt", "--all", "--check"]))),
    ("floors", floors::run),
    ("generated code", codegen::check),
    ("clippy", || {
        call(&mut cargo(&[
            "clippy",
            "--workspace",
            "--all-targets",
            "--all-features",
            "--",
            "-D",
            "warnings",
        ]))
    }),
    ("tests", tests),
    ("doc tests", || call(&mut cargo(&["test", "--workspace", "--all-features", "--doc"]))),
    ("rustdoc", || {
        call(cargo(&["doc", "--workspace", "--all-features", "--no-deps"]).env("RUSTDOCFLAGS", "-D warnings"))
    }),
    ("shipped rules", rules::check),
    ("fuzz smoke", fuzz::smoke),
];

/// Runs every step and reports all that failed.
fn run_all() -> Vec<&'static str> {
    let mut failed = Vec::new();
    for (name, step) in STEPS {
        let start = Instant::now();
        let outcome = step();
        let seconds = start.elapsed().as_secs_f64();
        match outcome {
            Ok(()) => eprintln!("gate: {name}: passed in {seconds:.1} s\n"),
            Err(error) => {
                eprintln!("gate: {name}: FAILED in {seconds:.1} s: {error:#}\n");
                failed.push(name);
            }
        }
    }
    failed
}

/// Runs the gate.
///
/// # Errors
///
/// A step failed; each one is named.
pub(crate) fn run() -> Result<()> {
    let failed = run_all();
    eprintln!("gate: {} steps passed, {} failed", STEPS.len() - failed.len(), failed.len());
    if !failed.is_empty() {
        bail!("the gate failed at: {}", failed.join(", "));
    }
    Ok(())
}

/// Runs all tests but the doc tests, with cargo-nextest where it is installed.
fn tests() -> Result<()> {
    let runner: &[&str] = match is_there(&mut cargo(&["nextest"])) {
        true => &["nextest", "run"],
        false => &["test", "--lib", "--bins", "--tests", "--examples"],
    };
    let all = ["--workspace", "--all-features"];
    // With the tests the binary is built, from the same dependencies: a build of its own would make them twice, since
    // dependencies of tests turn on other features.
    call(&mut cargo(&[runner, &all, &["--no-run"]].concat()))?;
    let mut binary = target_directory().join("debug").join("quorate").into_os_string();
    binary.push(OsString::from(std::env::consts::EXE_SUFFIX));
    let mut tests = cargo(&[runner, &all, &["--no-fail-fast"]].concat());
    tests.env("QUORATE_BIN", binary);
    if let Err(reason) = lan::probe() {
        eprintln!(
            "gate: tests: SKIPPING those of discovery and of cut links, which need a network of their own: {reason:#}"
        );
        tests.env("QUORATE_WITHOUT_LAN", format!("{reason:#}"));
    }
    call(&mut tests)
}
