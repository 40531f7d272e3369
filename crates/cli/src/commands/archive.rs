//! `quorate ls-files` and `quorate checkout`: the files of a Dat archive.

use futures_lite::future;
use quorate_node::model::{CloneStream, Content, StreamInfo};
use quorate_node::{Archive, CheckoutReport, Code, Failure};
use quorate_types::Link;
use serde::Serialize;

use crate::args::{ArchiveArgs, CheckoutArgs, LsFilesArgs};
use crate::backend::{Backend, Reached, Serving};
use crate::context::Context;
use crate::names;
use crate::progress::{Progress, Unit};
use crate::stop::{Outcome, Stop};
use crate::text;

/// `quorate ls-files STREAM`.
pub(crate) async fn ls_files(mut args: LsFilesArgs, context: &mut Context) -> Outcome {
    args.archive.stream = names::with_key(&args.archive.stream, &args.archive.resolve, context).await?;
    let opened = Opened::open(&args.archive, context).await?;
    let result = opened.archive(&args.archive, context).await;
    opened.close().await?;
    let (_, archive) = result?;
    let output = &mut context.output;
    if output.json {
        return archive.files.iter().try_for_each(|file| output.object(file));
    }
    let rows: Vec<Vec<String>> =
        archive.files.iter().map(|file| vec![text::bytes(file.size), text::clean(&file.path)]).collect();
    for line in text::table(&rows, &[true, false]) {
        output.line(&line)?;
    }
    output.note(&summary(&archive));
    tell_refused(&archive, context);
    Ok(())
}

/// `quorate checkout STREAM DIR`.
pub(crate) async fn checkout(mut args: CheckoutArgs, context: &mut Context) -> Outcome {
    args.archive.stream = names::with_key(&args.archive.stream, &args.archive.resolve, context).await?;
    let opened = Opened::open(&args.archive, context).await?;
    let result = write(&opened, &args, context).await;
    opened.close().await?;
    let (archive, report) = result?;
    let directory = args.directory.to_string_lossy();
    let output = &mut context.output;
    if output.json {
        return output.object(&CheckedOut {
            schema: "quorate.checkout/1",
            directory: &directory,
            version: archive.version,
            files: archive.files.len() as u64,
            written: report.written,
            bytes: report.bytes,
            kept: report.kept,
            refused: &archive.refused,
        });
    }
    let kept = match report.kept {
        0 => String::new(),
        kept => format!(", {} kept", text::count(kept, "file")),
    };
    output.line(&format!(
        "version {}: {} ({}) written to {}{kept}, verified",
        archive.version,
        text::count(report.written, "file"),
        text::bytes(report.bytes),
        text::clean(&directory)
    ))?;
    tell_refused(&archive, context);
    Ok(())
}

#[derive(Serialize)]
struct CheckedOut<'a> {
    schema: &'static str,
    directory: &'a str,
    version: u64,
    files: u64,
    written: u64,
    bytes: u64,
    kept: u64,
    refused: &'a [String],
}

/// Says what an archive is.
pub(super) fn summary(archive: &Archive) -> String {
    format!(
        "this is a Dat archive, version {}: {}, {}",
        archive.version,
        text::count(archive.files.len() as u64, "file"),
        text::bytes(archive.bytes())
    )
}

fn tell_refused(archive: &Archive, context: &Context) {
    if let Some(first) = archive.refused.first() {
        context.output.warn(&format!(
            "{} cannot be written as files and are left out, such as {:?}",
            text::count(archive.refused.len() as u64, "name"),
            text::clean(first)
        ));
    }
}

/// The home, through the node that runs on it or not at all.
enum Opened {
    /// All that is needed is here, or a running node has to have it.
    Here(Backend),
    /// This process fetches.
    Fetching(Serving),
}

impl Opened {
    async fn open(args: &ArchiveArgs, context: &Context) -> Outcome<Self> {
        let backend = context.backend().await?;
        if backend.is_remote() || is_here(&backend, args).await? {
            return Ok(Self::Here(backend));
        }
        backend.close().await?;
        let node = Serving::open(&context.home, context.timeout).await?;
        Ok(Self::Fetching(node))
    }

    async fn archive(&self, args: &ArchiveArgs, context: &Context) -> Outcome<(Reached, Archive)> {
        let link = args.stream.parse::<Link>().ok();
        let version = args.version.or(link.and_then(|link| link.version));
        let reached = match self {
            Self::Here(backend) => Reached::here(backend),
            Self::Fetching(node) => {
                // A name stands for a stream that is here, at least in part.
                let (link, name) = match link {
                    Some(link) => (Link::new(link.key).to_string(), None),
                    None => (node.link_of(&args.stream).await?, Some(args.stream.clone())),
                };
                let wanted =
                    CloneStream { link, name, peers: args.peers.clone(), sparse: true, no_check: false };
                node.discover(args.announce.discover(None))?;
                let mut progress = Progress::new(&context.output, "names", Unit::Blocks);
                let mut tell = |done, total| progress.update(done, total);
                let work = node.reach_archive(wanted, &mut tell);
                or_end(work, context).await?
            }
        };
        let archive = reached.read(&args.stream, version).await?;
        Ok((reached, archive))
    }

    async fn close(self) -> Outcome {
        match self {
            Self::Here(backend) => backend.close().await?,
            Self::Fetching(node) => node.shutdown().await?,
        }
        Ok(())
    }
}

/// Tells whether the files can be listed and written without a peer.
async fn is_here(backend: &Backend, args: &ArchiveArgs) -> Outcome<bool> {
    if !args.peers.is_empty() {
        return Ok(false);
    }
    let is_whole = |info: &StreamInfo| !info.sparse && info.length > 0 && info.here == info.length;
    match backend.info(&args.stream).await {
        Ok(info) if !is_whole(&info) => Ok(false),
        Ok(info) => match info.content {
            Content::Hyperdrive { content } => {
                // An archive of empty files has no content.
                let content = backend.info(&content.to_string()).await;
                Ok(content.is_ok_and(|content| is_whole(&content) || content.length == 0))
            }
            // Said of no archive where it is looked at.
            _ => Ok(true),
        },
        Err(failure) if failure.code == Code::StreamNotFound && args.stream.parse::<Link>().is_ok() => {
            Ok(false)
        }
        Err(failure) => Err(failure.into()),
    }
}

async fn write(
    opened: &Opened,
    args: &CheckoutArgs,
    context: &Context,
) -> Outcome<(Archive, CheckoutReport)> {
    let (reached, archive) = opened.archive(&args.archive, context).await?;
    let mut progress = Progress::new(&context.output, "writing", Unit::Bytes);
    let mut tell = |done, total| progress.update(done, total);
    let work = reached.checkout(&archive, &args.directory, &mut tell);
    let report = or_end(work, context).await?;
    Ok((archive, report))
}

/// Works to the end, or to Ctrl-C.
async fn or_end<T>(work: impl Future<Output = Result<T, Failure>>, context: &Context) -> Outcome<T> {
    let interrupt = context.interrupt.clone();
    let ended = async move {
        interrupt.wait().await;
        Err(Stop::Interrupted)
    };
    future::or(ended, async { Ok(work.await?) }).await
}
