//! How a large feed is opened, and what it takes to serve and to clone all of it.

use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use quorate_interop_tests::{EventProcess, Memory, Workspace};

/// Time that each part may take.
const PATIENCE: Duration = Duration::from_secs(1800);

fn this(arguments: &[&str]) -> Result<EventProcess> {
    let mut command = Command::new(std::env::current_exe()?);
    EventProcess::start(&arguments.join(" "), command.args(arguments))
}

/// Makes a feed, serves it from a process that has only opened it, clones all of it, and prints the figures.
pub(crate) fn measure(blocks: &str, bytes: &str) -> Result<()> {
    let workspace = Workspace::new()?;
    let (from, to) = (workspace.join("from"), workspace.join("to"));
    let from = from.to_str().context("a temporary directory has a name in UTF-8")?;
    let to = to.to_str().context("a temporary directory has a name in UTF-8")?;
    ensure!(this(&["fill", from, blocks, bytes])?.wait(PATIENCE)?.success(), "the feed was not made");
    let mut server = this(&["serve", from])?;
    let open = server.event("open", PATIENCE)?;
    let open_ms = open["open_us"].as_f64().context("a time")? / 1000.0;
    let serving = Memory::of(server.id());
    println!(
        "{blocks} blocks of {bytes} bytes: opened in {open_ms:.1} ms, {} MiB then",
        serving.resident_mib()?
    );
    let text = |field: &str| open[field].as_str().context("a text");
    let started = Instant::now();
    let mut clone = this(&["clone", to, text("key")?, text("address")?])?;
    let wanted: u64 = blocks.parse()?;
    clone.event_where("synced", PATIENCE, |event| event["here"].as_u64() == Some(wanted))?;
    let seconds = started.elapsed().as_secs_f64();
    println!(
        "cloned in {seconds:.1} s, {:.0} blocks/s: {} MiB at most to serve it, {} MiB at most to clone it",
        wanted as f64 / seconds,
        serving.peak_mib()?,
        Memory::of(clone.id()).peak_mib()?
    );
    Ok(())
}
