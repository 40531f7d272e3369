//! Where a file lies.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// Where Linux keeps the id of the machine.
const MACHINE_ID: &str = "/etc/machine-id";

/// Names where a file lies: machine, device and inode. A copy has another inode.
pub(crate) fn place_of(path: &Path) -> String {
    let machine = fs::read_to_string(MACHINE_ID).unwrap_or_default();
    let (device, inode) = fs::metadata(path).map_or((0, 0), |found| (found.dev(), found.ino()));
    format!("{} {device} {inode}", machine.trim())
}
