//! `quorate rule ...`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

#[derive(Debug, Subcommand)]
pub(crate) enum RuleCommand {
    /// Make a project for a rule: its source, its tests, and what it is built with
    #[command(after_help = "With --json: a single JSON object, quorate.project/1.")]
    New(RuleNewArgs),
    /// Build a project, and check what comes out
    #[command(after_help = "AssemblyScript: npm install, once, then npm run build. Rust: cargo build for \
                      wasm32-unknown-unknown. WebAssembly text: without any other program.\n\n\
                      With --json: a single JSON object, quorate.built/1.")]
    Build(ProjectArg),
    /// Check whether rooms take a module as a rule: limits, imports, exports, sizes, hash
    #[command(after_help = "Exits 0 when they do, 5 when they do not.\n\n\
                            With --json: a single JSON object, quorate.module/1.")]
    Check(RuleCheckArgs),
    /// Run the vectors of rule.json, in order, from an empty state
    #[command(
        after_help = "The params of rule.json are handed over first; vector N is then judged as the block of \
                      height N. Exits 0 when every vector has the code that it names, 5 when one has another.\n\n\
                      With --json: newline-delimited JSON, one quorate.vector/1 a vector."
    )]
    Test(ProjectArg),
    /// Run a rule on entries, in order, from an empty state or another; print a verdict for each
    #[command(after_help = "An entry is a JSON object on a line of its own:\n  \
                      {\"author\": \"64 hexadecimal digits\", \"payload\": {\"move\": \"e2e4\"}}\n\
                      A payload that is a JSON string stands for its text; any other stands for its own JSON, \
                      without the white space. \"hex\" in the place of \"payload\" stands for bytes. The author may be \
                      left out, or be a name, which stands for a key that nobody has the secret of.\n\n\
                      Entry N is judged as the block of height N. What a rule writes stays when it accepts. \
                      There are no blocks here: a rule that reads some is unable to tell. Exits 0 when every entry was run, whatever the verdicts.\n\n\
                      With --json: newline-delimited JSON, one quorate.verdict/1 an entry.")]
    Run(RuleRunArgs),
    /// Run a rule on the actions of a room: what it would have said to each
    #[command(
        after_help = "Every action is judged as the block of its own height, from an empty state, as if the rule \
                      had been there from the first block on. Exits 0 whatever the verdicts.\n\n\
                      With --json: newline-delimited JSON, one quorate.verdict/1 an action."
    )]
    Replay(RuleReplayArgs),
    /// Let a further rule hold in a room
    #[command(
        after_help = "The change is an entry of the room, signed by a local identity; the module travels with it. \
                      Every node puts it before the gate, runs its vectors, and asks the rules that hold. \
                      The vectors are those of rule.json, in the directory of FILE or the one above it.\n\n\
                      With --json: a single JSON object, quorate.submitted/1."
    )]
    Add(RuleAddArgs),
    /// Take a rule out of a room
    #[command(after_help = "With --json: a single JSON object, quorate.submitted/1.")]
    Remove(RuleRemoveArgs),
    /// Give a rule of a room another module; its name and its state stay
    #[command(after_help = "With --json: a single JSON object, quorate.submitted/1.")]
    Replace(RuleReplaceArgs),
    /// Give a rule of a room other params; its module and its state stay
    #[command(after_help = "With --json: a single JSON object, quorate.submitted/1.")]
    Params(RuleParamsArgs),
    /// List the rules of a room, those that hold and those that are to come
    #[command(after_help = "With --json: newline-delimited JSON, one quorate.rule/1 a rule.")]
    Ls(super::StreamArg),
}

/// The language of a rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Language {
    /// TypeScript with the types of WebAssembly
    #[value(name = "assemblyscript")]
    AssemblyScript,
    /// Rust without its standard library
    Rust,
    /// WebAssembly text
    Wat,
}

