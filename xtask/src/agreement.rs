//! `cargo xtask agreement`: nodes that come to a long room by different ways, and a second engine.

use anyhow::{Result, bail};

use crate::run::{cargo, run as call};

/// Entries of the room where nothing else is asked for.
const ENTRIES: &str = "100000";

/// Runs the test of the gate, optimized, with a long room.
pub(crate) fn run(arguments: &[String]) -> Result<()> {
    let entries = match arguments {
        [] => ENTRIES,
        [option, entries] if option == "--entries" && entries.parse::<u32>().is_ok() => entries,
        other => bail!("expected nothing or --entries N, found {other:?}"),
    };
    let test =
        ["test", "--release", "--workspace", "--all-features", "--test", "agreement", "--", "--nocapture"];
    call(cargo(&test).env("QUORATE_AGREEMENT_ENTRIES", entries))
}
