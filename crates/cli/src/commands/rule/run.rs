//! `quorate rule run`: verdicts on entries.

use std::collections::BTreeMap;
use std::fmt;
use std::io::{self, IsTerminal};
use std::path::Path;

use quorate_rules::limits::{MAX_KEY_BYTES, MAX_STATE_BYTES, MAX_STATE_KEYS, MAX_VALUE_BYTES};
use quorate_types::limits::MAX_PARAMS_BYTES;
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;

use super::apart;
use super::bench::Bench;
use super::entries::Entries;
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

/// Values as they stand in a file, with keys that come twice.
struct Pairs(Vec<(String, String)>);

impl<'de> Deserialize<'de> for Pairs {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_map(PairsVisitor)
    }
}

struct PairsVisitor;

impl<'de> Visitor<'de> for PairsVisitor {
    type Value = Pairs;

    fn expecting(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.write_str("an object of strings")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Pairs, A::Error> {
        let mut pairs = Vec::new();
        while let Some(pair) = map.next_entry()? {
            pairs.push(pair);
        }
        Ok(Pairs(pairs))
    }
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
    let wrong = |found: &dyn std::fmt::Display| {
        let message =
            format!("expected a state, keys and values in hexadecimal digits, in {shown}, found {found}");
        Stop::usage(message, r#"{"6b6579": "76616c7565"}"#)
    };
    let text = std::fs::read_to_string(path).map_err(|error| wrong(&error))?;
    let Pairs(pairs) = serde_json::from_str(&text).map_err(|error| wrong(&error))?;
    let mut values = BTreeMap::new();
    let mut bytes = 0;
    for (key, value) in pairs {
        let decoded = (words::hex(&key), words::hex(&value));
        let (Ok(name), Ok(value)) = (&decoded.0, &decoded.1) else {
            let problem = decoded.0.and(decoded.1).err().unwrap_or_default();
            return Err(wrong(&problem));
        };
        let beyond = |what: &str, limit: usize, found: usize| {
            wrong(&format!("a {what} of {found} bytes, the state of a rule takes at most {limit}"))
        };
        if name.len() > MAX_KEY_BYTES {
            return Err(beyond("key", MAX_KEY_BYTES, name.len()));
        }
        if value.len() > MAX_VALUE_BYTES {
            return Err(beyond("value", MAX_VALUE_BYTES, value.len()));
        }
        bytes += (name.len() + value.len()) as u64;
        if values.insert(name.clone(), value.clone()).is_some() {
            return Err(wrong(&format!("the key {key:?} twice")));
        }
    }
    if bytes > MAX_STATE_BYTES || values.len() as u64 > MAX_STATE_KEYS {
        return Err(wrong(&format!(
            "{bytes} bytes under {} keys, the state of a rule takes at most {MAX_STATE_BYTES} under {MAX_STATE_KEYS}",
            values.len()
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
