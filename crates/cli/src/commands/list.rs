//! `quorate ls`, `quorate info` and `quorate peers`.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use quorate_node::Failure;
use quorate_node::model::{
    Content, Direction, DiscoveryInfo, Encoding, Ended, PeerInfo, QuorumInfo, RoomInfo, RuleInfo, SaidState,
    Service, StreamInfo, Streams, UnreadableStream,
};

use quorate_node::Archive;
use quorate_types::PublicKey;
use serde::Serialize;

use super::archive::summary;
use crate::args::{PeersArgs, StreamArg};
use crate::context::Context;
use crate::output::Output;
use crate::stop::Outcome;
use crate::text;

/// Entries that ended without a block that `info` shows.
const ENDED_SHOWN: usize = 8;

/// `quorate ls`.
pub(crate) async fn ls(context: &mut Context) -> Outcome {
    let backend = context.backend().await?;
    let Streams { streams, unreadable } = backend.streams().await?;
    backend.close().await?;
    let output = &mut context.output;
    if output.json {
        streams.iter().try_for_each(|info| output.object(info))?;
        return all_are_readable(unreadable, output);
    }
    let rows: Vec<Vec<String>> = streams.iter().map(|info| row(info, output)).collect();
    for line in text::table(&rows, &[false, true, false, true, false, false]) {
        output.line(&line)?;
    }
    if streams.is_empty() && unreadable.is_empty() {
        output.note(&format!("no streams in {}", context.home.display()));
        let next = [context.command("new NAME"), context.command("clone LINK --peer HOST:PORT")];
        context.output.next(&next);
    }
    all_are_readable(unreadable, &mut context.output)
}

/// Fails where streams of the home cannot be opened, after those that can.
pub(super) fn all_are_readable(unreadable: Vec<UnreadableStream>, output: &mut Output) -> Outcome {
    output.flush()?;
    let whys = unreadable.iter().map(|one| format!("{}: {}", one.name, one.failure.message));
    let whys = whys.collect::<Vec<_>>().join("; ");
    let count = text::count(unreadable.len() as u64, "stream");
    let Some(UnreadableStream { failure, .. }) = unreadable.into_iter().next() else { return Ok(()) };
    let failure = Failure { message: format!("{count} cannot be opened: {whys}"), ..failure.into() };
    Err(failure.into())
}

fn row(info: &StreamInfo, output: &Output) -> Vec<String> {
    let paint = output.paint;
    vec![
        paint.bold(&text::clean(&info.name)),
        text::count(info.length, "block"),
        here(info, output),
        text::bytes(info.byte_length),
        text::access(info).to_string(),
        info.link.clone(),
    ]
}

fn here(info: &StreamInfo, output: &Output) -> String {
    let paint = output.paint;
    if info.fork.is_some() {
        paint.red("fork")
    } else if info.room.as_ref().is_some_and(|room| room.refused.is_some()) {
        paint.red("refused")
    } else if info.here == info.length {
        paint.green("all here")
    } else {
        paint.yellow(&format!("{} here", info.here))
    }
}

/// A stream, and how its peers are found.
#[derive(Serialize)]
struct InfoObject<'a> {
    #[serde(flatten)]
    info: &'a StreamInfo,
    discovery: &'a [DiscoveryInfo],
}

fn discovery_line(info: &DiscoveryInfo) -> String {
    let service = match info.service {
        Service::Lan => "lan",
        Service::Dns => "dns",
        Service::Bittorrent => "bittorrent dht",
        Service::Hyperswarm => "hyperswarm dht",
    };
    let state = text::clean(&info.state);
    if !info.working {
        return format!("{service}: not working: {state}");
    }
    let announced = match info.port {
        Some(port) => format!("announcing port {port}"),
        None => "not announcing".into(),
    };
    format!(
        "{service}: {state}; {announced}; {} known, {} connected",
        text::count(info.known as u64, "peer"),
        info.connected
    )
}

/// `quorate info STREAM`.
pub(crate) async fn info(args: StreamArg, context: &mut Context) -> Outcome {
    let backend = context.backend().await?;
    let info = backend.settled(&args.stream).await?;
    let discovery = backend.discovery().await?;
    // Of an archive whose names are not all here nothing more is said.
    let archive = match info.content {
        Content::Hyperdrive { .. } => Archive::read(backend.node_client(), &args.stream, None).await.ok(),
        _ => None,
    };
    backend.close().await?;
    let output = &mut context.output;
    if output.json {
        return output.object(&InfoObject { info: &info, discovery: &discovery });
    }
    let name = output.paint.bold(&text::clean(&info.name));
    output.line(&name)?;
    let mut rows: Vec<Vec<String>> =
        facts(&info, output).into_iter().map(|(label, value)| vec![format!("  {label}"), value]).collect();
    rows.extend(archive.iter().map(|archive| vec!["  archive".into(), summary(archive)]));
    rows.extend(discovery.iter().map(|service| vec!["  discovery".into(), discovery_line(service)]));
    for line in text::table(&rows, &[]) {
        output.line(&line)?;
    }
    if let Content::Hyperdrive { .. } = &info.content {
        let next = context.command(&format!("checkout {} DIR", text::shell(&info.name)));
        context.output.next(&[next]);
    }
    Ok(())
}

