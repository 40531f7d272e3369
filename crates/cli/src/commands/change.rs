//! `quorate clear`, `quorate import` and `quorate export`.

use std::path::Path;

use quorate_node::{Code, Failure};
use quorate_types::BlockRange;
use serde::Serialize;

use crate::args::{ClearArgs, ExportArgs, ImportArgs};
use crate::backend::{self, Backend, Imported};
use crate::context::Context;
use crate::progress::{Progress, Unit};
use crate::stop::{Outcome, Stop};
use crate::text;

/// Characters of a directory's name that go into the name of a stream: room is left for `-content`.
const NAME_CHARACTERS: usize = 48;

#[derive(Serialize)]
struct Cleared<'a> {
    schema: &'static str,
    stream: &'a str,
    start: u64,
    end: u64,
    blocks: u64,
}

/// `quorate clear STREAM START [END] --yes`.
pub(crate) async fn clear(args: ClearArgs, context: &mut Context) -> Outcome {
    let end = args.end.unwrap_or_else(|| args.start.saturating_add(1));
    let range = BlockRange::new(args.start, end);
    if range.is_empty() {
        return Err(Stop::usage(
            format!("expected END to be greater than START, found {} and {end}", args.start),
            "END is one past the last block",
        ));
    }
    let backend = context.backend().await?;
    let info = backend.info(&args.stream.stream).await?;
    if end > info.length {
        return Err(Failure::new(
            Code::BlockBeyondEnd,
            format!(
                "expected blocks {range} of {}, found a length of {}; nothing was deleted",
                info.name, info.length
            ),
        )
        .into());
    }
    let lost = count_here(&backend, &info.name, range).await?;
    let what =
        format!("{} ({}) of {}", text::count(lost.blocks, "block"), text::bytes(lost.bytes), info.name);
    if !args.yes {
        backend.close().await?;
        let only = if info.has_secret_key() { ", the writer's copy, perhaps the only one" } else { "" };
        return Err(Stop::Failed(
            Failure::new(
                Code::BadRequest,
                format!(
                    "expected --yes, found none: {what} would be deleted here{only}; nothing was deleted"
                ),
            )
            .next(context.command(&format!(
                "clear {} {} {end} --yes",
                text::shell(&args.stream.stream),
                args.start
            ))),
        ));
    }
    let blocks = backend.clear(&info.name, range).await?;
    backend.close().await?;
    let output = &mut context.output;
    if output.json {
        output.object(&Cleared {
            schema: "quorate.cleared/1",
            stream: &info.name,
            start: range.start,
            end: range.end,
            blocks,
        })
    } else {
        output.line(&format!("deleted {what}"))
    }
}

struct Lost {
    blocks: u64,
    bytes: u64,
}

async fn count_here(backend: &Backend, stream: &str, range: BlockRange) -> Outcome<Lost> {
    const PAGE: u64 = 1024;
    let mut lost = Lost { blocks: 0, bytes: 0 };
    let mut start = range.start;
    while start < range.end {
        let end = range.end.min(start + PAGE);
        for block in backend.blocks(stream, BlockRange::new(start, end)).await? {
            if block.here {
                lost.blocks += 1;
                lost.bytes += block.size.unwrap_or(0);
            }
        }
        start = end;
    }
    Ok(lost)
}

