//! SLEEP files: headers, entry sizes and offsets (DEP-0002; hypercore 9 `lib/storage.js`).
//!
//! A feed is six files. `key` and `secret_key` are bare keys and `data` is the blocks end to end;
//! `bitfield`, `signatures` and `tree` begin with a header of 32 bytes:
//!
//! ```text
//! 05 02 57 | kind u8 | version u8 = 0 | entry size u16be | name length u8 | name | zeros
//! ```

use quorate_types::{Hash, Signature};

/// Bytes of a header, and so the offset of the first entry.
pub const HEADER_BYTES: usize = 32;

/// Bytes of an entry of `tree`: a hash, then the size as a big-endian u64.
pub const TREE_ENTRY_BYTES: usize = Hash::LEN + size_of::<u64>();

/// Bytes of an entry of `signatures`.
pub const SIGNATURE_ENTRY_BYTES: usize = Signature::LEN;

/// Bytes of a bitfield page that say which blocks are here: one bit for each block.
pub const PAGE_DATA_BYTES: usize = 1024;

/// Bytes of a bitfield page that say which tree nodes are known: two nodes for each block.
pub const PAGE_TREE_BYTES: usize = 2 * PAGE_DATA_BYTES;

/// Bytes of a bitfield page that index its data: two bits for each byte, at every second byte of
/// an in-order tree.
pub const PAGE_INDEX_BYTES: usize = PAGE_DATA_BYTES / 2;

/// Bytes of a bitfield page in directories that are made today: 3584.
pub const PAGE_BYTES: usize = PAGE_DATA_BYTES + PAGE_TREE_BYTES + PAGE_INDEX_BYTES;

/// Blocks of which one bitfield page tells.
pub const PAGE_BLOCKS: u64 = 8 * PAGE_DATA_BYTES as u64;

/// Tree nodes of which one bitfield page tells.
pub const PAGE_NODES: u64 = 8 * PAGE_TREE_BYTES as u64;

const MAGIC: [u8; 3] = [5, 2, 87];
const VERSION: u8 = 0;
const NAME_OFFSET: usize = 8;
const MAX_NAME_BYTES: usize = HEADER_BYTES - NAME_OFFSET;

const _: () = assert!(PAGE_BYTES == 3584 && TREE_ENTRY_BYTES == 40 && SIGNATURE_ENTRY_BYTES == 64);

/// A SLEEP file that begins with a header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `bitfield`: pages that say what is here.
    Bitfield,
    /// `signatures`: one for each length that was signed.
    Signatures,
    /// `tree`: the nodes of the Merkle tree, in order.
    Tree,
}

impl Kind {
    /// Returns the number by which the header names the kind.
    pub const fn code(self) -> u8 {
        match self {
            Self::Bitfield => 0,
            Self::Signatures => 1,
            Self::Tree => 2,
        }
    }

    /// Returns the name of the algorithm that the header gives, empty for the bitfield.
    pub const fn algorithm(self) -> &'static str {
        match self {
            Self::Bitfield => "",
            Self::Signatures => "Ed25519",
            Self::Tree => "BLAKE2b",
        }
    }

    /// Returns the bytes of an entry in directories that are made today.
    pub const fn entry_bytes(self) -> u16 {
        match self {
            Self::Bitfield => PAGE_BYTES as u16,
            Self::Signatures => SIGNATURE_ENTRY_BYTES as u16,
            Self::Tree => TREE_ENTRY_BYTES as u16,
        }
    }
}

/// A header that has been checked against the kind of file it stands in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// What the file holds.
    pub kind: Kind,
    /// Bytes of an entry: fixed for tree and signatures; old bitfields have pages of another size.
    pub entry_bytes: u16,
}

/// Why a file does not begin with the header that was expected.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HeaderError {
    /// The file ends within its header.
    #[error("expected a SLEEP header of {HEADER_BYTES} bytes, found {found} bytes")]
    Truncated {
        /// Bytes there are.
        found: usize,
    },
    /// The first three bytes are not those of SLEEP.
    #[error("expected the SLEEP magic number 05 02 57, found {found:02x?}")]
    Magic {
        /// The first three bytes.
        found: [u8; 3],
    },
    /// The file is of another kind.
    #[error("expected SLEEP file type {expected} ({kind:?}), found type {found}")]
    Kind {
        /// Kind of file that was opened.
        kind: Kind,
        /// Its number.
        expected: u8,
        /// Number in the header.
        found: u8,
    },
    /// The version is not known.
    #[error("expected SLEEP version 0, found {found}")]
    Version {
        /// Version in the header.
        found: u8,
    },
    /// The entries have a size that no known writer uses.
    #[error("expected entries of {expected} bytes in a {kind:?} file, found {found}")]
    EntryBytes {
        /// Kind of file.
        kind: Kind,
        /// Bytes of an entry in new directories.
        expected: u16,
        /// Bytes of an entry by the header.
        found: u16,
    },
    /// The hash or signature algorithm is another.
    #[error("expected the algorithm {expected:?}, found {found:?}")]
    Algorithm {
        /// Name of the algorithm that is supported.
        expected: &'static str,
        /// Name in the header, with escapes where it is no text.
        found: String,
    },
}

