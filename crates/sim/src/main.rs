//! Runs the tests of the quorum for longer than the gate has time for.

use std::process::ExitCode;
use std::time::Instant;

use quorate_sim::model::{search, suite};

const USAGE: &str = "\
usage: quorate-sim model [--large]

  model [--large]      searches the model of voting and handover, the planted bugs, and the larger spaces
";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let passed = match arguments[..] {
        ["model"] => model(false),
        ["model", "--large"] => model(true),
        _ => {
            eprint!("{USAGE}");
            false
        }
    };
    if passed { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Searches the model; tells whether the protocol held and every planted bug was caught.
fn model(large: bool) -> bool {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let mut passed = true;
    let larger = if large { suite::large() } else { Vec::new() };
    for settings in suite::normal().into_iter().chain(larger) {
        let start = Instant::now();
        let found = search(settings, threads);
        println!("{found}\n  {:.1} s", start.elapsed().as_secs_f64());
        passed &= found.violations.is_empty();
    }
    for (bug, settings) in suite::planted() {
        let found = search(settings.with(bug), threads);
        println!("planted {bug:?}: {found}");
        passed &= found.breaks_agreement();
    }
    println!("{}", if passed { "passed" } else { "FAILED" });
    passed
}
