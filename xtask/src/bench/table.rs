//! The table that `cargo xtask bench` prints.

use std::fmt::Write;

use super::Row;

/// Renders rows that lie together by metric; the first row of a metric is what the others are compared with.
pub(super) fn render(rows: &[Row], scale: u32) -> String {
    let mut text = String::new();
    let mut line = |cells: [&str; 7]| {
        writeln!(
            text,
            "{:<68}{:<14}{:>12} {:<22}{:>14}{:>9}  {}",
            cells[0], cells[1], cells[2], cells[3], cells[4], cells[5], cells[6]
        )
        .expect("a String takes every write");
    };
    line(["metric", "runner", "median", "unit", "RSS MB", "ratio", "target"]);
    let mut baseline: Option<(&str, f64)> = None;
    for row in rows {
        let median = median(&row.runs);
        let first = baseline.is_none_or(|(metric, _)| metric != row.metric.name);
        if first {
            baseline = Some((row.metric.name, median));
        }
        let ratio = median / baseline.map_or(median, |(_, figure)| figure);
        let target = match (row.metric.target, first) {
            (None, _) => match row.metric.aim.zip(row.metric.is_as_aimed(median)) {
                Some((aim, true)) => format!("aim {aim}: reached"),
                Some((aim, false)) => format!("aim {aim}: missed"),
                None => String::new(),
            },
            (Some(target), true) => format!("{target} times this"),
            (Some(target), false) => match row.metric.reaches(ratio) {
                Some(true) => format!("{target}: reached"),
                _ => format!("{target}: missed"),
            },
        };
        line([
            if first { row.metric.what } else { "" },
            &row.runner,
            &number(median),
            row.metric.unit,
            &row.memory_mb.map_or_else(String::new, |(sharer, cloner)| format!("{sharer:.0} / {cloner:.0}")),
            &if row.metric.stock.is_some() { format!("{ratio:.2}") } else { String::new() },
            &target,
        ]);
    }
    let runs = rows.iter().map(|row| row.runs.len()).max().unwrap_or_default();
    writeln!(text, "\nmedian of {runs} runs; RSS is sharer / cloner").expect("a String takes every write");
    if scale != 1 {
        writeln!(text, "amounts of work divided by {scale}: a quick look, not a measurement")
            .expect("a String takes every write");
    }
    text
}

/// The middle value, or the mean of the two in the middle.
fn median(runs: &[f64]) -> f64 {
    let mut sorted = runs.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    match sorted.len() % 2 {
        0 => (sorted[middle - 1] + sorted[middle]) / 2.0,
        _ => sorted[middle],
    }
}

fn number(value: f64) -> String {
    match value {
        value if value >= 100.0 => format!("{value:.0}"),
        value => format!("{value:.2}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::metric::METRICS;

    fn row(metric: usize, runner: &str, runs: &[f64]) -> Row {
        Row { metric: &METRICS[metric], runner: runner.to_owned(), runs: runs.to_vec(), memory_mb: None }
    }

    #[test]
    fn medians() {
        assert_eq!(median(&[3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(&[4.0, 1.0, 2.0, 3.0]), 2.5);
    }

    #[test]
    fn targets_are_judged_by_what_is_better() {
        let rows = [
            row(2, "hypercore-9", &[100.0]),
            row(2, "quorate", &[1500.0]),
            row(5, "hypercore-9", &[2.0]),
            row(5, "quorate", &[1.5]),
        ];
        let text = render(&rows, 1);
        let lines: Vec<_> = text.lines().collect();
        assert!(lines[1].ends_with("15 times this"), "{text}");
        assert!(lines[2].contains("15.00") && lines[2].ends_with("15: reached"), "{text}");
        assert!(lines[4].contains("0.75") && lines[4].ends_with("0.5: missed"), "{text}");
    }

    #[test]
    fn figures_without_a_stock_peer_are_judged_by_what_is_aimed_at() {
        let named = |name| METRICS.iter().position(|metric| metric.name == name).unwrap();
        let rows = [
            row(named("room-checks"), "quorate", &[150_001.0]),
            row(named("room-replay"), "quorate", &[3.5]),
            row(named("room-signatures"), "quorate", &[40_000.0]),
        ];
        let text = render(&rows, 1);
        let lines: Vec<_> = text.lines().collect();
        assert!(lines[1].ends_with("aim 150000: reached"), "{text}");
        assert!(lines[2].ends_with("aim 3: missed"), "{text}");
        assert!(lines[3].trim_end().ends_with("entries/s"), "{text}");
    }
}
