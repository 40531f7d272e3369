//! `quorate completions` and `quorate man`.

use clap::CommandFactory;
use quorate_node::{Code, Failure};

use crate::args::{Cli, CompletionsArgs, ManArgs};
use crate::output::Output;
use crate::stop::{Outcome, Stop};

/// `quorate completions SHELL`.
pub(crate) fn completions(args: &CompletionsArgs, output: &mut Output) -> Outcome {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "quorate", &mut script);
    output.bytes(&script)
}

/// `quorate man DIR`.
pub(crate) fn man(args: &ManArgs, output: &mut Output) -> Outcome {
    let shown = args.directory.display();
    std::fs::create_dir_all(&args.directory)
        .and_then(|()| clap_mangen::generate_to(Cli::command(), &args.directory))
        .map_err(|error| {
            Stop::Failed(
                Failure::new(Code::Io, format!("writing manual pages into {shown}: {error}"))
                    .next("name a directory that can be written"),
            )
        })?;
    output.next(&[format!("man {shown}/quorate.1")]);
    Ok(())
}
