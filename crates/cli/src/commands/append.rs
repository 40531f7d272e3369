//! `quorate append`.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, BufRead, BufReader, IsTerminal, Read};
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

use async_channel::Receiver;
use bytes::Bytes;
use futures_lite::future;
use quorate_node::model::{Content, Encoding, StreamInfo};
use quorate_node::{Code, Failure};
use quorate_types::limits::MAX_BLOCK_BYTES;

use super::submitted::{self, Speaker};
use super::{ended, only_writer};
use crate::args::{AppendArgs, Wait};
use crate::backend::Backend;
use crate::context::Context;
use crate::stop::{Outcome, Stop};
use crate::text;

/// Blocks that are appended together at most, unless `--batch` asks for more.
const GROUP_BLOCKS: usize = 1024;
/// Bytes that are appended together at most, unless one block has more or `--batch` asks for more.
const GROUP_BYTES: usize = 4 * 1024 * 1024;
/// Bytes that are read from standard input at once.
const READ_BYTES: usize = 256 * 1024;

/// `quorate append STREAM [MSG|-] [--files F...] [--batch]`.
pub(crate) async fn append(args: AppendArgs, context: &mut Context) -> Outcome {
    let backend = context.backend().await?;
    let mut info = backend.info(&args.stream.stream).await?;
    if args.writer.unsafe_only_writer && info.recovering.is_some() {
        only_writer::trust(&backend, &info, args.writer, context).await?;
        info = backend.info(&args.stream.stream).await?;
    }
    if let Some(recovering) = &info.recovering {
        return Err(only_writer::refused(&info, recovering, context).into());
    }
    let room = match info.content {
        Content::Room { .. } if args.batch => {
            let message =
                "expected no --batch in a room, whose actions are appended one by one; nothing was appended";
            return Err(Stop::usage(message, "leave --batch out"));
        }
        _ if !matches!(info.content, Content::Room { .. })
            && !info.writable
            && let Some(why) = &info.unchecked =>
        {
            return Err(unknown(&info, why).into());
        }
        Content::Room { .. } => Some(Speaker::new(&backend, &info, &args, context.timeout).await?),
        _ if args.identity.is_some() || args.wait.is_some() => {
            let message = format!(
                "expected a room for --as and --wait, found that {} is none; nothing was appended",
                info.name
            );
            return Err(Failure::new(Code::NotARoom, message).next("leave them out").into());
        }
        _ => None,
    };
    if !info.writable && room.is_none() {
        return Err(Failure::new(
            Code::NotWritable,
            format!(
                "expected the secret key of {}, found only its public key; nothing was appended",
                info.name
            ),
        )
        .into());
    }
    let mut appender = Appender {
        backend,
        info,
        context,
        room,
        blocks: 0,
        said: 0,
        group: Group::default(),
        is_sending: false,
    };
    let result = match args.message {
        Some(message) if message != "-" => appender.message(message).await,
        _ if !args.files.is_empty() => appender.files(&args.files, args.batch).await,
        _ => appender.lines(args.batch).await,
    };
    let result = match result {
        // What came before something that cannot be appended is, unless all of it was to be appended together.
        Err(stop) if !appender.is_sending => {
            let sent = if args.batch { Ok(()) } else { appender.send().await };
            sent.and(Err(not_appended(stop, args.batch)))
        }
        result => result,
    };
    // A program has read so in the objects before.
    let has_ended = matches!(&result, Err(Stop::Failed(failure)) if failure.code == Code::NodeEnded);
    if result.is_err() && !has_ended && appender.blocks > 0 && !appender.context.output.json {
        let done = text::count(appender.blocks, "block");
        appender.context.output.warn(&format!("{done} before it: appended and on disk"));
    }
    let closed = appender.backend.close().await;
    result?;
    Ok(closed?)
}

/// Says of what was read and cannot be appended what became of it, and of what came before where all of it was to be appended together.
fn not_appended(stop: Stop, batch: bool) -> Stop {
    match stop {
        Stop::Failed(mut failure) => {
            failure.message.push_str(if batch { "; nothing was appended" } else { "; it was not appended" });
            failure.into()
        }
        other => other,
    }
}

/// Says of what is not here that nobody knows what would be appended to it.
fn unknown(info: &StreamInfo, why: &str) -> Failure {
    let name = text::clean(&info.name);
    let message = format!(
        "expected to know whether {name} is a room, to which others than its writer append, found that {why}; nothing was \
         appended"
    );
    let how = if info.sparse { "without --sparse, which checks nothing" } else { "fetches it" };
    Failure::new(Code::BlockNotHere, message)
        .next(format!("quorate clone {} --peer HOST:PORT    # {how}", info.link))
}

/// Blocks that are to be appended together.
#[derive(Default)]
struct Group {
    blocks: Vec<Bytes>,
    bytes: usize,
}

