//! `quorate demo`: the commands that a newcomer would type, played on this machine.

mod board;
mod chat;
mod chess;
mod child;
mod fork;
mod ledger;
mod room;
mod share;
mod stock;

pub(crate) use stock::stock_peers;

use std::time::Duration;

use quorate_node::{Code, Failure};
use serde::Serialize;
use serde_json::Value;
use tempfile::TempDir;

use crate::args::{DemoArgs, Scenario};
use crate::context::Context;
use crate::output::Output;
use crate::stop::{Outcome, Stop};

/// What came out with one stock client.
#[derive(Debug, Serialize)]
struct StockReport {
    client: String,
    received: u64,
    sent: u64,
}

/// `quorate demo [share|chess|ledger|chat]`.
pub(crate) async fn demo(args: &DemoArgs, context: &mut Context) -> Outcome {
    if args.fork && args.scenario != Scenario::Ledger {
        return Err(Stop::usage(
            "expected --fork with ledger, found another scenario",
            "quorate demo ledger --fork",
        ));
    }
    match args.scenario {
        Scenario::Share => share::share(context),
        Scenario::Chess => chess::chess(context),
        Scenario::Ledger if args.fork => fork::fork(context),
        Scenario::Ledger => ledger::ledger(context),
        Scenario::Chat => chat::chat(context),
    }
}

/// Makes the directory in which everything happens; it is gone afterwards.
fn directory() -> Outcome<TempDir> {
    tempfile::Builder::new()
        .prefix("quorate-demo-")
        .tempdir()
        .map_err(|error| Stop::io("making a temporary directory", &error))
}

/// Says what has been done.
fn say(output: &mut Output, text: &str) -> Outcome {
    if output.json {
        return Ok(());
    }
    output.line(text)?;
    output.flush()
}

fn ms(time: Duration) -> f64 {
    (time.as_secs_f64() * 1e6).round() / 1e3
}

fn wrong(message: String) -> Stop {
    Failure::new(Code::Internal, message).into()
}

fn first<'a>(objects: &'a [Value], of: &str) -> Outcome<&'a Value> {
    objects.first().ok_or_else(|| wrong(format!("expected an object of {of}, found none")))
}

fn number_of(object: &Value, field: &str) -> Outcome<u64> {
    object[field].as_u64().ok_or_else(|| wrong(format!("expected a number {field}, found {object}")))
}

fn text_of(object: &Value, field: &str) -> Outcome<String> {
    let text =
        object[field].as_str().ok_or_else(|| wrong(format!("expected a text {field}, found {object}")))?;
    Ok(text.to_string())
}

fn expect(what: &str, expected: u64, found: u64) -> Outcome {
    if expected == found {
        Ok(())
    } else {
        Err(wrong(format!("expected {what} to be {expected}, found {found}")))
    }
}

fn compare(reader: &str, index: u64, expected: Option<&Vec<u8>>, found: Option<&[u8]>) -> Outcome {
    if found.is_some() && expected.map(Vec::as_slice) == found {
        Ok(())
    } else {
        Err(wrong(format!(
            "expected block {index} at {reader} to be the one that was appended, found another"
        )))
    }
}
