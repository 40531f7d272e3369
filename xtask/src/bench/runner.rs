//! Who is measured.

use std::process::Command;

use anyhow::{Context, Result};
use serde_json::Value;

use super::metric::Metric;
use crate::run::{output, root};

/// One run of one metric.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Measured {
    /// In the unit of the metric.
    pub(super) figure: f64,
    /// Resident memory of sharer and cloner, megabytes.
    pub(super) memory_mb: Option<(f64, f64)>,
}

/// Something that can run the metrics: two processes over loopback, both on disk.
pub(super) trait Runner {
    /// Returns the name in the table.
    fn name(&self) -> &str;

    /// Runs a metric once; `scale` divides the amount of work.
    fn run(&self, metric: &Metric, scale: u32) -> Result<Measured>;
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

    fn run(&self, metric: &Metric, scale: u32) -> Result<Measured> {
        let directory = root().join("interop-tests/js").join(self.generation);
        let mut command = Command::new("node");
        command.args(["bench.js", metric.name, "--scale", &scale.to_string()]).current_dir(directory);
        measured(metric, &serde_json::from_slice(&output(&mut command)?)?)
    }
}

/// Reads what `bench.js` prints.
fn measured(metric: &Metric, printed: &Value) -> Result<Measured> {
    let result = &printed[metric.name];
    let figure = result[metric.figure].as_f64().with_context(|| {
        format!("expected a number {} for {}, found {printed}", metric.figure, metric.name)
    })?;
    let memory_mb = result["rss_sharer_mb"].as_f64().zip(result["rss_cloner_mb"].as_f64());
    Ok(Measured { figure, memory_mb })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::metric::METRICS;

    #[test]
    fn what_the_script_prints_is_read() {
        let clone = METRICS.iter().find(|metric| metric.name == "clone-10k-1k").unwrap();
        let printed = serde_json::json!({
            "generation": "hypercore-9",
            "clone-10k-1k": { "blocks_per_s": 4000.0, "mb_per_s": 4.1, "rss_sharer_mb": 90.0, "rss_cloner_mb": 80.5 }
        });
        let expected = Measured { figure: 4000.0, memory_mb: Some((90.0, 80.5)) };
        assert_eq!(measured(clone, &printed).unwrap(), expected);
        assert!(measured(&METRICS[0], &printed).is_err());
    }
}
