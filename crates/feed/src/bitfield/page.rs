//! One page: which of 8192 blocks are here, which of their tree nodes are known, and a part of
//! the index.

use crate::sleep::{PAGE_DATA_BYTES, PAGE_TREE_BYTES};

const DATA_WORDS: usize = PAGE_DATA_BYTES / WORD_BYTES;
const TREE_WORDS: usize = PAGE_TREE_BYTES / WORD_BYTES;
const WORD_BYTES: usize = size_of::<u64>();

/// Bits are kept in words whose first bit is the most significant, so that a word written
/// big-endian is eight bytes of the file.
#[derive(Clone)]
pub(super) struct Page {
    data: [u64; DATA_WORDS],
    tree: [u64; TREE_WORDS],
    index: Box<[u8]>,
    pub(super) dirty: bool,
}

impl Page {
    pub(super) fn new(index_bytes: usize) -> Self {
        Self {
            data: [0; DATA_WORDS],
            tree: [0; TREE_WORDS],
            index: vec![0; index_bytes].into_boxed_slice(),
            dirty: false,
        }
    }

    /// Reads a page; what is missing at its end is zero.
    pub(super) fn read(index_bytes: usize, bytes: &[u8]) -> Self {
        let mut page = Self::new(index_bytes);
        let (data, rest) = bytes.split_at(bytes.len().min(PAGE_DATA_BYTES));
        let (tree, index) = rest.split_at(rest.len().min(PAGE_TREE_BYTES));
        read_words(&mut page.data, data);
        read_words(&mut page.tree, tree);
        for (to, from) in page.index.iter_mut().zip(index) {
            *to = *from;
        }
        page
    }

    pub(super) fn write(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(PAGE_DATA_BYTES + PAGE_TREE_BYTES + self.index.len());
        for word in self.data.iter().chain(&self.tree) {
            bytes.extend_from_slice(&word.to_be_bytes());
        }
        bytes.extend_from_slice(&self.index);
        bytes
    }

    pub(super) fn data(&self, bit: usize) -> bool {
        has(&self.data, bit)
    }

    /// Sets a bit of the data and returns the byte it is in, as it was and as it is.
    pub(super) fn set_data(&mut self, bit: usize, value: bool) -> (u8, u8) {
        let Some(word) = self.data.get_mut(bit / 64) else { return (0, 0) };
        let shift = 56 - (bit % 64 / 8) * 8;
        let before = (*word >> shift) as u8;
        set(word, bit, value);
        (before, (*word >> shift) as u8)
    }

    pub(super) fn data_word(&self, word: usize) -> u64 {
        self.data.get(word).copied().unwrap_or(0)
    }

    pub(super) fn tree(&self, bit: usize) -> bool {
        has(&self.tree, bit)
    }

    /// Sets a bit of the tree and tells whether that changed it.
    pub(super) fn set_tree(&mut self, bit: usize, value: bool) -> bool {
        let Some(word) = self.tree.get_mut(bit / 64) else { return false };
        let before = *word;
        set(word, bit, value);
        *word != before
    }

    /// Returns the highest set bit of the tree.
    pub(super) fn last_tree(&self) -> Option<usize> {
        let word = self.tree.iter().rposition(|word| *word != 0)?;
        Some(64 * word + 63 - self.tree.get(word)?.trailing_zeros() as usize)
    }

    pub(super) fn index(&self, byte: usize) -> u8 {
        self.index.get(byte).copied().unwrap_or(0)
    }

    /// Sets a byte of the index and tells whether that changed it.
    pub(super) fn set_index(&mut self, byte: usize, value: u8) -> bool {
        match self.index.get_mut(byte) {
            Some(slot) if *slot != value => {
                *slot = value;
                true
            }
            _ => false,
        }
    }
}

fn read_words(words: &mut [u64], bytes: &[u8]) {
    for (word, chunk) in words.iter_mut().zip(bytes.chunks(WORD_BYTES)) {
        let mut whole = [0; WORD_BYTES];
        for (to, from) in whole.iter_mut().zip(chunk) {
            *to = *from;
        }
        *word = u64::from_be_bytes(whole);
    }
}

fn has(words: &[u64], bit: usize) -> bool {
    words.get(bit / 64).is_some_and(|word| word & mask(bit) != 0)
}

fn set(word: &mut u64, bit: usize, value: bool) {
    if value {
        *word |= mask(bit);
    } else {
        *word &= !mask(bit);
    }
}

const fn mask(bit: usize) -> u64 {
    1 << (63 - bit % 64)
}
