//! `quorate clone`.

use std::time::{Duration, Instant};

use futures_lite::future;
use quorate_node::event::Event;
use quorate_node::model::{CloneStream, Content, EvidenceInfo, Policy, StreamInfo};
use quorate_node::{Archive, Code, Discover, Failure};
use quorate_types::{Link, PublicKey};
use serde::Serialize;

use super::archive::summary;
use super::share::print_events;
use crate::args::CloneArgs;
use crate::backend::{Backend, Events, Serving, sleep};
use crate::context::Context;
use crate::names;
use crate::news;
use crate::progress::{Progress, Unit};
use crate::stop::{Outcome, Stop};
use crate::text;
use crate::watch::{Verdict, Watch};

/// Time between two looks at the content of an archive.
const LOOK_AT_CONTENT: Duration = Duration::from_millis(50);

/// Time between two looks at a room whose peers know more of it.
const LOOK_AT_ROOM: Duration = Duration::from_millis(50);

/// Time between two looks at a stream that is fetched.
const LOOK: Duration = Duration::from_millis(500);

/// `quorate clone LINK [NAME]`.
pub(crate) async fn clone(args: CloneArgs, context: &mut Context) -> Outcome {
    let link = names::with_key(&args.link, &args.resolve, context).await?;
    let link: Link = link.parse().map_err(|error: quorate_types::LinkError| {
        quorate_node::Failure::new(quorate_node::Code::BadLink, error.to_string())
            .next("copy the link again, whole; its owner has it from quorate info STREAM")
    })?;
    // Nothing is announced: only who is found is dialled.
    let discover = args.announce.discover(None);
    let wanted = CloneStream {
        link: link.to_string(),
        name: args.name,
        peers: args.peers,
        sparse: args.sparse,
        no_check: args.no_check,
    };
    let backend = context.backend().await?;
    if backend.is_remote() {
        let mut events = backend.events().await?;
        let info = backend.clone_stream(wanted.clone()).await?;
        let result = follow(&backend, info, &mut events, &wanted, args.live, context).await;
        let closed = backend.close().await;
        result?;
        return Ok(closed?);
    }
    backend.close().await?;
    let node = Serving::open(&context.home, context.timeout).await?;
    let result = fetch(&node, &wanted, discover, args.live, context).await;
    if context.interrupt.is_set() && !args.live {
        context.output.note("ending; the same command resumes; again Ctrl-C ends at once");
    }
    let closed = node.shutdown().await;
    result?;
    Ok(closed?)
}

/// Fetches with a node of our own.
async fn fetch(
    node: &Serving,
    wanted: &CloneStream,
    discover: Discover,
    live: bool,
    context: &mut Context,
) -> Outcome {
    if live {
        node.serve_api().await?;
    }
    let mut events = node.events();
    let info = node.clone_stream(wanted.clone(), live).await?;
    node.discover(discover)?;
    follow(&node.client(), info, &mut events, wanted, live, context).await
}

/// Waits until all is here, and with `live` goes on until Ctrl-C.
async fn follow(
    backend: &Backend,
    info: StreamInfo,
    events: &mut Events,
    wanted: &CloneStream,
    live: bool,
    context: &mut Context,
) -> Outcome {
    let name = info.name.clone();
    context.output.note(&format!("cloning {} as {}", info.link, text::clean(&name)));
    if info.here > 0 {
        context.output.note(&format!("{} of it are here", text::count(info.here, "block")));
    }
    let started = Instant::now();
    let before = info.here;
    let mut watch = Watch::new(&name, &wanted.peers);
    wait(backend, &name, &mut watch, events, context).await?;
    let info = catch_up(backend, &name, &mut watch, events, context).await?;
    let archive = match info.content {
        Content::Hyperdrive { content } if !info.sparse => {
            Some(content_of(backend, &name, &content, events, context).await?)
        }
        _ => None,
    };
    let output = &mut context.output;
    if output.json {
        output.object(&ClonedObject { info: &info, archive: archive.as_ref().map(archive_object) })?;
    } else {
        output.line(&told(&info, before, started))?;
        if let Some(archive) = &archive {
            output.line(&summary(archive))?;
        }
    }
    output.flush()?;
    if live {
        return print_events(events, context).await;
    }
    if let Some(evidence) = against_writer(&info) {
        return Err(found_out(&info, evidence).into());
    }
    let name = text::shell(&name);
    let look = if archive.is_some() { format!("checkout {name} DIR") } else { format!("cat {name}") };
    let next = [context.command(&look), context.command(&format!("share {name}"))];
    context.output.next(&next);
    Ok(())
}

/// Finds evidence about which nothing is decided yet against a key that writes the stream: its own, or in a room that of a
/// host that came later.
fn against_writer(info: &StreamInfo) -> Option<&EvidenceInfo> {
    let quorum = info.room.as_ref().and_then(|room| room.quorum.as_ref());
    let later =
        |key: &PublicKey| quorum.is_some_and(|quorum| quorum.feeds.iter().any(|feed| feed.key == *key));
    let mut open = info.evidence.iter().filter(|one| one.policy == Policy::Warn);
    open.find(|one| one.culprit == info.key || later(&one.culprit))
}

