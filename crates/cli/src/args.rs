//! The commands and their options.

mod discovery;
mod fork;
mod gate;
mod quorum;
mod rule;

use std::ffi::OsString;
use std::net::IpAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use quorate_types::PublicKey;
use quorate_types::limits::DEFAULT_PORT;

pub(crate) use discovery::{AnnounceArgs, ResolveArgs};
pub(crate) use fork::{ForkCommand, ForkLsArgs, ForkPublishArgs, ForkResolveArgs};
pub(crate) use gate::Gate;
pub(crate) use quorum::{NamedValidator, NextQuorum, ValidatorCommand, VotesArgs};
pub(crate) use rule::{
    Language, RuleAddArgs, RuleChangeArgs, RuleCommand, RuleNewArgs, RuleParamsArgs, RuleRemoveArgs,
    RuleReplaceArgs, RuleReplayArgs, RuleRunArgs,
};

/// Share append-only streams with every Dat client, from the command line.
#[derive(Debug, Parser)]
#[command(
    name = "quorate",
    version,
    max_term_width = 100,
    after_help = "STREAM is a local name, four or more digits of the beginning of a key, or a link.\n\
                  Start with `quorate demo`. `quorate explain` lists what can go wrong."
)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Options of every command.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Global options")]
pub(crate) struct Global {
    /// Directory of the streams and the keys [default: the platform's data directory]
    #[arg(long, global = true, value_name = "DIR", env = "QUORATE_HOME", hide_env_values = true)]
    pub(crate) home: Option<PathBuf>,
    /// Print JSON on standard output, and failures as JSON on standard error
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// No hints and no progress on standard error
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub(crate) quiet: bool,
    /// Log on standard error: -v connections, -vv messages, -vvv everything
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub(crate) verbose: u8,
    /// Colours: auto means on a terminal, unless NO_COLOR is set
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto", hide_possible_values = true)]
    pub(crate) color: Color,
    /// Give up after this many seconds in which nothing came from a peer or from the running node
    #[arg(
        long,
        global = true,
        value_name = "SECONDS",
        default_value_t = 30,
        value_parser = clap::value_parser!(u32).range(1..)
    )]
    pub(crate) timeout: u32,
}

/// When to colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Color {
    Auto,
    Always,
    Never,
}

/// How payloads are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Encoding {
    /// One JSON value a block
    Json,
    /// Text
    #[value(name = "utf-8")]
    Utf8,
    /// Bytes
    Binary,
}

