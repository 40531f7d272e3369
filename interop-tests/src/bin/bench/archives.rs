//! Dat archives in a network of their own: what dat 13 and our command take for the same one, with no address typed.
//!
//! Times are those of whole commands, from their start to their end, with the files written.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use quorate_interop_tests::{
    DatProcess, DatVersion, EventProcess, Lan, Quorate, Workspace, archive_key, files_in, generated_block,
};
use serde_json::{Value, json};

/// Files in one folder.
const FOLDER: u32 = 100;

/// How long one step may take.
const PATIENCE: Duration = Duration::from_secs(900);

/// Time in which a sharer that has just begun comes to rest.
const REST: Duration = Duration::from_secs(5);

/// Runs of which the median counts, for what is short.
const RUNS: usize = 5;

/// Clones an archive of so many files: dat 13 of dat 13, ours of dat 13, ours of ours.
///
/// Before each clone of dat 13 the sharer begins anew: what it has read and compiled for the first clone would help the second.
pub(crate) fn clone(files: u64, bytes: u64) -> Result<Value> {
    let lan = Lan::new(3)?;
    let workspace = Workspace::new()?;
    let shared = workspace.join("shared");
    for number in 0..files as u32 {
        let folder = shared.join((number / FOLDER).to_string());
        fs::create_dir_all(&folder)?;
        fs::write(folder.join(number.to_string()), generated_block(1, number, bytes as usize))?;
    }
    let dat = DatVersion::Dat13;
    let share = || dat.share_within(PATIENCE, &lan, 1, &workspace.join("dat-home"), &shared);
    drop(share()?);
    let link = format!("dat://{}", archive_key(&shared)?);

    let of_dat = workspace.join("of-dat");
    let mut command =
        dat.command(&lan, 2, &workspace.join("other-home"), &["clone", &link, text(&of_dat)?])?;
    let (dat_s, dat_sharer_s) = beside(&share()?, || timed(&mut [&mut command]))?;
    ensure!(files_in(&of_dat)? == files_in(&shared)?, "dat 13 has cloned something else");
    let (ours_of_dat_s, our_sharer_s) =
        beside(&share()?, || clone_ours(&lan, 2, &workspace, &link, &shared))?;

    let mut share = on(&lan, 2, &workspace, &["--json", "share"])?;
    let mut share = EventProcess::start("quorate share", &mut share)?;
    share.event("listening", PATIENCE)?;
    let ours_s = clone_ours(&lan, 3, &workspace, &link, &shared)?;
    Ok(json!({
        "dat_s": dat_s,
        "dat_of_dat_sharer_processor_s": dat_sharer_s,
        "quorate_of_dat_s": ours_of_dat_s,
        "quorate_of_dat_sharer_processor_s": our_sharer_s,
        "quorate_s": ours_s,
        "times": dat_s / ours_s,
        "times_of_dat": dat_s / ours_of_dat_s,
    }))
}

/// Measures what somebody does, and the processor time that the sharer takes for it.
fn beside(sharer: &DatProcess, measured: impl FnOnce() -> Result<f64>) -> Result<(f64, f64)> {
    // It looks at every file once, and announces itself, before it is at rest.
    std::thread::sleep(REST);
    let before = sharer.processor_seconds()?;
    let seconds = measured()?;
    Ok((seconds, sharer.processor_seconds()? - before))
}

/// Waits for the first byte of a file that dat 13 shares, in a clone of dat 13 and in ours.
pub(crate) fn first_byte() -> Result<Value> {
    let lan = Lan::new(2)?;
    let workspace = Workspace::new()?;
    let shared = workspace.join("shared");
    fs::create_dir_all(&shared)?;
    fs::write(shared.join("one"), generated_block(1, 0, 1024))?;
    let dat = DatVersion::Dat13;
    let _sharer = dat.share(&lan, 1, &workspace.join("dat-home"), &shared)?;
    let link = format!("dat://{}", archive_key(&shared)?);
    let (mut theirs, mut ours) = (Vec::new(), Vec::new());
    for run in 0..RUNS {
        let place = Workspace::new()?;
        let out = place.join("out");
        let mut command = dat.command(&lan, 2, &place.join("home"), &["clone", &link, text(&out)?])?;
        theirs
            .push(until_bytes(&mut command, &out.join("one")).with_context(|| format!("dat 13, run {run}"))?);
        let mut command = on(&lan, 2, &place, &["clone", &link, "site"])?;
        let data = home(2, &place).join("streams/site-content/data");
        ours.push(until_bytes(&mut command, &data).with_context(|| format!("quorate, run {run}"))?);
    }
    let (dat_ms, quorate_ms) = (median(theirs), median(ours));
    Ok(json!({ "dat_ms": dat_ms, "quorate_ms": quorate_ms, "share": quorate_ms / dat_ms }))
}

/// Clones with our command and writes the files; returns the seconds of both.
fn clone_ours(lan: &Lan, host: u8, workspace: &Workspace, link: &str, shared: &Path) -> Result<f64> {
    let out = workspace.join(&format!("out-{host}"));
    let mut cloning = on(lan, host, workspace, &["clone", link, "site"])?;
    let mut writing = on(lan, host, workspace, &["checkout", "site", text(&out)?])?;
    let seconds = timed(&mut [&mut cloning, &mut writing])?;
    ensure!(files_in(&out)? == files_in(shared)?, "quorate has cloned something else");
    Ok(seconds)
}

fn home(host: u8, workspace: &Workspace) -> PathBuf {
    workspace.join(&format!("home-{host}"))
}

fn on(lan: &Lan, host: u8, workspace: &Workspace, arguments: &[&str]) -> Result<Command> {
    let mut command = Quorate::new(home(host, workspace))?.command(arguments.iter().copied());
    Ok(lan.on(host, command.env("QUORATE_ANNOUNCE", "lan")))
}

/// Runs one command after the other to a good end; returns the seconds.
fn timed(commands: &mut [&mut Command]) -> Result<f64> {
    let started = Instant::now();
    for command in commands {
        let output =
            command.stdin(Stdio::null()).output().with_context(|| format!("cannot run {command:?}"))?;
        ensure!(
            output.status.success(),
            "expected a good end of {command:?}, found {}:\n{}",
            output.status,
            String::from_utf8_lossy(&output.stderr)
        );
    }
    Ok(started.elapsed().as_secs_f64())
}

/// Runs a command until a file has bytes; returns the milliseconds.
fn until_bytes(command: &mut Command, file: &Path) -> Result<f64> {
    let started = Instant::now();
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
    let found = loop {
        if fs::metadata(file).is_ok_and(|metadata| metadata.len() > 0) {
            break Ok(started.elapsed().as_secs_f64() * 1000.0);
        }
        if started.elapsed() > PATIENCE {
            break Err(anyhow::anyhow!("expected bytes in {}, found none", file.display()));
        }
        std::thread::sleep(Duration::from_millis(1));
    };
    // What it does with the rest is not measured, and ends before the next run.
    child.wait()?;
    found
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

fn text(path: &Path) -> Result<&str> {
    path.to_str().context("the paths of a benchmark are text")
}