/// What is here is here; but whoever wrote it has signed something else as well.
fn found_out(info: &StreamInfo, evidence: &EvidenceInfo) -> Failure {
    let (name, id) = (text::shell(&info.name), evidence.id.short());
    let message = format!(
        "expected a writer of {} that has signed one history, found evidence {id} against its key; what is here is kept",
        info.name
    );
    Failure::new(Code::ForkFound, message)
        .next(format!("quorate fork show {name} {id}\nquorate fork resolve {name} {id} --policy POLICY"))
}

/// Waits until every block of a room has a verdict.
async fn check(backend: &Backend, name: &str, context: &Context) -> Outcome {
    let interrupt = context.interrupt.clone();
    let ended = async move {
        interrupt.wait().await;
        Err(Stop::Interrupted)
    };
    let checked = async { Ok(backend.checked(name).await.map(|_| ())?) };
    future::or(ended, checked).await
}

#[derive(Serialize)]
struct ClonedObject<'a> {
    #[serde(flatten)]
    info: &'a StreamInfo,
    #[serde(skip_serializing_if = "Option::is_none")]
    archive: Option<ArchiveObject>,
}

#[derive(Serialize)]
struct ArchiveObject {
    version: u64,
    files: usize,
    bytes: u64,
}

fn archive_object(archive: &Archive) -> ArchiveObject {
    ArchiveObject { version: archive.version, files: archive.files.len(), bytes: archive.bytes() }
}

/// Waits until the content of an archive is here, too.
async fn content_of(
    backend: &Backend,
    metadata: &str,
    content: &PublicKey,
    events: &mut Events,
    context: &mut Context,
) -> Outcome<Archive> {
    let archive = Archive::read(backend.node_client(), metadata, None).await?;
    let needed = archive.content_length();
    let mut progress = Progress::new(&context.output, "content", Unit::Blocks);
    let mut heard = Instant::now();
    let (mut here, mut watch) = (0, None);
    loop {
        match backend.info(&content.to_string()).await {
            Ok(info) => {
                if info.length >= needed && info.here == info.length && info.durable == info.length {
                    return Ok(archive);
                }
                if info.here > here {
                    heard = Instant::now();
                }
                here = info.here;
                progress.update(here, info.length.max(needed));
                watch.get_or_insert_with(|| Watch::new(&info.name, &[]));
            }
            // It is opened as soon as the first block of the metadata has come.
            Err(failure) if failure.code == Code::StreamNotFound => {}
            Err(failure) => return Err(failure.into()),
        }
        let look = Instant::now() + LOOK_AT_CONTENT;
        loop {
            let Some(event) = next_until(look, events, context).await? else { break };
            tell(&event, &progress, context);
            let Some(watch) = &mut watch else { continue };
            match watch.take(&event) {
                Verdict::Failed(failure) => return Err(failure.into()),
                Verdict::Done => break,
                Verdict::Nothing | Verdict::Alive | Verdict::Progress { .. } => {}
            }
        }
        if heard.elapsed() > context.timeout {
            let watch = watch.get_or_insert_with(|| Watch::new(metadata, &[]));
            return Err(watch.timed_out(context.timeout).into());
        }
    }
}

/// Waits for the end of the work, good or bad.
async fn wait(
    backend: &Backend,
    name: &str,
    watch: &mut Watch,
    events: &mut Events,
    context: &mut Context,
) -> Outcome {
    let mut progress = Progress::new(&context.output, "cloning", Unit::Blocks);
    let mut heard = Instant::now();
    let mut look = Instant::now() + LOOK;
    loop {
        let interrupt = context.interrupt.clone();
        let ended = async move {
            interrupt.wait().await;
            Err(Stop::Interrupted)
        };
        let give_up = heard + context.timeout;
        let late = async {
            sleep(give_up.min(look)).await;
            Ok(None)
        };
        let news = async { Ok(Some(events.next().await?)) };
        let Some(event) = future::or(ended, future::or(news, late)).await? else {
            look = Instant::now() + LOOK;
            let info = backend.info(name).await?;
            if backend.is_remote() && is_complete(&info) {
                return Ok(());
            }
            if let Some(end) = end_apart(&info) {
                return end;
            }
            if Instant::now() < give_up {
                continue;
            }
            return Err(watch.timed_out(context.timeout).into());
        };
        tell(&event, &progress, context);
        match watch.take(&event) {
            Verdict::Nothing => {}
            Verdict::Alive => heard = Instant::now(),
            Verdict::Progress { here, length } => {
                heard = Instant::now();
                progress.update(here, length);
            }
            Verdict::Done => return Ok(()),
            Verdict::Failed(failure) => return Err(failure.into()),
        }
    }
}

