//! Finds at the host the block of an entry that is submitted again, when the relay has forgotten where it stands: after a
//! start, or after many others.
//!
//! The newest blocks are read once, at the first such entry, a few at a time, and what comes later is noted: however often
//! somebody asks, nothing is read twice.

use std::collections::BTreeMap;

use quorate_stream::entry::Entry;
use quorate_stream::refusal::Refusal;
use quorate_stream::submit::{Answer, Input as RelayInput};
use quorate_types::{Hash, RoomId};

use super::super::task::StreamTask;
use super::RoomKeeper;
use crate::room::Noted;

/// Blocks that are looked through, the newest ones: about 8 MiB.
const MAX_RECALLED: u64 = 65_536;

/// Blocks that are read before the task does other work.
const BLOCKS_AT_ONCE: u64 = 256;

/// Where the entries of the newest blocks stand.
#[derive(Debug, Default)]
pub(super) struct Recall {
    by_digest: BTreeMap<Hash, u64>,
    by_index: BTreeMap<u64, Hash>,
    /// Blocks that are known, or were looked at; `None` as long as nobody has asked.
    read: Option<(u64, u64)>,
    /// Entries whose numbers are used, with what is answered when they are not found.
    asked: Vec<(Hash, Refusal)>,
}

impl Recall {
    /// Asks where an entry stands whose number is used.
    pub(super) fn ask(&mut self, digest: Hash, refusal: Refusal) {
        self.asked.push((digest, refusal));
    }

    /// Notes an entry that has come to stand in a block, if anybody has asked for one before.
    pub(super) fn note(&mut self, noted: &Noted) {
        if let Some((_, end)) = &mut self.read {
            *end = (*end).max(noted.index.saturating_add(1));
            self.insert(noted.digest, noted.index);
        }
    }

    /// Forgets everything: blocks were dropped.
    pub(super) fn forget(&mut self) {
        *self = Self { asked: std::mem::take(&mut self.asked), ..Self::default() };
    }

    fn insert(&mut self, digest: Hash, index: u64) {
        self.by_digest.insert(digest, index);
        self.by_index.insert(index, digest);
        if self.by_index.len() as u64 > MAX_RECALLED
            && let Some((_, oldest)) = self.by_index.pop_first()
        {
            self.by_digest.remove(&oldest);
        }
    }

    /// Blocks that are to be read next, in a room where so many were checked.
    fn next(&mut self, checked: u64) -> Option<(u64, u64)> {
        let (start, end) = *self.read.get_or_insert((checked, checked));
        let least = end.saturating_sub(MAX_RECALLED);
        (start > least).then(|| (start.saturating_sub(BLOCKS_AT_ONCE).max(least), start))
    }

    /// Takes those whose blocks are found, and when all was read the others.
    fn answers(&mut self, is_done: bool) -> Vec<(Hash, Answer)> {
        let mut answers = Vec::new();
        let by_digest = &self.by_digest;
        self.asked.retain(|(digest, refusal)| {
            let answer = match by_digest.get(digest) {
                Some(index) => Answer::Appended { index: *index },
                None if is_done => Answer::Refused(refusal.clone()),
                None => return true,
            };
            answers.push((*digest, answer));
            false
        });
        answers
    }
}

impl StreamTask {
    /// Looks for entries that were submitted again, and answers where they stand, or that another one has their number.
    pub(super) async fn recall(&mut self, keeper: &mut RoomKeeper) {
        if keeper.recall.asked.is_empty() {
            return;
        }
        let mut answers = keeper.recall.answers(false);
        if !keeper.recall.asked.is_empty() {
            let next = keeper.recall.next(keeper.checked);
            if let Some((start, end)) = next {
                self.read_back(keeper, start, end).await;
                keeper.recall.read.iter_mut().for_each(|(read, _)| *read = start);
            }
            answers.extend(keeper.recall.answers(next.is_none()));
        }
        let now = self.runtime.now();
        for (digest, answer) in answers {
            keeper.relay.handle(now, RelayInput::Answered { digest, answer });
        }
        if !keeper.recall.asked.is_empty() {
            let _ = self.signal.try_send(());
        }
    }

    async fn read_back(&mut self, keeper: &mut RoomKeeper, start: u64, end: u64) {
        let mut at = start;
        while at < end {
            let blocks = self.log_read(&keeper.log, at, end).await;
            if blocks.is_empty() {
                // It was cleared.
                at = at.saturating_add(1);
            }
            for block in blocks {
                if let Some(digest) = digest_of(block, &keeper.id) {
                    keeper.recall.insert(digest, at);
                }
                at = at.saturating_add(1);
            }
        }
    }
}

/// Digest of the entry in a block, where a participant signed it.
fn digest_of(block: bytes::Bytes, room: &RoomId) -> Option<Hash> {
    Entry::decode(block).ok()?.digest(room).ok()
}

#[cfg(test)]
mod tests {
    use quorate_stream::refusal::RoomCode;
    use quorate_types::PublicKey;

    use super::*;

    fn digest(number: u64) -> Hash {
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&number.to_be_bytes());
        Hash::new(bytes)
    }

    fn replayed() -> Refusal {
        Refusal::new(RoomCode::Replayed, "its number is used")
    }

    #[test]
    fn the_newest_blocks_are_read_once_and_no_more_of_them_than_are_kept() {
        let mut recall = Recall::default();
        recall.ask(digest(1), replayed());
        assert_eq!(recall.answers(false), []);
        let (mut read, length) = (0, MAX_RECALLED + 1000);
        while let Some((start, end)) = recall.next(length) {
            assert!(end - start <= BLOCKS_AT_ONCE);
            read += end - start;
            for index in start..end {
                recall.insert(digest(index), index);
            }
            recall.read.iter_mut().for_each(|(read, _)| *read = start);
        }
        assert_eq!((read, recall.by_digest.len() as u64), (MAX_RECALLED, MAX_RECALLED));
        // It is further back.
        assert_eq!(recall.answers(true), [(digest(1), Answer::Refused(replayed()))]);
        recall.ask(digest(1000), replayed());
        assert_eq!(recall.answers(false), [(digest(1000), Answer::Appended { index: 1000 })]);
        // What comes later is known without a look, and pushes out the oldest.
        for index in length..length + 10 {
            let (author, sequence) = (PublicKey::new([1; 32]), index);
            recall.note(&Noted { index, digest: digest(index), author, sequence });
        }
        assert_eq!(recall.by_digest.len() as u64, MAX_RECALLED);
        recall.ask(digest(length + 9), replayed());
        assert_eq!(recall.answers(false), [(digest(length + 9), Answer::Appended { index: length + 9 })]);
        assert_eq!(recall.next(length + 10), None);
        recall.forget();
        assert_eq!((recall.by_digest.len(), recall.read), (0, None));
    }
}
