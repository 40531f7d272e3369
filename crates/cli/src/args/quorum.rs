//! The commands about validators, votes and evidence.

use std::str::FromStr;

use clap::{Args, Subcommand};
use quorate_node::model::{OfferError, ValidatorOffer};
use quorate_types::PublicKey;

use super::{ShareArgs, StreamArg};

/// A validator of a new room: a vote key, or what its holder offers.
#[derive(Debug, Clone, Copy)]
pub(crate) enum NamedValidator {
    Key(PublicKey),
    Offer(ValidatorOffer),
}

impl FromStr for NamedValidator {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.contains('.') {
            return text.parse().map(Self::Offer).map_err(|error: OfferError| error.to_string());
        }
        text.parse().map(Self::Key).map_err(|error| format!("{error}"))
    }
}

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
    /// Serve rooms, and vote in those whose validator this home is, until Ctrl-C
    #[command(
        after_help = "It is quorate share of a home that has a vote key, and names the rooms in which it does not \
                            vote.\n\nWith --json: newline-delimited JSON, one quorate.event/1 an event."
    )]
    Serve(ShareArgs),
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