/// Waits until a room stands where the peers say it does: they know of hosts that followed the first one, and of what is
/// committed. Other streams are all here by now.
async fn catch_up(
    backend: &Backend,
    name: &str,
    watch: &mut Watch,
    events: &mut Events,
    context: &mut Context,
) -> Outcome<StreamInfo> {
    let mut progress = Progress::new(&context.output, "cloning", Unit::Blocks);
    let mut give_up = Instant::now() + context.timeout;
    let mut before = None;
    loop {
        let mut info = backend.info(name).await?;
        if lacking(&info).is_none() {
            // A room is only as good as the verdicts on its blocks, and these may show more of it.
            check(backend, name, context).await?;
            info = backend.info(name).await?;
        }
        let Some(lacking) = lacking(&info) else { return Ok(info) };
        let moved = Some((info.here, info.length, lacking.clone()));
        if before != moved {
            before = moved;
            give_up = Instant::now() + context.timeout;
            progress.update(info.here, info.length);
        }
        if Instant::now() >= give_up {
            return Err(behind(&info, &lacking).into());
        }
        let look = Instant::now() + LOOK_AT_ROOM;
        while let Some(event) = next_until(look, events, context).await? {
            tell(&event, &progress, context);
            if let Verdict::Failed(failure) = watch.take(&event) {
                return Err(failure.into());
            }
        }
    }
}

/// Says what peers know of a room and is not here.
fn lacking(info: &StreamInfo) -> Option<String> {
    let room = info.room.as_ref()?;
    let quorum = room.quorum.as_ref()?;
    if room.behind.is_some() {
        return room.behind.clone();
    }
    let is_whole = info.here == info.length || quorum.feeds.is_empty();
    (!is_whole).then(|| format!("{} of {} blocks are here", info.here, info.length))
}

/// Ends a clone whose room does not come to where peers say it is.
fn behind(info: &StreamInfo, lacking: &str) -> Failure {
    if let Some(evidence) = against_writer(info) {
        return found_out(info, evidence);
    }
    let message = format!("expected {} as far as connected peers know it, found that {lacking}", info.name);
    Failure::new(Code::TimedOut, message)
        .next("repeat the command: it resumes; name a peer that has more: --peer HOST:PORT")
}

/// Waits for an event, no longer than until then.
async fn next_until(until: Instant, events: &mut Events, context: &Context) -> Outcome<Option<Event>> {
    let interrupt = context.interrupt.clone();
    let ended = async move {
        interrupt.wait().await;
        Err(Stop::Interrupted)
    };
    let late = async {
        sleep(until).await;
        Ok(None)
    };
    let news = async { Ok(Some(events.next().await?)) };
    future::or(ended, future::or(late, news)).await
}

/// Ends a clone where every peer carries another history of the feed, which its user has decided to hear no more of: all of
/// the one that is here is here, or nobody has the rest of it.
fn end_apart(info: &StreamInfo) -> Option<Outcome> {
    if info.other_history == 0 || info.other_history < info.peers {
        return None;
    }
    if info.length > 0 && info.here == info.length && info.durable == info.length {
        return Some(Ok(()));
    }
    let message = format!(
        "expected a peer with the history of {} that is here, found only the other one that its writer signed: {} of {} \
         blocks are here",
        info.name, info.here, info.length
    );
    let next = format!(
        "quorate fork ls {} --all\nname a peer that has the history that is here: --peer HOST:PORT",
        text::shell(&info.name)
    );
    Some(Err(Failure::new(Code::ForkFound, message).next(next).into()))
}

/// Tells whether everything that connected peers announce is here.
///
/// A node that runs has told it long ago when the stream was complete before we asked.
fn is_complete(info: &StreamInfo) -> bool {
    let all = info.sparse || info.here == info.length;
    all && info.durable == info.length && info.remote_length > 0 && info.remote_length <= info.length
}

fn tell(event: &Event, progress: &Progress, context: &Context) {
    let told =
        news::is_notable(event) || matches!(event, Event::Connected { .. } | Event::Disconnected { .. });
    if told && let Some(line) = news::line(event, context.output.error_paint) {
        progress.say(&line, &context.output);
    }
}

fn told(info: &StreamInfo, before: u64, started: Instant) -> String {
    let elapsed = started.elapsed();
    if info.sparse {
        return format!(
            "{}: head of length {} is here and verified; {} here",
            text::clean(&info.name),
            info.length,
            text::count(info.here, "block")
        );
    }
    let checked = match &info.room {
        Some(_) => ", its rules accept every block",
        None => "",
    };
    let came = info.here.saturating_sub(before);
    let rate = came as f64 / elapsed.as_secs_f64().max(0.001);
    format!(
        "{}: all {} ({}) here, verified and on disk{checked}; {came} came in {}, {rate:.0}/s",
        text::clean(&info.name),
        text::count(info.length, "block"),
        text::bytes(info.byte_length),
        text::duration(elapsed)
    )
}
