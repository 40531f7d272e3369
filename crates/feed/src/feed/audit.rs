//! Checking everything again: each block, each parent, each signature, each claim.

use quorate_types::{BlockIndex, BlockRange, NodeIndex, Signature};
use random_access_storage::RandomAccess;

use super::{Feed, ReadError};
use crate::storage::{Part, StorageError, read_up_to};
use crate::{Flavour, SignedRoots, flat, hash};

/// Findings that are listed; more are only counted.
const MAX_LISTED: usize = 1000;

/// Bytes of blocks that are read at once.
const READ_BYTES: u64 = 1024 * 1024;

/// Blocks that are hashed at once.
const READ_BLOCKS: usize = 1024;

/// Steps of work between two reports of progress.
const PROGRESS_STEPS: u64 = 4096;

/// Something on disk that is not what it is claimed to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, thiserror::Error)]
pub enum Corruption {
    /// A block is claimed, and its bytes are not those that were hashed, or are not there.
    #[error("expected block {0} as it was hashed, found other bytes or none")]
    Block(BlockIndex),
    /// A block is claimed whose hash is not known.
    #[error("expected the hash of block {0}, which is claimed to be here, found none")]
    UnknownBlock(BlockIndex),
    /// A node is claimed, and its entry is blank or impossible.
    #[error("expected tree node {0}, which is claimed, found a blank or impossible entry")]
    BlankNode(NodeIndex),
    /// A parent is not the hash of its children.
    #[error("expected tree node {0} to be the hash of its children, found another hash")]
    Parent(NodeIndex),
    /// The signature of this length, in blocks, does not verify over its peaks.
    #[error("expected a signature that verifies at length {0}, found one that does not")]
    Signature(u64),
    /// The feed has this length, in blocks, and no signature over it.
    #[error("expected a signature at length {0}, the end of the feed, found none")]
    Unsigned(u64),
    /// Something is claimed behind the end of the feed.
    #[error("expected nothing behind the end of the feed, found tree node {0}")]
    BehindTheEnd(NodeIndex),
}

/// Corruptions, the first thousand by name.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Findings {
    listed: Vec<Corruption>,
    count: u64,
}

impl Findings {
    fn add(&mut self, corruption: Corruption) {
        self.count = self.count.saturating_add(1);
        if self.listed.len() < MAX_LISTED {
            self.listed.push(corruption);
        }
    }

    /// Returns the first thousand, in the order in which they were found.
    pub fn listed(&self) -> &[Corruption] {
        &self.listed
    }

    /// Returns how many there are.
    pub const fn count(&self) -> u64 {
        self.count
    }

    /// Tells whether there are none.
    pub const fn is_empty(&self) -> bool {
        self.count == 0
    }
}

/// What an audit has looked at, and what it found.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AuditReport {
    /// Length of the feed, blocks.
    pub length: u64,
    /// Blocks that are claimed, and were hashed.
    pub blocks: u64,
    /// Bytes of those.
    pub bytes: u64,
    /// Parents with known children, which were hashed.
    pub parents: u64,
    /// Signatures that were verified.
    pub signatures: u64,
    /// Signatures over peaks that are not all known, which cannot be verified.
    pub unchecked_signatures: u64,
    /// What is wrong.
    pub findings: Findings,
}

impl AuditReport {
    /// Tells whether everything is what it is claimed to be.
    pub fn is_clean(&self) -> bool {
        self.findings.is_empty()
    }
}

struct Progress<'a> {
    report: &'a mut (dyn FnMut(u64, u64) + Send),
    done: u64,
    told: u64,
    total: u64,
}

impl Progress<'_> {
    fn step(&mut self, steps: u64) {
        self.done = self.done.saturating_add(steps).min(self.total);
        if self.done - self.told >= PROGRESS_STEPS {
            self.told = self.done;
            (self.report)(self.done, self.total);
        }
    }
}

impl<S: RandomAccess + Send> Feed<S> {
    /// Hashes every block and every parent again, verifies every signature over the peaks of its length,
    /// and compares what the bitfield claims. What waits is flushed first; nothing else is changed.
    ///
    /// `progress` is told steps done and steps in all.
    ///
    /// # Errors
    ///
    /// [`ReadError`] when the storage fails, not for what is wrong on it.
    pub async fn audit(
        &mut self,
        progress: &mut (dyn FnMut(u64, u64) + Send),
    ) -> Result<AuditReport, ReadError> {
        if !self.poisoned {
            self.flush().await?;
        }
        self.nodes.drop_cache();
        self.cursor = (0, 0);
        let length = self.length();
        let mut report = AuditReport { length, ..AuditReport::default() };
        let blocks = self.bitfield.count(BlockRange::new(0, length));
        let total = blocks.saturating_add(length.saturating_mul(2));
        let mut progress = Progress { report: progress, done: 0, told: 0, total };
        self.audit_blocks(&mut report, &mut progress).await?;
        self.audit_parents(&mut report, &mut progress).await?;
        self.audit_signatures(&mut report, &mut progress).await?;
        self.audit_claims(&mut report);
        (progress.report)(total, total);
        Ok(report)
    }

    async fn audit_blocks(
        &mut self,
        report: &mut AuditReport,
        progress: &mut Progress<'_>,
    ) -> Result<(), ReadError> {
        let runs: Vec<BlockRange> = self.bitfield.runs(BlockRange::new(0, report.length)).collect();
        for run in runs {
            let mut index = run.start;
            while index < run.end {
                let done = self.audit_some_blocks(BlockRange::new(index, run.end), report).await?;
                progress.step(done);
                index = index.saturating_add(done);
            }
        }
        Ok(())
    }

