//! `cargo xtask quorum`: rooms of real processes that are killed and cut off from each other, for long.

use anyhow::{Context, Result, bail};

use crate::run::{cargo, run as call};

/// Kills, and times that links are cut.
const RUNS: &str = "300";

/// Runs the tests of the gate, optimized, with more of what goes wrong.
pub(crate) fn run(arguments: &[String]) -> Result<()> {
    let tests =
        ["test", "--release", "--workspace", "--all-features", "--test", "quorum", "--", "--nocapture"];
    let mut command = cargo(&[&tests[..], &["--test-threads", "1"]].concat());
    command.env("QUORATE_QUORUM_RUNS", RUNS);
    let mut arguments = arguments.iter();
    while let Some(argument) = arguments.next() {
        let variable = match argument.as_str() {
            "--runs" => "QUORATE_QUORUM_RUNS",
            "--seed" => "QUORATE_QUORUM_SEED",
            other => bail!("expected --runs or --seed, found {other:?}"),
        };
        let number = arguments.next().with_context(|| format!("expected a number after {argument}"))?;
        let is_number = number.parse::<u64>().is_ok();
        if !is_number {
            bail!("expected a number after {argument}, found {number:?}");
        }
        command.env(variable, number);
    }
    call(&mut command)
}
