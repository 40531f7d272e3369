//! `quorate fork`: evidence, who is told of it, and what is done about the keys.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::time::{Duration, Instant};

use bytes::Bytes;
use quorate_node::evidence::{self, Proven};
use quorate_node::model::{Decision, EvidenceInfo, Policy, Publish, Published, Resolve};
use quorate_node::{Code, Failure};
use serde::Serialize;

use super::proof::{Written, write_new};
use crate::args::{ForkCommand, ForkLsArgs, ForkPublishArgs, ForkResolveArgs};
use crate::backend::{Backend, sleep};
use crate::context::Context;
use crate::stop::{Outcome, Stop};
use crate::text;

/// Largest file that is read as evidence, bytes.
const MAX_EVIDENCE_BYTES: u64 = 64 * 1024;

/// Pause between two looks for somebody to tell.
const PAUSE: Duration = Duration::from_millis(100);

#[derive(Serialize)]
struct Listed<'a> {
    schema: &'static str,
    #[serde(flatten)]
    evidence: &'a EvidenceInfo,
}

#[derive(Serialize)]
struct Decided<'a> {
    schema: &'static str,
    #[serde(flatten)]
    decision: &'a Decision,
}

/// `quorate fork ...`.
pub(crate) async fn fork(command: ForkCommand, context: &mut Context) -> Outcome {
    match command {
        ForkCommand::Ls(args) => ls(args, context).await,
        ForkCommand::Show(args) => {
            let backend = context.backend().await?;
            let bytes = backend.evidence(&args.stream.stream, &args.id).await?;
            backend.close().await?;
            show(&evidence::held(&bytes)?, context)
        }
        ForkCommand::Export(args) => {
            let backend = context.backend().await?;
            let bytes = backend.evidence(&args.fork.stream.stream, &args.fork.id).await?;
            backend.close().await?;
            write_new(&args.output, &bytes)?;
            let shown = args.output.display().to_string();
            let output = &mut context.output;
            if output.json {
                output.object(&Written { schema: "quorate.written/1", path: &shown, bytes: bytes.len() })?;
            } else {
                output.line(&format!("{} in {}", text::bytes(bytes.len() as u64), text::clean(&shown)))?;
            }
            context.output.next(&[format!("quorate fork verify {}", text::shell(&shown))]);
            Ok(())
        }
        ForkCommand::Verify(args) => {
            let proven = evidence::verify(&read(&args.file)?)?;
            show(&proven, context)?;
            context.output.flush()?;
            Err(Stop::Holds)
        }
        ForkCommand::Publish(args) => publish(args, context).await,
        ForkCommand::Resolve(args) => resolve(args, context).await,
    }
}

async fn ls(args: ForkLsArgs, context: &mut Context) -> Outcome {
    let backend = context.backend().await?;
    let info = backend.settled(&args.stream.stream).await?;
    backend.close().await?;
    let (shown, left): (Vec<&EvidenceInfo>, Vec<&EvidenceInfo>) =
        info.evidence.iter().partition(|one| args.all || one.policy != Policy::Ignore);
    let output = &mut context.output;
    if output.json {
        return shown
            .iter()
            .try_for_each(|evidence| output.object(&Listed { schema: Proven::SCHEMA, evidence }));
    }
    let rows: Vec<Vec<String>> = shown
        .iter()
        .map(|one| {
            let size = text::bytes(one.bytes as u64);
            let state = state_words(one);
            let state = if one.resolved { output.paint.green(&state) } else { output.paint.yellow(&state) };
            vec![one.id.short(), one.kind.clone(), format!("by key {}", one.culprit.short()), size, state]
        })
        .collect();
    for line in text::table(&rows, &[]) {
        output.line(&line)?;
    }
    let name = text::shell(&info.name);
    if !left.is_empty() {
        let left = text::count(left.len() as u64, "piece");
        output.note(&format!("{left} against keys that are ignored: quorate fork ls {name} --all"));
    }
    match (shown.first(), shown.iter().find(|one| !one.resolved)) {
        (None, _) if left.is_empty() => output.note("no evidence is here"),
        (None, _) => {}
        (Some(first), None) => {
            output.next(&[output.on_home(&format!("quorate fork show {name} {}", first.id.short()))]);
        }
        (_, Some(open)) => {
            let id = open.id.short();
            let next = [
                format!("quorate fork show {name} {id}"),
                format!("quorate fork publish {name} {id}"),
                format!("quorate fork resolve {name} {id} --policy POLICY"),
            ];
            output.next(&next.map(|command| output.on_home(&command)));
        }
    }
    Ok(())
}

/// Says what is done about the key.
fn state_words(evidence: &EvidenceInfo) -> String {
    let policy = policy_words(evidence.policy);
    match (&evidence.own_backup, evidence.resolved) {
        (Some(kept), _) => {
            format!(
                "resolved: an own backup was put back, the history of length {} stays; {policy}",
                kept.length
            )
        }
        (None, true) => format!("resolved: {policy}"),
        (None, false) => format!("open: {policy}"),
    }
}

/// Says what a policy does.
fn policy_words(policy: Policy) -> &'static str {
    match policy {
        Policy::Ignore => "ignore",
        Policy::Warn => "warn",
        Policy::Mute => "mute: what the key wrote is not shown",
        Policy::StopReplicating => "stop-replicating: its feed is neither fetched nor served",
    }
}

