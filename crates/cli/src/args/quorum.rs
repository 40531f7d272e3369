//! The commands about validators, votes and evidence.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::StreamArg;

#[derive(Debug, Subcommand)]
pub(crate) enum ValidatorCommand {
    /// Print the vote key of this home, made when it is first asked for
    #[command(
        after_help = "Whoever makes a room names it: quorate new NAME --validator KEY. A node votes in every \
                            room whose validator it is, while quorate share runs.\n\n\
                            With --json: a single JSON object, quorate.key/1."
    )]
    Key,
    /// List the validators of a room
    #[command(after_help = "With --json: newline-delimited JSON, one quorate.validator/1 a validator.")]
    Ls(StreamArg),
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
