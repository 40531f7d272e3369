//! A local network of its own: hosts on one link that nothing else can reach.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, ensure};

/// Makes the network: one namespace with a bridge, and one for each host.
///
/// Names are resolved by whoever answers DNS on host 1, if anybody does. Hosts have a route for multicast and none beyond the network, so that whatever a stock client says to the world stays
/// unsaid. Everything ends with the shell that made it.
const SETUP: &str = r#"
set -e
mount -t tmpfs tmpfs /run
mkdir -p /run/netns
echo nameserver 10.77.0.1 > /run/resolv.conf
if [ -e /etc/resolv.conf ]; then mount --bind /run/resolv.conf /etc/resolv.conf; fi
ip link set lo up
ip link add br0 type bridge
ip link set br0 type bridge mcast_snooping 0
ip link set br0 up
host=1
while [ $host -le "$1" ]; do
  ip netns add h$host
  ip link add v$host type veth peer name eth0 netns h$host
  ip link set v$host master br0 up
  ip link set v$host type bridge_slave mcast_flood $2
  ip -n h$host addr add 10.77.0.$host/24 dev eth0
  ip -n h$host link set lo up
  ip -n h$host link set eth0 up
  ip -n h$host route add 224.0.0.0/4 dev eth0
  host=$((host + 1))
done
echo ready
exec sleep 86400
"#;

/// A private network, gone when dropped.
#[derive(Debug)]
pub struct Lan {
    holder: Child,
    hosts: u8,
}

impl Lan {
    /// Makes a network with this many hosts, numbered from 1.
    ///
    /// # Errors
    ///
    /// `unshare`, `nsenter` (util-linux) or `ip` (iproute2) is missing, or the system allows no namespaces.
    pub fn new(hosts: u8) -> Result<Self> {
        Self::with(hosts, "on")
    }

    /// The same, but multicast goes nowhere: whoever is found is found otherwise.
    pub fn without_multicast(hosts: u8) -> Result<Self> {
        Self::with(hosts, "off")
    }

    fn with(hosts: u8, multicast: &str) -> Result<Self> {
        for (program, package) in [("unshare", "util-linux"), ("nsenter", "util-linux"), ("ip", "iproute2")] {
            ensure!(
                Command::new(program).arg("-V").output().is_ok(),
                "expected the program `{program}` on PATH, found none: install the package {package}"
            );
        }
        let mut holder = Command::new("unshare")
            .args(["--user", "--map-root-user", "--net", "--mount", "--kill-child", "sh", "-c", SETUP, "sh"])
            .args([&hosts.to_string(), multicast])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .context("cannot run unshare")?;
        let mut first = String::new();
        let stdout = holder.stdout.take().context("standard output was piped")?;
        BufReader::new(stdout).read_line(&mut first)?;
        if first.trim() != "ready" {
            let output = holder.wait_with_output()?;
            anyhow::bail!(
                "expected a network namespace with {hosts} hosts, found that the system allows none: {}\n\
                 unprivileged user namespaces must be allowed (sysctl kernel.unprivileged_userns_clone, \
                 kernel.apparmor_restrict_unprivileged_userns), or the tests run as root",
                String::from_utf8_lossy(&output.stderr)
            );
        }
        Ok(Self { holder, hosts })
    }

    /// Returns the address of a host.
    pub fn address(&self, host: u8) -> String {
        format!("10.77.0.{host}")
    }

    /// Cuts the link between two hosts, in both directions, or heals it. What was sent and not received waits, as it does
    /// on a cable that is pulled.
    ///
    /// # Errors
    ///
    /// The link is as it should be already.
    pub fn set_link(&self, one: u8, other: u8, is_cut: bool) -> Result<()> {
        for (here, there) in [(one, other), (other, one)] {
            let mut command = Command::new("ip");
            let what = if is_cut { "add" } else { "del" };
            command.args(["route", what, "blackhole", &format!("{}/32", self.address(there))]);
            let output = self.on(here, &command).output().context("cannot run ip")?;
            ensure!(
                output.status.success(),
                "ip route {what}, between hosts {one} and {other}: {}",
                String::from_utf8_lossy(&output.stderr)
            );
        }
        Ok(())
    }

    /// Makes a command that runs on a host.
    pub fn on(&self, host: u8, command: &Command) -> Command {
        assert!((1..=self.hosts).contains(&host), "the network has {} hosts", self.hosts);
        let mut inside = Command::new("nsenter");
        inside
            .args(["--target", &self.holder.id().to_string()])
            .args(["--user", "--net", "--mount", "--preserve-credentials", "--"])
            .args(["nsenter", &format!("--net=/run/netns/h{host}"), "--"])
            .arg(command.get_program())
            .args(command.get_args());
        for (name, value) in command.get_envs() {
            match value {
                Some(value) => inside.env(name, value),
                None => inside.env_remove(name),
            };
        }
        inside
    }
}

impl Drop for Lan {
    fn drop(&mut self) {
        drop(self.holder.kill());
        drop(self.holder.wait());
    }
}