fn show(proven: &Proven, context: &mut Context) -> Outcome {
    let output = &mut context.output;
    if output.json {
        return output.object(proven);
    }
    let rows = [
        ("evidence", proven.id.to_string()),
        ("kind", proven.kind.clone()),
        ("key", proven.culprit.to_string()),
        ("signed", text::clean(&proven.what)),
        ("room id", room_words(proven)),
        ("size", text::bytes(proven.bytes as u64)),
    ];
    let rows: Vec<Vec<String>> =
        rows.into_iter().map(|(label, value)| vec![format!("  {label}"), value]).collect();
    let holds = output.paint.red("the evidence holds");
    output.line(&holds)?;
    for line in text::table(&rows, &[]) {
        output.line(&line)?;
    }
    output.note("usual cause: the same key on two machines, or a restored backup");
    Ok(())
}

/// Names the room, and says whether anybody has signed that it is about that one.
fn room_words(proven: &Proven) -> String {
    match (proven.room_proven, proven.room.as_bytes().iter().all(|byte| *byte == 0)) {
        (true, _) => proven.room.to_string(),
        (false, true) => "none is named".into(),
        (false, false) => format!("{}  (named, not proven: nothing that was signed names it)", proven.room),
    }
}

async fn publish(args: ForkPublishArgs, context: &mut Context) -> Outcome {
    let bytes = match &args.file {
        Some(file) => Some(data_encoding::BASE64.encode(&read(file)?)),
        None => None,
    };
    let publish = Publish { evidence: args.id.unwrap_or_default(), bytes };
    let backend = context.backend().await?;
    let published = tell(&backend, &args.stream.stream, &publish, context.timeout).await;
    // What was queued goes out before the connections end.
    let closed = backend.close().await;
    let published = published?;
    closed?;
    let output = &mut context.output;
    if published.peers == 0 {
        let stream = text::shell(&args.stream.stream);
        let message = format!(
            "expected a quorate node that carries {stream} to tell, found none connected; {}",
            kept_words(&published)
        );
        return Err(Failure::new(Code::NotCarried, message)
            .next(format!("quorate share {stream} --peer HOST:PORT    # and meanwhile the same again"))
            .into());
    }
    if output.json {
        return output.object(&published);
    }
    let peers = text::count(published.peers as u64, "peer");
    let room = if published.in_room {
        "; a host of the room that it does not name puts it into a block"
    } else {
        ""
    };
    output.line(&format!("evidence {} sent to {peers}{room}", published.id.short()))?;
    if published.kept != Some(published.id) {
        output.note(&kept_words(&published));
    }
    Ok(())
}

/// Says whether evidence is kept here, and as what.
fn kept_words(published: &Published) -> String {
    let id = published.id.short();
    match published.kept {
        Some(kept) if kept == published.id => format!("evidence {id} is kept here"),
        Some(kept) => {
            let kept = kept.short();
            format!("evidence {id} is not kept: {kept}, which is kept here, proves the same")
        }
        None => format!("evidence {id} is not kept: as much as is of use is kept here already"),
    }
}

/// Sends evidence; where this process is the node, it looks for the peers of the stream first.
async fn tell(backend: &Backend, stream: &str, publish: &Publish, patience: Duration) -> Outcome<Published> {
    let until = Instant::now() + patience;
    let known = backend.meet_peers(stream).await?;
    loop {
        let published = backend.publish(stream, publish.clone()).await?;
        if published.peers > 0 || known == 0 || Instant::now() >= until {
            return Ok(published);
        }
        sleep(Instant::now() + PAUSE).await;
    }
}

async fn resolve(args: ForkResolveArgs, context: &mut Context) -> Outcome {
    let resolve = Resolve {
        evidence: args.fork.id,
        policy: args.policy.map(Policy::from),
        own_backup: args.own_backup,
    };
    let stream = &args.fork.stream.stream;
    let backend = context.backend().await?;
    let decision = backend.resolve(stream, resolve).await;
    let closed = backend.close().await;
    let decision = decision?;
    closed?;
    let output = &mut context.output;
    if output.json {
        return output.object(&Decided { schema: "quorate.decision/1", decision: &decision });
    }
    let key = decision.key.short();
    let line = match &decision.own_backup {
        Some(kept) => format!(
            "key {key}: an own backup was put back; the history of length {} with tree hash {} stays",
            kept.length,
            kept.tree_hash.short()
        ),
        None => format!("key {key}: {}", policy_words(decision.policy)),
    };
    output.line(&line)?;
    if decision.policy == Policy::StopReplicating {
        let name = text::shell(stream);
        output.note(
            "a room that began with this feed is not followed any further; a validator votes no more in it",
        );
        let again = format!(
            "quorate fork resolve {name} {} --policy warn    # takes it up again",
            decision.evidence.short()
        );
        output.next(&[output.on_home(&again)]);
    }
    Ok(())
}

fn read(path: &Path) -> Outcome<Bytes> {
    let shown = path.display();
    let reading = |error: io::Error| {
        let code = if error.kind() == io::ErrorKind::NotFound { Code::BadRequest } else { Code::Io };
        Stop::Failed(
            Failure::new(code, format!("expected evidence to read, found {shown}: {error}"))
                .next("quorate fork export STREAM ID -o FILE writes it"),
        )
    };
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(reading)?;
    file.take(MAX_EVIDENCE_BYTES + 1).read_to_end(&mut bytes).map_err(reading)?;
    if bytes.len() as u64 > MAX_EVIDENCE_BYTES {
        let message = format!(
            "expected evidence of at most {} in {shown}, found more",
            text::bytes(MAX_EVIDENCE_BYTES)
        );
        return Err(Failure::new(Code::NoEvidence, message).into());
    }
    Ok(bytes.into())
}
