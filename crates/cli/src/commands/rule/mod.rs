//! `quorate rule ...`: writing rules and trying them out without a room, and the rules of a room.

mod apart;
mod bench;
mod build;
mod change;
mod check;
mod entries;
mod fields;
mod ls;
mod module;
mod new;
mod project;
mod replay;
mod run;
mod templates;
mod test;
mod tools;
mod verdict;
mod words;

pub(super) use module::Named;
pub(super) use run::params_of;

use crate::args::RuleCommand;
use crate::context::Context;
use crate::stop::Outcome;

/// Tells whether a command says something in a room: that is not given up in the middle.
pub(super) fn is_change(command: &RuleCommand) -> bool {
    use RuleCommand::{Add, Params, Remove, Replace};
    matches!(command, Add(_) | Remove(_) | Replace(_) | Params(_))
}

/// `quorate rule ...`.
pub(crate) async fn rule(command: RuleCommand, context: &mut Context) -> Outcome {
    let output = &mut context.output;
    match command {
        RuleCommand::New(args) => new::new(&args, output),
        RuleCommand::Build(args) => build::build(args.directory, output).await,
        RuleCommand::Check(args) => check::check(args.module, output).await,
        RuleCommand::Test(args) => test::test(args.directory, output).await,
        RuleCommand::Run(args) => run::run(args, output).await,
        RuleCommand::Replay(args) => replay::replay(args, context).await,
        RuleCommand::Add(args) => change::add(args, context).await,
        RuleCommand::Remove(args) => change::remove(args, context).await,
        RuleCommand::Replace(args) => change::replace(args, context).await,
        RuleCommand::Params(args) => change::params(args, context).await,
        RuleCommand::Ls(args) => ls::ls(args, context).await,
    }
}
