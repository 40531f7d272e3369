//! Where a file lies.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

/// Where Linux keeps the id of the machine.
const MACHINE_ID: &str = "/etc/machine-id";

/// A file that is written once, when the stream is made: whoever writes it again puts an older copy back.
const NEIGHBOUR: &str = "key";

/// How a place ends when the neighbour is not there.
const NO_NEIGHBOUR: &str = " 0";

/// Fields of a place that was noted before the neighbour was one of them.
const FIELDS_BEFORE: usize = 4;

/// Names where a file lies: machine, device, inode, when the file was made there and when its neighbour `key` was written, in
/// nanoseconds.
///
/// A copy has another inode, as a rule: one that is put back where its original was deleted may get that very inode
/// again. It was made later, which no program that copies files can hide. A copy that is written over the original keeps both; then
/// the neighbour was written later, unless the program hides it, as `cp -p` does. What the file system does not know is 0.
pub(crate) fn place_of(path: &Path) -> String {
    let machine = fs::read_to_string(MACHINE_ID).unwrap_or_default();
    let nanoseconds = |time: Option<SystemTime>| {
        time.and_then(|time| time.duration_since(UNIX_EPOCH).ok()).map_or(0, |time| time.as_nanos())
    };
    let found = fs::metadata(path);
    let (device, inode) = found.as_ref().map_or((0, 0), |found| (found.dev(), found.ino()));
    let made = nanoseconds(found.and_then(|found| found.created()).ok());
    let neighbour = fs::metadata(path.with_file_name(NEIGHBOUR));
    let written = nanoseconds(neighbour.and_then(|found| found.modified()).ok());
    format!("{} {device} {inode} {made} {written}", machine.trim())
}

/// Tells whether a place that was noted is the one that is found now. The neighbour may not have been there yet.
pub(crate) fn is_same_place(noted: &str, found: &str) -> bool {
    let without_neighbour = match noted.split(' ').count() {
        FIELDS_BEFORE => Some(noted),
        _ => noted.strip_suffix(NO_NEIGHBOUR),
    };
    let is_before = |noted: &str| found.strip_prefix(noted).is_some_and(|rest| rest.starts_with(' '));
    noted == found || without_neighbour.is_some_and(is_before)
}

/// Tells whether the neighbour was not there yet.
pub(crate) fn lacks_neighbour(place: &str) -> bool {
    place.ends_with(NO_NEIGHBOUR)
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

    #[test]
    fn what_is_written_over_the_original_was_put_back() {
        let directory = tempfile::tempdir().unwrap();
        let (path, neighbour) = (directory.path().join("record"), directory.path().join(NEIGHBOUR));
        fs::write(&neighbour, b"key").unwrap();
        fs::write(&path, b"old").unwrap();
        let place = place_of(&path);
        fs::write(&path, b"new").unwrap();
        assert!(is_same_place(&place, &place_of(&path)));
        sleep(Duration::from_millis(20));
        fs::write(&path, b"old").unwrap();
        fs::write(&neighbour, b"key").unwrap();
        assert!(!is_same_place(&place, &place_of(&path)));
    }

    #[test]
    fn a_place_without_the_neighbour_is_still_known() {
        assert!(is_same_place("machine 1 2 3", "machine 1 2 3 4"));
        assert!(!is_same_place("machine 1 2 3", "machine 1 2 34 4"));
        assert!(!is_same_place("machine 1 2 3 4", "machine 1 2 3 5"));
        assert!(is_same_place("machine 1 2 3 0", "machine 1 2 3 5"));
        assert!(!is_same_place("machine 1 2 3 0", "machine 1 2 4 5"));
        assert!(!is_same_place("machine 1 2", "machine 1 2 3 4"));
    }
}
