//! Who is measured.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result};
use serde_json::Value;

use super::metric::Metric;
use crate::run::{cargo, output, root, run as call, target_directory};

/// One run of one metric.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Measured {
    /// In the unit of the metric.
    pub(super) figure: f64,
    /// Resident memory of sharer and cloner, megabytes.
    pub(super) memory_mb: Option<(f64, f64)>,
    /// Figure of the metric that the same run measures besides.
    pub(super) also: Option<f64>,
}

/// Something that can run the metrics: two processes over loopback, both on disk.
pub(super) trait Runner {
    /// Returns the name in the table.
    fn name(&self) -> &str;

    /// Runs a metric once, `None` when it means nothing to this runner; `scale` divides the amount of work.
    fn run(&self, metric: &Metric, scale: u32) -> Result<Option<Measured>>;
}

/// A generation of the JavaScript reference, at both ends.
#[derive(Debug)]
pub(super) struct StockPeers {
    generation: &'static str,
}

impl StockPeers {
    /// Takes the name of a folder under `interop-tests/js`.
    pub(super) const fn new(generation: &'static str) -> Self {
        Self { generation }
    }
}

impl Runner for StockPeers {
    fn name(&self) -> &str {
        self.generation
    }

    fn run(&self, metric: &Metric, scale: u32) -> Result<Option<Measured>> {
        let Some(name) = metric.stock else { return Ok(None) };
        let directory = root().join("interop-tests/js").join(self.generation);
        let mut command = Command::new("node");
        command.args(["bench.js", name, "--scale", &scale.to_string()]).current_dir(directory);
        measured(name, metric, &serde_json::from_slice(&output(&mut command)?)?).map(Some)
    }
}

/// Our own nodes, at both ends or opposite a stock peer.
#[derive(Debug)]
pub(super) struct Quorate {
    binary: PathBuf,
    command: PathBuf,
}

impl Quorate {
    /// Builds the benchmark, optimized.
    pub(super) fn build() -> Result<Self> {
        let packages =
            ["-p", "quorate-interop-tests", "--bin", "bench", "-p", "quorate-cli", "--bin", "quorate"];
        call(&mut cargo(&[&["build", "--release"], &packages[..]].concat()))?;
        let built = target_directory().join("release");
        Ok(Self { binary: built.join("bench"), command: built.join("quorate") })
    }
}

impl Runner for Quorate {
    fn name(&self) -> &str {
        "quorate"
    }

    fn run(&self, metric: &Metric, scale: u32) -> Result<Option<Measured>> {
        let mut command = Command::new(&self.binary);
        command.args([metric.name, "--scale", &scale.to_string()]);
        command.env("QUORATE_ANNOUNCE", "none").env("QUORATE_BIN", &self.command);
        measured(metric.name, metric, &serde_json::from_slice(&output(&mut command)?)?).map(Some)
    }
}

/// Reads what a benchmark prints.
fn measured(name: &str, metric: &Metric, printed: &Value) -> Result<Measured> {
    let result = &printed[name];
    let number = |figure: &str| {
        result[figure]
            .as_f64()
            .with_context(|| format!("expected a number {figure} for {name}, found {printed}"))
    };
    let memory_mb = result["rss_sharer_mb"].as_f64().zip(result["rss_cloner_mb"].as_f64());
    let also = metric.also.map(|also| number(also.figure)).transpose()?;
    Ok(Measured { figure: number(metric.figure)?, memory_mb, also })
}

#[cfg(test)]
mod tests {
    use super::super::metric::METRICS;
    use super::*;

    #[test]
    fn what_the_script_prints_is_read() {
        let printed = serde_json::json!({
            "generation": "hypercore-9",
            "clone-10k-1k": { "blocks_per_s": 4000.0, "mb_per_s": 4.1, "rss_sharer_mb": 90.0, "rss_cloner_mb": 80.5 }
        });
        let metric = |name: &str| METRICS.iter().find(|metric| metric.name == name).unwrap();
        let expected = Measured { figure: 4000.0, memory_mb: Some((90.0, 80.5)), also: None };
        let clone = metric("clone-10k-1k");
        assert_eq!(measured(clone.name, clone, &printed).unwrap(), expected);
        assert!(measured("append", metric("append"), &printed).is_err());
    }

    #[test]
    fn one_run_may_have_two_figures() {
        let metric = METRICS.iter().find(|metric| metric.name == "archive-5k-files").unwrap();
        let printed =
            |also| serde_json::json!({ "archive-5k-files": { "times": 9.0, "times_of_dat": also } });
        let expected = Measured { figure: 9.0, memory_mb: None, also: Some(4.5) };
        assert_eq!(measured(metric.name, metric, &printed(Some(4.5))).unwrap(), expected);
        assert!(measured(metric.name, metric, &printed(None)).is_err());
    }
}
