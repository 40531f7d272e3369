//! `cargo xtask bench`: figures, side by side.
//!
//! Every metric is run by every runner in turn, several times over (so that a slow minute of the machine
//! hits all of them), and the medians are compared with the first runner's.

mod metric;
mod runner;
mod table;

use anyhow::{Context, Result, bail, ensure};

use crate::peers;
use metric::{METRICS, Metric};
use runner::{Quorate, Runner, StockPeers};

/// Figures of one runner for one metric, a value for each run.
#[derive(Debug, Clone, PartialEq)]
struct Row {
    metric: &'static Metric,
    runner: String,
    runs: Vec<f64>,
    /// Resident memory of sharer and cloner in megabytes, where the metric measures it.
    memory_mb: Option<(f64, f64)>,
}

/// What the command line asks for.
#[derive(Debug, PartialEq)]
struct Options {
    runs: usize,
    scale: u32,
    metrics: Vec<&'static Metric>,
    all_generations: bool,
}

/// Measures and prints the table.
pub(crate) fn run(arguments: &[String]) -> Result<()> {
    let options = Options::parse(arguments)?;
    peers::install()?;
    let rows = measure(&runners(&options)?, &options)?;
    print!("{}", table::render(&rows, options.scale));
    Ok(())
}

/// Who is measured; the first is what the targets refer to.
fn runners(options: &Options) -> Result<Vec<Box<dyn Runner>>> {
    let mut runners: Vec<Box<dyn Runner>> = vec![Box::new(StockPeers::new("hypercore-9"))];
    if options.all_generations {
        runners.push(Box::new(StockPeers::new("hypercore-7")));
    }
    runners.push(Box::new(Quorate::build()?));
    Ok(runners)
}

fn measure(runners: &[Box<dyn Runner>], options: &Options) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    for &metric in &options.metrics {
        let mut of_metric: Vec<Row> = Vec::new();
        for run in 1..=options.runs {
            for runner in runners {
                let measured = runner
                    .run(metric, options.scale)
                    .with_context(|| format!("{} cannot run {}", runner.name(), metric.name))?;
                let Some(measured) = measured else { continue };
                let also = metric.also.zip(measured.also).map(|(also, figure)| (also, figure, None));
                let own = (metric, measured.figure, measured.memory_mb);
                for (metric, figure, memory_mb) in [Some(own), also].into_iter().flatten() {
                    eprintln!("{} {run}/{}: {}: {figure:.1}", metric.name, options.runs, runner.name());
                    note(&mut of_metric, metric, runner.name(), figure, memory_mb);
                }
            }
        }
        rows.append(&mut of_metric);
    }
    Ok(rows)
}

/// Adds a figure to the row that it belongs to.
fn note(
    rows: &mut Vec<Row>,
    metric: &'static Metric,
    runner: &str,
    figure: f64,
    memory_mb: Option<(f64, f64)>,
) {
    match rows.iter_mut().find(|row| row.runner == runner && row.metric.name == metric.name) {
        Some(row) => row.runs.push(figure),
        None => rows.push(Row { metric, runner: runner.to_owned(), runs: vec![figure], memory_mb }),
    }
}

impl Options {
    fn parse(arguments: &[String]) -> Result<Self> {
        let mut options = Self { runs: 3, scale: 1, metrics: Vec::new(), all_generations: false };
        let mut arguments = arguments.iter();
        while let Some(argument) = arguments.next() {
            let mut number = || arguments.next().and_then(|text| text.parse::<u32>().ok());
            match argument.as_str() {
                "--runs" => options.runs = number().context("expected a number after --runs")? as usize,
                "--scale" => options.scale = number().context("expected a number after --scale")?,
                "--all-generations" => options.all_generations = true,
                name => match METRICS.iter().find(|metric| metric.name == name) {
                    Some(metric) => options.metrics.push(metric),
                    None => bail!("expected a metric among {}, found {name:?}", metric::names()),
                },
            }
        }
        ensure!(options.runs > 0 && options.scale > 0, "expected at least one run and a scale of at least 1");
        if options.metrics.is_empty() {
            options.metrics = METRICS.iter().collect();
        }
        Ok(options)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;

    struct Counting(&'static str, Cell<f64>);

    impl Runner for Counting {
        fn name(&self) -> &str {
            self.0
        }

        fn run(&self, _: &Metric, scale: u32) -> Result<Option<runner::Measured>> {
            self.1.set(self.1.get() + f64::from(scale));
            Ok(Some(runner::Measured { figure: self.1.get(), memory_mb: None, also: None }))
        }
    }

    fn parse(arguments: &[&str]) -> Result<Options> {
        Options::parse(&arguments.iter().map(|argument| (*argument).to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn every_runner_runs_every_metric() {
        let runners: Vec<Box<dyn Runner>> =
            vec![Box::new(Counting("a", Cell::new(0.0))), Box::new(Counting("b", Cell::new(10.0)))];
        let options = parse(&["--runs", "2", "append", "append-batch"]).unwrap();
        let rows = measure(&runners, &options).unwrap();
        let short: Vec<_> =
            rows.iter().map(|row| (row.metric.name, row.runner.as_str(), row.runs.clone())).collect();
        assert_eq!(
            short,
            [
                ("append", "a", vec![1.0, 2.0]),
                ("append", "b", vec![11.0, 12.0]),
                ("append-batch", "a", vec![3.0, 4.0]),
                ("append-batch", "b", vec![13.0, 14.0]),
            ]
        );
    }

    #[test]
    fn options_are_checked() {
        assert_eq!(parse(&[]).unwrap().metrics.len(), METRICS.len());
        assert_eq!(parse(&["--scale", "10"]).unwrap().scale, 10);
        for wrong in [&["--runs"][..], &["--runs", "0"], &["--scale", "x"], &["nothing"]] {
            assert!(parse(wrong).is_err(), "{wrong:?}");
        }
    }
}