impl Header {
    /// Returns the header of a new file.
    pub const fn new(kind: Kind) -> Self {
        Self { kind, entry_bytes: kind.entry_bytes() }
    }

    /// Encodes the header as stock peers write it.
    pub fn encode(&self) -> [u8; HEADER_BYTES] {
        let name = self.kind.algorithm();
        let [size_high, size_low] = self.entry_bytes.to_be_bytes();
        let [magic_0, magic_1, magic_2] = MAGIC;
        let start =
            [magic_0, magic_1, magic_2, self.kind.code(), VERSION, size_high, size_low, name.len() as u8];
        let mut bytes = [0; HEADER_BYTES];
        for (to, from) in bytes.iter_mut().zip(start.iter().chain(name.as_bytes())) {
            *to = *from;
        }
        bytes
    }

    /// Reads the header of a file that is expected to be of the given kind.
    ///
    /// `bytes` may go on after the header. A bitfield may have any page size whose index part is a
    /// power of two, as in hypercore 9 `lib/bitfield.js`: 3328 was written before 3584.
    ///
    /// # Errors
    ///
    /// [`HeaderError`] names what was expected and what stands there.
    pub fn parse(kind: Kind, bytes: &[u8]) -> Result<Self, HeaderError> {
        let Some((header, _)) = bytes.split_first_chunk::<HEADER_BYTES>() else {
            return Err(HeaderError::Truncated { found: bytes.len() });
        };
        let [magic_0, magic_1, magic_2, code, version, size_high, size_low, name_len, name @ ..] = header;
        let magic = [*magic_0, *magic_1, *magic_2];
        if magic != MAGIC {
            return Err(HeaderError::Magic { found: magic });
        }
        if *code != kind.code() {
            return Err(HeaderError::Kind { kind, expected: kind.code(), found: *code });
        }
        if *version != VERSION {
            return Err(HeaderError::Version { found: *version });
        }
        let entry_bytes = u16::from_be_bytes([*size_high, *size_low]);
        let known = match kind {
            Kind::Bitfield => is_page_size(usize::from(entry_bytes)),
            Kind::Signatures | Kind::Tree => entry_bytes == kind.entry_bytes(),
        };
        if !known {
            return Err(HeaderError::EntryBytes { kind, expected: kind.entry_bytes(), found: entry_bytes });
        }
        let name: &[u8; MAX_NAME_BYTES] = name;
        let name = name.get(..usize::from(*name_len)).unwrap_or(name);
        if name != kind.algorithm().as_bytes() {
            let found = name.escape_ascii().to_string();
            return Err(HeaderError::Algorithm { expected: kind.algorithm(), found });
        }
        Ok(Self { kind, entry_bytes })
    }
}

/// Tells whether a bitfield page can have this many bytes: 3072 of data and tree, and an index
/// that is a power of two (hypercore 9 `lib/bitfield.js`; sparse-bitfield 3 `powerOfTwo`).
pub fn is_page_size(bytes: usize) -> bool {
    bytes.checked_sub(PAGE_DATA_BYTES + PAGE_TREE_BYTES).is_some_and(usize::is_power_of_two)
}

/// Returns the offset of a node in `tree`, or `None` beyond any file.
pub fn tree_offset(node: u64) -> Option<u64> {
    entry_offset(node, TREE_ENTRY_BYTES)
}

/// Returns the offset of the signature of length `block + 1` in `signatures`, or `None` beyond any file.
pub fn signature_offset(block: u64) -> Option<u64> {
    entry_offset(block, SIGNATURE_ENTRY_BYTES)
}

/// Returns the offset of a page in `bitfield`, or `None` beyond any file.
pub fn page_offset(page: u64, page_bytes: usize) -> Option<u64> {
    entry_offset(page, page_bytes)
}

fn entry_offset(index: u64, entry_bytes: usize) -> Option<u64> {
    index.checked_mul(entry_bytes as u64)?.checked_add(HEADER_BYTES as u64)
}

/// Encodes an entry of `tree`.
pub fn encode_node(hash: &Hash, size: u64) -> [u8; TREE_ENTRY_BYTES] {
    let mut bytes = [0; TREE_ENTRY_BYTES];
    for (to, from) in bytes.iter_mut().zip(hash.as_bytes().iter().chain(&size.to_be_bytes())) {
        *to = *from;
    }
    bytes
}

/// Decodes an entry of `tree`: `None` when it is blank, which is how a node that is not known looks
/// (hypercore 9 `lib/storage.js`, `getNode`), or when it is not 40 bytes long.
pub fn decode_node(bytes: &[u8]) -> Option<(Hash, u64)> {
    let (hash, size) = bytes.split_first_chunk::<{ Hash::LEN }>()?;
    let size = u64::from_be_bytes(size.try_into().ok()?);
    if size == 0 && hash.iter().all(|byte| *byte == 0) {
        return None;
    }
    Some((Hash::new(*hash), size))
}

