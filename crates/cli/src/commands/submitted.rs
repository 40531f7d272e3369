//! What is said in a room: signed, brought to the host, and what became of it.

use std::time::Duration;

use bytes::Bytes;
use data_encoding::BASE64;
use quorate_node::model::{Said, SaidState, Say, Settled, StreamInfo};
use quorate_node::{Code, Failure};
use serde::Serialize;

use crate::args::{AppendArgs, Wait};
use crate::backend::Backend;
use crate::output::Output;
use crate::stop::{Outcome, Stop};
use crate::text;

/// That everything up to a length is committed.
#[derive(Serialize)]
struct Committed {
    schema: &'static str,
    /// Blocks that are committed.
    length: u64,
}

impl Committed {
    const SCHEMA: &'static str = "quorate.committed/1";
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
    ) -> Outcome<Vec<Said>> {
        let payloads = payloads.iter().map(|payload| BASE64.encode(payload)).collect();
        let say = Say { identity: self.identity.clone(), payloads, patience_ms: self.patience_ms };
        Ok(backend.say(&info.name, say).await?)
    }
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
pub(super) fn tell(said: &[Said], wait: Wait, output: &mut Output) -> Outcome {
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
            stop = why_not(&one.state, wait);
        }
    }
    output.flush()?;
    let Some(stop) = stop else { return Ok(()) };
    if said.len() > 1 && matches!(stop, Stop::Refused { .. }) {
        let appended =
            said.iter().filter(|one| matches!(one.state, SaidState::Appended { .. })).count() as u64;
        output.note(&format!("{} appended; the others were not", text::count(appended, "action")));
    }
    Err(stop)
}

/// Waits until what was said is committed, and tells so.
pub(super) async fn commit(backend: &Backend, stream: &str, said: Vec<Said>, output: &mut Output) -> Outcome {
    let Settled { length, said: settled } = backend.committed(stream, said.clone()).await?;
    // Another host may have gone on from fewer blocks meanwhile, and have taken it elsewhere, or not at all.
    let moved: Vec<Said> =
        settled.into_iter().zip(&said).filter(|(now, before)| now != *before).map(|(now, _)| now).collect();
    tell(&moved, Wait::Committed, output)?;
    if output.json {
        output.object(&Committed { schema: Committed::SCHEMA, length })?;
    } else {
        output.line(&format!("committed {length}"))?;
    }
    output.flush()
}

fn why_not(state: &SaidState, wait: Wait) -> Option<Stop> {
    match state {
        SaidState::Refused { code, reason, place, .. } => {
            let code = Code::parse(code).unwrap_or(Code::RuleRejects);
            Some(Stop::Refused { failure: Failure::new(code, reason), place: place.clone() })
        }
        SaidState::Expired => {
            let failure = Failure::new(Code::Expired, "refused: it expired before the host took it");
            Some(Stop::Refused { failure, place: "on the way".into() })
        }
        SaidState::Submitted if wait != Wait::Submitted => {
            let message = "expected the host to append it, found no way to the host; it is kept, and brought to the \
                           host whenever quorate runs on this home";
            let next = "quorate share    (tries again; quorate info STREAM shows what waits)";
            Some(Failure::new(Code::NoPeers, message).next(next).into())
        }
        SaidState::Submitted | SaidState::Appended { .. } => None,
    }
}
