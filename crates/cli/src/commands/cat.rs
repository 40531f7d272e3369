//! `quorate cat` and `quorate get`: what is in a stream.

use std::collections::BTreeSet;

use quorate_node::model::{Content, Encoding, Policy, StreamInfo};
use quorate_node::{Code, Failure, message_of};
use quorate_types::{BlockRange, PublicKey};
use serde::Serialize;
use serde_json::value::RawValue;

use crate::args::{CatArgs, GetArgs, RangeArgs};
use crate::backend::Backend;
use crate::context::Context;
use crate::exposed::Exposed;
use crate::follow::Follow;
use crate::output::Output;
use crate::stop::Outcome;
use crate::text;

/// `quorate cat STREAM`.
pub(crate) async fn cat(args: CatArgs, context: &mut Context) -> Outcome {
    let mut follow = Follow::open(context, &args.stream.stream, args.range.live).await?;
    let result = print_payloads(&mut follow, &args, &mut context.output).await;
    let closed = follow.close().await;
    result?;
    closed
}

async fn print_payloads(follow: &mut Follow, args: &CatArgs, output: &mut Output) -> Outcome {
    let range = args.range;
    let wanted = match args.committed {
        true => committed(resolve(range, &follow.info)?, &follow.info)?,
        false => resolve(range, &follow.info)?,
    };
    let wanted = BlockRange::new(wanted.start, wanted.end.min(judged_length(&follow.info, range.live)));
    let encoding = args.encoding.map_or(follow.info.encoding, Encoding::from);
    let is_room = matches!(follow.info.content, Content::Room { .. });
    let mut index = wanted.start;
    let mut end = wanted.end;
    let mut muted = Muted::load(&follow.backend).await?;
    let mut exposed = Exposed::default();
    loop {
        if range.live {
            for exposure in
                exposed.news(&follow.backend, &follow.info, follow.other_history.as_deref()).await?
            {
                exposure.warn(output);
            }
        }
        while index < end {
            let feed = feed_at(&follow.info, index);
            match follow.backend.get(&follow.info.name, index).await {
                Ok(block) if is_room => {
                    if let Some(message) = message_of(&block) {
                        let said = Some((&message.author, message.sequence));
                        if !muted.hides(&[feed, message.author], index, output)? {
                            print_payload(output, encoding, index, &message.payload, said)?;
                        }
                    }
                }
                Ok(_) if muted.hides(&[feed], index, output)? => {}
                Ok(block) => print_payload(output, encoding, index, &block, None)?,
                Err(failure) if range.live && failure.code == Code::BlockNotHere => break,
                Err(failure) => return Err(failure.into()),
            }
            index += 1;
        }
        output.flush()?;
        muted.tell(&follow.info, output);
        if index >= judged_length(&follow.info, range.live)
            && let Some(failure) = refused_behind(&follow.info, index, range.end)
        {
            return Err(failure.into());
        }
        if !range.live {
            if args.committed {
                tell_missing(&follow.info, output);
            }
            tell_unjudged(&follow.info, output);
            return Ok(());
        }
        follow.changed().await?;
        muted = Muted::load(&follow.backend).await?;
        end = if args.committed { committed_length(&follow.info)? } else { follow.info.length };
        end = end.min(judged_length(&follow.info, true));
    }
}

/// Blocks of a stream that are shown as what their authors said: of a room that is checked here, none that its rules
/// refuse and none behind it. Whoever follows a room live is shown nothing before its verdict.
fn judged_length(info: &StreamInfo, live: bool) -> u64 {
    match &info.room {
        Some(room) => match &room.refused {
            Some(refused) => refused.index,
            None if live => room.checked,
            None => info.length,
        },
        None => info.length,
    }
}

/// Says why a room is not shown to the end that was asked for.
fn refused_behind(info: &StreamInfo, index: u64, end: Option<u64>) -> Option<Failure> {
    let refused = info.room.as_ref()?.refused.as_ref()?;
    if end.is_some_and(|end| end <= index) {
        return None;
    }
    let (at, reason) = (refused.index, text::clean(&refused.reason));
    let message = format!(
        "expected a room that follows its own rules, found block {at} {reason}; it is not shown, nor what stands behind \
         it"
    );
    let name = text::shell(&info.name);
    Some(Failure::new(Code::HostBrokeRules, message).next(format!("quorate log {name} --start {at}")))
}

/// Says that blocks are shown on which there is no verdict.
fn tell_unjudged(info: &StreamInfo, output: &Output) {
    let Some(room) = info.room.as_ref().filter(|room| room.refused.is_none()) else { return };
    if room.checked < info.length {
        let why = room.unable.as_deref().map_or(String::new(), |why| format!(": {}", text::clean(why)));
        output.warn(&format!("from block {} on there is no verdict yet{why}", room.checked));
    }
}

