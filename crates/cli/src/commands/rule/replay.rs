//! `quorate rule replay`: what a rule would have said to the actions of a room.

use bytes::Bytes;
use quorate_node::model::Content;
use quorate_node::{Code, Failure, message_of};
use serde::Serialize;

use super::apart;
use super::bench::Bench;
use super::module::Module;
use super::params_of;
use super::verdict::Said;
use crate::args::RuleReplayArgs;
use crate::context::Context;
use crate::stop::Outcome;
use crate::text;

/// Blocks that are read ahead of the rule.
const AHEAD: usize = 256;

#[derive(Serialize)]
struct Line {
    schema: &'static str,
    index: u64,
    author: String,
    #[serde(flatten)]
    said: Said,
}

/// `quorate rule replay STREAM --rule FILE [--params JSON] [--refused]`.
pub(super) async fn replay(args: RuleReplayArgs, context: &mut Context) -> Outcome {
    let params = args.params.as_deref().map(params_of).transpose()?.unwrap_or_default();
    let backend = context.backend().await?;
    let info = backend.info(&args.stream.stream).await?;
    if !matches!(info.content, Content::Room { .. }) {
        let message =
            format!("expected a room, whose actions a rule can judge, found that {} is none", info.name);
        return Err(Failure::new(Code::NotARoom, message).next(format!("quorate info {}", info.name)).into());
    }
    let (blocks, given) = async_channel::bounded::<(u64, Bytes)>(AHEAD);
    let module = args.module;
    let lines = apart::start(move |hand| {
        let module = Module::read(&module)?;
        let reads_history = module.inspect()?.exports().history;
        let mut bench = Bench::begin(module.compile()?, params)?;
        while let Ok((index, block)) = given.recv_blocking() {
            if let Some(message) = message_of(&block) {
                let said = bench.judge(index, message.author, &message.payload).into();
                let author = message.author.to_string();
                hand.give(Line { schema: "quorate.verdict/1", index, author, said })?;
            }
            if reads_history {
                bench.remember(index, block);
            }
        }
        Ok(())
    })?;
    let output = &mut context.output;
    let (mut actions, mut refused) = (0_u64, 0_u64);
    let feed = async {
        for index in 0..info.length {
            let block = backend.get(&info.name, index).await?;
            if blocks.send((index, block)).await.is_err() {
                break;
            }
        }
        drop(blocks);
        Outcome::Ok(())
    };
    let print = async {
        while let Some(line) = lines.next().await? {
            let accepted = line.said.code == Some(0);
            actions += 1;
            refused += u64::from(!accepted);
            if args.refused && accepted {
                continue;
            }
            if output.json {
                output.object(&line)?;
            } else {
                let who = line.author.get(..8).unwrap_or_default();
                output.line(&format!("{:>8}  {who}  {}", line.index, line.said.words(output.paint)))?;
            }
        }
        output.flush()
    };
    let (fed, printed) = futures_lite::future::zip(feed, print).await;
    backend.close().await?;
    printed?;
    fed?;
    let of = text::count(actions, "action");
    context.output.note(&format!("the rule would have refused {refused} of {of}"));
    Ok(())
}
