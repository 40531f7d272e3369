//! A lock does not outlive its process, however that ends.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use quorate_store::{Lock, LockError};

/// Where the child is told what to lock.
const CHILD: &str = "QUORATE_TEST_LOCK";

#[test]
fn a_killed_process_holds_no_lock() {
    if let Some(path) = std::env::var_os(CHILD) {
        let lock = Lock::acquire(path.as_ref()).unwrap();
        println!("locked {}", lock.path().display());
        std::thread::sleep(std::time::Duration::from_secs(60));
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("lock");
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "a_killed_process_holds_no_lock", "--nocapture"])
        .env(CHILD, &path)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let told = lines.map_while(Result::ok).any(|line| line.contains("locked /"));
    let refused = Lock::acquire(&path);
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(told, "the child has the lock");
    match refused {
        Err(error @ LockError::Held { .. }) => {
            assert!(error.to_string().ends_with(&format!("process {} has it open", child.id())), "{error}");
        }
        other => panic!("expected the child's lock, found {other:?}"),
    }
    Lock::acquire(&path).unwrap();
}
