//! What is said in a room: signed, brought to the host, and what became of it.

use std::future::Future;
use std::time::{Duration, Instant};

use bytes::Bytes;
use data_encoding::BASE64;
use futures_lite::future;
use quorate_node::model::{Said, SaidState, Say, Settled, StreamInfo};
use quorate_node::{Code, Failure};
use serde::Serialize;

use crate::args::{AppendArgs, Wait};
use crate::backend::{Backend, sleep};
use crate::interrupt::Interrupt;
use crate::output::Output;
use crate::stop::{Outcome, Stop};
use crate::text;

/// Time that what was interrupted gets to be signed and kept.
const KEEPING: Duration = Duration::from_secs(3);

/// That everything up to a length is committed.
#[derive(Serialize)]
struct Committed {
    schema: &'static str,
    /// Blocks that are committed.
    length: u64,
}

/// Tells how many blocks are committed.
pub(super) fn tell_committed(length: u64, output: &mut Output) -> Outcome {
    if output.json {
        return output.object(&Committed { schema: "quorate.committed/1", length });
    }
    output.line(&format!("committed {length}"))
}

/// Who says something in a room.
pub(super) struct Speaker {
    identity: Option<String>,
    patience_ms: u64,
    /// What is waited for.
    pub(super) wait: Wait,
}

impl Speaker {
    /// Meets the peers that lead to the host, where no node has done so.
    pub(super) async fn new(
        backend: &Backend,
        info: &StreamInfo,
        args: &AppendArgs,
        timeout: Duration,
    ) -> Outcome<Self> {
        let wait = args.wait.unwrap_or(Wait::Appended);
        let patience_ms = patience(backend, info, wait, timeout).await?;
        Ok(Self { identity: args.identity.clone(), patience_ms, wait })
    }

    /// Says payloads, an action each.
    pub(super) async fn say(
        &self,
        backend: &Backend,
        info: &StreamInfo,
        payloads: &[Bytes],
        interrupt: &Interrupt,
    ) -> Outcome<Vec<Said>> {
        let payloads = payloads.iter().map(|payload| BASE64.encode(payload)).collect();
        let (patience_ms, call) = (self.patience_ms, call());
        let say = Say { identity: self.identity.clone(), payloads, patience_ms, call };
        until_interrupted(backend, &info.name, call, interrupt, backend.say(&info.name, say)).await
    }
}

/// Returns the number by which what this process says can be told to stop waiting: one that no other process on the home
/// has.
pub(super) fn call() -> u64 {
    u64::from(std::process::id())
}

/// Waits for what becomes of what is said. Ctrl-C ends the waiting, and what is said is kept.
///
/// # Errors
///
/// Those of the work; that it was interrupted, where not even then anything was heard.
pub(super) async fn until_interrupted(
    backend: &Backend,
    stream: &str,
    call: u64,
    interrupt: &Interrupt,
    work: impl Future<Output = Result<Vec<Said>, Failure>>,
) -> Outcome<Vec<Said>> {
    let hurried = async {
        interrupt.wait().await;
        // Where the node does not even take this, what is said is unknown.
        let _ = future::or(async { backend.hurry(stream, call).await.is_ok() }, async {
            sleep(Instant::now() + KEEPING).await;
            false
        })
        .await;
        sleep(Instant::now() + KEEPING).await;
        None
    };
    match future::or(async { Some(work.await) }, hurried).await {
        Some(said) => Ok(said?),
        None => Err(Stop::Interrupted),
    }
}

/// Says what stands when Ctrl-C has ended the waiting, and ends.
fn interrupted(said: &[Said], wait: Wait, output: &Output) -> Stop {
    let of = |fits: fn(&SaidState) -> bool| said.iter().filter(|one| fits(&one.state)).count() as u64;
    let appended = of(|state| matches!(state, SaidState::Appended { .. }));
    let submitted = of(|state| *state == SaidState::Submitted);
    let mut words = Vec::new();
    if appended > 0 {
        let more = match wait {
            Wait::Committed => ", not known to be committed; it stays appended, and may be committed later",
            _ => "",
        };
        words.push(format!("{} appended{more}", text::count(appended, "action")));
    }
    if submitted > 0 {
        let count = text::count(submitted, "action");
        words.push(format!(
            "{count} submitted: kept, and brought to the host whenever quorate runs on this home"
        ));
    }
    output.note(&format!("interrupted: {}", words.join("; ")));
    Stop::Interrupted
}

