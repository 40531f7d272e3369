//! Developer commands: `cargo xtask COMMAND`.

mod agreement;
mod bench;
mod check;
mod codegen;
mod crash;
mod floors;
mod fuzz;
mod lan;
mod model;
mod peers;
mod quorum;
mod rules;
mod run;
mod sim;

use std::process::ExitCode;

use anyhow::{Result, bail};

const USAGE: &str = "\
usage: cargo xtask COMMAND

  test                 all there is: installs the pinned npm packages, then runs the gate
  check                the gate: fmt, floors, generated code, clippy, tests, doc tests, rustdoc, fuzz smoke
  peers                installs the pinned npm packages: stock peers, compiler of the rules (npm ci)
  codegen [--check]    generates crates/proto from proto/*.proto, or checks that it is unchanged
  floors               checks that dependencies point down and that floors 0 and 1 do no IO
  fuzz [--seconds N] [TARGET]...
                       runs the fuzz targets, N seconds each (default 60)
  crash [--runs N] [--seed N]
                       kills processes while they append and clone, N times each (default 300)
  quorum [--runs N] [--seed N]
                       kills the nodes of a room, and cuts their links, N times each (default 300)
  agreement [--entries N]
                       nodes that come to a room by different ways agree at every entry (default 100000)
  model                searches the larger spaces of the model of voting and handover (some minutes, some GiB)
  sim [--runs N] [--seed N] | sim --twins [--every N]
                       runs the quorum's engine in the seeded world: attacks and N runs of chance, or all twins
  bench [--runs N] [--scale N] [METRIC]...
                       measures, and prints figures, ratios and targets
";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match dispatch(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn dispatch(arguments: &[String]) -> Result<()> {
    let Some((command, rest)) = arguments.split_first() else {
        print!("{USAGE}");
        return Ok(());
    };
    match command.as_str() {
        "test" => no_more(rest).and_then(|()| peers::install()).and_then(|()| check::run()),
        "check" => no_more(rest).and_then(|()| check::run()),
        "peers" => no_more(rest).and_then(|()| peers::install()),
        "codegen" => codegen::run(rest),
        "floors" => no_more(rest).and_then(|()| floors::run()),
        "fuzz" => fuzz::run(rest),
        "agreement" => agreement::run(rest),
        "model" => no_more(rest).and_then(|()| model::run()),
        "sim" => sim::run(rest),
        "bench" => bench::run(rest),
        "crash" => crash::run(rest),
        "quorum" => quorum::run(rest),
        "help" | "--help" | "-h" => {
            print!("{USAGE}");
            Ok(())
        }
        other => bail!("expected a command, found {other:?}\n\n{USAGE}"),
    }
}

fn no_more(rest: &[String]) -> Result<()> {
    match rest.first() {
        Some(argument) => bail!("expected no further argument, found {argument:?}"),
        None => Ok(()),
    }
}