/// Key of the feed in which a block stands.
fn feed_at(info: &StreamInfo, index: u64) -> PublicKey {
    let quorum = info.room.as_ref().and_then(|room| room.quorum.as_ref());
    let feeds = quorum.map_or(&[][..], |quorum| quorum.feeds.as_slice());
    feeds.iter().rev().find(|feed| feed.start <= index).map_or(info.key, |feed| feed.key)
}

/// Keys whose entries the user does not want to see.
struct Muted {
    keys: BTreeSet<PublicKey>,
    hidden: u64,
}

#[derive(Serialize)]
struct Hidden {
    schema: &'static str,
    index: u64,
    muted: PublicKey,
}

impl Muted {
    async fn load(backend: &Backend) -> Outcome<Self> {
        let decisions = backend.decisions().await?;
        let muted = decisions.iter().filter(|decision| decision.policy == Policy::Mute);
        Ok(Self { keys: muted.map(|decision| decision.key).collect(), hidden: 0 })
    }

    /// Tells whether an entry by one of these keys is left out; for a program, its place is marked.
    fn hides(&mut self, keys: &[PublicKey], index: u64, output: &mut Output) -> Outcome<bool> {
        let Some(muted) = keys.iter().find(|key| self.keys.contains(*key)) else { return Ok(false) };
        self.hidden += 1;
        if output.json {
            output.object(&Hidden { schema: "quorate.payload/1", index, muted: *muted })?;
        }
        Ok(true)
    }

    /// Says how many entries were left out.
    fn tell(&mut self, info: &StreamInfo, output: &Output) {
        let hidden = std::mem::take(&mut self.hidden);
        if hidden > 0 {
            output.note(&format!(
                "{} by keys that are muted {} not shown: quorate fork ls {}",
                text::count(hidden, "block"),
                if hidden == 1 { "is" } else { "are" },
                text::shell(&info.name)
            ));
        }
    }
}

/// Blocks of a room that a quorum has committed, and that are here with a verdict: who has heard of a commit may not have its
/// blocks yet.
fn committed_length(info: &StreamInfo) -> Outcome<u64> {
    let room = info.room.as_ref();
    let committed = room.and_then(|room| Some(room.quorum.as_ref()?.committed.min(room.checked)));
    committed.ok_or_else(|| {
        if let Some(damage) = info.damage() {
            return damage.into();
        }
        let message = format!(
            "expected a room with validators for --committed, found that nobody commits what is appended to {}",
            info.name
        );
        Failure::new(Code::NoValidators, message).next("leave --committed out").into()
    })
}

/// Says that more is committed than is here.
fn tell_missing(info: &StreamInfo, output: &Output) {
    let Some(room) = &info.room else { return };
    let known = room.quorum.as_ref().map_or(0, |quorum| quorum.known);
    let here = room.quorum.as_ref().map_or(0, |quorum| quorum.committed.min(room.checked));
    let missing = known.saturating_sub(here);
    if missing > 0 {
        output.note(&format!(
            "{} more committed, and not here yet: quorate info {}",
            text::count(missing, "block"),
            text::shell(&info.name)
        ));
    }
}

/// Leaves out what is not committed.
fn committed(range: BlockRange, info: &StreamInfo) -> Outcome<BlockRange> {
    let length = committed_length(info)?;
    Ok(BlockRange::new(range.start.min(length), range.end.min(length)))
}

/// `quorate get STREAM N`.
pub(crate) async fn get(args: GetArgs, context: &mut Context) -> Outcome {
    let backend = context.backend().await?;
    let info = backend.info(&args.stream.stream).await?;
    let block = backend.get(&info.name, args.index).await?;
    backend.close().await?;
    let output = &mut context.output;
    if output.json || output.terminal {
        // The bytes as they are, of which a room's messages are a part.
        let encoding =
            if matches!(info.content, Content::Room { .. }) { Encoding::Binary } else { info.encoding };
        print_payload(output, encoding, args.index, &block, None)
    } else {
        output.bytes(&block)
    }
}

#[derive(Serialize)]
struct Payload<'a> {
    schema: &'static str,
    index: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    payload: Option<Shown<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    base64: Option<String>,
    /// Who signed it, in a room.
    #[serde(skip_serializing_if = "Option::is_none")]
    author: Option<&'a PublicKey>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sequence: Option<u64>,
}

/// Who says something in a room, and how many entries of theirs stand before it.
type Said<'a> = Option<(&'a PublicKey, u64)>;

