//! What a run met: no violation among runs that never commit is no result.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use quorate_quorum::evidence::EvidenceKind;

use super::network::Traffic;

/// Counts of one run.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Coverage {
    /// Finals that honest nodes reported.
    pub commits: u64,
    /// Epochs in which something became final.
    pub final_epochs: BTreeSet<u64>,
    /// Epochs that honest nodes entered on a certified base.
    pub handovers_with_qc: BTreeSet<u64>,
    /// Epochs that honest nodes entered on the genesis.
    pub handovers_without_qc: BTreeSet<u64>,
    /// Evidence that honest nodes took, by kind.
    pub evidence: BTreeMap<EvidenceKind, u64>,
    /// Alarms of honest nodes.
    pub alarms: u64,
    /// Crashes.
    pub crashes: u64,
    /// Unsynced writes that crashes lost.
    pub lost_writes: u64,
    /// Writes that crashes tore.
    pub torn_writes: u64,
    /// Old records put back.
    pub restores: u64,
    /// Writes that were synced.
    pub synced: u64,
    /// Forks that nodes met in feeds.
    pub forks_met: u64,
    /// Branches of feeds that nodes left for the one that is certified.
    pub branches_left: u64,
    /// Blocks that the rules refused.
    pub refusals: u64,
    /// Connections that an engine cut.
    pub disconnects: u64,
    /// Changes of validators that hosts put into their feeds.
    pub changes: u64,
    /// Times that an engine had nothing to do at its own time, and wants to be called for that again at once.
    pub spins: u64,
    /// Partitions.
    pub partitions: u64,
    /// Messages.
    pub traffic: Traffic,
    /// Virtual time, microseconds.
    pub time_us: u64,
}

/// Counts of many runs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Total {
    /// Runs.
    pub runs: u64,
    /// Runs by the number of epochs in which something became final.
    pub finality: BTreeMap<usize, u64>,
    /// Runs in which an epoch was entered on a certified base.
    pub with_handover_with_qc: u64,
    /// Runs in which an epoch was entered on the genesis.
    pub with_handover_without_qc: u64,
    /// Runs in which there was evidence of a kind.
    pub with_evidence: BTreeMap<EvidenceKind, u64>,
    /// Sums of the rest.
    pub sums: Coverage,
}

impl Coverage {
    /// Counts an epoch that was entered.
    pub(super) fn entered(&mut self, epoch: u64, with_qc: bool) {
        if with_qc {
            self.handovers_with_qc.insert(epoch);
        } else if epoch > 0 {
            self.handovers_without_qc.insert(epoch);
        }
    }
}

impl Total {
    /// Adds a run.
    pub fn add(&mut self, run: &Coverage) {
        self.runs += 1;
        *self.finality.entry(run.final_epochs.len()).or_default() += 1;
        self.with_handover_with_qc += u64::from(!run.handovers_with_qc.is_empty());
        self.with_handover_without_qc += u64::from(!run.handovers_without_qc.is_empty());
        for kind in run.evidence.keys() {
            *self.with_evidence.entry(*kind).or_default() += 1;
        }
        let sums = &mut self.sums;
        sums.commits += run.commits;
        sums.alarms += run.alarms;
        sums.crashes += run.crashes;
        sums.lost_writes += run.lost_writes;
        sums.torn_writes += run.torn_writes;
        sums.restores += run.restores;
        sums.synced += run.synced;
        sums.forks_met += run.forks_met;
        sums.branches_left += run.branches_left;
        sums.refusals += run.refusals;
        sums.disconnects += run.disconnects;
        sums.changes += run.changes;
        sums.spins += run.spins;
        sums.partitions += run.partitions;
        sums.traffic.sent += run.traffic.sent;
        sums.traffic.dropped += run.traffic.dropped;
        sums.traffic.duplicated += run.traffic.duplicated;
        sums.traffic.reordered += run.traffic.reordered;
        sums.time_us += run.time_us;
    }
}

impl fmt::Display for Total {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sums = &self.sums;
        writeln!(f, "{} runs, {} min of virtual time", self.runs, sums.time_us / 60_000_000)?;
        for (epochs, runs) in &self.finality {
            writeln!(f, "  finality in {epochs} epochs: {runs} runs")?;
        }
        writeln!(
            f,
            "  runs with a handover on a QC: {}, on the genesis: {}",
            self.with_handover_with_qc, self.with_handover_without_qc
        )?;
        for (kind, runs) in &self.with_evidence {
            writeln!(f, "  runs with evidence {kind:?}: {runs}")?;
        }
        writeln!(
            f,
            "  Finals reported: {}; crashes: {}, writes lost: {}, torn: {}; restores: {}; synced: {}",
            sums.commits, sums.crashes, sums.lost_writes, sums.torn_writes, sums.restores, sums.synced
        )?;
        writeln!(
            f,
            "  changes of validators: {}; partitions: {}; messages: {}, dropped: {}, doubled: {}, held back: {}",
            sums.changes,
            sums.partitions,
            sums.traffic.sent,
            sums.traffic.dropped,
            sums.traffic.duplicated,
            sums.traffic.reordered
        )?;
        write!(
            f,
            "  forks met: {}; branches left: {}; blocks refused: {}; connections cut: {}; alarms: {}; idle calls: {}",
            sums.forks_met, sums.branches_left, sums.refusals, sums.disconnects, sums.alarms, sums.spins
        )
    }
}
