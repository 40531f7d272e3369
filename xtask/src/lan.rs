//! Whether this machine lets a test have a network of its own.

use std::process::Command;

use anyhow::{Context, Result, bail, ensure};

/// What `interop_tests::Lan` does, with one host.
const PROBE: &str = "mount -t tmpfs tmpfs /run && mkdir /run/netns && ip link add br0 type bridge && ip netns add h1 \
                     && ip link add v1 type veth peer name eth0 netns h1";

/// Makes a network namespace as the tests of discovery do, and lets it go.
///
/// # Errors
///
/// A program is missing, or the system allows none.
pub(crate) fn probe() -> Result<()> {
    for (program, package) in [("unshare", "util-linux"), ("nsenter", "util-linux"), ("ip", "iproute2")] {
        if Command::new(program).arg("-V").output().is_err() {
            bail!("expected the program `{program}` on PATH, found none: the package {package} has it");
        }
    }
    let output = Command::new("unshare")
        .args(["--user", "--map-root-user", "--net", "--mount", "sh", "-c", PROBE])
        .output()
        .context("cannot run unshare")?;
    ensure!(
        output.status.success(),
        "expected a network namespace, found that the system allows none: {}",
        String::from_utf8_lossy(&output.stderr).trim()
    );
    Ok(())
}
