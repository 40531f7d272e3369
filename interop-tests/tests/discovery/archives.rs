//! Archives of dat 13 and dat 14, which do not find each other, and our node between them.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::Result;
use quorate_interop_tests::{DatVersion, Workspace, archive_key, files_in, generated_block};
use serde_json::Value;

use crate::support::{Ours, directory, network, until};

/// Time in which a change comes through.
const PATIENCE: Duration = Duration::from_secs(60);

fn write_files(folder: &Path) -> Result<()> {
    fs::create_dir_all(folder.join("sub/deeper"))?;
    fs::write(folder.join("hello.txt"), "hello")?;
    fs::write(folder.join("empty"), "")?;
    fs::write(folder.join("sub/deeper/large.bin"), generated_block(7, 0, 1_500_000))?;
    Ok(())
}

/// The files that `dat clone` writes: it makes a file when its first block comes, and so none that is empty.
fn with_bytes(folder: &Path) -> Result<Vec<(PathBuf, Vec<u8>)>> {
    Ok(files_in(folder)?.into_iter().filter(|(_, bytes)| !bytes.is_empty()).collect())
}

#[test]
fn an_archive_that_only_stock_dat_shares_is_cloned_with_its_changes() -> Result<()> {
    for dat in DatVersion::ALL {
        let Some(lan) = network(2)? else { return Ok(()) };
        let workspace = Workspace::new()?;
        let shared = directory(&workspace, "shared")?;
        write_files(&shared)?;
        let _dat = dat.share(&lan, 1, &workspace.join("dat-home"), &shared)?;
        let key = archive_key(&shared)?;
        let ours = Ours::new(&lan, 2, &workspace)?;
        let started = Instant::now();
        let cloned = ours.run(&["clone", &format!("dat://{key}"), "site"])?;
        // Found and fetched, with the time that the programs take: much less than dat waits before it asks again.
        assert!(started.elapsed() < Duration::from_secs(15), "{dat:?} took {:?}", started.elapsed());
        assert_eq!(cloned[0]["archive"]["files"], 3, "{dat:?}: {cloned:?}");
        assert_eq!(cloned[0]["archive"]["bytes"], 1_500_005);
        let out = workspace.join("out");
        let out_text = out.to_string_lossy().into_owned();
        ours.run(&["checkout", "site", &out_text])?;
        assert!(files_in(&out)? == files_in(&shared)?, "{dat:?}");
        // A change comes while we share.
        let _share = ours.share()?;
        fs::write(shared.join("later.txt"), "later")?;
        until("the change", PATIENCE, || Ok(ours.run(&["ls-files", "site"])?.len() == 4))?;
        let version = cloned[0]["archive"]["version"].to_string();
        assert_eq!(ours.run(&["ls-files", "site", "--version", &version])?.len(), 3);
        let again = workspace.join("again");
        let again_text = again.to_string_lossy().into_owned();
        until("the bytes of the change", PATIENCE, || {
            Ok(ours.run(&["checkout", "site", &again_text]).is_ok())
        })?;
        assert!(files_in(&again)? == files_in(&shared)?, "{dat:?}");
    }
    Ok(())
}

#[test]
fn an_archive_that_only_our_node_carries_is_cloned_by_stock_dat() -> Result<()> {
    for dat in DatVersion::ALL {
        let Some(lan) = network(3)? else { return Ok(()) };
        let workspace = Workspace::new()?;
        let shared = directory(&workspace, "shared")?;
        write_files(&shared)?;
        let sharer = dat.share(&lan, 1, &workspace.join("dat-home"), &shared)?;
        let key = archive_key(&shared)?;
        let ours = Ours::new(&lan, 2, &workspace)?;
        ours.run(&["clone", &format!("dat://{key}"), "site"])?;
        // Now nobody but us has it.
        drop(sharer);
        let _share = ours.share()?;
        let cloned = workspace.join("cloned");
        dat.clone(&lan, 3, &workspace.join("other-home"), &key, &cloned)?;
        assert!(files_in(&cloned)? == with_bytes(&shared)?, "{dat:?}");
    }
    Ok(())
}

#[test]
fn our_node_is_the_bridge_between_dat_13_and_dat_14() -> Result<()> {
    for (sharer, cloner) in [(DatVersion::Dat13, DatVersion::Dat14), (DatVersion::Dat14, DatVersion::Dat13)] {
        let Some(lan) = network(3)? else { return Ok(()) };
        let workspace = Workspace::new()?;
        let shared = directory(&workspace, "shared")?;
        write_files(&shared)?;
        let _dat = sharer.share(&lan, 1, &workspace.join("dat-home"), &shared)?;
        let key = archive_key(&shared)?;
        let ours = Ours::new(&lan, 2, &workspace)?;
        ours.run(&["clone", &format!("dat://{key}"), "site"])?;
        let _share = ours.share()?;
        let cloned = workspace.join("cloned");
        let home = workspace.join("other-home");
        cloner.clone(&lan, 3, &home, &key, &cloned)?;
        assert!(files_in(&cloned)? == with_bytes(&shared)?, "{sharer:?} to {cloner:?}");
    }
    Ok(())
}

