//! The commands, one module for each group.

mod append;
mod archive;
mod cat;
mod change;
mod clone;
mod doctor;
mod ended;
mod fork;
mod key;
pub(crate) mod list;
mod log;
mod new;
mod only_writer;
mod proof;
mod quorum;
mod rule;
mod share;
mod submitted;
mod system;

use std::future::Future;

use futures_lite::future;

use crate::args::{Command, ValidatorCommand};
use crate::context::Context;
use crate::demo;
use crate::explain;
use crate::stop::{Outcome, Stop};

/// Runs a command to its end, or to Ctrl-C.
pub(crate) async fn run(command: Command, context: &mut Context) -> Outcome {
    let interrupt = context.interrupt.clone();
    match command {
        // These end in an orderly way by themselves.
        Command::Append(args) => append::append(args, context).await,
        Command::Cat(args) if args.range.live => cat::cat(args, context).await,
        Command::Log(args) if args.range.live => log::log(args, context).await,
        Command::Share(args) => share::share(args, None, context).await,
        Command::Validator(ValidatorCommand::Serve(args)) => quorum::serve(args, context).await,
        Command::Clone(args) => clone::clone(args, context).await,
        Command::LsFiles(args) => archive::ls_files(args, context).await,
        Command::Checkout(args) => archive::checkout(args, context).await,
        Command::Demo(args) => demo::demo(&args, context).await,
        // These change nothing that an end in the middle could harm.
        Command::New(args) => or_end(new::new(args, context), &interrupt).await,
        Command::Cat(args) => or_end(cat::cat(args, context), &interrupt).await,
        Command::Log(args) => or_end(log::log(args, context), &interrupt).await,
        Command::Get(args) => or_end(cat::get(args, context), &interrupt).await,
        Command::Proof(args) => or_end(proof::proof(args, context), &interrupt).await,
        Command::Verify(args) => proof::verify(&args, context),
        Command::Ls => or_end(list::ls(context), &interrupt).await,
        Command::Info(args) => or_end(list::info(args, context), &interrupt).await,
        Command::Peers(args) => or_end(list::peers(args, context), &interrupt).await,
        Command::Doctor(args) => or_end(doctor::doctor(args, context), &interrupt).await,
        Command::Audit(args) => or_end(proof::audit(args, context), &interrupt).await,
        Command::Clear(args) => or_end(change::clear(args, context), &interrupt).await,
        Command::Import(args) => or_end(change::import(args, context), &interrupt).await,
        Command::Export(args) => or_end(change::export(args, context), &interrupt).await,
        Command::Key(command) => or_end(key::key(command, context), &interrupt).await,
        Command::Validator(command) => or_end(quorum::validator(command, context), &interrupt).await,
        Command::Votes(args) => or_end(quorum::votes(args, context), &interrupt).await,
        Command::Fork(command) => or_end(fork::fork(command, context), &interrupt).await,
        Command::Rule(command) if rule::is_change(&command) => rule::rule(command, context).await,
        Command::Rule(command) => or_end(rule::rule(command, context), &interrupt).await,
        Command::Completions(args) => system::completions(&args, &mut context.output),
        Command::Man(args) => system::man(&args, &mut context.output),
        Command::Explain(args) => explain::explain(args.code.as_deref(), &mut context.output),
    }
}

async fn or_end(work: impl Future<Output = Outcome>, interrupt: &crate::interrupt::Interrupt) -> Outcome {
    future::or(work, async {
        interrupt.wait().await;
        Err(Stop::Interrupted)
    })
    .await
}
