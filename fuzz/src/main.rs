//! Runs fuzz targets on the stable toolchain.

use std::fs;
use std::panic::catch_unwind;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use quorate_fuzz::mutate::Random;
use quorate_fuzz::{TARGETS, Target};

const USAGE: &str = "\
usage: quorate-fuzz [--inputs N | --seconds N] [--seed N] [TARGET]...
       quorate-fuzz --replay FILE TARGET
       quorate-fuzz --write-corpus DIR [TARGET]...

  --inputs N           this many inputs for each cheap target, fewer for costly ones (default 20000)
  --seconds N          this long for each target
  --seed N             the same inputs again (default: a random one, which is printed)
  --replay FILE        runs one input
  --write-corpus DIR   writes the seeds where libFuzzer finds them: DIR/TARGET/
";

/// How long a run goes on.
#[derive(Debug, Clone, Copy)]
enum Amount {
    Inputs(u64),
    Time(Duration),
}

#[derive(Debug)]
struct Options {
    amount: Amount,
    seed: u64,
    replay: Option<PathBuf>,
    write_corpus: Option<PathBuf>,
    targets: Vec<&'static Target>,
}

fn main() -> ExitCode {
    match Options::parse(std::env::args().skip(1)).and_then(|options| options.run()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("fuzz: {error:#}");
            ExitCode::FAILURE
        }
    }
}

impl Options {
    fn parse(mut arguments: impl Iterator<Item = String>) -> Result<Self> {
        let mut options = Self {
            amount: Amount::Inputs(20_000),
            seed: getrandom::u64().context("no entropy for a seed")?,
            replay: None,
            write_corpus: None,
            targets: Vec::new(),
        };
        while let Some(argument) = arguments.next() {
            let mut value = || arguments.next().with_context(|| format!("expected a value after {argument}"));
            match argument.as_str() {
                "--inputs" => options.amount = Amount::Inputs(value()?.parse()?),
                "--seconds" => options.amount = Amount::Time(Duration::from_secs(value()?.parse()?)),
                "--seed" => options.seed = value()?.parse()?,
                "--replay" => options.replay = Some(value()?.into()),
                "--write-corpus" => options.write_corpus = Some(value()?.into()),
                option if option.starts_with('-') => bail!("expected an option, found {option:?}\n\n{USAGE}"),
                name => {
                    let names = TARGETS.map(|target| target.name).join(", ");
                    let target = Target::named(name);
                    options.targets.push(
                        target.with_context(|| format!("expected a target among {names}, found {name:?}"))?,
                    );
                }
            }
        }
        if options.targets.is_empty() {
            options.targets = TARGETS.iter().collect();
        }
        Ok(options)
    }

    fn run(&self) -> Result<()> {
        if let Some(file) = &self.replay {
            let [target] = self.targets[..] else {
                bail!("expected one target for the input in {}", file.display());
            };
            (target.run)(&fs::read(file).with_context(|| format!("cannot read {}", file.display()))?);
            println!("{}: no finding in {}", target.name, file.display());
            return Ok(());
        }
        if let Some(directory) = &self.write_corpus {
            return self
                .targets
                .iter()
                .try_for_each(|target| write_corpus(target, &directory.join(target.name)));
        }
        let mut findings = Vec::new();
        for target in &self.targets {
            findings.extend(fuzz(target, self.seed, self.amount)?);
        }
        ensure!(findings.is_empty(), "{} findings:\n  {}", findings.len(), findings.join("\n  "));
        Ok(())
    }
}

/// Runs a target; returns what to do about the first finding.
fn fuzz(target: &Target, seed: u64, amount: Amount) -> Result<Option<String>> {
    let start = Instant::now();
    let seeds = seeds(target)?;
    let mut random = Random::new(seed);
    let mut done = 0;
    let limit = match amount {
        Amount::Inputs(inputs) => inputs / u64::from(target.cost),
        Amount::Time(_) => u64::MAX,
    };
    let time = match amount {
        Amount::Inputs(_) => Duration::MAX,
        Amount::Time(time) => time,
    };
    let mut given = seeds.iter();
    while done < limit && start.elapsed() < time {
        let input = given.next().cloned().unwrap_or_else(|| random.input(&seeds));
        let run = target.run;
        if catch_unwind(|| run(&input)).is_err() {
            return keep(target, seed, &input).map(Some);
        }
        done += 1;
    }
    println!(
        "{}: {done} inputs from {} seeds in {:.1} s, none found anything (--seed {seed})",
        target.name,
        seeds.len(),
        start.elapsed().as_secs_f64()
    );
    Ok(None)
}

/// The target's own seeds, and the inputs that found something once.
fn seeds(target: &Target) -> Result<Vec<Vec<u8>>> {
    let mut seeds = (target.seeds)();
    let directory = package().join("seeds").join(target.name);
    if directory.is_dir() {
        let mut files: Vec<_> =
            fs::read_dir(&directory)?.map(|entry| Ok(entry?.path())).collect::<Result<_>>()?;
        files.sort();
        for file in files {
            seeds.push(fs::read(&file).with_context(|| format!("cannot read {}", file.display()))?);
        }
    }
    Ok(seeds)
}

/// Keeps the input that found something.
fn keep(target: &Target, seed: u64, input: &[u8]) -> Result<String> {
    let directory = package().join("artifacts");
    fs::create_dir_all(&directory)?;
    let file = directory.join(format!("{}-{seed}", target.name));
    fs::write(&file, input)?;
    Ok(format!(
        "{name}: see above; again with `cargo run -p quorate-fuzz -- --replay {file} {name}`; once repaired, \
         keep the file in fuzz/seeds/{name}/",
        name = target.name,
        file = file.display()
    ))
}

fn write_corpus(target: &Target, directory: &Path) -> Result<()> {
    fs::create_dir_all(directory).with_context(|| format!("cannot make {}", directory.display()))?;
    let seeds = seeds(target)?;
    for (number, seed) in seeds.iter().enumerate() {
        fs::write(directory.join(format!("seed-{number}")), seed)?;
    }
    println!("{}: {} seeds", target.name, seeds.len());
    Ok(())
}

fn package() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_seed_of_every_target_passes() {
        for target in &TARGETS {
            let seeds = seeds(target).unwrap();
            assert!(!seeds.is_empty(), "{} has seeds", target.name);
            seeds.iter().for_each(|seed| (target.run)(seed));
        }
    }

    #[test]
    fn a_planted_panic_is_found_and_kept() {
        let planted = Target {
            name: "planted",
            run: |input| assert!(!input.windows(2).any(|pair| pair == b"no"), "found"),
            seeds: || vec![b"yes".to_vec(), b"one".to_vec(), b"on".to_vec()],
            cost: 1,
        };
        let finding = fuzz(&planted, 1, Amount::Inputs(100_000)).unwrap().expect("the panic is found");
        let file = package().join("artifacts/planted-1");
        assert!(finding.contains("planted-1"), "{finding}");
        assert!(fs::read(&file).unwrap().windows(2).any(|pair| pair == b"no"));
        fs::remove_file(file).unwrap();
    }
}