impl From<Encoding> for quorate_node::model::Encoding {
    fn from(encoding: Encoding) -> Self {
        match encoding {
            Encoding::Json => Self::Json,
            Encoding::Utf8 => Self::Utf8,
            Encoding::Binary => Self::Binary,
        }
    }
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Create a stream; print its link
    #[command(after_help = "With --json: a single JSON object, quorate.stream/1.")]
    New(NewArgs),
    /// Append blocks: a message, files, or the lines of standard input
    #[command(
        after_help = "A line of output says that its blocks are on disk. Only the end of the input is a \
                            reason to stop reading lines; lines that are read together are appended together.\n\n\
                            In a room each is an action, signed by a local identity and brought to the host of the \
                            room, whose rules are asked. Exits 5 when it is refused, and nothing was appended then; \
                            4 when the host was not reached: the action is kept, and brought to it whenever quorate \
                            runs on this home.\n\n\
                            With --json: newline-delimited JSON, one quorate.appended/1 a batch; in a room one \
                            quorate.submitted/1 an action."
    )]
    Append(AppendArgs),
    /// Print the payloads; of a room, those of its actions
    #[command(
        after_help = "Text and JSON: a line a block, with a newline added where it is missing. Binary: the \
                            bytes and nothing else, escaped on a terminal.\n\n\
                            With --json: newline-delimited JSON, one quorate.payload/1 a block."
    )]
    Cat(CatArgs),
    /// Print a line about each block: height, size, hash, whether it is here; in a room, author and verdict
    #[command(
        after_help = "With --live the line of a block waits some seconds for its verdict, and a fork of the stream \
                            is told when it is found.\n\n\
                            With --json: newline-delimited JSON, one quorate.block/1 a block; with --live also \
                            quorate.fork/1."
    )]
    Log(LogArgs),
    /// Print the bytes of one block
    #[command(after_help = "With --json: a single JSON object, quorate.payload/1.")]
    Get(GetArgs),
    /// Write a proof of one block that can be checked offline
    #[command(after_help = "The proof is a single JSON object, quorate.proof/1, with the block in it.\n\
                            With --json and --output: a single JSON object, quorate.written/1.")]
    Proof(ProofArgs),
    /// Check a proof, offline
    #[command(after_help = "Exits 0 when the proof holds, 1 when it does not.\n\n\
                            With --json: a single JSON object, quorate.verified/1.")]
    Verify(VerifyArgs),
    /// List the streams
    #[command(after_help = "With --json: newline-delimited JSON, one quorate.stream/1 a stream.")]
    Ls,
    /// Tell all about a stream
    #[command(
        after_help = "With --json: a single JSON object, quorate.stream/1, with `discovery`: an array of \
                            quorate.discovery/1."
    )]
    Info(StreamArg),
    /// List the connections of the running node
    #[command(after_help = "With --json: newline-delimited JSON, one quorate.peer/1 a connection, then one \
                            quorate.discovery/1 a discovery service.")]
    Peers(PeersArgs),
    /// Run the node: serve streams and follow them, until Ctrl-C
    #[command(after_help = "While it runs, the other commands on this home go through it.\n\n\
                            With --json: newline-delimited JSON, one quorate.event/1 an event; the first is \
                            {\"event\":\"listening\",\"address\":...}.")]
    Share(ShareArgs),
    /// Fetch a stream and verify every block; the same command resumes
    #[command(after_help = "Exits 0 only when all that was asked for is here, verified and on disk.\n\n\
                            With --json: a single JSON object, quorate.stream/1; with --live as well: \
                            newline-delimited JSON, that object and then one quorate.event/1 an event.")]
    Clone(CloneArgs),
    /// List the files of a Dat archive; what is not here of their names is fetched
    #[command(after_help = "With --json: newline-delimited JSON, one quorate.file/1 a file.")]
    LsFiles(LsFilesArgs),
    /// Write the files of a Dat archive into a directory; only what is not here is fetched
    #[command(
        after_help = "Files that are there already, with the size and the time that they have in the archive, \
                            are kept. Nothing else is replaced: the command refuses, and writes nothing.\n\n\
                            With --json: a single JSON object, quorate.checkout/1."
    )]
    Checkout(CheckoutArgs),
    /// Hash every block again, check every signature, run every rule
    #[command(
        after_help = "Exits 0 when all that is here verifies, 9 when something does not, 5 when the rules \
                            of a room refuse one of its blocks.\n\n\
                            With --json: a single JSON object, quorate.audit/1."
    )]
    Audit(StreamArg),
    /// Delete the bytes of blocks here; what is deleted can only come back from a peer
    #[command(
        after_help = "Without --yes nothing is deleted: the command says what would be lost, and exits 2.\n\n\
                            With --json: a single JSON object, quorate.cleared/1."
    )]
    Clear(ClearArgs),
    /// Take a directory of a stock client as a stream: SLEEP files, or a folder with .dat
    #[command(after_help = "With --json: a single JSON object, quorate.stream/1.")]
    Import(ImportArgs),
    /// Write a stream as a directory that stock clients open
    #[command(after_help = "With --json: a single JSON object, quorate.exported/1.")]
    Export(ExportArgs),
    /// The keys of this home
    #[command(subcommand)]
    Key(KeyCommand),
    /// Who commits what is appended to rooms
    #[command(subcommand)]
    Validator(ValidatorCommand),
    /// Print who voted for what in a room with validators: heights by validators
    #[command(
        after_help = "With --json: a single JSON object, quorate.votes/1; with --live newline-delimited JSON, \
                            one such object whenever something has changed."
    )]
    Votes(VotesArgs),
    /// Evidence: contradictions that somebody signed
    #[command(subcommand)]
    Fork(ForkCommand),
    /// Write rules for rooms, and try them out
    #[command(subcommand)]
    Rule(RuleCommand),
    /// Look for what keeps this node from being found and from sharing; with a link, look for its stream
    #[command(
        after_help = "Looks at the home, the disk, the clock, the streams and who holds them (their blocks are hashed by \
                            quorate audit alone), the port, multicast, \
                            discovery servers, and the pinned stock clients of a checkout; with a link also \
                            for a peer that carries the stream. Exits 0 when nothing is in the way, 1 otherwise.\n\n\
                            With --json: a single JSON object, quorate.doctor/1."
    )]
    Doctor(DoctorArgs),
    /// See it work: nodes, and stock clients where they are installed, on this machine
    #[command(after_help = "With --json: a single JSON object, quorate.demo/1.")]
    Demo(DemoArgs),
    /// Print the completions of a shell
    Completions(CompletionsArgs),
    /// Write the manual pages into a directory
    Man(ManArgs),
    /// Explain the code of a failure; without a code, list them all
    #[command(after_help = "With --json: a single JSON object, quorate.explanation/1; without a code \
                            newline-delimited JSON, one such object a code.")]
    Explain(ExplainArgs),
}

