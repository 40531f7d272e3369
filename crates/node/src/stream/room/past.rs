//! Evidence about blocks of feeds that the room has left: it comes late to those who have gone on already, and to those who
//! come late themselves.

use bytes::Bytes;
use quorate_quorum::certificate::Inclusion;
use quorate_quorum::evidence::{Claim, Judgement};
use quorate_quorum::head::Head;
use quorate_stream::room::{Checked, Lacking};
use quorate_types::PublicKey;

use super::super::task::StreamTask;
use super::log::{Log, Part};
use crate::room::{Checker, Known, Said, Then};

/// Blocks and tree hashes that one judgement may take: the chunks of the modules that held there.
const MAX_NEEDED: usize = 256;

/// Blocks of a feed, behind what the room took of it, that are asked about before the one that is judged. A host may not
/// run further ahead of what is certified than validators let it.
const MAX_BRANCH: u64 = 4096;

/// What the rules said of a block where it stood.
pub(super) struct Past {
    feed: PublicKey,
    before: Head,
    block: Bytes,
    judgement: Judgement,
}

impl Past {
    /// Returns what was said, if it is of this block.
    pub(super) fn of(&self, feed: &PublicKey, before: &Head, block: &Bytes) -> Option<Judgement> {
        let is_it = self.feed == *feed && self.before == *before && self.block == *block;
        is_it.then_some(self.judgement)
    }
}

impl StreamTask {
    /// Asks the rules of a block as they were where it stood, unless the room stands there. The block was signed by the
    /// writer of its feed: the engine passes on no other claims.
    pub(super) async fn judge_past(
        &mut self,
        (log, place): (&Log, usize),
        checker: &mut Checker,
        claim: &Claim,
    ) -> Option<Past> {
        let Claim::BadAppend { key, length, nodes, index, block, .. } = claim else { return None };
        let before = Inclusion::of(*index, block, *length, nodes).ok()?.before?;
        // What was taken in last is nowhere else yet.
        checker.flush().ok()?;
        let then = self.find_then((log, place), checker.length(), key, before).await?;
        let mut known = Known::default();
        for _ in 0..MAX_NEEDED {
            let lacking = match checker.ask_then(then.clone(), block.clone(), &known) {
                Ok(Said { checked: Checked::Unable(lacking), .. }) | Err(lacking) => lacking,
                Ok(Said { checked, state_root, rules_hash }) => {
                    let judgement = match checked {
                        Checked::Accepted(_) => Judgement::Accepted { state_root, rules_hash },
                        _ => Judgement::Refused { rules_hash },
                    };
                    return Some(Past { feed: *key, before, block: block.clone(), judgement });
                }
            };
            match lacking {
                Lacking::Block(index) if index < then.length && !known.blocks.contains_key(&index) => {
                    known.blocks.insert(index, self.log_get(log, index).await?);
                }
                Lacking::TreeHash(length) if length <= then.length && !known.hashes.contains_key(&length) => {
                    known.hashes.insert(length, self.log_tree_hash(log, length).await?);
                }
                lacking => {
                    tracing::info!(stream = self.identity.name, "evidence is not judged here: {lacking}");
                    return None;
                }
            }
        }
        None
    }

    /// Finds where a block stood whose feed had this head before it; `None` where the room stands there itself, or has not come
    /// as far.
    async fn find_then(
        &mut self,
        (log, place): (&Log, usize),
        checked: u64,
        key: &PublicKey,
        before: Head,
    ) -> Option<Then> {
        for (at, part) in log.parts().enumerate().filter(|(at, part)| part.key == *key && *at <= place) {
            let height = part.offset().checked_add(before.length())?;
            let length = height.min(part.end()).min(checked);
            let stands_there = at == place && checked == height;
            let is_reached = at < place || height <= checked;
            if stands_there || !is_reached || length < part.start || height - length > MAX_BRANCH {
                continue;
            }
            let (from, part) = (length.checked_sub(part.offset())?, part.clone());
            let roots = self.log_roots_in(&part, from).await?;
            let branch = self.part_read(&part, from, before.length()).await;
            if branch.len() as u64 == before.length().saturating_sub(from) {
                return Some(Then { length, part: part.checked_as?, roots, branch, before });
            }
        }
        None
    }

    async fn part_read(&mut self, part: &Part, start: u64, end: u64) -> Vec<Bytes> {
        let mut blocks = Vec::new();
        let mut next = start;
        while next < end {
            let more = self.part_blocks(part, next, end).await;
            if more.is_empty() {
                break;
            }
            next = next.saturating_add(more.len() as u64);
            blocks.extend(more);
        }
        blocks
    }
}
