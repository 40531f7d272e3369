//! `quorate proof`, `quorate verify` and `quorate audit`: what can be checked, and by whom.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::Path;

use quorate_node::model::ProofFile;
use quorate_node::{Code, Failure, proof_file};
use quorate_types::limits::MAX_HELD_BLOCK_BYTES;
use serde::Serialize;

use crate::args::{ProofArgs, StreamArg, VerifyArgs};
use crate::context::Context;
use crate::progress::{Progress, Unit};
use crate::stop::{Outcome, Stop};
use crate::text;

/// Largest file that can be a proof: the block in base64, and nodes and names around it.
const MAX_PROOF_BYTES: u64 = MAX_HELD_BLOCK_BYTES as u64 / 3 * 4 + 64 * 1024;

/// That a file was written.
#[derive(Serialize)]
pub(super) struct Written<'a> {
    pub(super) schema: &'static str,
    pub(super) path: &'a str,
    pub(super) bytes: usize,
}

/// `quorate proof STREAM N [-o F]`.
pub(crate) async fn proof(args: ProofArgs, context: &mut Context) -> Outcome {
    let backend = context.backend().await?;
    let proof = backend.proof(&args.stream.stream, args.index).await?;
    backend.close().await?;
    let output = &mut context.output;
    let Some(path) = args.output else {
        return output.object(&proof);
    };
    let mut text = serde_json::to_vec(&proof)
        .map_err(|error| Failure::new(Code::Internal, format!("the proof is no JSON: {error}")))?;
    text.push(b'\n');
    write_new(&path, &text)?;
    let shown = path.to_string_lossy();
    if output.json {
        output.object(&Written { schema: "quorate.written/1", path: &shown, bytes: text.len() })?;
    }
    output.next(&[format!("quorate verify {}", text::shell(&shown))]);
    Ok(())
}

/// Writes a file that is not there yet, and syncs it.
pub(super) fn write_new(path: &Path, bytes: &[u8]) -> Outcome {
    let shown = path.display();
    let mut file = OpenOptions::new().write(true).create_new(true).open(path).map_err(|error| {
        if error.kind() == io::ErrorKind::AlreadyExists {
            Stop::Failed(
                Failure::new(Code::DestinationExists, format!("expected no file at {shown}, found one"))
                    .next("name another file, or move that one away"),
            )
        } else {
            Stop::io(format_args!("writing {shown}"), &error)
        }
    })?;
    file.write_all(bytes)
        .and_then(|()| file.sync_all())
        .map_err(|error| Stop::io(format_args!("writing {shown}"), &error))
}

#[derive(Serialize)]
struct Verified<'a> {
    schema: &'static str,
    key: &'a quorate_types::PublicKey,
    index: u64,
    length: u64,
    bytes: u64,
    tree_hash: &'a quorate_types::Hash,
}

/// `quorate verify FILE`.
pub(crate) fn verify(args: &VerifyArgs, context: &mut Context) -> Outcome {
    let proof = read_proof(&args.file)?;
    let verified = proof_file::verify(&proof)?;
    let bytes = verified.block.len() as u64;
    let output = &mut context.output;
    if output.json {
        return output.object(&Verified {
            schema: "quorate.verified/1",
            key: &verified.key,
            index: verified.index,
            length: verified.length,
            bytes,
            tree_hash: &verified.tree_hash,
        });
    }
    let holds = output.paint.green("the proof holds");
    output.line(&format!(
        "{holds}: block {} ({}) is in the feed of length {} that dat://{} signed",
        verified.index,
        text::bytes(bytes),
        verified.length,
        verified.key
    ))
}