fn writable(info: &StreamInfo) -> String {
    match &info.recovering {
        Some(recovering) => format!(
            "no, recovering: {}; {} of {} peers answered",
            text::clean(&recovering.reason),
            recovering.answered,
            recovering.needed
        ),
        None => if info.writable { "yes" } else { "no" }.to_string(),
    }
}

fn facts(info: &StreamInfo, output: &Output) -> Vec<(&'static str, String)> {
    let mut facts = vec![
        ("link", info.link.clone()),
        ("discovery key", info.discovery_key.to_string()),
        ("writable", writable(info)),
        ("length", format!("{}, {}", text::count(info.length, "block"), text::bytes(info.byte_length))),
        ("here", format!("{} of {}", info.here, info.length)),
    ];
    if info.durable != info.length {
        facts.push(("on disk", format!("{} of {}", info.durable, info.length)));
    }
    if let Some(hash) = &info.tree_hash {
        facts.push(("tree hash", hash.to_string()));
    }
    let encoding = match info.encoding {
        Encoding::Json => "json",
        Encoding::Utf8 => "utf-8",
        Encoding::Binary => "binary",
    };
    facts.push(("encoding", encoding.to_string()));
    match &info.content {
        Content::Plain | Content::Room { .. } => {}
        Content::Hyperdrive { content } => {
            facts.push(("content", "the metadata of a hyperdrive: names of files and folders".to_string()));
            facts.push(("content feed", format!("dat://{content}    (the bytes of the files)")));
        }
        Content::Other { name } => facts.push(("content", format!("header of type {}", text::clean(name)))),
    }
    match (&info.room, &info.unchecked) {
        (Some(room), _) => room_facts(&mut facts, room, (&info.key, info.length), output),
        (None, Some(why)) => facts.push(("room", format!("not checked: {}", text::clean(why)))),
        (None, None) => {}
    }
    if info.sparse {
        facts.push(("sparse", "yes: only what is asked for is fetched".to_string()));
    }
    facts.push(("peers", info.peers.to_string()));
    if info.remote_length > info.length {
        facts.push(("announced", format!("{}, by a peer", text::count(info.remote_length, "block"))));
    }
    if let Some(recovery) = &info.recovery {
        facts.push(("recovered", text::clean(recovery)));
    }
    if let Some(gate) = &info.gate {
        let shown = text::count(gate.shown, "block");
        facts.push(("gate", format!("committed: stock peers are shown {shown} of the first feed")));
    }
    if let Some(fork) = &info.fork {
        facts.push(("fork", output.paint.red(&text::clean(fork))));
    }
    facts.push(("directory", text::clean(&info.directory)));
    facts
}

