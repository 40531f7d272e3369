//! The machine: the home, its disk, the clock.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::Finding;
use crate::text;

/// Free space below which a clone soon ends, bytes.
const LITTLE_SPACE: u64 = 64 << 20;

/// When this program was written, at the earliest: 2026-01-01.
const WRITTEN: Duration = Duration::from_secs(1_767_225_600);

/// How far files may be ahead of the clock: network disks have clocks of their own.
const AHEAD: Duration = Duration::from_secs(3600);

/// Directories whose files are looked at.
const MAX_DIRECTORIES: usize = 10_000;

/// Looks at the directory of the streams, and at the space on its disk.
pub(super) fn home(home: &Path) -> Vec<Finding> {
    let shown = home.display();
    let place = existing(home);
    let mut findings = vec![match writable(&place) {
        Ok(()) if place == home => Finding::good("home", format!("{shown} can be written")),
        Ok(()) => Finding::good("home", format!("{shown} is not there yet; the first stream makes it")),
        Err(error) => Finding::bad(
            "home",
            format!("{} cannot be written: {error}", place.display()),
            "make it writable, or use another one: --home DIR",
        ),
    }];
    findings.push(match rustix::fs::statvfs(&place) {
        Ok(disk) => {
            let free = disk.f_bavail.saturating_mul(disk.f_frsize);
            let says = format!("{} free", text::bytes(free));
            if free < LITTLE_SPACE {
                Finding::bad("disk", says, "free space, or use another disk: --home DIR")
            } else {
                Finding::good("disk", says)
            }
        }
        Err(error) => Finding::skipped("disk", format!("the system does not tell how much is free: {error}")),
    });
    findings
}

/// Finds the nearest directory that is there.
fn existing(path: &Path) -> PathBuf {
    let place = path.ancestors().find(|place| place.is_dir());
    place.filter(|place| !place.as_os_str().is_empty()).unwrap_or(Path::new(".")).to_owned()
}

fn writable(directory: &Path) -> io::Result<()> {
    tempfile::tempfile_in(directory).map(|_| ())
}

/// Compares the clock with what it cannot be behind of.
pub(super) fn clock(home: &Path) -> Finding {
    judge(SystemTime::now(), newest(&home.join("streams")))
}

fn judge(now: SystemTime, newest: Option<SystemTime>) -> Finding {
    let set = "set the clock of this machine";
    if now.duration_since(UNIX_EPOCH).unwrap_or_default() < WRITTEN {
        return Finding::bad("clock", "it is set to a time before this program was written", set);
    }
    match newest.and_then(|newest| newest.duration_since(now).ok()).filter(|ahead| *ahead > AHEAD) {
        Some(ahead) => {
            let says = format!("the newest file of the home is {} ahead of it", text::duration(ahead));
            Finding::bad("clock", says, set)
        }
        None => Finding::good("clock", "not behind this program, nor behind the files of the home"),
    }
}

/// Returns when the newest file in the directories of streams was written.
fn newest(streams: &Path) -> Option<SystemTime> {
    let directories = fs::read_dir(streams).ok()?.flatten().take(MAX_DIRECTORIES);
    directories
        .filter_map(|directory| fs::read_dir(directory.path()).ok())
        .flat_map(|files| files.flatten())
        .filter_map(|file| file.metadata().ok()?.modified().ok())
        .max()
}

#[cfg(test)]
mod tests {
    use super::super::State;
    use super::*;

    #[test]
    fn a_clock_is_behind_neither_the_program_nor_the_files() {
        let now = UNIX_EPOCH + WRITTEN + Duration::from_secs(1_000_000);
        assert_eq!(judge(now, None).state, State::Good);
        assert_eq!(judge(now, Some(now + Duration::from_secs(60))).state, State::Good);
        assert_eq!(judge(now, Some(now + 2 * AHEAD)).state, State::Bad);
        assert_eq!(judge(UNIX_EPOCH, None).state, State::Bad);
    }

    #[test]
    fn a_home_that_is_not_there_is_judged_by_what_is() {
        let place = tempfile::tempdir().unwrap();
        assert_eq!(existing(&place.path().join("a/b")), place.path());
        let file = place.path().join("file");
        fs::write(&file, "").unwrap();
        assert_eq!(existing(&file.join("a")), place.path());
        let findings = home(&place.path().join("a/b"));
        assert!(findings[0].says.contains("not there yet"), "{findings:?}");
        assert!(!place.path().join("a").exists());
    }

    #[test]
    fn the_newest_file_is_found() {
        let place = tempfile::tempdir().unwrap();
        assert_eq!(newest(place.path()), None);
        fs::create_dir(place.path().join("stream")).unwrap();
        let file = fs::File::create(place.path().join("stream/data")).unwrap();
        let time = UNIX_EPOCH + WRITTEN;
        file.set_modified(time).unwrap();
        assert_eq!(newest(place.path()), Some(time));
    }
}