    /// Hashes the first blocks of a run, and returns how many.
    async fn audit_some_blocks(
        &mut self,
        run: BlockRange,
        report: &mut AuditReport,
    ) -> Result<u64, ReadError> {
        let mut leaves = Vec::new();
        let mut bytes = 0_u64;
        for index in run.start..run.end {
            let Some(node) = self.audited_node(2 * index, &mut report.findings).await? else { break };
            leaves.push(node);
            bytes = bytes.saturating_add(node.size);
            if leaves.len() >= READ_BLOCKS || bytes >= READ_BYTES {
                break;
            }
        }
        let first = BlockIndex::new(run.start);
        if leaves.is_empty() {
            if !self.bitfield.tree_has(2 * run.start) {
                report.findings.add(Corruption::UnknownBlock(first));
            }
            report.blocks = report.blocks.saturating_add(1);
            return Ok(1);
        }
        let done = leaves.len() as u64;
        report.blocks = report.blocks.saturating_add(done);
        let offset = match self.byte_offset(run.start).await {
            Ok(Some(offset)) => offset,
            Ok(None) | Err(StorageError::Node { .. }) => {
                (run.start..run.start + done)
                    .for_each(|index| report.findings.add(Corruption::Block(index.into())));
                return Ok(done);
            }
            Err(error) => return Err(error.into()),
        };
        let data = read_up_to(&mut self.data, Part::Data, offset, bytes).await?;
        report.bytes = report.bytes.saturating_add(data.len() as u64);
        let mut rest = data.as_slice();
        let mut slices = Vec::with_capacity(leaves.len());
        for leaf in &leaves {
            let size = usize::try_from(leaf.size).unwrap_or(usize::MAX);
            // A block that is cut off is hashed as what is left of it, and so found.
            let (block, after) = rest.split_at_checked(size).unwrap_or((rest, &[]));
            slices.push(block);
            rest = after;
        }
        let hashes = hash::leaves(Flavour::Dat, &slices);
        for ((index, leaf), hash) in (run.start..).zip(&leaves).zip(hashes) {
            if leaf.hash != hash {
                report.findings.add(Corruption::Block(index.into()));
            }
        }
        Ok(done)
    }

    /// Reads a node that may be damaged; `None` when it is not claimed, or was damaged and is now listed.
    async fn audited_node(
        &mut self,
        index: u64,
        findings: &mut Findings,
    ) -> Result<Option<quorate_types::Node>, ReadError> {
        match self.node(index).await {
            Ok(node) => Ok(node),
            Err(StorageError::Node { .. }) => {
                let blank = Corruption::BlankNode(index.into());
                if !findings.listed.contains(&blank) {
                    findings.add(blank);
                }
                Ok(None)
            }
            Err(error) => Err(error.into()),
        }
    }

    async fn audit_parents(
        &mut self,
        report: &mut AuditReport,
        progress: &mut Progress<'_>,
    ) -> Result<(), ReadError> {
        for index in (1..report.length.saturating_mul(2)).step_by(2) {
            progress.step(1);
            if !self.bitfield.tree_has(index) {
                continue;
            }
            let parent = self.audited_node(index, &mut report.findings).await?;
            let Some((left, right)) = flat::children(index) else { continue };
            let left = self.audited_node(left, &mut report.findings).await?;
            let right = self.audited_node(right, &mut report.findings).await?;
            let (Some(parent), Some(left), Some(right)) = (parent, left, right) else { continue };
            report.parents = report.parents.saturating_add(1);
            if hash::parent_node(Flavour::Dat, &left, &right) != Some(parent) {
                report.findings.add(Corruption::Parent(parent.index));
            }
        }
        Ok(())
    }

    async fn audit_signatures(
        &mut self,
        report: &mut AuditReport,
        progress: &mut Progress<'_>,
    ) -> Result<(), ReadError> {
        let mut length = 0_u64;
        let mut last = 0_u64;
        while length < report.length {
            let Some((signed, signature)) = self.signatures.next(length + 1, report.length).await? else {
                break;
            };
            progress.step(signed - length);
            length = signed;
            last = signed;
            self.audit_signature(signed, signature, report).await?;
        }
        if last != report.length {
            report.findings.add(Corruption::Unsigned(report.length));
        }
        Ok(())
    }

    async fn audit_signature(
        &mut self,
        length: u64,
        signature: Signature,
        report: &mut AuditReport,
    ) -> Result<(), ReadError> {
        let mut peaks = Vec::new();
        for peak in flat::full_roots(length) {
            match self.audited_node(peak, &mut report.findings).await? {
                Some(node) => peaks.push(node),
                None => {
                    report.unchecked_signatures = report.unchecked_signatures.saturating_add(1);
                    return Ok(());
                }
            }
        }
        report.signatures = report.signatures.saturating_add(1);
        let verified = match crate::Roots::new(length, peaks) {
            Ok(roots) => self.verify_signed(&SignedRoots { roots, signature }).is_some(),
            Err(_) => false,
        };
        if !verified {
            report.findings.add(Corruption::Signature(length));
        }
        Ok(())
    }

    fn audit_claims(&self, report: &mut AuditReport) {
        let end = report.length.saturating_mul(2);
        for node in end.saturating_sub(1)..self.bitfield.tree_bits() {
            if self.bitfield.tree_has(node) {
                report.findings.add(Corruption::BehindTheEnd(node.into()));
            }
        }
        for run in self.bitfield.runs(BlockRange::new(report.length, u64::MAX >> 1)) {
            report.findings.add(Corruption::BehindTheEnd((2 * run.start).into()));
        }
    }
}
