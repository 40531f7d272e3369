//! `cargo xtask sim`: many runs of the quorum's engine in the seeded world.

use anyhow::{Context, Result, bail};

use crate::run::{cargo, run as call};

/// Runs attacks and runs of chance, or the enumeration of twins, with an optimized build.
pub(crate) fn run(arguments: &[String]) -> Result<()> {
    let mut call_with = vec!["run", "--quiet", "--release", "--package", "quorate-sim", "--"];
    let mut options = Vec::new();
    let mut command = "run";
    let mut arguments = arguments.iter();
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--twins" => command = "twins",
            option @ ("--runs" | "--seed" | "--changes" | "--every") => {
                let number = arguments.next().with_context(|| format!("expected a number after {option}"))?;
                number
                    .parse::<u64>()
                    .with_context(|| format!("expected a number after {option}, found {number:?}"))?;
                options.extend([option, number.as_str()]);
            }
            other => bail!("expected --runs, --seed, --changes, --twins or --every, found {other:?}"),
        }
    }
    call_with.push(command);
    call_with.extend(options);
    call(&mut cargo(&call_with))
}