#[test]
fn a_change_crosses_the_bridge_between_dat_13_and_dat_14() -> Result<()> {
    for (sharer, cloner) in [(DatVersion::Dat13, DatVersion::Dat14), (DatVersion::Dat14, DatVersion::Dat13)] {
        let Some(lan) = network(3)? else { return Ok(()) };
        let workspace = Workspace::new()?;
        let shared = directory(&workspace, "shared")?;
        write_files(&shared)?;
        let _dat = sharer.share(&lan, 1, &workspace.join("dat-home"), &shared)?;
        let key = archive_key(&shared)?;
        let ours = Ours::new(&lan, 2, &workspace)?;
        ours.run(&["clone", &format!("dat://{key}"), "site"])?;
        let _share = ours.share()?;
        let cloned = workspace.join("cloned");
        let home = workspace.join("other-home");
        cloner.clone(&lan, 3, &home, &key, &cloned)?;
        let mut syncing = cloner.sync(&lan, 3, &home, &cloned)?;
        syncing.wait_for("waiting for updates")?;
        let there = format!("{}:", lan.address(3));
        let is_there =
            |peer: &Value| peer["address"].as_str().is_some_and(|address| address.starts_with(&there));
        until("a connection", PATIENCE, || Ok(ours.run(&["peers"])?.iter().any(is_there)))?;
        fs::write(shared.join("later.txt"), "later")?;
        until("the change", PATIENCE, || {
            Ok(fs::read(cloned.join("later.txt")).is_ok_and(|it| it == b"later"))
        })?;
    }
    Ok(())
}

#[test]
fn the_files_of_an_archive_are_listed_and_written_without_a_clone() -> Result<()> {
    let Some(lan) = network(3)? else { return Ok(()) };
    let workspace = Workspace::new()?;
    let shared = directory(&workspace, "shared")?;
    write_files(&shared)?;
    let _dat = DatVersion::Dat13.share(&lan, 1, &workspace.join("dat-home"), &shared)?;
    let link = format!("dat://{}", archive_key(&shared)?);
    let ours = Ours::new(&lan, 2, &workspace)?;
    let listed = ours.run(&["ls-files", &link])?;
    let paths: Vec<&str> = listed.iter().filter_map(|file| file["path"].as_str()).collect();
    assert_eq!(paths, ["empty", "hello.txt", "sub/deeper/large.bin"]);
    let out = workspace.join("out");
    let report = ours.run(&["checkout", &link, &out.to_string_lossy()])?;
    assert_eq!((&report[0]["written"], &report[0]["bytes"]), (&3.into(), &1_500_005.into()));
    assert!(files_in(&out)? == files_in(&shared)?);
    // An older version, of which nothing is here: no more is fetched than its file takes.
    let other = Ours::new(&lan, 3, &workspace)?;
    let first = format!("{link}+1");
    let listed = other.run(&["ls-files", &first])?;
    assert_eq!(listed.len(), 1, "{listed:?}");
    let old = workspace.join("old");
    let report = other.run(&["checkout", &first, &old.to_string_lossy()])?;
    assert_eq!((&report[0]["version"], &report[0]["written"]), (&1.into(), &1.into()));
    let written = files_in(&old)?;
    assert!(files_in(&shared)?.iter().filter(|file| written.contains(file)).count() == 1);
    let content = other
        .run(&["ls"])?
        .into_iter()
        .find(|stream| stream["name"].as_str().is_some_and(|name| name.ends_with("-content")));
    let blocks = listed[0]["end"].as_u64().zip(listed[0]["start"].as_u64()).map(|(end, start)| end - start);
    assert_eq!(content.and_then(|content| content["here"].as_u64()).or(Some(0)), blocks);
    Ok(())
}

#[test]
fn a_shared_folder_is_imported_whole_and_goes_on_to_stock_dat() -> Result<()> {
    let Some(lan) = network(2)? else { return Ok(()) };
    let workspace = Workspace::new()?;
    let shared = directory(&workspace, "shared")?;
    write_files(&shared)?;
    drop(DatVersion::Dat13.share(&lan, 1, &workspace.join("dat-home"), &shared)?);
    let key = archive_key(&shared)?;
    let ours = Ours::new(&lan, 1, &workspace)?;
    let imported = ours.run(&["import", &shared.to_string_lossy(), "site"])?;
    assert_eq!(imported.len(), 2, "{imported:?}");
    assert!(imported.iter().all(|info| info["here"] == info["length"]), "{imported:?}");
    let _share = ours.share()?;
    let cloned = workspace.join("cloned");
    DatVersion::Dat14.clone(&lan, 2, &workspace.join("other-home"), &key, &cloned)?;
    assert!(files_in(&cloned)? == with_bytes(&shared)?);
    Ok(())
}
