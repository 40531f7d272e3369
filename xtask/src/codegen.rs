//! `cargo xtask codegen`: Rust types from `proto/*.proto`, without protoc.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};

use crate::run::{root, target_directory};

const GENERATED: &str = "crates/proto/src/generated";

/// Writes the generated code, or with `--check` compares it with what is checked in.
pub(crate) fn run(arguments: &[String]) -> Result<()> {
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => generate(&root().join(GENERATED)),
        ["--check"] => check(),
        _ => bail!("expected nothing or --check, found {arguments:?}"),
    }
}

/// Compares what would be generated with what is checked in.
///
/// # Errors
///
/// A file differs, is missing, or is there without a reason.
pub(crate) fn check() -> Result<()> {
    let fresh = target_directory().join("codegen");
    if fresh.exists() {
        fs::remove_dir_all(&fresh)?;
    }
    generate(&fresh)?;
    let (expected, found) = (files(&fresh)?, files(&root().join(GENERATED))?);
    for (name, text) in &expected {
        ensure!(
            found.get(name) == Some(text),
            "{GENERATED}/{name} is not what proto/*.proto generates: run `cargo xtask codegen`"
        );
    }
    for name in found.keys() {
        ensure!(expected.contains_key(name), "{GENERATED}/{name} comes from no file in proto/: remove it");
    }
    Ok(())
}

fn generate(out: &Path) -> Result<()> {
    let protos = root().join("proto");
    let mut sources: Vec<_> = fs::read_dir(&protos)
        .with_context(|| format!("cannot list {}", protos.display()))?
        .map(|entry| Ok(entry?.path()))
        .collect::<Result<_>>()?;
    sources.retain(|path| path.extension().is_some_and(|extension| extension == "proto"));
    sources.sort();
    ensure!(!sources.is_empty(), "expected .proto files in {}, found none", protos.display());
    fs::create_dir_all(out)?;
    let descriptors = protox::compile(&sources, [&protos])?;
    prost_build::Config::new().bytes(["."]).out_dir(out).compile_fds(descriptors)?;
    Ok(())
}

fn files(directory: &Path) -> Result<BTreeMap<String, String>> {
    let mut files = BTreeMap::new();
    for entry in fs::read_dir(directory).with_context(|| format!("cannot list {}", directory.display()))? {
        let path = entry?.path();
        let name = path.file_name().context("an entry has a name")?.to_string_lossy().into_owned();
        files.insert(name, fs::read_to_string(&path)?);
    }
    Ok(files)
}