/// Decodes an entry of `signatures`: `None` when it is blank, as for lengths within a batch that
/// were never signed, or when it is not 64 bytes long.
pub fn decode_signature(bytes: &[u8]) -> Option<Signature> {
    Signature::from_slice(bytes).filter(|signature| signature.as_bytes().iter().any(|byte| *byte != 0))
}

#[cfg(test)]
mod tests {
    use data_encoding::HEXLOWER;

    use super::*;

    const KINDS: [Kind; 3] = [Kind::Bitfield, Kind::Signatures, Kind::Tree];

    /// First 32 bytes of the files of a feed made by hypercore 9.12.0; 7.7.1 writes the same.
    fn golden(kind: Kind) -> Vec<u8> {
        let text = match kind {
            Kind::Bitfield => "05025700000e0000000000000000000000000000000000000000000000000000",
            Kind::Signatures => "0502570100004007456432353531390000000000000000000000000000000000",
            Kind::Tree => "0502570200002807424c414b4532620000000000000000000000000000000000",
        };
        HEXLOWER.decode(text.as_bytes()).unwrap()
    }

    #[test]
    fn headers_are_those_of_the_reference() {
        for kind in KINDS {
            assert_eq!(Header::new(kind).encode().as_slice(), golden(kind), "{kind:?}");
            assert_eq!(Header::parse(kind, &golden(kind)), Ok(Header::new(kind)));
        }
    }

    #[test]
    fn a_header_that_differs_is_named() {
        let tree = golden(Kind::Tree);
        let with = |at: usize, byte: u8| {
            let mut bytes = tree.clone();
            bytes[at] = byte;
            Header::parse(Kind::Tree, &bytes)
        };
        assert_eq!(Header::parse(Kind::Tree, &tree[..31]), Err(HeaderError::Truncated { found: 31 }));
        assert_eq!(with(2, 0), Err(HeaderError::Magic { found: [5, 2, 0] }));
        assert_eq!(with(3, 1), Err(HeaderError::Kind { kind: Kind::Tree, expected: 2, found: 1 }));
        assert_eq!(with(4, 1), Err(HeaderError::Version { found: 1 }));
        assert_eq!(with(6, 41), Err(HeaderError::EntryBytes { kind: Kind::Tree, expected: 40, found: 41 }));
        assert_eq!(
            with(14, b'c'),
            Err(HeaderError::Algorithm { expected: "BLAKE2b", found: "BLAKE2c".into() })
        );
        assert!(matches!(with(7, 255), Err(HeaderError::Algorithm { .. })));
    }

    #[test]
    fn bitfields_may_have_pages_of_the_old_size() {
        let with = |size: u16| {
            let mut bytes = golden(Kind::Bitfield);
            bytes[5..7].copy_from_slice(&size.to_be_bytes());
            Header::parse(Kind::Bitfield, &bytes)
        };
        assert_eq!(with(3328), Ok(Header { kind: Kind::Bitfield, entry_bytes: 3328 }));
        for size in [0, 1024, 3072, 3585, u16::MAX] {
            assert_eq!(
                with(size),
                Err(HeaderError::EntryBytes { kind: Kind::Bitfield, expected: 3584, found: size })
            );
        }
    }

    #[test]
    fn offsets_stop_where_numbers_end() {
        assert_eq!(tree_offset(3), Some(32 + 120));
        assert_eq!(signature_offset(3), Some(32 + 192));
        assert_eq!(page_offset(3, PAGE_BYTES), Some(32 + 3 * 3584));
        assert_eq!(tree_offset(u64::MAX / 40), None);
        assert_eq!(tree_offset(u64::MAX), None);
    }

    #[test]
    fn blank_entries_are_nothing() {
        assert_eq!(decode_node(&[0; 40]), None);
        assert_eq!(decode_node(&[1; 39]), None);
        assert_eq!(decode_node(&[1; 41]), None);
        let hash = Hash::new([7; 32]);
        assert_eq!(decode_node(&encode_node(&hash, 9)), Some((hash, 9)));
        let mut empty = [0; 40];
        empty[39] = 1;
        assert_eq!(decode_node(&empty), Some((Hash::new([0; 32]), 1)));
        assert_eq!(decode_signature(&[0; 64]), None);
        assert_eq!(decode_signature(&[1; 63]), None);
        assert_eq!(decode_signature(&[1; 64]), Some(Signature::new([1; 64])));
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_panic(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..80)) {
            for kind in KINDS {
                let _ = Header::parse(kind, &bytes);
            }
            let _ = (decode_node(&bytes), decode_signature(&bytes));
        }

        #[test]
        fn damage_before_the_name_is_seen(at in 0_usize..8, byte in proptest::num::u8::ANY) {
            for kind in KINDS {
                let mut bytes = golden(kind);
                bytes[at] = byte;
                if let Ok(header) = Header::parse(kind, &bytes) {
                    proptest::prop_assert_eq!(header.encode().to_vec(), bytes);
                }
            }
        }
    }
}
