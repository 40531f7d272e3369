//! What a room's history is in the model: blocks that differ in epoch and in content.

use std::fmt;

/// Blocks that a [`Log`] has room for.
const MAX_BLOCKS: u32 = 16;

/// Epochs that a [`Log`] can tell apart.
pub(super) const MAX_EPOCHS: u8 = 5;

/// Contents that a block may have: two that only differ, and a change of validators.
const CONTENTS: u8 = 3;

/// The content that is a change of validators; nothing follows it in its epoch.
pub(super) const CHANGE: u8 = 2;

/// A history of the room: 4 bits a block, the first block lowest, 0 after the last one.
///
/// A block is its epoch and one of three contents, of which one is a change of validators. A feed with another base, or with another header, has another first
/// block or stands on another prefix, so it is another log.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Log(u64);

impl Log {
    /// The history before the first block.
    pub const GENESIS: Self = Self(0);

    /// Returns the number of blocks.
    pub fn len(self) -> u32 {
        (u64::BITS - self.0.leading_zeros()).div_ceil(4)
    }

    /// Tells whether this is the genesis.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Appends a block of an epoch.
    pub fn push(self, epoch: u8, content: u8) -> Self {
        assert!(
            self.len() < MAX_BLOCKS && epoch < MAX_EPOCHS && content < CONTENTS,
            "the bounds of the model fit a log"
        );
        Self(self.0 | u64::from(1 + epoch * CONTENTS + content) << (4 * self.len()))
    }

    /// Returns the first `blocks` blocks.
    pub fn prefix(self, blocks: u32) -> Self {
        match blocks {
            MAX_BLOCKS.. => self,
            _ => Self(self.0 & ((1 << (4 * blocks)) - 1)),
        }
    }

    /// Tells whether `other` contains this log.
    pub fn is_prefix_of(self, other: Self) -> bool {
        other.prefix(self.len()) == self
    }

    /// Tells whether one of the two contains the other.
    pub fn agrees_with(self, other: Self) -> bool {
        self.is_prefix_of(other) || other.is_prefix_of(self)
    }

    /// Returns epoch and content of each block, from the first.
    pub fn blocks(self) -> impl Iterator<Item = (u8, u8)> {
        (0..self.len()).map(move |at| {
            let code = (self.0 >> (4 * at) & 0xf) as u8 - 1;
            (code / CONTENTS, code % CONTENTS)
        })
    }

    /// Returns the number of blocks of an epoch: the length of its feed.
    pub fn length_in(self, epoch: u8) -> u8 {
        self.blocks().filter(|&(of, _)| of == epoch).count() as u8
    }

    /// Returns what certificates are ranked by: epoch of the last block plus 1, and the feed's length; genesis is lowest.
    pub fn rank(self) -> (u8, u8) {
        match self.blocks().last() {
            None => (0, 0),
            Some((epoch, _)) => (epoch + 1, self.length_in(epoch)),
        }
    }

    /// Tells whether it contains a change of validators.
    pub fn is_changed(self) -> bool {
        self.blocks().any(|(_, content)| content == CHANGE)
    }

    /// Tells whether its last block is a change of validators.
    pub fn is_closed(self) -> bool {
        self.blocks().last().is_some_and(|(_, content)| content == CHANGE)
    }

    /// Returns the log with the other content in its last block.
    pub fn sibling(self) -> Self {
        self.len().checked_sub(1).map_or(self, |last| self.with_sibling_at(last))
    }

    /// Returns the log with the other content in one block; a change of validators has no other.
    pub fn with_sibling_at(self, place: u32) -> Self {
        let code = self.0 >> (4 * place) & 0xf;
        let other = match (code - 1) % u64::from(CONTENTS) {
            0 => code + 1,
            1 => code - 1,
            _ => code,
        };
        Self(self.0 ^ (code ^ other) << (4 * place))
    }

    /// Returns the log without the blocks of an epoch and after.
    pub fn before(self, epoch: u8) -> Self {
        self.prefix(self.blocks().take_while(|&(of, _)| of < epoch).count() as u32)
    }
}

/// Returns the one of higher rank; of equals the first.
pub(super) fn higher(one: Log, other: Log) -> Log {
    if other.rank() > one.rank() { other } else { one }
}

/// `0a 0b 1a`: the epoch and the content of each block.
impl fmt::Debug for Log {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_empty() {
            return f.write_str("genesis");
        }
        for (at, (epoch, content)) in self.blocks().enumerate() {
            let gap = if at == 0 { "" } else { " " };
            write!(f, "{gap}{epoch}{}", ['a', 'b', '+'][usize::from(content)])?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_is_its_blocks() {
        let log = Log::GENESIS.push(0, 0).push(0, 1).push(2, 0);
        assert_eq!(format!("{log:?}"), "0a 0b 2a");
        assert_eq!((log.len(), log.rank(), log.length_in(0)), (3, (3, 1), 2));
        assert_eq!(log.before(2), Log::GENESIS.push(0, 0).push(0, 1));
        assert_eq!(format!("{:?} {:?}", log.sibling(), log.with_sibling_at(0)), "0a 0b 2b 0b 0b 2a");
        assert_eq!(log.sibling().sibling(), log);
        assert!(log.prefix(1).is_prefix_of(log) && !log.is_prefix_of(log.prefix(1)));
        assert!(!log.agrees_with(Log::GENESIS.push(0, 0).push(0, 0)));
        assert!(Log::GENESIS.is_prefix_of(log) && log.agrees_with(log.prefix(2)));
        assert_eq!((Log::GENESIS.rank(), Log::GENESIS.len()), ((0, 0), 0));
    }

    #[test]
    fn sixteen_blocks_fit() {
        let full = (0..MAX_BLOCKS).fold(Log::GENESIS, |log, _| log.push(4, 1));
        assert_eq!((full.len(), full.prefix(16)), (16, full));
    }
}
