//! Where a file lies.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::UNIX_EPOCH;

/// Where Linux keeps the id of the machine.
const MACHINE_ID: &str = "/etc/machine-id";

/// Names where a file lies: machine, device, inode, and when the file was made there, in nanoseconds.
///
/// A copy has another inode, as a rule: one that is put back where its original was deleted may get that very inode
/// again. It was made later, which no program that copies files can hide. File systems that do not know the time give
/// 0.
pub(crate) fn place_of(path: &Path) -> String {
    let machine = fs::read_to_string(MACHINE_ID).unwrap_or_default();
    let found = fs::metadata(path);
    let (device, inode) = found.as_ref().map_or((0, 0), |found| (found.dev(), found.ino()));
    let made = found.and_then(|found| found.created()).ok();
    let made = made.and_then(|made| made.duration_since(UNIX_EPOCH).ok()).map_or(0, |made| made.as_nanos());
    format!("{} {device} {inode} {made}", machine.trim())
}

#[cfg(test)]
mod tests {
    use std::thread::sleep;
    use std::time::Duration;

    use super::*;

    #[test]
    fn what_is_put_back_lies_elsewhere() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("record");
        let mut places = Vec::new();
        for _ in 0..20 {
            // Many file systems give the inode of what was just deleted to the next file.
            let _ = fs::remove_file(&path);
            fs::write(&path, b"the same bytes").unwrap();
            let place = place_of(&path);
            fs::write(&path, b"what is written in place stays where it is").unwrap();
            assert_eq!(place_of(&path), place);
            assert!(!places.contains(&place), "{place}");
            places.push(place);
            // Times of files may be as coarse as the ticks of the system.
            sleep(Duration::from_millis(20));
        }
    }
}
