//! `quorate log`: a line about each block.

use std::time::{Duration, Instant};

use quorate_node::model::{BlockInfo, EntryInfo, StreamInfo, Verdict};
use quorate_node::{Code, Failure};
use quorate_types::BlockRange;

use super::cat::resolve;
use super::submitted::tell_committed;
use crate::args::{LogArgs, RangeArgs};
use crate::backend::Backend;
use crate::context::Context;
use crate::exposed::Exposed;
use crate::follow::Follow;
use crate::output::Output;
use crate::stop::Outcome;
use crate::text;

/// Blocks that one request asks for.
const PAGE: u64 = 1024;

/// Time that the line of a block waits for its verdict, counted from the verdict before. Who waits for a peer, or for a
/// quorum, may get none for long.
const VERDICT: Duration = Duration::from_secs(5);

/// `quorate log STREAM`.
pub(crate) async fn log(args: LogArgs, context: &mut Context) -> Outcome {
    let mut follow = Follow::open(context, &args.stream.stream, args.range.live).await?;
    let result = print_log(&mut follow, args.range, &mut context.output).await;
    let closed = follow.close().await;
    result?;
    closed
}

async fn print_log(follow: &mut Follow, range: RangeArgs, output: &mut Output) -> Outcome {
    let wanted = resolve(range, &follow.info)?;
    let mut index = wanted.start;
    let mut end = wanted.end;
    if !output.json && output.terminal && index < end {
        let head = format!("{:>8}  {:>8}  {:8}  state", "height", "bytes", "hash");
        let head = output.paint.dim(&head);
        output.line(&head)?;
    }
    let mut exposed = Exposed::default();
    let mut verdicts = Verdicts::new(Instant::now());
    let mut committed = committed_of(&follow.info);
    loop {
        let mut wake = None;
        if range.live {
            for exposure in
                exposed.news(&follow.backend, &follow.info, follow.other_history.as_deref()).await?
            {
                exposure.print(output)?;
            }
            (end, wake) = verdicts.end(waits_for(&follow.info), follow.info.length, Instant::now());
        }
        while index < end {
            let page = BlockRange::new(index, end.min(index.saturating_add(PAGE)));
            for block in &page_of(&follow.backend, &follow.info, page).await? {
                print_block(output, block)?;
            }
            index = page.end;
        }
        // Lines said before that their blocks were not.
        let now = committed_of(&follow.info);
        if range.live && now > committed {
            tell_committed(now, output)?;
            committed = now;
        }
        output.flush()?;
        if !range.live {
            return Ok(());
        }
        follow.changed_before(wake).await?;
    }
}

/// How far a room has been judged, and since when.
struct Verdicts {
    /// Blocks that had a verdict, and whether others had none.
    before: (u64, bool),
    since: Instant,
}

impl Verdicts {
    fn new(now: Instant) -> Self {
        Self { before: (0, false), since: now }
    }

    /// Returns where the lines end for now, and when the wait for the next verdict is over; `checked` blocks have one.
    fn end(&mut self, checked: Option<u64>, length: u64, now: Instant) -> (u64, Option<Instant>) {
        let Some(checked) = checked else { return (length, None) };
        let waits = checked < length;
        // One verdict after the other may take longer; silence may not.
        if (checked, waits) != self.before {
            self.before = (checked, waits);
            self.since = now;
        }
        let until = self.since + VERDICT;
        if waits && now < until { (checked, Some(until)) } else { (length, None) }
    }
}

/// Returns how many blocks of a room have a verdict, where others may still get one.
fn waits_for(info: &StreamInfo) -> Option<u64> {
    info.room.as_ref().filter(|room| room.refused.is_none()).map(|room| room.checked)
}

/// Returns how many blocks of a room are committed; 0 where nobody commits.
fn committed_of(info: &StreamInfo) -> u64 {
    let quorum = info.room.as_ref().and_then(|room| room.quorum.as_ref());
    quorum.map_or(0, |quorum| quorum.committed)
}

async fn page_of(backend: &Backend, info: &StreamInfo, page: BlockRange) -> Outcome<Vec<BlockInfo>> {
    let blocks = backend.blocks(&info.name, page).await?;
    if blocks.len() as u64 == page.len() {
        Ok(blocks)
    } else {
        Err(Failure::new(
            Code::Internal,
            format!(
                "expected {} of the log for {page}, found {}",
                text::count(page.len(), "line"),
                blocks.len()
            ),
        )
        .into())
    }
}

fn print_block(output: &mut Output, block: &BlockInfo) -> Outcome {
    if output.json {
        return output.object(block);
    }
    let size = block.size.map_or_else(|| "?".to_string(), |size| size.to_string());
    let hash = block.hash.map_or_else(|| "?".to_string(), |hash| hash.short());
    let state = if block.here { output.paint.green("here") } else { output.paint.yellow("missing") };
    let entry = block.entry.as_ref().map_or_else(String::new, |entry| entry_words(entry, output));
    let muted = match &block.muted {
        Some(key) => format!("  {}", output.paint.yellow(&format!("muted: key {}", key.short()))),
        None => String::new(),
    };
    output.line(&format!("{:>8}  {size:>8}  {hash:8}  {state}{entry}{muted}", block.index))
}

/// Says what stands in a block of a room: `  action 5d0e1f22 #3  accepted`.
fn entry_words(entry: &EntryInfo, output: &Output) -> String {
    let paint = output.paint;
    let who = match (&entry.author, entry.sequence) {
        (Some(author), Some(sequence)) => format!("{} #{sequence}", author.short()),
        _ => String::new(),
    };
    let verdict = match (entry.verdict, &entry.reason) {
        (Verdict::Accepted, _) => paint.green("accepted"),
        (Verdict::Refused, reason) => {
            let reason = text::clean(reason.as_deref().unwrap_or("refused"));
            paint.red(&format!("{reason}  ({})", text::clean(entry.code.as_deref().unwrap_or_default())))
        }
        (Verdict::Unchecked, _) => paint.yellow("not checked"),
    };
    let committed = match entry.committed {
        Some(true) => format!("  {}", paint.green("committed")),
        Some(false) => format!("  {}", paint.yellow("not committed")),
        None => String::new(),
    };
    format!("  {:<11}  {who:<13}  {verdict}{committed}", entry.kind)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_waits_for_its_verdict_but_not_for_ever() {
        let start = Instant::now();
        let after = |seconds| start + Duration::from_secs(seconds);
        let mut verdicts = Verdicts::new(start);
        assert_eq!(verdicts.end(None, 9, start), (9, None));
        assert_eq!(verdicts.end(Some(2), 2, start), (2, None));
        // It is counted from the block, and again from each verdict.
        assert_eq!(verdicts.end(Some(2), 4, after(60)), (2, Some(after(65))));
        assert_eq!(verdicts.end(Some(2), 5, after(62)), (2, Some(after(65))));
        assert_eq!(verdicts.end(Some(3), 5, after(64)), (3, Some(after(69))));
        assert_eq!(verdicts.end(Some(3), 5, after(69)), (5, None));
        assert_eq!(verdicts.end(Some(5), 5, after(70)), (5, None));
    }
}