/// Works out how long to wait for the host of a room, in milliseconds, and dials whoever leads to it.
///
/// # Errors
///
/// A commit is to be waited for, and nobody commits what is appended.
pub(super) async fn patience(
    backend: &Backend,
    info: &StreamInfo,
    wait: Wait,
    timeout: Duration,
) -> Outcome<u64> {
    if wait == Wait::Committed && info.room.as_ref().is_some_and(|room| room.quorum.is_none()) {
        let message = format!(
            "expected a room with validators for --wait committed, found that nobody commits what is appended to {}; \
             nothing was appended",
            info.name
        );
        return Err(Failure::new(Code::NoValidators, message).next("leave --wait out").into());
    }
    let may_be_reached = info.writable || backend.is_remote() || backend.meet_peers(&info.name).await? > 0;
    let waits = may_be_reached && wait != Wait::Submitted;
    Ok(if waits { u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX) } else { 0 })
}

/// Tells what became of entries.
///
/// # Errors
///
/// The first refusal, or that the host was not reached although it was waited for.
pub(super) fn tell(said: &[Said], wait: Wait, interrupt: &Interrupt, output: &mut Output) -> Outcome {
    let is_interrupted = interrupt.is_set();
    // Nobody waits any longer.
    let awaited = if is_interrupted { Wait::Submitted } else { wait };
    let mut stop: Option<Stop> = None;
    for one in said {
        if output.json {
            output.object(one)?;
        }
        match &one.state {
            SaidState::Appended { index } if !output.json => output.line(&format!("appended at {index}"))?,
            SaidState::Submitted if !output.json => output.line("submitted, waiting for the host")?,
            _ => {}
        }
        if stop.is_none() {
            stop = why_not(&one.state, awaited);
        }
    }
    output.flush()?;
    let Some(stop) = stop else {
        return if is_interrupted { Err(interrupted(said, wait, output)) } else { Ok(()) };
    };
    let appended = said.iter().filter(|one| matches!(one.state, SaidState::Appended { .. })).count() as u64;
    Err(stop.after(appended))
}

/// Waits until what was said is committed, and tells so.
pub(super) async fn commit(
    backend: &Backend,
    stream: &str,
    said: Vec<Said>,
    (interrupt, output): (&Interrupt, &mut Output),
) -> Outcome {
    let ended = async {
        interrupt.wait().await;
        None
    };
    let work = async { Some(backend.committed(stream, said.clone()).await) };
    let Some(settled) = future::or(work, ended).await else {
        return Err(interrupted(&said, Wait::Committed, output));
    };
    let Settled { length, said: settled } = settled?;
    // Another host may have gone on from fewer blocks meanwhile, and have taken it elsewhere, or not at all.
    let moved: Vec<Said> =
        settled.into_iter().zip(&said).filter(|(now, before)| now != *before).map(|(now, _)| now).collect();
    let others = said.len().saturating_sub(moved.len()) as u64;
    let told = match moved.is_empty() {
        true => Ok(()),
        false => tell(&moved, Wait::Committed, interrupt, output).map_err(|stop| stop.after(others)),
    };
    tell_committed(length, output)?;
    output.flush()?;
    told
}

fn why_not(state: &SaidState, wait: Wait) -> Option<Stop> {
    match state {
        SaidState::Refused { code, reason, place, .. } => {
            let code = Code::parse(code).unwrap_or(Code::RuleRejects);
            Some(Stop::Refused { failure: Failure::new(code, reason), place: place.clone(), before: 0 })
        }
        SaidState::Expired => {
            let failure = Failure::new(Code::Expired, "refused: it expired before the host took it");
            Some(Stop::Refused { failure, place: "on the way".into(), before: 0 })
        }
        SaidState::Submitted if wait != Wait::Submitted => {
            let message = "expected the host to append it, heard nothing of that from it; it is kept, and brought to the \
                           host whenever quorate runs on this home; quorate info shows what waits, and what was refused";
            Some(Failure::new(Code::NoPeers, message).next("quorate share    # tries again").into())
        }
        SaidState::Submitted | SaidState::Appended { .. } => None,
    }
}
