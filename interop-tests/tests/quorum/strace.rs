//! Kills a process at a system call of its own: on its way into a sync, or right behind one.

use std::process::Command;

use quorate_interop_tests::Chance;

/// Calls that make something durable, and calls that tell others.
const SYNCS: &str = "fsync,fdatasync";
const SENDS: &str = "sendto,sendmsg,writev";

/// Where a process is to die.
#[derive(Debug, Clone)]
pub(crate) struct Boundary {
    calls: &'static str,
    /// Which of these calls of one thread.
    number: u64,
}

impl Boundary {
    /// Chooses a boundary; `None` where the program `strace` is not installed.
    pub(crate) fn choose(chance: &mut Chance) -> Option<Self> {
        if !is_installed() {
            return None;
        }
        let calls = if chance.one_in(3) { SENDS } else { SYNCS };
        Some(Self { calls, number: chance.within(1..20) })
    }

    /// Makes a command that dies there.
    pub(crate) fn wrap(&self, command: &Command) -> Command {
        let Self { calls, number } = self;
        let mut wrapped = Command::new("strace");
        wrapped
            .args(["-f", "-qq", "-o", "/dev/null", "-e", &format!("trace={calls}")])
            .args(["-e", &format!("inject={calls}:signal=KILL:when={number}"), "--"])
            .arg(command.get_program())
            .args(command.get_args());
        for (name, value) in command.get_envs() {
            match value {
                Some(value) => wrapped.env(name, value),
                None => wrapped.env_remove(name),
            };
        }
        wrapped
    }
}

/// Tells whether processes can be killed at their system calls on this machine.
pub(crate) fn is_installed() -> bool {
    Command::new("strace").arg("-V").output().is_ok_and(|output| output.status.success())
}

/// Kills what a tracer runs: when the tracer alone dies, that goes on.
pub(crate) fn kill_traced(tracer: u32) {
    let children = std::fs::read_to_string(format!("/proc/{tracer}/task/{tracer}/children"));
    for child in children.unwrap_or_default().split_whitespace() {
        // It may have died at its boundary just now.
        let _ = Command::new("kill").args(["-KILL", child]).status();
    }
}
