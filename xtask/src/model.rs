//! `cargo xtask model`: the model of voting and handover, in spaces too large for the gate.

use anyhow::Result;

use crate::run::{cargo, run as call};

/// Searches the normal and the larger spaces with an optimized build.
pub(crate) fn run() -> Result<()> {
    call(&mut cargo(&["run", "--quiet", "--release", "--package", "quorate-sim", "--", "model", "--large"]))
}