#[derive(Debug, Args)]
pub(crate) struct StreamArg {
    /// Name, first digits of the key, or link
    #[arg(value_name = "STREAM")]
    pub(crate) stream: String,
}

#[derive(Debug, Args)]
pub(crate) struct NewArgs {
    /// Local name of the stream
    pub(crate) name: String,
    /// How payloads are shown: json, utf-8 or binary; in a room, what they must be [default: utf-8; in a room json]
    #[arg(long, value_name = "ENCODING", hide_possible_values = true)]
    pub(crate) encoding: Option<Encoding>,
    /// Make a room: participants sign actions, this node orders them, rules say which may be appended
    #[arg(long)]
    pub(crate) room: bool,
    /// A rule of the room from its first block on: a module, or builtin:NAME; may be repeated, and makes a room
    #[arg(long = "rule", value_name = "FILE[:NAME]")]
    pub(crate) rules: Vec<String>,
    /// Params of a rule, as JSON; with several rules, which one: NAME=JSON; may be repeated
    #[arg(long, value_name = "[NAME=]JSON", requires = "rules")]
    pub(crate) params: Vec<String>,
    /// A rule that is asked about its own removal, too, and stays when it has no opinion on changes; may be repeated
    #[arg(long = "lock", value_name = "NAME", requires = "rules")]
    pub(crate) locked: Vec<String>,
    /// Vote key of somebody who commits what is appended, as `quorate validator key` prints it, with --offer together with
    /// a proof that is checked; may be repeated, and makes a room
    #[arg(long = "validator", value_name = "KEY[.PROOF]")]
    pub(crate) validators: Vec<NamedValidator>,
    /// Identity key of somebody who may host the room when the host before is gone or cheats, as `quorate key ls` prints
    /// it; may be repeated, in their turn
    #[arg(long = "next-host", value_name = "KEY", requires = "validators")]
    pub(crate) hosts: Vec<PublicKey>,
    /// Votes that commit [default: two thirds of the validators, rounded down, and one]
    #[arg(long, value_name = "N", requires = "validators", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) quorum: Option<u32>,
    /// Blocks between a change of rules and its activation, at least [default: 1]
    #[arg(long, value_name = "BLOCKS", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) rule_delay: Option<u64>,
}

/// What `append` waits for in a room.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Wait {
    /// The action is signed, and kept until it has come to an end
    Submitted,
    /// It stands in a block
    Appended,
    /// A quorum of the validators has committed it
    Committed,
}

#[derive(Debug, Args)]
pub(crate) struct AppendArgs {
    #[command(flatten)]
    pub(crate) stream: StreamArg,
    /// The message; `-`, or nothing: one block for each line of standard input
    #[arg(value_name = "MSG", conflicts_with = "files", allow_hyphen_values = true)]
    pub(crate) message: Option<OsString>,
    /// One block for each file
    #[arg(long, value_name = "FILE", num_args = 1..)]
    pub(crate) files: Vec<PathBuf>,
    /// All of standard input as one batch: appended whole at its end, or not at all; not in a room
    #[arg(long)]
    pub(crate) batch: bool,
    /// In a room: the local identity that signs [default: default, which is made when it is first needed]
    #[arg(long = "as", value_name = "NAME")]
    pub(crate) identity: Option<String>,
    /// In a room: what to wait for, submitted, appended or committed [default: appended]
    #[arg(long, value_name = "STATE", hide_possible_values = true)]
    pub(crate) wait: Option<Wait>,
    #[command(flatten)]
    pub(crate) writer: WriterArgs,
}

