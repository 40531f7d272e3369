//! `quorate share`.

use std::time::Instant;

use futures_lite::future;
use quorate_node::event::Event;
use quorate_node::model::{Content, Gate, Policy, RecoveringInfo, StreamInfo, Streams, UnreadableStream};
use quorate_node::{Code, Failure};
use quorate_types::PublicKey;
use serde::Serialize;

use super::list::all_are_readable;
use crate::args::ShareArgs;
use crate::backend::{Events, Serving, sleep};
use crate::context::Context;
use crate::news::{self, Restless};
use crate::screen::{REDRAW, Screen};
use crate::stop::{Outcome, Stop};
use crate::text;

#[derive(Serialize)]
struct EventObject<'a> {
    #[serde(flatten)]
    event: &'a Event,
    schema: &'static str,
}

/// `quorate share [STREAM...]`; of a validator, with its vote key, it names rooms in which it does not vote.
pub(crate) async fn share(args: ShareArgs, vote_key: Option<PublicKey>, context: &mut Context) -> Outcome {
    let node = Serving::open(&context.home, context.timeout).await?;
    let mut events = node.events();
    let result = serve(&args, vote_key, &node, &mut events, context).await;
    if context.interrupt.is_set() {
        context.output.note("ending; again Ctrl-C ends at once");
    }
    let closed = node.shutdown().await;
    match result {
        Err(Stop::Interrupted) | Ok(()) => {
            closed?;
            result
        }
        Err(stop) => Err(stop),
    }
}

/// Refuses a gate that nothing would ever open. Of a clone that has just begun nobody knows yet; a room that is made here
/// has its first block from the beginning.
fn refuse_gate(info: &StreamInfo) -> Outcome {
    let has_quorum = info.room.as_ref().is_some_and(|room| room.quorum.is_some());
    let is_own = info.writable && info.length == 0;
    if info.gate.is_none() || has_quorum || (info.here == 0 && !is_own) {
        return Ok(());
    }
    let name = crate::text::shell(&info.name);
    let message = format!(
        "expected a room with validators for the gate, found that nobody commits what is appended to {name}: stock \
         peers would never be shown anything"
    );
    Err(Failure::new(Code::NoValidators, message).next(format!("quorate share {name} --gate none")).into())
}

/// Names the rooms in which a validator does not vote.
fn note_others(vote_key: &PublicKey, streams: &[StreamInfo], context: &mut Context) {
    for info in streams {
        let Some(quorum) = info.room.as_ref().and_then(|room| room.quorum.as_ref()) else { continue };
        let name = crate::text::shell(&info.name);
        if let Some(why) = &quorum.silent {
            context.output.note(&format!("{name}: this validator does not vote: {why}"));
        } else if quorum.validators.iter().all(|validator| validator.key != *vote_key) {
            context.output.note(&format!(
                "{name}: this home is none of its validators; its host adds it: quorate validator add {name} KEY.PROOF, as \
                 quorate validator key --offer prints it here"
            ));
        }
    }
}

