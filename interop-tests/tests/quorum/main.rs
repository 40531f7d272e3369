//! Rooms with a quorum of real processes: killed at any moment, and cut off from each other.
//!
//! `QUORATE_QUORUM_RUNS` and `QUORATE_QUORUM_SEED` set how often, and the chance behind it; `cargo xtask quorum` does that
//! for the long run. A failure names the seed.

mod bank;
mod history;
mod kill;
mod links;
mod strace;

use anyhow::{Context, Result};

/// Names the seed in every failure.
fn with_seed(fallback: u64, test: impl FnOnce(u64, u64) -> Result<()>) -> Result<()> {
    let mut random = [0; 4];
    getrandom::fill(&mut random).context("the system gives random numbers")?;
    let seed = from_environment("QUORATE_QUORUM_SEED", u64::from(u32::from_le_bytes(random)))?;
    let runs = from_environment("QUORATE_QUORUM_RUNS", fallback)?;
    println!("{runs} runs, seed {seed}");
    test(seed, runs).with_context(|| format!("QUORATE_QUORUM_SEED={seed} QUORATE_QUORUM_RUNS={runs}"))
}

fn from_environment(name: &str, fallback: u64) -> Result<u64> {
    match std::env::var(name) {
        Ok(text) => text.parse().with_context(|| format!("expected a number as {name}, found {text:?}")),
        Err(_) => Ok(fallback),
    }
}
