//! Progress of long work: on a terminal, after a quarter of a second, on standard error.

use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

use crate::output::Output;

/// Work that is done sooner shows no progress.
const AFTER: Duration = Duration::from_millis(250);

/// What is counted.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Unit {
    /// Blocks.
    Blocks,
    /// Bytes.
    Bytes,
}

/// A bar that appears when the work takes long, and goes when it is dropped.
pub(crate) struct Progress {
    what: &'static str,
    unit: Unit,
    wanted: bool,
    started: Instant,
    bar: Option<ProgressBar>,
}

impl Progress {
    /// Starts to measure.
    pub(crate) fn new(output: &Output, what: &'static str, unit: Unit) -> Self {
        Self {
            what,
            unit,
            wanted: output.error_terminal && !output.quiet,
            started: Instant::now(),
            bar: None,
        }
    }

    /// Shows how far the work is.
    pub(crate) fn update(&mut self, done: u64, total: u64) {
        if !self.wanted || self.started.elapsed() < AFTER {
            return;
        }
        let bar = self.bar.get_or_insert_with(|| {
            let template = match self.unit {
                Unit::Blocks => "{msg} {bar:30} {human_pos}/{human_len} blocks  {per_sec}  {eta} left",
                Unit::Bytes => "{msg} {bar:30} {bytes}/{total_bytes}  {bytes_per_sec}  {eta} left",
            };
            let style = ProgressStyle::with_template(template).expect("the templates are well formed");
            ProgressBar::new(total).with_style(style).with_message(self.what)
        });
        bar.set_length(total);
        bar.set_position(done);
    }

    /// Says something above the bar.
    pub(crate) fn say(&self, text: &str, output: &Output) {
        match &self.bar {
            Some(bar) => bar.suspend(|| output.note(text)),
            None => output.note(text),
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