async fn serve(
    args: &ShareArgs,
    vote_key: Option<PublicKey>,
    node: &Serving,
    events: &mut Events,
    context: &mut Context,
) -> Outcome {
    node.serve_api().await?;
    let streams = if args.streams.is_empty() {
        let Streams { streams, unreadable } = node.open_all().await?;
        if streams.is_empty() {
            all_are_readable(unreadable, &mut context.output)?;
        } else {
            for UnreadableStream { name, failure } in unreadable {
                let why = text::clean(&failure.message);
                context.output.warn(&format!("{} is not shared: {why}", text::clean(&name)));
            }
        }
        streams
    } else {
        let mut streams = Vec::new();
        for stream in &args.streams {
            if let Some(gate) = args.gate {
                node.set_gate(stream, Gate::from(gate))?;
            }
            let info = node.open_stream(stream).await?;
            if let Err(refused) = refuse_gate(&info) {
                if args.gate.is_some() {
                    node.set_gate(stream, Gate::None)?;
                }
                return Err(refused);
            }
            streams.push(info);
        }
        streams
    };
    if streams.is_empty() {
        let home = context.home.display();
        return Err(Failure::new(
            Code::StreamNotFound,
            format!("expected streams to share, found none in {home}"),
        )
        .next(format!(
            "{}\n{}",
            context.command("new NAME"),
            context.command("clone LINK --peer HOST:PORT --live")
        ))
        .into());
    }
    if let Some(vote_key) = vote_key {
        note_others(&vote_key, &streams, context);
    }
    let address = node.listen(args.host, args.port).await?;
    if args.port.is_none() && address.port() != quorate_types::limits::DEFAULT_PORT {
        context.output.note(&format!(
            "port {} is taken; listening on {}",
            quorate_types::limits::DEFAULT_PORT,
            address.port()
        ));
    }
    for peer in &args.peers {
        node.add_peer(peer);
    }
    // Where only this machine listens, nobody else is told to come.
    let announced = (!address.ip().is_loopback()).then_some(address.port());
    node.discover(args.announce.discover(announced))?;
    if !context.output.json {
        let host = if address.ip().is_unspecified() { "HOST".to_string() } else { host_of(address) };
        // The content of an archive comes with its metadata.
        let contents: Vec<PublicKey> = streams
            .iter()
            .filter_map(|info| match info.content {
                Content::Hyperdrive { content } => Some(content),
                _ => None,
            })
            .collect();
        let next: Vec<String> = streams
            .iter()
            .filter(|info| !contents.contains(&info.key) && !is_stopped(info))
            .take(8)
            .map(|info| format!("quorate clone {} --peer {host}:{}", info.link, address.port()))
            .collect();
        context.output.next(&next);
    }
    if context.output.json || !(context.output.terminal && context.output.error_terminal) {
        // The node said the first already; here it is sure to come before everything else.
        let listening = Event::Listening { address: address.to_string() };
        print_news(&listening, context)?;
        for info in &streams {
            // Of one that is not replicated the node has said so.
            if is_stopped(info) {
                continue;
            }
            print_news(&sharing(info), context)?;
            for one in info.evidence.iter().filter(|one| one.policy == Policy::Warn) {
                let (stream, kind) = (info.name.clone(), one.kind.clone());
                let event = Event::Evidence { stream, id: one.id, kind, culprit: one.culprit };
                print_news(&event, context)?;
            }
            if let Some(RecoveringInfo { reason, needed, .. }) = info.recovering.clone() {
                let event = Event::Recovering { stream: info.name.clone(), reason, needed };
                print_news(&event, context)?;
            }
        }
        print_events(events, context).await
    } else {
        let screen = Screen::new(address, context.output.paint);
        draw(screen, node, events, context).await
    }
}

fn host_of(address: std::net::SocketAddr) -> String {
    match address.ip() {
        std::net::IpAddr::V4(ip) => ip.to_string(),
        std::net::IpAddr::V6(ip) => format!("[{ip}]"),
    }
}

/// Prints one line, or one object, for each event until Ctrl-C.
pub(crate) async fn print_events(events: &mut Events, context: &mut Context) -> Outcome {
    let mut restless = Restless::default();
    loop {
        let interrupt = context.interrupt.clone();
        let ended = async move {
            interrupt.wait().await;
            Err(Stop::Interrupted)
        };
        let event = future::or(ended, async { Ok(events.next().await?) }).await?;
        let is_told = context.output.json || restless.tells(&event, Instant::now());
        if !matches!(event, Event::Listening { .. }) && is_told {
            print_news(&event, context)?;
        }
    }
}

fn print_news(event: &Event, context: &mut Context) -> Outcome {
    let output = &mut context.output;
    if output.json {
        output.object(&EventObject { event, schema: "quorate.event/1" })?;
    } else if let Some(line) = news::line(event, output.paint) {
        output.line(&line)?;
    }
    output.flush()
}

/// Tells whether the user has stopped the replication of a stream.
fn is_stopped(info: &StreamInfo) -> bool {
    info.evidence.iter().any(|one| one.culprit == info.key && one.policy == Policy::StopReplicating)
}

fn sharing(info: &StreamInfo) -> Event {
    Event::Sharing { stream: info.name.clone(), key: info.key, link: info.link.clone(), length: info.length }
}

enum Turn {
    News(Event),
    Tick,
}

async fn draw(mut screen: Screen, node: &Serving, events: &mut Events, context: &mut Context) -> Outcome {
    let client = node.client();
    loop {
        screen.draw(&client.streams().await?.streams, &client.peers(None).await?);
        let redraw = std::time::Instant::now() + REDRAW;
        loop {
            let interrupt = context.interrupt.clone();
            let ended = async move {
                interrupt.wait().await;
                Err(Stop::Interrupted)
            };
            let news = async { Ok(Turn::News(events.next().await?)) };
            let tick = async {
                sleep(redraw).await;
                Ok(Turn::Tick)
            };
            match future::or(ended, future::or(tick, news)).await? {
                Turn::Tick => break,
                Turn::News(event) => screen.take(&event),
            }
        }
    }
}
