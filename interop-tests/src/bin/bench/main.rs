//! Our nodes, measured as `interop-tests/js/lib/bench.js` measures the stock peers: each end a process of its
//! own, over loopback, on disk. Prints one JSON object with the same names.
//!
//! `bench [METRIC]... [--scale N]`; `cargo xtask bench` runs it beside the stock peers.

mod archives;
mod measure;
mod meter;
mod peer;
mod quorum;
mod rooms;

use anyhow::{Context, Result, ensure};
use serde_json::{Map, Value, json};

fn main() -> Result<()> {
    let mut arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [role, home] = arguments.as_slice()
        && role == peer::ROLE
    {
        return peer::run(home.as_ref());
    }
    let scale = match arguments.iter().position(|argument| argument == "--scale") {
        Some(at) => {
            let scale = arguments.drain(at..).nth(1).context("expected a number after --scale")?;
            scale.parse().context("expected a number after --scale")?
        }
        None => 1,
    };
    let unknown: Vec<_> =
        arguments.iter().filter(|name| !measure::METRICS.contains(&name.as_str())).collect();
    ensure!(unknown.is_empty(), "expected metrics among {:?}, found {unknown:?}", measure::METRICS);
    let mut result = Map::new();
    result.insert("scale".into(), json!(scale));
    for name in measure::METRICS {
        if arguments.is_empty() || arguments.iter().any(|wanted| wanted == name) {
            result.insert(name.into(), measure::run(name, scale)?);
        }
    }
    println!("{:#}", Value::Object(result));
    Ok(())
}
