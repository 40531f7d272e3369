//! `quorate rule run`: verdicts on entries.

use std::collections::BTreeMap;
use std::io::{self, IsTerminal};
use std::path::Path;

use serde::Serialize;
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

/// `quorate rule run FILE --entries F [--state F] [--params JSON]`.
pub(super) async fn run(args: RuleRunArgs, output: &mut Output) -> Outcome {
    let params = args.params.as_deref().map(params_of).transpose()?.unwrap_or_default();
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
            let said = bench.judge(index, entry.author, &entry.payload).into();
            let author = entry.author.to_string();
            hand.give(Line { schema: "quorate.verdict/1", index, author, said })?;
            index += 1;
        }
        Ok(())
    })?;
    while let Some(line) = lines.next().await? {
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
    let values: BTreeMap<String, String> = serde_json::from_str(&text).map_err(|error| wrong(&error))?;
    let decoded = values.iter().map(|(key, value)| Ok((words::hex(key)?, words::hex(value)?)));
    decoded.collect::<Result<_, String>>().map_err(|problem| wrong(&problem))
}

/// Reads params that are given as JSON: the bytes that a rule gets.
pub(in crate::commands) fn params_of(text: &str) -> Outcome<Vec<u8>> {
    let json: Box<RawValue> = serde_json::from_str(text).map_err(|error| {
        Stop::usage(format!("expected JSON as --params, found {error}"), "--params '{\"limit\": 2}'")
    })?;
    Ok(words::compact(&json).into_bytes())
}
