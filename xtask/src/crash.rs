//! `cargo xtask crash`: the crash tests with hundreds of kills.

use anyhow::{Context, Result, bail};

use crate::run::{cargo, run as call};

/// Kills of each test.
const RUNS: u64 = 300;

/// Runs the crash tests of interop-tests, optimized, with more kills than the gate has.
pub(crate) fn run(arguments: &[String]) -> Result<()> {
    let mut command = cargo(&[
        "test",
        "--release",
        "--package",
        "quorate-interop-tests",
        "--test",
        "crash",
        "--",
        "--nocapture",
    ]);
    command.env("QUORATE_CRASH_RUNS", RUNS.to_string());
    let mut arguments = arguments.iter();
    while let Some(argument) = arguments.next() {
        let variable = match argument.as_str() {
            "--runs" => "QUORATE_CRASH_RUNS",
            "--seed" => "QUORATE_CRASH_SEED",
            other => bail!("expected --runs or --seed, found {other:?}"),
        };
        let number = arguments.next().with_context(|| format!("expected a number after {argument}"))?;
        number
            .parse::<u64>()
            .with_context(|| format!("expected a number after {argument}, found {number:?}"))?;
        command.env(variable, number);
    }
    call(&mut command)
}
