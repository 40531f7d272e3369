//! Memory of another process.

use std::fs;

use anyhow::{Context, Result};

/// What the system knows of a process's memory (`/proc/PID/status`).
#[derive(Debug, Clone, Copy)]
pub struct Memory(u32);

impl Memory {
    /// Looks at a process.
    pub const fn of(process: u32) -> Self {
        Self(process)
    }

    /// Forgets the peak so far.
    pub fn reset(&self) -> Result<()> {
        Ok(fs::write(format!("/proc/{}/clear_refs", self.0), "5")?)
    }

    /// Returns the most that was resident since, MiB.
    pub fn peak_mib(&self) -> Result<u64> {
        self.field("VmHWM:")
    }

    /// Returns what is resident now, MiB.
    pub fn resident_mib(&self) -> Result<u64> {
        self.field("VmRSS:")
    }

    fn field(&self, name: &str) -> Result<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.0)).context("the process is gone")?;
        let line = status.lines().find(|line| line.starts_with(name)).context("the process has ended")?;
        let kib: u64 = line.split_whitespace().nth(1).context("a figure")?.parse()?;
        Ok(kib.div_ceil(1024))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_peak_is_forgotten_when_asked_for() {
        let memory = Memory::of(std::process::id());
        let large = vec![1_u8; 64 << 20];
        let peak = memory.peak_mib().unwrap();
        assert!(peak > 64 && large.iter().all(|byte| *byte == 1));
        drop(large);
        memory.reset().unwrap();
        assert!(memory.peak_mib().unwrap() < peak);
        assert!(memory.resident_mib().unwrap() > 0);
    }
}
