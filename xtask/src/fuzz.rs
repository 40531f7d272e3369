//! `cargo xtask fuzz`: the fuzz targets of `fuzz/`.

use anyhow::{Context, Result, bail};

use crate::run::{cargo, root, run as call};

/// Inputs for each target in the gate.
const SMOKE_INPUTS: &str = "200000";

/// Runs fuzz targets for some time each, on the stable toolchain.
pub(crate) fn run(arguments: &[String]) -> Result<()> {
    let mut seconds = "60";
    let mut targets = Vec::new();
    let mut arguments = arguments.iter();
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--seconds" => seconds = arguments.next().context("expected a number after --seconds")?,
            option if option.starts_with('-') => bail!("expected --seconds or a target, found {option:?}"),
            target => targets.push(target),
        }
    }
    runner(&[&["--seconds", seconds], &targets[..]].concat())
}

/// Runs a fixed number of inputs through each target, the same ones every time.
pub(crate) fn smoke() -> Result<()> {
    runner(&["--inputs", SMOKE_INPUTS, "--seed", "1"])
}

fn runner(arguments: &[&str]) -> Result<()> {
    if !root().join("fuzz/Cargo.toml").is_file() {
        bail!("expected the fuzz targets in fuzz/, found none");
    }
    call(&mut cargo(&[&["run", "--quiet", "--package", "quorate-fuzz", "--"], arguments].concat()))
}