impl Group {
    fn push(&mut self, block: Bytes) {
        self.bytes += block.len();
        self.blocks.push(block);
    }

    fn is_full(&self) -> bool {
        self.blocks.len() >= GROUP_BLOCKS || self.bytes >= GROUP_BYTES
    }
}

struct Appender<'a> {
    backend: Backend,
    info: StreamInfo,
    context: &'a mut Context,
    /// Who signs, where the stream is a room.
    room: Option<Speaker>,
    blocks: u64,
    /// Actions that were brought to the host of a room, or kept for it.
    said: u64,
    group: Group,
    /// A group is on its way, or did not come through.
    is_sending: bool,
}

impl Appender<'_> {
    async fn message(&mut self, message: OsString) -> Outcome {
        self.push(message.into_vec().into(), &|| "the message".to_string())?;
        self.send().await
    }

    async fn files(&mut self, files: &[PathBuf], batch: bool) -> Outcome {
        for file in files {
            let block = read_file(file)?;
            if !batch && self.group.bytes + block.len() > GROUP_BYTES {
                self.send().await?;
            }
            self.push(block, &|| file.display().to_string())?;
            if !batch && self.group.is_full() {
                self.send().await?;
            }
        }
        self.send().await
    }

    async fn lines(&mut self, batch: bool) -> Outcome {
        if io::stdin().is_terminal() {
            self.context.output.note("one block for each line; Ctrl-D ends");
        }
        let lines = Lines::start()?;
        let mut number: u64 = 0;
        loop {
            let interrupt = self.context.interrupt.clone();
            let next = future::or(lines.next(), async move {
                interrupt.wait().await;
                Err(Stop::Interrupted)
            });
            let Some(mut ready) = next.await? else {
                return self.send().await;
            };
            loop {
                for line in ready {
                    number += 1;
                    self.push(line, &|| format!("line {number}"))?;
                }
                if self.group.is_full() && !batch {
                    break;
                }
                match lines.ready()? {
                    Some(more) => ready = more,
                    None => break,
                }
            }
            if !batch {
                self.send().await?;
            }
        }
    }

    /// Takes a block into the group, after a look at what the stream says its blocks are.
    fn push(&mut self, block: Bytes, what: &dyn Fn() -> String) -> Outcome {
        if self.info.encoding == Encoding::Json
            && let Err(error) = serde_json::from_slice::<serde::de::IgnoredAny>(&block)
        {
            let what = what();
            let name = &self.info.name;
            return Err(Failure::new(
                Code::BadRequest,
                format!("expected JSON in {what}, as {name} has it, found {error}"),
            )
            .next("correct it, or create the stream with another --encoding")
            .into());
        }
        self.group.push(block);
        Ok(())
    }

    /// Appends the group and says so once it is on disk.
    async fn send(&mut self) -> Outcome {
        let group = std::mem::take(&mut self.group);
        if group.blocks.is_empty() {
            return Ok(());
        }
        self.is_sending = true;
        self.send_group(group).await?;
        self.is_sending = false;
        Ok(())
    }

    async fn send_group(&mut self, group: Group) -> Outcome {
        let count = group.blocks.len() as u64;
        if let Some(room) = &self.room {
            let interrupt = self.context.interrupt.clone();
            let said = match room.say(&self.backend, &self.info, &group.blocks, &interrupt).await {
                Err(Stop::Failed(failure)) if failure.code == Code::NodeEnded => {
                    return Err(ended::unsure(&self.info.name, self.said, count, "action", &failure).into());
                }
                Err(Stop::Interrupted) => {
                    let them = if count == 1 { "the action" } else { "the actions" };
                    let message = format!("interrupted: whether {them} will be appended is not known");
                    self.context.output.note(&message);
                    return Err(Stop::Interrupted);
                }
                said => said?,
            };
            let before = self.said;
            self.said += count;
            submitted::tell(&said, room.wait, &interrupt, &mut self.context.output)
                .map_err(|stop| stop.after(before))?;
            if room.wait == Wait::Committed {
                let told = (&interrupt, &mut self.context.output);
                let committed = submitted::commit(&self.backend, &self.info.name, said, told).await;
                return committed.map_err(|stop| stop.after(before));
            }
            return Ok(());
        }
        let appended = match self.backend.append(&self.info.name, group.blocks.clone()).await {
            Err(failure) if failure.code == Code::NodeEnded => {
                let failure = ended::settled(self.context, &self.info, self.blocks, &group.blocks, &failure);
                return Err(failure.await.into());
            }
            appended => appended?,
        };
        self.info.length = appended.length;
        self.blocks += count;
        let output = &mut self.context.output;
        if output.json {
            output.object(&appended)?;
        } else {
            output.line(&format!("appended {count}, length {}", appended.length))?;
        }
        output.flush()
    }
}