/// What is said of a stream that is recovering.
#[derive(Debug, Clone, Copy, Args)]
pub(crate) struct WriterArgs {
    /// Of a stream that is recovering: append although its newest head is not known. Makes a fork, which nobody can take
    /// back, if it was written anywhere else
    #[arg(long)]
    pub(crate) unsafe_only_writer: bool,
    /// Do what an option with `unsafe` in its name asks for
    #[arg(long, requires = "unsafe_only_writer")]
    pub(crate) yes: bool,
}

/// Which blocks.
#[derive(Debug, Clone, Copy, Default, Args)]
pub(crate) struct RangeArgs {
    /// First block, counted from 0 [default: 0]
    #[arg(long, value_name = "N", conflicts_with = "tail")]
    pub(crate) start: Option<u64>,
    /// One past the last block [default: the length]
    #[arg(long, value_name = "N", conflicts_with = "tail")]
    pub(crate) end: Option<u64>,
    /// Only the last N blocks
    #[arg(long, value_name = "N")]
    pub(crate) tail: Option<u64>,
    /// Go on with what comes, until Ctrl-C
    #[arg(long, conflicts_with = "end")]
    pub(crate) live: bool,
}

#[derive(Debug, Args)]
pub(crate) struct CatArgs {
    #[command(flatten)]
    pub(crate) stream: StreamArg,
    #[command(flatten)]
    pub(crate) range: RangeArgs,
    /// Only what a quorum of the room's validators has committed
    #[arg(long)]
    pub(crate) committed: bool,
    /// How to show payloads: json, utf-8 or binary [default: as the stream was created; a clone is binary]
    #[arg(long, value_name = "ENCODING", hide_possible_values = true)]
    pub(crate) encoding: Option<Encoding>,
}

#[derive(Debug, Args)]
pub(crate) struct LogArgs {
    #[command(flatten)]
    pub(crate) stream: StreamArg,
    #[command(flatten)]
    pub(crate) range: RangeArgs,
}

#[derive(Debug, Args)]
pub(crate) struct GetArgs {
    #[command(flatten)]
    pub(crate) stream: StreamArg,
    /// Block, counted from 0
    #[arg(value_name = "N")]
    pub(crate) index: u64,
}

