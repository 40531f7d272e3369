//! Fuzz targets: everything that reads bytes of a stranger, as plain functions.
//!
//! A target must not panic on any input, and asserts what else must hold (what decodes encodes to the same
//! again, nothing forged is accepted, buffers stay within their limits). The runner in this package drives
//! them on the stable toolchain, in the gate with the same inputs every time; `libfuzzer/` drives the same
//! functions under libFuzzer, for long runs.

pub mod mutate;
mod targets;

pub use targets::TARGETS;

/// A function that reads a stranger's bytes, with inputs to begin from.
#[derive(Debug, Clone, Copy)]
pub struct Target {
    /// Name on the command line and of the folder under `seeds/`.
    pub name: &'static str,
    /// Reads one input; a panic is a finding.
    pub run: fn(&[u8]),
    /// Makes well-formed inputs, the same ones every time.
    pub seeds: fn() -> Vec<Vec<u8>>,
    /// How many times as long as a cheap target one input takes: the gate divides its inputs by it.
    pub cost: u32,
}

impl Target {
    /// Finds a target by its name.
    pub fn named(name: &str) -> Option<&'static Self> {
        TARGETS.iter().find(|target| target.name == name)
    }
}