/// Names the host, and who is next. Each turn begins with an epoch, and the number of the epoch says whose turn it is.
fn host_facts(facts: &mut Vec<(&'static str, String)>, first: &PublicKey, quorum: Option<&QuorumInfo>) {
    let Some(quorum) = quorum else {
        facts.push(("host", format!("feed {first}")));
        return;
    };
    let turn = |epoch: u64| {
        let count = u64::try_from(quorum.hosts.len()).ok()?;
        quorum.hosts.get(usize::try_from(epoch.checked_rem(count)?).ok()?)
    };
    let (began, feed) = quorum.feeds.last().map_or((0, first), |feed| (feed.epoch, &feed.key));
    let identity = began.checked_sub(1).and_then(turn);
    let who = identity.map_or_else(String::new, |identity| format!("identity {identity}, "));
    facts.push(("host", format!("{who}feed {feed}")));
    facts.push(("epoch", quorum.epoch.to_string()));
    for feed in &quorum.feeds {
        let end = feed.end.map_or_else(|| "on".to_owned(), |end| format!("to {}", end.saturating_sub(1)));
        facts.push(("feed", format!("{}, from epoch {}, blocks {} {end}", feed.key, feed.epoch, feed.start)));
    }
    for place in 0..quorum.hosts.len() as u64 {
        let Some(key) = turn(quorum.epoch.saturating_add(place)) else { continue };
        facts.push((if place == 0 { "next host" } else { "after it" }, key.to_string()));
    }
}

fn room_facts(
    facts: &mut Vec<(&'static str, String)>,
    room: &RoomInfo,
    (key, length): (&PublicKey, u64),
    output: &Output,
) {
    let paint = output.paint;
    let host = if room.host { "this node is the host" } else { "another node is the host" };
    facts.push(("room", format!("{}, {host}", text::clean(&room.title))));
    facts.push(("room id", room.id.to_string()));
    host_facts(facts, key, room.quorum.as_ref());
    let checked = format!("{} of {length} blocks are as the rules say", room.checked);
    match &room.quorum {
        None => facts.push(("checked", format!("{checked}; no validators, so appended is all there is"))),
        Some(quorum) => {
            facts.push(("checked", checked));
            quorum_facts(facts, quorum, length, output);
        }
    }
    facts.push(("state root", room.state_root.to_string()));
    for rule in &room.rules {
        facts.push(("rule", rule_words(rule)));
    }
    if room.waiting > 0 {
        let waiting = text::count(room.waiting as u64, "action");
        facts.push(("submitted", paint.yellow(&format!("{waiting}, waiting for the host"))));
    }
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let before = room.not_appended.len().saturating_sub(ENDED_SHOWN);
    if before > 0 {
        facts.push(("not appended", format!("{before} more before these; --json has them all")));
    }
    for ended in room.not_appended.iter().skip(before) {
        facts.push(("not appended", paint.yellow(&ended_words(ended, now))));
    }
    if let Some(refused) = &room.refused {
        let (reason, code) = (text::clean(&refused.reason), text::clean(&refused.code));
        let words =
            format!("block {} {reason}  ({code}); the room is not followed any further", refused.index);
        facts.push(("refused", paint.red(&words)));
    }
    if let Some(unable) = &room.unable {
        facts.push(("no verdict", paint.yellow(&text::clean(unable))));
    }
}

/// Says how an entry ended of which nobody heard.
fn ended_words(ended: &Ended, now: Duration) -> String {
    let why = match &ended.said.state {
        SaidState::Refused { code, reason, place, .. } => {
            format!("{}  ({}, {})", text::clean(reason), text::clean(code), text::clean(place))
        }
        _ => "expired before the host took it".to_owned(),
    };
    let ago = text::duration(now.saturating_sub(Duration::from_secs(ended.ended_unix_s)));
    format!("{} #{}: {why}, {ago} ago", ended.said.author.short(), ended.said.sequence)
}

fn quorum_facts(facts: &mut Vec<(&'static str, String)>, quorum: &QuorumInfo, length: u64, output: &Output) {
    let paint = output.paint;
    let more = match quorum.known.saturating_sub(quorum.committed) {
        0 => String::new(),
        _ => format!("; {} are committed, and not all of them are known to be here", quorum.known),
    };
    facts.push(("appended / committed", format!("{length} / {}{more}", quorum.committed)));
    let voting = quorum.validators.iter().filter(|validator| validator.voted > 0).count();
    let n = quorum.validators.len();
    facts.push((
        "validators",
        format!("{n}, of which {} commit; {voting} are known to have voted", quorum.needed),
    ));
    if let Some(silent) = &quorum.silent {
        facts.push(("vote key", paint.red(&format!("does not vote: {}", text::clean(silent)))));
    }
    for evidence in &quorum.evidence {
        let words = format!("{}  {} by key {}", evidence.id.short(), evidence.kind, evidence.culprit.short());
        facts.push(("evidence", paint.red(&words)));
    }
}

/// Describes a rule in a line.
pub(super) fn rule_words(rule: &RuleInfo) -> String {
    let mut words =
        format!("{}  {}  module {}", text::clean(&rule.name), rule.id.short(), rule.module.short());
    words.push_str(&format!(", from height {}", rule.since));
    if rule.locked {
        words.push_str(", locked");
    }
    if let Some(pending) = &rule.pending {
        words.push_str(&format!(", {pending}"));
    }
    if !rule.params.is_empty() {
        words.push_str(&format!("  {}", text::clean(&rule.params)));
    }
    words
}

/// `quorate peers [STREAM]`.
pub(crate) async fn peers(args: PeersArgs, context: &mut Context) -> Outcome {
    let backend = context.backend().await?;
    let running = backend.is_remote();
    let peers = backend.peers(args.stream.as_deref()).await?;
    let discovery = backend.discovery().await?;
    backend.close().await?;
    let output = &mut context.output;
    if output.json {
        peers.iter().try_for_each(|peer| output.object(peer))?;
        return discovery.iter().try_for_each(|service| output.object(service));
    }
    let rows: Vec<Vec<String>> = peers.iter().map(|peer| peer_row(peer, output)).collect();
    for line in text::table(&rows, &[]) {
        output.line(&line)?;
    }
    for service in &discovery {
        context.output.note(&discovery_line(service));
    }
    if !running {
        context.output.note("no node runs on this home, so nobody is connected");
        let share = context.command("share");
        context.output.next(&[share]);
    } else if peers.is_empty() {
        context.output.note("nobody is connected");
    }
    Ok(())
}

fn peer_row(peer: &PeerInfo, output: &Output) -> Vec<String> {
    let streams: Vec<String> = peer
        .streams
        .iter()
        .map(|stream| format!("{} ({})", text::clean(&stream.name), stream.remote_length))
        .collect();
    vec![
        output.paint.bold(&text::clean(&peer.address)),
        match peer.direction {
            Direction::Outgoing => "outgoing",
            Direction::Incoming => "incoming",
        }
        .to_string(),
        format!("{}{}", text::wire(&peer.wire), if peer.quorate { ", quorate" } else { "" }),
        streams.join(", "),
    ]
}
