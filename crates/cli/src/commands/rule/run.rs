//! `quorate rule run`: verdicts on entries.

use std::collections::BTreeMap;
use std::io::{self, IsTerminal};
use std::path::Path;

use quorate_rules::limits::{MAX_KEY_BYTES, MAX_STATE_BYTES, MAX_STATE_KEYS, MAX_VALUE_BYTES};
use quorate_types::limits::MAX_PARAMS_BYTES;
use serde::Serialize;
use serde_json::value::RawValue;

use super::apart;
use super::bench::Bench;
use super::entries::Entries;
use super::fields::{self, Fields};
use super::module::Module;
use super::verdict::Said;
use super::words;
use crate::args::RuleRunArgs;
use crate::output::Output;
use crate::stop::{Outcome, Stop};

#[derive(Serialize)]
struct Line {
    schema: &'static str,
    index: u64,
    author: String,
    #[serde(flatten)]
    said: Said,
}

/// What comes of the entries.
enum Found {
    /// A verdict.
    Line(Box<Line>),
    /// Something that must be said beside the verdicts.
    Note(String),
}

/// `quorate rule run FILE --entries F [--state F] [--params JSON]`.
pub(super) async fn run(args: RuleRunArgs, output: &mut Output) -> Outcome {
    let params = args.params.as_deref().map(params_of).transpose()?.unwrap_or_default();
    fits_room(&params)?;
    if args.entries == Path::new("-") && io::stdin().is_terminal() {
        output.note("one entry for each line; Ctrl-D ends");
    }
    let lines = apart::start(move |hand| {
        let rule = Module::read(&args.module)?.compile()?;
        let mut entries = Entries::open(&args.entries)?;
        let mut bench = match &args.state {
            Some(file) => Bench::resume(rule, params, read_state(file)?),
            None => Bench::begin(rule, params)?,
        };
        let mut index = 1;
        while let Some(entry) = entries.next()? {
            if let Some(field) = entries.unknown() {
                hand.give(Found::Note(field))?;
            }
            let said = bench.judge(index, entry.author, &entry.payload).into();
            let author = entry.author.to_string();
            hand.give(Found::Line(Box::new(Line { schema: "quorate.verdict/1", index, author, said })))?;
            index += 1;
        }
        Ok(())
    })?;
    while let Some(found) = lines.next().await? {
        let line = match found {
            Found::Line(line) => line,
            Found::Note(note) => {
                output.note(&note);
                continue;
            }
        };
        if output.json {
            output.object(&line)?;
        } else {
            let verdict = line.said.words(output.paint);
            let cost = output.paint.dim(&format!("({})", line.said.cost()));
            output.line(&format!("{:>4}  {verdict}  {cost}", line.index))?;
            for logged in line.said.logged() {
                output.line(&format!("      {} {logged}", output.paint.dim("log:")))?;
            }
        }
        if lines.is_behind() {
            output.flush()?;
        }
    }
    Ok(())
}

/// Reads a state: keys and values in hexadecimal digits.
fn read_state(path: &Path) -> Outcome<BTreeMap<Vec<u8>, Vec<u8>>> {
    let shown = path.display();
    let next = r#"{"6b6579": "76616c7565"}"#;
    let wrong = |problem: String| Stop::usage(format!("{shown}: {problem}"), next);
    let text = std::fs::read(path)
        .map_err(|error| Stop::usage(format!("expected a state to read, found {shown}: {error}"), next))?;
    let expected = "an object of keys and values in hexadecimal digits";
    let fields = Fields::read(&text, expected).map_err(wrong)?;
    let mut values = BTreeMap::new();
    let mut bytes = 0;
    for (key, json) in fields.all() {
        let name = words::hex(key).map_err(wrong)?;
        let value = fields::string(json, "a value").and_then(|digits| words::hex(&digits)).map_err(wrong)?;
        let beyond = |what: &str, limit: usize, found: usize| {
            wrong(format!(
                "expected a {what} of at most {limit} bytes, as the state of a rule takes it, found {found}"
            ))
        };
        if name.len() > MAX_KEY_BYTES {
            return Err(beyond("key", MAX_KEY_BYTES, name.len()));
        }
        if value.len() > MAX_VALUE_BYTES {
            return Err(beyond("value", MAX_VALUE_BYTES, value.len()));
        }
        bytes += (name.len() + value.len()) as u64;
        if values.insert(name, value).is_some() {
            return Err(wrong(format!("expected every key once, found {key:?} twice")));
        }
    }
    if bytes > MAX_STATE_BYTES || values.len() as u64 > MAX_STATE_KEYS {
        let found = format!("{bytes} under {}", values.len());
        return Err(wrong(format!(
            "expected at most {MAX_STATE_BYTES} bytes under {MAX_STATE_KEYS} keys, as the state of a rule takes them, found {found}"
        )));
    }
    Ok(values)
}

/// Refuses params that no room takes.
pub(super) fn fits_room(params: &[u8]) -> Outcome {
    if params.len() <= MAX_PARAMS_BYTES {
        return Ok(());
    }
    let message = format!(
        "expected params of at most {MAX_PARAMS_BYTES} bytes, as rooms take them, found {}",
        params.len()
    );
    Err(Stop::usage(message, "put large data into a stream of its own, and its link into the params"))
}

/// Reads params that are given as JSON: the bytes that a rule gets.
pub(in crate::commands) fn params_of(text: &str) -> Outcome<Vec<u8>> {
    let json: Box<RawValue> = serde_json::from_str(text).map_err(|error| {
        Stop::usage(format!("expected JSON as --params, found {error}"), "--params '{\"limit\": 2}'")
    })?;
    Ok(words::compact(&json).into_bytes())
}
