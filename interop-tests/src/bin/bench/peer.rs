//! One end: a node that carries out commands from standard input and tells results on standard output.

use std::io::BufRead;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use bytes::Bytes;
use quorate_interop_tests::{Node, NodeOptions, block_on, generated_block};
use quorate_net::runtime::{AsyncStd, Runtime};
use quorate_node::Stream;
use serde_json::{Value, json};

/// First argument of a process that is one end.
pub(crate) const ROLE: &str = "peer";

/// Seed of the blocks, as in the stock peers' benchmark.
const SEED: u32 = 1;

/// Runs until it is told to quit or standard input ends.
pub(crate) fn run(home: &Path) -> Result<()> {
    block_on(async {
        let node = Node::open(NodeOptions { home: Some(home.to_owned()), ..NodeOptions::default() }).await?;
        let mut peer = Peer { node, stream: None };
        let (lines, commands) = async_channel::bounded(16);
        std::thread::spawn(move || {
            for line in std::io::stdin().lock().lines().map_while(Result::ok) {
                if lines.send_blocking(line).is_err() {
                    break;
                }
            }
        });
        while let Ok(line) = commands.recv().await {
            let command: Value = serde_json::from_str(&line)?;
            let mut reply = match peer.command(&command).await? {
                Some(reply) => reply,
                None => break,
            };
            reply["event"] = command["cmd"].clone();
            println!("{reply}");
        }
        peer.node.shutdown().await
    })
}

struct Peer {
    node: Node,
    stream: Option<Stream>,
}

impl Peer {
    async fn command(&mut self, command: &Value) -> Result<Option<Value>> {
        let number = |name: &str| command[name].as_u64().with_context(|| format!("expected a number {name}"));
        let text = |name: &str| command[name].as_str().with_context(|| format!("expected a text {name}"));
        Ok(Some(match text("cmd")? {
            "share" => {
                let stream = self.node.create("bench", Vec::<Bytes>::new()).await?;
                let address = self.node.listen().await?;
                let key = stream.key().to_string();
                self.stream = Some(stream);
                json!({ "key": key, "address": address })
            }
            "append" => self.append(number("count")?, number("size")? as usize, number("batch")?).await?,
            "append-live" => {
                self.append_live(number("count")?, number("size")? as usize, number("gap_ms")?).await?
            }
            "clone" => {
                let key = text("key")?.parse::<quorate_types::PublicKey>()?;
                let started = Instant::now();
                let stream = self.node.carry(*key.as_bytes(), text("address")?).await?;
                let mut length = stream.synced().await?;
                if command["checked"] == true {
                    length = stream.checked().await?;
                }
                let ms = started.elapsed().as_secs_f64() * 1e3;
                self.stream = Some(stream);
                json!({ "ms": ms, "length": length })
            }
            "get-live" => {
                let (start, count) = (number("start")?, number("count")?);
                let stream = self.stream()?;
                let mut at = Vec::new();
                for index in start..start + count {
                    stream.fetch(index).await?;
                    at.push(now_ms());
                }
                json!({ "at": at })
            }
            "open" => {
                let started = Instant::now();
                let stream = self.node.node.open_stream(text("stream")?).await?;
                let ms = started.elapsed().as_secs_f64() * 1e3;
                let address = self.node.listen().await?;
                let key = stream.key().to_string();
                self.stream = Some(stream);
                json!({ "ms": ms, "key": key, "address": address })
            }
            "replay" => {
                let started = Instant::now();
                let stream = self.node.node.open_stream(text("stream")?).await?;
                let length = stream.checked().await?;
                let ms = started.elapsed().as_secs_f64() * 1e3;
                let address = self.node.listen().await?;
                self.stream = Some(stream);
                json!({ "ms": ms, "length": length, "address": address })
            }
            "memory" => json!({ "peak_mb": peak_mb()? }),
            "quit" => return Ok(None),
            other => bail!("expected a command, found {other:?}"),
        }))
    }

    fn stream(&self) -> Result<&Stream> {
        self.stream.as_ref().context("expected a stream to be open")
    }

    async fn append(&self, count: u64, size: usize, batch: u64) -> Result<Value> {
        let stream = self.stream()?;
        let length = stream.info().await?.length;
        let mut ms = 0.0;
        // Blocks are made a few at a time, so that they do not count as memory of the node, nor as its time.
        for start in (0..count).step_by(batch.max(1000) as usize) {
            let end = count.min(start + batch.max(1000));
            let blocks: Vec<Bytes> = (start..end)
                .map(|index| generated_block(SEED, (length + index) as u32, size).into())
                .collect();
            let started = Instant::now();
            for batch in blocks.chunks(batch as usize) {
                stream.append(batch.to_vec()).await?;
            }
            ms += started.elapsed().as_secs_f64() * 1e3;
        }
        Ok(json!({ "ms": ms }))
    }

    async fn append_live(&self, count: u64, size: usize, gap_ms: u64) -> Result<Value> {
        let stream = self.stream()?;
        let length = stream.info().await?.length;
        let mut at = Vec::new();
        for index in length..length + count {
            let block = generated_block(SEED, index as u32, size).into();
            at.push(now_ms());
            stream.append(vec![block]).await?;
            AsyncStd.sleep_until(AsyncStd.now() + Duration::from_millis(gap_ms)).await;
        }
        Ok(json!({ "at": at }))
    }
}

/// The monotonic clock of the machine, comparable between processes, milliseconds.
fn now_ms() -> f64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    now.tv_sec as f64 * 1e3 + now.tv_nsec as f64 / 1e6
}

/// Most memory that the process ever had, megabytes.
fn peak_mb() -> Result<f64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).context("expected VmHWM")?;
    let kib: f64 = line.split_whitespace().nth(1).context("expected a figure")?.parse()?;
    Ok(kib * 1024.0 / 1e6)
}
