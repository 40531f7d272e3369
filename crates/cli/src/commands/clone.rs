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

/// Time between two looks at a stream that another process fetches.
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
    wait(backend, &name, wanted, events, context).await?;
    // A room is only as good as the verdicts on its blocks.
    check(backend, &name, context).await?;
    let info = backend.info(&name).await?;
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
    if let Some(evidence) =
        info.evidence.iter().find(|one| one.culprit == info.key && one.policy == Policy::Warn)
    {
        return Err(found_out(&info, evidence).into());
    }
    let name = text::shell(&name);
    let look = if archive.is_some() { format!("checkout {name} DIR") } else { format!("cat {name}") };
    let next = [context.command(&look), context.command(&format!("share {name}"))];
    context.output.next(&next);
    Ok(())
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
            let interrupt = context.interrupt.clone();
            let ended = async move {
                interrupt.wait().await;
                Err(Stop::Interrupted)
            };
            let late = async {
                sleep(look).await;
                Ok(None)
            };
            let news = async { Ok(Some(events.next().await?)) };
            let Some(event) = future::or(ended, future::or(late, news)).await? else { break };
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
    wanted: &CloneStream,
    events: &mut Events,
    context: &mut Context,
) -> Outcome {
    let mut watch = Watch::new(name, &wanted.peers);
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
            if backend.is_remote() && is_complete(&backend.info(name).await?) {
                return Ok(());
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
