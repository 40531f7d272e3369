//! Blocks made from a seed, the same bytes as `js/lib/blocks.js`.

use blake2::{Blake2b512, Digest};

/// Makes the block that stands at `index` for a seed: xorshift32, little-endian words.
pub fn generated_block(seed: u32, index: u32, size: usize) -> Vec<u8> {
    let mut x = seed ^ index.wrapping_add(1).wrapping_mul(0x9e37_79b9);
    if x == 0 {
        x = 1;
    }
    let mut block = Vec::with_capacity(size + 3);
    while block.len() < size {
        x ^= x << 13;
        x ^= x >> 17;
        x ^= x << 5;
        block.extend_from_slice(&x.to_le_bytes());
    }
    block.truncate(size);
    block
}

/// Makes `count` blocks of one size, from index `start` on.
pub fn generated_blocks(seed: u32, start: u32, count: u32, size: usize) -> Vec<Vec<u8>> {
    (start..start + count).map(|index| generated_block(seed, index, size)).collect()
}

/// Hashes blocks as the command `checksum` of a stock peer does: BLAKE2b-512 over each block after its
/// length in bytes (u32, little-endian), as lower-case hex.
pub fn checksum<B: AsRef<[u8]>>(blocks: impl IntoIterator<Item = B>) -> String {
    let mut hash = Blake2b512::new();
    for block in blocks {
        let block = block.as_ref();
        let length = u32::try_from(block.len()).expect("a test's block is shorter than 4 GiB");
        hash.update(length.to_le_bytes());
        hash.update(block);
    }
    data_encoding::HEXLOWER.encode(hash.finalize().as_slice())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_are_the_ones_of_the_javascript_generator() {
        // `require('./lib/blocks').block(seed, index, 7).toString('hex')`
        assert_eq!(data_encoding::HEXLOWER.encode(&generated_block(1, 0, 7)), "386608513f5326");
        assert_eq!(
            data_encoding::HEXLOWER.encode(&generated_block(0xffff_ffff, 99_999, 7)),
            "c882d07e0c04bf"
        );
        assert_eq!(generated_block(1, 0, 0), Vec::<u8>::new());
    }

    #[test]
    fn ranges_are_the_blocks_one_by_one() {
        assert_eq!(generated_blocks(7, 3, 2, 5), [generated_block(7, 3, 5), generated_block(7, 4, 5)]);
    }

    #[test]
    fn checksum_tells_block_borders_apart() {
        assert_ne!(checksum(["ab", "c"]), checksum(["a", "bc"]));
    }
}
