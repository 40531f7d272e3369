//! Blocks from peers, hashed side by side before each of them is verified.

use quorate_proto::dat::Data;
use quorate_types::{Hash, limits::MAX_HELD_BLOCK_BYTES};

use crate::{Flavour, hash};

/// What a peer sent, with the hash of its block. Only hashing makes it.
#[derive(Debug, Clone)]
pub struct HashedData {
    data: Data,
    /// Hash of the block as a leaf of a Dat feed; `None` without a block, or with one that is too large.
    leaf: Option<Hash>,
}

impl HashedData {
    /// Hashes the blocks of several messages, side by side where that is faster.
    pub fn all(messages: Vec<Data>) -> Vec<Self> {
        let blocks: Vec<&[u8]> = messages.iter().filter_map(block).collect();
        let mut hashes = hash::leaves(Flavour::Dat, &blocks).into_iter();
        messages
            .into_iter()
            .map(|data| {
                let leaf = block(&data).is_some().then(|| hashes.next()).flatten();
                Self { data, leaf }
            })
            .collect()
    }

    /// Returns what was sent.
    pub const fn data(&self) -> &Data {
        &self.data
    }

    pub(crate) const fn leaf(&self) -> Option<Hash> {
        self.leaf
    }

    pub(crate) fn into_data(self) -> Data {
        self.data
    }
}

impl From<Data> for HashedData {
    fn from(data: Data) -> Self {
        let leaf = block(&data).map(|block| hash::leaf(Flavour::Dat, block));
        Self { data, leaf }
    }
}

/// Returns the block of a message, unless it is one that is refused without a look at its bytes.
fn block(data: &Data) -> Option<&[u8]> {
    data.value.as_deref().filter(|block| block.len() <= MAX_HELD_BLOCK_BYTES)
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    #[test]
    fn together_is_the_same_as_one_by_one() {
        let messages: Vec<Data> = (0..23_u64)
            .map(|index| {
                let size = if index == 7 { MAX_HELD_BLOCK_BYTES + 1 } else { (index * index * 400) as usize };
                let value = (index % 5 != 3).then(|| Bytes::from(vec![index as u8; size]));
                Data { index, value, nodes: Vec::new(), signature: None }
            })
            .collect();
        for (together, data) in HashedData::all(messages.clone()).into_iter().zip(messages) {
            assert_eq!(together.data, data);
            let one = HashedData::from(data);
            assert_eq!(together.leaf, one.leaf);
            let is_hashed = one.data.value.as_ref().is_some_and(|value| value.len() <= MAX_HELD_BLOCK_BYTES);
            assert_eq!(one.leaf.is_some(), is_hashed);
        }
    }
}