#[derive(Serialize)]
#[serde(untagged)]
enum Shown<'a> {
    Json(&'a RawValue),
    Text(&'a str),
}

fn print_payload(
    output: &mut Output,
    encoding: Encoding,
    index: u64,
    block: &[u8],
    said: Said<'_>,
) -> Outcome {
    if output.json {
        return print_object(output, encoding, index, block, said);
    }
    if output.terminal {
        let shown = text::for_terminal(block);
        output.bytes(shown.as_bytes())?;
    } else {
        output.bytes(block)?;
    }
    let lines = encoding != Encoding::Binary || output.terminal;
    if lines && block.last() != Some(&b'\n') { output.bytes(b"\n") } else { Ok(()) }
}

fn print_object(
    output: &mut Output,
    encoding: Encoding,
    index: u64,
    block: &[u8],
    said: Said<'_>,
) -> Outcome {
    let on_one_line = one_line(block);
    let text = match encoding {
        Encoding::Json => on_one_line.as_deref(),
        Encoding::Utf8 => std::str::from_utf8(block).ok(),
        Encoding::Binary => None,
    };
    let payload = match (encoding, text) {
        (Encoding::Json, Some(text)) => serde_json::from_str(text).ok().map(Shown::Json),
        (_, Some(text)) => Some(Shown::Text(text)),
        (_, None) => None,
    };
    let base64 = payload.is_none().then(|| data_encoding::BASE64.encode(block));
    let (author, sequence) = said.unzip();
    output.object(&Payload { schema: "quorate.payload/1", index, payload, base64, author, sequence })
}

/// Puts a JSON text on one line: line ends stand only between its tokens.
fn one_line(block: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(block).ok()?;
    Some(text.replace(['\n', '\r'], " "))
}

/// Works out which blocks are meant.
pub(super) fn resolve(range: RangeArgs, info: &StreamInfo) -> Outcome<BlockRange> {
    let length = info.length;
    if let Some(tail) = range.tail {
        return Ok(BlockRange::new(length.saturating_sub(tail), length));
    }
    let start = range.start.unwrap_or(0);
    let end = range.end.unwrap_or(length.max(start));
    if end < start {
        return Err(crate::stop::Stop::usage(
            format!("expected --end to be at least --start, found {start} to {end}"),
            "swap them",
        ));
    }
    let beyond = end > length && !range.live;
    if beyond {
        return Err(Failure::new(
            Code::BlockBeyondEnd,
            format!("expected blocks {start} to {end}, found a length of {length} in {}", info.name),
        )
        .next("leave out --end, or follow what comes with --live")
        .into());
    }
    Ok(BlockRange::new(start, if range.live { length } else { end }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stop::Stop;

    fn info(length: u64) -> StreamInfo {
        let key = PublicKey::new([7; 32]);
        StreamInfo {
            schema: StreamInfo::SCHEMA.into(),
            name: "chess".into(),
            key,
            link: format!("dat://{key}"),
            discovery_key: key.discovery_key(),
            writable: true,
            length,
            byte_length: 0,
            here: length,
            durable: length,
            tree_hash: None,
            encoding: Encoding::Utf8,
            content: Content::Plain,
            directory: String::new(),
            peers: 0,
            remote_length: 0,
            other_history: 0,
            sparse: false,
            recovery: None,
            recovering: None,
            room: None,
            unchecked: None,
            damaged: None,
            fork: None,
            evidence: Vec::new(),
            gate: None,
        }
    }

    fn range(start: Option<u64>, end: Option<u64>, tail: Option<u64>, live: bool) -> Outcome<BlockRange> {
        resolve(RangeArgs { start, end, tail, live }, &info(10))
    }

    #[test]
    fn ranges_end_where_the_feed_ends() {
        assert_eq!(range(None, None, None, false), Ok(BlockRange::new(0, 10)));
        assert_eq!(range(Some(3), Some(5), None, false), Ok(BlockRange::new(3, 5)));
        assert_eq!(range(Some(10), None, None, false), Ok(BlockRange::new(10, 10)));
        assert_eq!(range(None, None, Some(3), false), Ok(BlockRange::new(7, 10)));
        assert_eq!(range(None, None, Some(30), true), Ok(BlockRange::new(0, 10)));
        assert_eq!(range(Some(12), None, None, true), Ok(BlockRange::new(12, 10)));
        for (start, end, code) in [
            (Some(11), None, Code::BlockBeyondEnd),
            (None, Some(11), Code::BlockBeyondEnd),
            (Some(5), Some(4), Code::BadRequest),
        ] {
            let Err(Stop::Failed(failure)) = range(start, end, None, false) else {
                panic!("{start:?} {end:?} is taken");
            };
            assert_eq!(failure.code, code);
        }
    }

    #[test]
    fn json_goes_on_one_line_and_stays_what_it_is() {
        let text = one_line(b"{\r\n \"b\": 1.10,\n \"a\": \"x\\ny\"}").unwrap();
        assert_eq!(text, "{   \"b\": 1.10,  \"a\": \"x\\ny\"}");
        assert_eq!(one_line(b"\xff"), None);
    }
}
