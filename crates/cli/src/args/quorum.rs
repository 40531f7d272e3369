//! The commands about validators, votes and evidence.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use quorate_node::model::ValidatorOffer;
use quorate_types::PublicKey;

use super::StreamArg;

#[derive(Debug, Subcommand)]
pub(crate) enum ValidatorCommand {
    /// Print the vote key of this home, made when it is first asked for
    #[command(
        after_help = "Whoever makes a room names it: quorate new NAME --validator KEY. A node votes in every \
                            room whose validator it is, while quorate share runs. Who joins the validators of a room \
                            that is there gives its host what --offer prints.\n\n\
                            With --json: a single JSON object, quorate.key/1."
    )]
    Key(ValidatorKeyArgs),
    /// List the validators of a room
    #[command(after_help = "With --json: newline-delimited JSON, one quorate.validator/1 a validator.")]
    Ls(StreamArg),
    /// Have one more validator in a room that this home hosts
    #[command(
        after_help = "It votes from the next epoch on, which begins when those before have committed the change and \
                            a quorum of those who come has accepted: its node must carry the room, and run quorate share.\n\n\
                            With --json: a single JSON object, quorate.validators/1."
    )]
    Add(ValidatorAddArgs),
    /// Have one validator less in a room that this home hosts
    #[command(after_help = "It votes until the validators have committed that it goes.\n\n\
                            With --json: a single JSON object, quorate.validators/1.")]
    Remove(ValidatorRemoveArgs),
}

#[derive(Debug, Args)]
pub(crate) struct ValidatorKeyArgs {
    /// Print KEY.PROOF, which quorate validator add takes
    #[arg(long)]
    pub(crate) offer: bool,
}

#[derive(Debug, Args)]
pub(crate) struct ValidatorAddArgs {
    #[command(flatten)]
    pub(crate) stream: StreamArg,
    /// Vote key and its proof of possession, as `quorate validator key --offer` prints it on the validator's machine
    #[arg(value_name = "KEY.PROOF")]
    pub(crate) offer: ValidatorOffer,
    #[command(flatten)]
    pub(crate) quorum: NextQuorum,
}

#[derive(Debug, Args)]
pub(crate) struct ValidatorRemoveArgs {
    #[command(flatten)]
    pub(crate) stream: StreamArg,
    /// Vote key
    pub(crate) key: PublicKey,
    #[command(flatten)]
    pub(crate) quorum: NextQuorum,
}

#[derive(Debug, Args)]
pub(crate) struct NextQuorum {
    /// Votes that commit from then on [default: two thirds of the validators, rounded down, and one; where the room asks
    /// for more, as many as now]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) quorum: Option<u32>,
}

#[derive(Debug, Args)]
pub(crate) struct VotesArgs {
    #[command(flatten)]
    pub(crate) stream: StreamArg,
    /// Go on with what comes, until Ctrl-C
    #[arg(long)]
    pub(crate) live: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ForkCommand {
    /// List the evidence that is here
    #[command(after_help = "With --json: newline-delimited JSON, one quorate.evidence/1 a piece.")]
    Ls(StreamArg),
    /// Tell what a piece of evidence proves
    #[command(after_help = "With --json: a single JSON object, quorate.evidence/1.")]
    Show(ForkArgs),
    /// Write a piece of evidence to a file that anyone can check offline
    #[command(after_help = "With --json: a single JSON object, quorate.written/1.")]
    Export(ForkExportArgs),
    /// Check evidence, offline
    #[command(after_help = "Exits 7 when the evidence holds, 1 when it does not.\n\n\
                            With --json: a single JSON object, quorate.evidence/1.")]
    Verify(ForkVerifyArgs),
}

#[derive(Debug, Args)]
pub(crate) struct ForkArgs {
    #[command(flatten)]
    pub(crate) stream: StreamArg,
    /// First digits of the evidence's id
    #[arg(value_name = "ID")]
    pub(crate) id: String,
}

#[derive(Debug, Args)]
pub(crate) struct ForkExportArgs {
    #[command(flatten)]
    pub(crate) fork: ForkArgs,
    /// File to write, which must not exist
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct ForkVerifyArgs {
    /// Evidence, as `quorate fork export` writes it
    pub(crate) file: PathBuf,
}