fn read_proof(path: &Path) -> Outcome<ProofFile> {
    let shown = path.display();
    let reading = |error: io::Error| {
        let code = if error.kind() == io::ErrorKind::NotFound { Code::BadRequest } else { Code::Io };
        Stop::Failed(
            Failure::new(code, format!("expected a proof to read, found {shown}: {error}"))
                .next("quorate proof STREAM N -o FILE writes one"),
        )
    };
    let mut text = Vec::new();
    let source: Box<dyn Read> = if path == Path::new("-") {
        Box::new(io::stdin().lock())
    } else {
        Box::new(File::open(path).map_err(reading)?)
    };
    source.take(MAX_PROOF_BYTES + 1).read_to_end(&mut text).map_err(reading)?;
    let no_proof = |found: String| {
        Stop::Failed(
            Failure::new(Code::BadProof, format!("expected a proof in {shown}, found {found}"))
                .next("ask for it again: quorate proof STREAM N -o FILE"),
        )
    };
    if text.len() as u64 > MAX_PROOF_BYTES {
        return Err(no_proof(format!("more than {}", text::bytes(MAX_PROOF_BYTES))));
    }
    let proof: ProofFile =
        serde_json::from_slice(&text).map_err(|error| no_proof(format!("something else: {error}")))?;
    if proof.schema != ProofFile::SCHEMA {
        return Err(no_proof(format!("the schema {:?}, not {:?}", proof.schema, ProofFile::SCHEMA)));
    }
    Ok(proof)
}

/// `quorate audit STREAM`.
pub(crate) async fn audit(args: StreamArg, context: &mut Context) -> Outcome {
    let backend = context.backend().await?;
    let mut progress = Progress::new(&context.output, "auditing", Unit::Blocks);
    let summary = backend.audit(&args.stream, &mut |done, total| progress.update(done, total)).await?;
    drop(progress);
    backend.close().await?;
    let output = &mut context.output;
    if output.json {
        output.object(&summary)?;
    } else {
        let feeds = match summary.feeds {
            0 | 1 => String::new(),
            feeds => format!(" of the {feeds} feeds of the room"),
        };
        output.line(&format!(
            "{} of {}{feeds} hashed again ({}), {}, {}",
            summary.blocks,
            text::count(summary.length, "block"),
            text::bytes(summary.bytes),
            text::count(summary.parents, "parent"),
            text::count(summary.signatures, "signature"),
        ))?;
        if summary.missing > 0 {
            let missing = output.paint.yellow(&format!("{} not here", text::count(summary.missing, "block")));
            output.line(&missing)?;
        }
        if let Some(room) = &summary.room {
            let checked = text::count(room.checked, "block");
            output.line(&format!("the rules of the room, run again, accept {checked}"))?;
            if let Some(unable) = &room.unable {
                let unable =
                    output.paint.yellow(&format!("no verdict on the next one: {}", text::clean(unable)));
                output.line(&unable)?;
            }
            if let Some(refused) = &room.refused {
                let words = format!("block {} is {}", refused.index, text::clean(&refused.reason));
                let words = output.paint.red(&format!("{words}  ({})", text::clean(&refused.code)));
                output.line(&words)?;
            }
        }
        if let Some(why) = &summary.unchecked {
            let why = format!("the rules of the room were not run: {}", text::clean(why));
            let why = output.paint.yellow(&why);
            output.line(&why)?;
        }
        for fault in &summary.faults {
            let fault = output.paint.red(&text::clean(fault));
            output.line(&fault)?;
        }
        if summary.faults.is_empty() && summary.room.as_ref().is_none_or(|room| room.refused.is_none()) {
            let well = output.paint.green("all that is here verifies");
            output.line(&well)?;
        }
    }
    output.flush()?;
    if let Some(first) = summary.faults.first() {
        let faults = text::count(summary.faults.len() as u64, "fault");
        return Err(Failure::new(
            Code::Damaged,
            format!("expected a stream that verifies, found {faults}, the first: {first}"),
        )
        .next("quorate explain E2002")
        .into());
    }
    if let Some(refused) = summary.room.as_ref().and_then(|room| room.refused.as_ref()) {
        let reason = format!("block {} {}", refused.index, refused.reason);
        let message = format!("expected a room that follows its own rules, found {reason}");
        return Err(Failure::new(Code::HostBrokeRules, message).into());
    }
    Ok(())
}