/// `quorate import DIR [NAME]`.
pub(crate) async fn import(args: ImportArgs, context: &mut Context) -> Outcome {
    let name = match args.name {
        Some(name) => name,
        None => name_of(&args.directory)?,
    };
    let mut progress = Progress::new(&context.output, "importing", Unit::Bytes);
    let Imported { streams, left_out, missing } =
        backend::import(&context.home, &args.directory, &name, &mut |done, total| {
            progress.update(done, total)
        })
        .await?;
    drop(progress);
    for info in &streams {
        let output = &mut context.output;
        if output.json {
            output.object(info)?;
        } else {
            let state = text::access(info);
            output.line(&format!(
                "imported {}, {} of {} here, {state}\n{}",
                text::clean(&info.name),
                info.here,
                text::count(info.length, "block"),
                info.link
            ))?;
        }
    }
    context.output.flush()?;
    if let Some(failure) = left_out {
        context.output.note(&format!("only the metadata came: {}", text::clean(&failure.message)));
    }
    if missing > 0 {
        context.output.note(&format!(
            "{} of the content are left out: files that were changed or deleted since, which no folder keeps",
            text::count(missing, "block")
        ));
    }
    if let Some(info) = streams.first() {
        let name = text::shell(&info.name);
        let next = [context.command(&format!("audit {name}")), context.command(&format!("share {name}"))];
        context.output.next(&next);
        if let Some(recovering) = &info.recovering {
            context.output.note(&format!(
                "nothing is appended before {} peers that carry it have answered (quorate explain E2007): append on one \
                 side only, a copy that appends too makes a fork",
                recovering.needed
            ));
        }
    }
    Ok(())
}

/// Makes a name out of that of the directory; out of that of the folder which holds `.dat`.
fn name_of(directory: &Path) -> Outcome<String> {
    let unnamed = || {
        Stop::usage(
            format!("expected a name for the stream, found none in {}", directory.display()),
            format!("quorate import {} NAME", text::shell(&directory.to_string_lossy())),
        )
    };
    let full = directory.canonicalize().map_err(|error| {
        Stop::Failed(
            Failure::new(
                Code::NotAFeed,
                format!("expected a directory at {}, found: {error}", directory.display()),
            )
            .next("name the directory that holds the file `key` or the folder `.dat`"),
        )
    })?;
    let folder = if full.ends_with(".dat") { full.parent() } else { Some(full.as_path()) };
    let name = folder.and_then(Path::file_name).ok_or_else(unnamed)?.to_string_lossy();
    let fits = |c: char| if c.is_ascii_alphanumeric() || "._-".contains(c) { c } else { '-' };
    let name: String = name.chars().map(fits).take(NAME_CHARACTERS).collect();
    let name = name.trim_start_matches(['.', '-']);
    if name.is_empty() { Err(unnamed()) } else { Ok(name.to_string()) }
}

#[derive(Serialize)]
struct Exported<'a> {
    schema: &'static str,
    stream: &'a str,
    key: &'a quorate_types::PublicKey,
    directory: &'a str,
    secret_key: bool,
}

/// `quorate export STREAM DIR [--with-secret-key]`.
pub(crate) async fn export(args: ExportArgs, context: &mut Context) -> Outcome {
    let mut progress = Progress::new(&context.output, "exporting", Unit::Bytes);
    let stream = &args.stream.stream;
    let from = (context.home.as_path(), context.timeout);
    let info = backend::export(from, stream, &args.directory, args.with_secret_key, &mut |done, total| {
        progress.update(done, total)
    })
    .await?;
    drop(progress);
    let directory = args.directory.to_string_lossy();
    let output = &mut context.output;
    if output.json {
        return output.object(&Exported {
            schema: "quorate.exported/1",
            stream: &info.name,
            key: &info.key,
            directory: &directory,
            secret_key: args.with_secret_key,
        });
    }
    output.line(&format!(
        "exported {}, {} of {} here, {} the secret key",
        text::clean(&info.name),
        info.here,
        text::count(info.length, "block"),
        if args.with_secret_key { "with" } else { "without" }
    ))?;
    if args.with_secret_key {
        output.note("append on one side only: a copy that appends too makes a fork (quorate explain E5001)");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_names_the_stream() {
        let root = tempfile::tempdir().unwrap();
        for (directory, name) in [("my core", "my-core"), ("site/.dat", "site"), (".hidden", "hidden")] {
            let directory = root.path().join(directory);
            std::fs::create_dir_all(&directory).unwrap();
            assert_eq!(name_of(&directory).as_deref(), Ok(name));
        }
        assert!(
            matches!(name_of(Path::new("/")), Err(Stop::Failed(failure)) if failure.code == Code::BadRequest)
        );
        let nowhere = root.path().join("nowhere");
        assert!(matches!(name_of(&nowhere), Err(Stop::Failed(failure)) if failure.code == Code::NotAFeed));
    }
}