fn too_large(what: &str, found: u64) -> Stop {
    Failure::new(
        Code::BlockTooLarge,
        format!("expected at most {MAX_BLOCK_BYTES} bytes in a block, found {found} in {what}"),
    )
    .into()
}

fn read_file(path: &Path) -> Outcome<Bytes> {
    let what = path.display().to_string();
    let reading = |error: io::Error| {
        let code = if error.kind() == io::ErrorKind::NotFound { Code::BadRequest } else { Code::Io };
        Stop::Failed(
            Failure::new(code, format!("expected a file to append, found {what}: {error}"))
                .next("name files that can be read"),
        )
    };
    let mut bytes = Vec::new();
    let limit = MAX_BLOCK_BYTES as u64;
    let file = File::open(path).map_err(reading)?;
    let size = file.metadata().map_err(reading)?.len();
    if size > limit {
        return Err(too_large(&what, size));
    }
    file.take(limit + 1).read_to_end(&mut bytes).map_err(reading)?;
    if bytes.len() as u64 > limit {
        return Err(too_large(&what, bytes.len() as u64));
    }
    Ok(bytes.into())
}

/// The lines of standard input, read by a thread, in groups of what has come together.
struct Lines(Receiver<Outcome<Vec<Bytes>>>);

impl Lines {
    fn start() -> Outcome<Self> {
        let (sender, receiver) = async_channel::bounded(8);
        std::thread::Builder::new()
            .name("stdin".into())
            .spawn(move || {
                let mut input = BufReader::with_capacity(READ_BYTES, io::stdin().lock());
                loop {
                    let group = read_lines(&mut input);
                    let last = !matches!(&group, Ok(lines) if !lines.is_empty());
                    if matches!(&group, Ok(lines) if lines.is_empty())
                        || sender.send_blocking(group).is_err()
                        || last
                    {
                        return;
                    }
                }
            })
            .map_err(|error| Stop::io("starting a thread for standard input", &error))?;
        Ok(Self(receiver))
    }

    /// Waits for lines; `None` at the end of the input. Cancel-safe.
    async fn next(&self) -> Outcome<Option<Vec<Bytes>>> {
        self.0.recv().await.ok().transpose()
    }

    /// Returns lines that have come already.
    fn ready(&self) -> Outcome<Option<Vec<Bytes>>> {
        self.0.try_recv().ok().transpose()
    }
}

/// Reads one line, and those that stand behind it in the buffer; nothing at the end of the input.
fn read_lines<R: Read>(input: &mut BufReader<R>) -> Outcome<Vec<Bytes>> {
    let mut lines = Vec::new();
    let mut bytes = 0;
    loop {
        let mut line = Vec::new();
        let limit = MAX_BLOCK_BYTES as u64 + 1;
        input
            .by_ref()
            .take(limit)
            .read_until(b'\n', &mut line)
            .map_err(|error| Stop::io("reading standard input", &error))?;
        if line.is_empty() {
            return Ok(lines);
        }
        if line.last() == Some(&b'\n') {
            line.pop();
        } else if line.len() as u64 == limit {
            return Err(too_large("a line of standard input", limit));
        }
        bytes += line.len();
        lines.push(Bytes::from(line));
        if !input.buffer().contains(&b'\n') || lines.len() >= GROUP_BLOCKS || bytes >= GROUP_BYTES {
            return Ok(lines);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Hands out one chunk a read, as a pipe does.
    struct Chunks(Vec<&'static [u8]>);

    impl Read for Chunks {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            if self.0.is_empty() {
                return Ok(0);
            }
            let chunk = self.0.remove(0);
            buffer[..chunk.len()].copy_from_slice(chunk);
            Ok(chunk.len())
        }
    }

    #[test]
    fn lines_that_came_together_stay_together() {
        let mut input = BufReader::new(Chunks(vec![b"a\nb\n\nc", b"d\n", b"last"]));
        let group = |input: &mut _| -> Vec<String> {
            let lines = read_lines(input).unwrap();
            lines.iter().map(|line| String::from_utf8(line.to_vec()).unwrap()).collect()
        };
        assert_eq!(group(&mut input), ["a", "b", ""]);
        assert_eq!(group(&mut input), ["cd"]);
        assert_eq!(group(&mut input), ["last"]);
        assert_eq!(group(&mut input), [""; 0]);
    }

    #[test]
    fn a_line_without_end_is_refused_before_it_fills_memory() {
        let mut input = BufReader::new(io::repeat(b'x'));
        let stop = read_lines(&mut input).unwrap_err();
        assert_eq!(stop, too_large("a line of standard input", MAX_BLOCK_BYTES as u64 + 1));
    }
}