#[derive(Debug, Args)]
pub(crate) struct RuleNewArgs {
    /// Its name in rooms: 1 to 32 of a to z, 0 to 9 and the hyphen
    pub(crate) name: String,
    /// assemblyscript, rust or wat
    #[arg(long, value_name = "LANGUAGE", default_value = "assemblyscript", hide_possible_values = true)]
    pub(crate) lang: Language,
    /// The directory, which must not exist or be empty [default: NAME]
    #[arg(long, value_name = "DIR")]
    pub(crate) dir: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct ProjectArg {
    /// Directory of the project, with its rule.json
    #[arg(value_name = "DIR", default_value = ".")]
    pub(crate) directory: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct RuleCheckArgs {
    /// A module, or builtin:NAME for one that comes with quorate
    #[arg(value_name = "FILE")]
    pub(crate) module: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct RuleRunArgs {
    /// A module, or builtin:NAME for one that comes with quorate
    #[arg(value_name = "FILE")]
    pub(crate) module: PathBuf,
    /// The entries, one JSON object a line; `-` is standard input
    #[arg(long, alias = "entry", value_name = "FILE")]
    pub(crate) entries: PathBuf,
    /// A state in which the rule has begun: a JSON object of keys and values, in hexadecimal digits
    #[arg(long, value_name = "FILE")]
    pub(crate) state: Option<PathBuf>,
    /// Params of the rule, as JSON [default: none]
    #[arg(long, value_name = "JSON")]
    pub(crate) params: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct RuleReplayArgs {
    #[command(flatten)]
    pub(crate) stream: super::StreamArg,
    /// A module, or builtin:NAME for one that comes with quorate
    #[arg(long = "rule", value_name = "FILE")]
    pub(crate) module: PathBuf,
    /// Params of the rule, as JSON [default: none]
    #[arg(long, value_name = "JSON")]
    pub(crate) params: Option<String>,
    /// Only what the rule refuses
    #[arg(long)]
    pub(crate) refused: bool,
}

/// Who changes the rules, and when.
#[derive(Debug, Args)]
pub(crate) struct RuleChangeArgs {
    /// First height that is checked by the changed rules [default: the earliest possible]
    #[arg(long, value_name = "HEIGHT")]
    pub(crate) at: Option<u64>,
    /// Local identity that signs [default: default]
    #[arg(long = "as", value_name = "NAME")]
    pub(crate) identity: Option<String>,
    /// What to wait for, submitted, appended or committed [default: appended]
    #[arg(long, value_name = "STATE", hide_possible_values = true)]
    pub(crate) wait: Option<super::Wait>,
}

#[derive(Debug, Args)]
pub(crate) struct RuleAddArgs {
    #[command(flatten)]
    pub(crate) stream: super::StreamArg,
    /// A module, or builtin:NAME for one that comes with quorate
    #[arg(value_name = "FILE[:NAME]")]
    pub(crate) module: String,
    /// Params of the rule, as JSON [default: none]
    #[arg(long, value_name = "JSON")]
    pub(crate) params: Option<String>,
    #[command(flatten)]
    pub(crate) change: RuleChangeArgs,
}

#[derive(Debug, Args)]
pub(crate) struct RuleRemoveArgs {
    #[command(flatten)]
    pub(crate) stream: super::StreamArg,
    /// Name of the rule, or the first digits of its id
    pub(crate) rule: String,
    #[command(flatten)]
    pub(crate) change: RuleChangeArgs,
}

#[derive(Debug, Args)]
pub(crate) struct RuleReplaceArgs {
    #[command(flatten)]
    pub(crate) stream: super::StreamArg,
    /// Name of the rule, or the first digits of its id
    pub(crate) rule: String,
    /// A module, or builtin:NAME for one that comes with quorate
    #[arg(value_name = "FILE")]
    pub(crate) module: PathBuf,
    /// Params of the rule, as JSON [default: those that it has]
    #[arg(long, value_name = "JSON")]
    pub(crate) params: Option<String>,
    #[command(flatten)]
    pub(crate) change: RuleChangeArgs,
}

#[derive(Debug, Args)]
pub(crate) struct RuleParamsArgs {
    #[command(flatten)]
    pub(crate) stream: super::StreamArg,
    /// Name of the rule, or the first digits of its id
    pub(crate) rule: String,
    /// Params of the rule, as JSON
    #[arg(value_name = "JSON")]
    pub(crate) params: String,
    #[command(flatten)]
    pub(crate) change: RuleChangeArgs,
}
