//! The commands about evidence.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

use super::StreamArg;

#[derive(Debug, Subcommand)]
pub(crate) enum ForkCommand {
    /// List the evidence that is here, and what is done about the keys
    #[command(after_help = "With --json: newline-delimited JSON, one quorate.evidence/1 a piece.")]
    Ls(ForkLsArgs),
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
    /// Send evidence to the connected nodes; the host of a room puts it into a block
    #[command(
        after_help = "Every node checks it by itself, and keeps it when it holds. Exits 4 when nobody is \
                            connected.\n\n\
                            With --json: a single JSON object, quorate.published/1."
    )]
    Publish(ForkPublishArgs),
    /// Decide what is done here about a key that signed a contradiction
    #[command(
        after_help = "The decision is about the key, holds on this home alone, and can be changed at any \
                            time. Validators vote for no host that is found out, whatever is decided.\n\n\
                            ignore            nothing is said about it; `fork ls --all` lists it\n\
                            warn              it is told (what holds until something is decided)\n\
                            mute              what the key wrote is not shown by `cat`, and marked by `log`\n\
                            stop-replicating  the feed of the key is neither fetched nor served; what is here \
                            stays readable\n\n\
                            With --json: a single JSON object, quorate.decision/1."
    )]
    Resolve(ForkResolveArgs),
}

#[derive(Debug, Args)]
pub(crate) struct ForkLsArgs {
    #[command(flatten)]
    pub(crate) stream: StreamArg,
    /// Also what is against keys that are ignored
    #[arg(long)]
    pub(crate) all: bool,
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

#[derive(Debug, Args)]
pub(crate) struct ForkPublishArgs {
    #[command(flatten)]
    pub(crate) stream: StreamArg,
    /// First digits of the id of evidence that is here
    #[arg(value_name = "ID", required_unless_present = "file")]
    pub(crate) id: Option<String>,
    /// Evidence that somebody else has found, as `quorate fork export` writes it; it is checked and kept first
    #[arg(long, value_name = "FILE", conflicts_with = "id")]
    pub(crate) file: Option<PathBuf>,
}

/// What is done about a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Policy {
    /// Nothing is said about it
    Ignore,
    /// It is told
    Warn,
    /// What it wrote is not shown
    Mute,
    /// Its feed is neither fetched nor served
    StopReplicating,
}

impl From<Policy> for quorate_node::model::Policy {
    fn from(policy: Policy) -> Self {
        match policy {
            Policy::Ignore => Self::Ignore,
            Policy::Warn => Self::Warn,
            Policy::Mute => Self::Mute,
            Policy::StopReplicating => Self::StopReplicating,
        }
    }
}

#[derive(Debug, Args)]
pub(crate) struct ForkResolveArgs {
    #[command(flatten)]
    pub(crate) fork: ForkArgs,
    /// What is done from now on: ignore, warn, mute or stop-replicating [default: with --own-backup ignore]
    #[arg(long, value_name = "POLICY", hide_possible_values = true, required_unless_present = "own_backup")]
    pub(crate) policy: Option<Policy>,
    /// This home wrote both histories: a backup was put back. The one that is here is the one that stays
    #[arg(long)]
    pub(crate) own_backup: bool,
}
