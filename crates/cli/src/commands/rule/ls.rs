//! `quorate rule ls`: the rules of a room.

use quorate_node::model::{RoomInfo, RuleInfo, StreamInfo};
use quorate_node::{Code, Failure};
use serde::Serialize;

use crate::args::StreamArg;
use crate::commands::list::rule_words;
use crate::context::Context;
use crate::stop::{Outcome, Stop};

#[derive(Serialize)]
struct Rule<'a> {
    schema: &'static str,
    #[serde(flatten)]
    rule: &'a RuleInfo,
}

/// `quorate rule ls STREAM`.
pub(super) async fn ls(args: StreamArg, context: &mut Context) -> Outcome {
    let backend = context.backend().await?;
    let info = backend.info(&args.stream).await?;
    backend.close().await?;
    let room = room_of(&info)?;
    let output = &mut context.output;
    for rule in &room.rules {
        if output.json {
            output.object(&Rule { schema: "quorate.rule/1", rule })?;
        } else {
            output.line(&rule_words(rule))?;
        }
    }
    if room.rules.is_empty() {
        output.note("no rules: every action that is signed in order is appended");
    }
    Ok(())
}

/// Finds the room in what a stream is; an end when it is none, or not checked here.
pub(super) fn room_of(info: &StreamInfo) -> Outcome<&RoomInfo> {
    info.room.as_ref().ok_or_else(|| {
        let failure = match &info.unchecked {
            Some(why) => {
                Failure::new(Code::Unable, format!("expected a room that is checked here, found that {why}"))
            }
            None => {
                Failure::new(Code::NotARoom, format!("expected a room, found that {} is none", info.name))
            }
        };
        Stop::Failed(failure.next(format!("quorate info {}", info.name)))
    })
}
