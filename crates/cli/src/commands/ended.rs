//! What was appended through a node that has ended meanwhile.

use std::time::{Duration, Instant};

use bytes::Bytes;
use quorate_node::model::StreamInfo;
use quorate_node::{Code, Failure};

use crate::backend::{Backend, sleep};
use crate::context::Context;
use crate::text;

/// Time that a node which ends in order gets to let go of the stream.
const PATIENCE: Duration = Duration::from_secs(5);

/// Pause between two looks at a stream that is still held.
const PAUSE: Duration = Duration::from_millis(100);

/// Most blocks among which those are looked for that the node was given last: others may have appended, too.
const SEARCHED: u64 = 4096;

/// Looks at the files whether the blocks that the node was given last are there, and says so; before them `done` blocks
/// of the same command were appended.
pub(super) async fn settled(
    context: &Context,
    before: &StreamInfo,
    done: u64,
    blocks: &[Bytes],
    failure: &Failure,
) -> Failure {
    let count = blocks.len() as u64;
    let Some(appended) = look(context, before, blocks).await else {
        return unsure(&before.name, done, count, "block", failure);
    };
    let done = if appended { done + count } else { done };
    let rest = match appended {
        true => "what comes behind".to_owned(),
        false => format!("{} and what comes behind", text::count(count, "block")),
    };
    let came = match done {
        0 => "nothing was appended".to_owned(),
        _ => format!("appended and on disk: {}; not appended: {rest}", text::count(done, "block")),
    };
    let message = format!("expected the node on this home to go on, found that it has ended; {came}");
    let next = "repeat the command with what is missing: it works without that node, too";
    Failure::new(Code::NodeEnded, message).next(next)
}

/// Says that nobody knows how far the last ones came.
pub(super) fn unsure(stream: &str, done: u64, count: u64, thing: &str, failure: &Failure) -> Failure {
    let before = match done {
        0 => String::new(),
        _ => format!("{} before {} brought in; ", text::count(done, thing), was(done)),
    };
    let last = match count {
        1 => "the last one was".to_owned(),
        _ => format!("the last {count} were"),
    };
    let message = format!("{}; {before}whether {last} appended is not known", failure.message);
    let name = text::shell(stream);
    Failure::new(failure.code, message)
        .next(format!("quorate log {name} --tail {count}\nquorate info {name}"))
}

/// Tells whether the blocks are in the stream, in one piece behind what was there; `None` where the files cannot be read.
async fn look(context: &Context, before: &StreamInfo, blocks: &[Bytes]) -> Option<bool> {
    let until = Instant::now() + PATIENCE;
    let (backend, info) = loop {
        let backend = Backend::connect(&context.home, context.timeout).await.ok()?;
        match backend.info(&before.name).await {
            Ok(info) => break (backend, info),
            Err(failure) if is_passing(&failure) && Instant::now() < until => {
                let _ = backend.close().await;
                sleep(Instant::now() + PAUSE).await;
            }
            Err(_) => return None,
        }
    };
    let last = info.length.checked_sub(blocks.len() as u64);
    let starts =
        last.map_or(0..0, |last| before.length..last.saturating_add(1).min(before.length + SEARCHED));
    let mut found = false;
    for start in starts {
        if stands(&backend, &info.name, start, blocks).await {
            found = true;
            break;
        }
    }
    let _ = backend.close().await;
    Some(found)
}

/// Tells whether a node that ends still holds the stream.
fn is_passing(failure: &Failure) -> bool {
    matches!(failure.code, Code::Locked | Code::NodeEnded | Code::Internal)
}

async fn stands(backend: &Backend, stream: &str, start: u64, blocks: &[Bytes]) -> bool {
    for (index, block) in (start..).zip(blocks) {
        if backend.get(stream, index).await.ok().as_ref() != Some(block) {
            return false;
        }
    }
    true
}

const fn was(count: u64) -> &'static str {
    if count == 1 { "was" } else { "were" }
}
