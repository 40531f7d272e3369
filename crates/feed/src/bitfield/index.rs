//! The index over the data, by which stock peers skip blocks that they have (hypercore 9
//! `lib/bitfield.js`, `_setIndex`).
//!
//! It is an in-order tree of bytes. A leaf tells of four bytes of data in two bits each; a parent
//! tells of the four halves of its two children in the same way. Two bits say that all is missing
//! (00), that something is (01) or that nothing is (11).
//!
//! A parent is only written while a change goes up, and only within the pages there are. So the
//! index depends on the order of changes, and it is kept up to date with each of them rather than
//! computed when pages are written: the pages are then byte for byte those of a stock peer.

use super::Bitfield;

/// What is left of a byte of the index when two of its bits are replaced.
const KEEP: [u8; 4] = [0b0011_1111, 0b1100_1111, 0b1111_0011, 0b1111_1100];

impl Bitfield {
    /// Brings the index up to date with one byte of data.
    pub(super) fn update_index(&mut self, data_byte: u64, value: u8) {
        let part = (data_byte % 4) as usize;
        let mut node = data_byte / 4 * 2;
        let end = self.pages.count().saturating_mul(self.index_bytes as u64);
        let keep = KEEP.get(part).copied().unwrap_or(0);
        let mut byte = (self.index_byte(node) & keep) | (summary_of_data(value) << 6 >> (2 * part));
        // The distance from a node to its parent.
        let mut step = 1;
        while node < end && self.set_index_byte(node, byte) {
            let is_left = node & (step << 1) == 0;
            let (parent, sibling) =
                if is_left { (node + step, node + 2 * step) } else { (node - step, node - 2 * step) };
            let (own, other) = (summary(byte), summary(self.index_byte(sibling)));
            byte = if is_left { own << 4 | other } else { other << 4 | own };
            node = parent;
            step <<= 1;
        }
    }

    fn index_byte(&self, node: u64) -> u8 {
        let (page, at) = self.index_place(node);
        self.pages.get(page).map_or(0, |page| page.index(at))
    }

    fn set_index_byte(&mut self, node: u64, value: u8) -> bool {
        let (number, at) = self.index_place(node);
        // A page that is not there is all zeros: only another value makes it.
        if value == 0 && self.pages.get(number).is_none() {
            return false;
        }
        let changed = self.pages.make(number, self.index_bytes).set_index(at, value);
        if changed {
            self.mark_dirty(number);
        }
        changed
    }

    /// Returns the page of an index byte, and its place in the index part of that page.
    fn index_place(&self, node: u64) -> (u64, usize) {
        let bytes = self.index_bytes as u64;
        (node / bytes, (node % bytes) as usize)
    }
}

const fn summary_of_data(byte: u8) -> u8 {
    match byte {
        0xff => 0b11,
        0 => 0b00,
        _ => 0b01,
    }
}

/// Summarizes both halves of a byte of the index, in the lower four bits.
const fn summary(byte: u8) -> u8 {
    const fn half(bits: u8) -> u8 {
        match bits {
            0b1111 => 0b11,
            0 => 0b00,
            _ => 0b01,
        }
    }
    half(byte >> 4) << 2 | half(byte & 0b1111)
}
