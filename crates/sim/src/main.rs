//! Runs the tests of the quorum for longer than the gate has time for.

use std::process::ExitCode;
use std::time::Instant;

use quorate_sim::model::{search, suite};
use quorate_sim::world::attacks::ATTACKS;
use quorate_sim::world::plan::{Extras, Outcome, random, run_twice};
use quorate_sim::world::{Total, twins};

const USAGE: &str = "\
usage: quorate-sim model [--large]
       quorate-sim run [--runs N] [--seed N] [--changes 1]
       quorate-sim twins [--every N]
       quorate-sim watch --seed N [--changes 1]

  model [--large]      searches the model of voting and handover, with planted bugs too; and the larger spaces
  run                  the attacks, then N runs of chance (default 1000) from a seed on (default 1), each of them twice;
                       with --changes 1 validators come and go
  twins [--every N]    twins at n=4 over three rounds and at n=7 over two; every Nth of them (default 1)
  watch                prints what happens in one run: time in microseconds, what, and its bytes, the node first
";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let passed = match arguments[..] {
        ["model"] => model(false),
        ["model", "--large"] => model(true),
        ["run", ref options @ ..] => match run_options(options) {
            Some((runs, seed, extras)) => chance(runs, seed, extras),
            None => usage(),
        },
        ["twins", ref options @ ..] => match number(options, "--every", 1) {
            Some(every) if every > 0 && options.len().is_multiple_of(2) => all_twins(every as usize),
            _ => usage(),
        },
        ["watch", ref options @ ..] if options.contains(&"--seed") => match run_options(options) {
            Some((_, seed, extras)) => watch(seed, extras),
            None => usage(),
        },
        _ => usage(),
    };
    if passed { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn usage() -> bool {
    eprint!("{USAGE}");
    false
}

fn run_options(options: &[&str]) -> Option<(u64, u64, Extras)> {
    let (runs, seed) = (number(options, "--runs", 1000)?, number(options, "--seed", 1)?);
    let changes = number(options, "--changes", 0)? > 0;
    (options.len().is_multiple_of(2)).then_some((runs, seed, Extras { changes, ..Extras::default() }))
}

/// Finds the number after an option.
fn number(options: &[&str], name: &str, default: u64) -> Option<u64> {
    match options.iter().position(|option| *option == name) {
        Some(at) => options.get(at + 1)?.parse().ok(),
        None => Some(default),
    }
}

/// Counts outcomes, and says what does not hold.
#[derive(Default)]
struct Tally {
    total: Total,
    failed: u64,
}

impl Tally {
    fn add(&mut self, name: &str, outcome: &Outcome) {
        self.total.add(&outcome.coverage);
        if !outcome.violations.is_empty() {
            self.failed += 1;
            println!("FAILED: {name}");
            for violation in outcome.violations.iter().take(3) {
                println!("  {violation:?}");
            }
        }
    }

    fn finish(&self, what: &str, start: Instant) -> bool {
        println!("{what}: {}", self.total);
        println!("  failed: {}; {:.0} s", self.failed, start.elapsed().as_secs_f64());
        self.failed == 0
    }
}

/// Runs the attacks and runs of chance.
fn chance(runs: u64, seed: u64, extras: Extras) -> bool {
    let start = Instant::now();
    let mut attacks = Tally::default();
    for attack in ATTACKS {
        attacks.add(attack.name, &run_twice(seed, |seed| attack.run(seed)));
    }
    let mut passed = attacks.finish("attacks", start);
    let start = Instant::now();
    let mut tally = Tally::default();
    for run in 0..runs {
        let seed = seed.wrapping_add(run);
        tally.add(&format!("seed {seed}"), &run_twice(seed, |seed| random(seed, extras)));
        if (run + 1) % 1000 == 0 {
            eprintln!("{} runs, {} failed, {:.0} s", run + 1, tally.failed, start.elapsed().as_secs_f64());
        }
    }
    passed &= tally.finish("chance", start);
    passed
}

/// Prints one run.
fn watch(seed: u64, extras: Extras) -> bool {
    let outcome = random(seed, Extras { is_watched: true, ..extras });
    println!("{:#?}", outcome.violations);
    outcome.violations.is_empty()
}

/// Runs the enumeration of twins.
fn all_twins(every: usize) -> bool {
    let start = Instant::now();
    let mut tally = Tally::default();
    let four = twins::four(0, 3).chain(twins::four(1, 3)).chain(twins::four(3, 3));
    for case in four.chain(twins::seven([0, 1], 2)).chain(twins::seven([0, 6], 2)).step_by(every) {
        let outcome = run_twice(0, |_| twins::run(&case));
        tally.add(&format!("{case:?}"), &outcome);
    }
    tally.finish("twins", start)
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