#[derive(Debug, Args)]
pub(crate) struct ProofArgs {
    #[command(flatten)]
    pub(crate) stream: StreamArg,
    /// Block, counted from 0
    #[arg(value_name = "N")]
    pub(crate) index: u64,
    /// File to write, which must not exist [default: standard output]
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct VerifyArgs {
    /// A proof, as `quorate proof` writes it; `-` is standard input
    pub(crate) file: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct PeersArgs {
    /// Only peers that carry this stream
    #[arg(value_name = "STREAM")]
    pub(crate) stream: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct ShareArgs {
    /// Streams to serve [default: all]
    #[arg(value_name = "STREAM")]
    pub(crate) streams: Vec<String>,
    /// TCP port; 0 is any free one [default: 3282, or the next free one]
    #[arg(long)]
    pub(crate) port: Option<u16>,
    /// Address of this machine to listen on [default: all, IPv4 and IPv6]
    #[arg(long, value_name = "IP")]
    pub(crate) host: Option<IpAddr>,
    /// Peer to dial, and to dial again when it is lost; may be repeated
    #[arg(long = "peer", value_name = "HOST:PORT", value_parser = peer)]
    pub(crate) peers: Vec<String>,
    /// What stock peers are shown of the streams that are named, from now on: committed, of a room with validators, or
    /// none, which is everything
    #[arg(long, value_name = "GATE", hide_possible_values = true, requires = "streams")]
    pub(crate) gate: Option<Gate>,
    #[command(flatten)]
    pub(crate) announce: AnnounceArgs,
}

#[derive(Debug, Args)]
pub(crate) struct CloneArgs {
    /// dat:// link, 64 hexadecimal digits, 52 z-base-32 characters, a URL that holds a key, or dat://NAME
    pub(crate) link: String,
    /// Local name [default: the first 8 digits of the key]
    pub(crate) name: Option<String>,
    /// Peer to fetch from; may be repeated
    #[arg(long = "peer", value_name = "HOST:PORT", value_parser = peer)]
    pub(crate) peers: Vec<String>,
    #[command(flatten)]
    pub(crate) announce: AnnounceArgs,
    #[command(flatten)]
    pub(crate) resolve: ResolveArgs,
    /// Fetch the newest signed head and no block
    #[arg(long)]
    pub(crate) sparse: bool,
    /// Carry the blocks of a room without checking them against its rules
    #[arg(long)]
    pub(crate) no_check: bool,
    /// Go on with what comes, until Ctrl-C
    #[arg(long)]
    pub(crate) live: bool,
}

/// Which archive, at which version, and from whom.
#[derive(Debug, Args)]
pub(crate) struct ArchiveArgs {
    /// Name, first digits of the key, or link; `dat://KEY+VERSION` names a version; dat://NAME is looked up
    #[arg(value_name = "STREAM")]
    pub(crate) stream: String,
    /// Version of the archive [default: the one in the link, or the newest]
    #[arg(long, value_name = "N")]
    pub(crate) version: Option<u64>,
    /// Peer to fetch from; may be repeated
    #[arg(long = "peer", value_name = "HOST:PORT", value_parser = peer)]
    pub(crate) peers: Vec<String>,
    #[command(flatten)]
    pub(crate) announce: AnnounceArgs,
    #[command(flatten)]
    pub(crate) resolve: ResolveArgs,
}

#[derive(Debug, Args)]
pub(crate) struct DoctorArgs {
    /// Stream to look for: dat:// link, key, a URL that holds a key, or dat://NAME
    #[arg(value_name = "LINK")]
    pub(crate) link: Option<String>,
    /// Peer to look at; may be repeated
    #[arg(long = "peer", value_name = "HOST:PORT", value_parser = peer, requires = "link")]
    pub(crate) peers: Vec<String>,
    #[command(flatten)]
    pub(crate) announce: AnnounceArgs,
    #[command(flatten)]
    pub(crate) resolve: ResolveArgs,
}

#[derive(Debug, Args)]
pub(crate) struct LsFilesArgs {
    #[command(flatten)]
    pub(crate) archive: ArchiveArgs,
}

#[derive(Debug, Args)]
pub(crate) struct CheckoutArgs {
    #[command(flatten)]
    pub(crate) archive: ArchiveArgs,
    /// The directory; made where it is missing
    #[arg(value_name = "DIR")]
    pub(crate) directory: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct ClearArgs {
    #[command(flatten)]
    pub(crate) stream: StreamArg,
    /// First block to delete
    pub(crate) start: u64,
    /// One past the last block to delete [default: START + 1]
    pub(crate) end: Option<u64>,
    /// Delete, after having read what is lost
    #[arg(long)]
    pub(crate) yes: bool,
}

#[derive(Debug, Args)]
pub(crate) struct ImportArgs {
    /// The directory
    #[arg(value_name = "DIR")]
    pub(crate) directory: PathBuf,
    /// Local name [default: the name of the directory]
    pub(crate) name: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct ExportArgs {
    #[command(flatten)]
    pub(crate) stream: StreamArg,
    /// The directory, which must not exist or be empty
    #[arg(value_name = "DIR")]
    pub(crate) directory: PathBuf,
    /// Write the secret key too: who has it can append, and two who append make a fork
    #[arg(long)]
    pub(crate) with_secret_key: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum KeyCommand {
    /// Make an identity, which signs what you say in rooms; print its public key
    #[command(after_help = "With --json: a single JSON object, quorate.key/1.")]
    New(KeyNewArgs),
    /// Write the secret key of a stream, or of an identity, into a new file, as stock clients keep it
    #[command(after_help = "Who has the file can write, or sign, in its owner's name.\n\n\
                            With --json: a single JSON object, quorate.key/1.")]
    Export(KeyExportArgs),
    /// Take the secret key of a stream, or of an identity, from a file
    #[command(
        after_help = "A stream is then recovering: nothing is appended before its newest head is known, for whoever \
                            has the key elsewhere may have written on.\n\n\
                            With --json: a single JSON object, quorate.key/1."
    )]
    Import(KeyImportArgs),
    /// List the public keys, and where the secret ones are; secrets are never printed
    #[command(after_help = "With --json: newline-delimited JSON, one quorate.key/1 a key.")]
    Ls,
}

#[derive(Debug, Args)]
pub(crate) struct KeyNewArgs {
    /// Its name on this machine; others see the key alone
    #[arg(value_name = "NAME")]
    pub(crate) name: String,
}

#[derive(Debug, Args)]
pub(crate) struct KeyExportArgs {
    /// A stream; with --identity, an identity
    #[arg(value_name = "NAME")]
    pub(crate) name: String,
    /// The file, which must not exist
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
    /// NAME is that of an identity
    #[arg(long)]
    pub(crate) identity: bool,
}

#[derive(Debug, Args)]
pub(crate) struct KeyImportArgs {
    /// A file with a secret key of 64 bytes
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
    /// Name that it gets here; of a stream that is here already, any
    #[arg(value_name = "NAME")]
    pub(crate) name: String,
    /// It is an identity, which signs what you say in rooms
    #[arg(long)]
    pub(crate) identity: bool,
}

#[derive(Debug, Args)]
pub(crate) struct DemoArgs {
    /// What to play: share, a stream and its copies; chess, a room with a game; ledger, a room with money; chat, a room with
    /// members
    #[arg(default_value = "share", hide_possible_values = true)]
    pub(crate) scenario: Scenario,
    /// Of ledger: with validators, and a host who presents a second history without the payment
    #[arg(long)]
    pub(crate) fork: bool,
}

/// What the demo plays.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Scenario {
    /// A stream is shared, appended to, and verified at the other ends
    Share,
    /// Two players and a host: a whole game, and moves that the rule refuses
    Chess,
    /// Somebody pays somebody, and nobody spends what they do not have
    Ledger,
    /// Members talk; who is none is refused, is admitted, and is sent away again
    Chat,
}

#[derive(Debug, Args)]
pub(crate) struct CompletionsArgs {
    /// bash, zsh, fish, elvish or powershell
    #[arg(hide_possible_values = true)]
    pub(crate) shell: clap_complete::Shell,
}

#[derive(Debug, Args)]
pub(crate) struct ManArgs {
    /// The directory; made where it is missing
    #[arg(value_name = "DIR")]
    pub(crate) directory: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct ExplainArgs {
    /// Such as E1001
    pub(crate) code: Option<String>,
}

/// Reads `HOST:PORT`, or `HOST` with the default port.
fn peer(text: &str) -> Result<String, String> {
    let wrong = |found: &str| format!("expected HOST:PORT such as 192.0.2.7:{DEFAULT_PORT}, found {found}");
    if text.is_empty() || text.contains(['/', ' ', '@']) {
        return Err(wrong("something else"));
    }
    if let Ok(address) = text.parse::<IpAddr>() {
        return Ok(match address {
            IpAddr::V4(address) => format!("{address}:{DEFAULT_PORT}"),
            IpAddr::V6(address) => format!("[{address}]:{DEFAULT_PORT}"),
        });
    }
    match text.rsplit_once(':') {
        None => Ok(format!("{text}:{DEFAULT_PORT}")),
        Some((host, port)) if !host.is_empty() => match port.parse::<u16>() {
            Ok(0) | Err(_) => Err(wrong(&format!("the port {port:?}"))),
            Ok(_) => Ok(text.to_string()),
        },
        Some(_) => Err(wrong("no host")),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_is_well_formed() {
        Cli::command().debug_assert();
    }

    #[test]
    fn peers_are_read_with_and_without_a_port() {
        assert_eq!(peer("10.0.0.1:99").as_deref(), Ok("10.0.0.1:99"));
        assert_eq!(peer("10.0.0.1").as_deref(), Ok("10.0.0.1:3282"));
        assert_eq!(peer("example.org").as_deref(), Ok("example.org:3282"));
        assert_eq!(peer("::1").as_deref(), Ok("[::1]:3282"));
        assert_eq!(peer("[::1]:7").as_deref(), Ok("[::1]:7"));
        for wrong in ["", ":1", "a:b", "a:70000", "a:0", "dat://a", "a b"] {
            assert!(peer(wrong).is_err(), "{wrong}");
        }
    }
}
