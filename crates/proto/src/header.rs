//! Header of a feed, in block 0 (DEP-0007).

use bytes::Bytes;
use prost::Message;
use quorate_types::limits::MAX_HEADER_BYTES;

use crate::pb_header as pb;

/// What block 0 says about the feed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FeedHeader {
    /// Type of the feed, such as `hyperdrive`.
    pub kind: String,
    /// Bytes whose meaning the type defines.
    pub extension: Option<Bytes>,
}

impl FeedHeader {
    /// Reads a block, or returns `None` when it is no header: most feeds have none, so that is no error.
    ///
    /// Only the canonical encoding of a type of printable ASCII is taken, lest chance make a header of data.
    pub fn parse(block: &[u8]) -> Option<Self> {
        if block.len() > MAX_HEADER_BYTES {
            return None;
        }
        let header = pb::Header::decode(block).ok()?;
        if header.encode_to_vec() != block {
            return None;
        }
        let kind = header.r#type?;
        if kind.is_empty() || !kind.bytes().all(|byte| byte.is_ascii_graphic()) {
            return None;
        }
        Some(Self { kind, extension: header.extension })
    }

    /// Encodes the block.
    pub fn encode(&self) -> Bytes {
        let header = pb::Header { r#type: Some(self.kind.clone()), extension: self.extension.clone() };
        header.encode_to_vec().into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hyperdrive_header_is_read() {
        let mut block = b"\x0a\x0ahyperdrive\x12\x20".to_vec();
        block.extend([7; 32]);
        let header = FeedHeader::parse(&block).unwrap();
        assert_eq!(header.kind, "hyperdrive");
        assert_eq!(header.extension.as_deref(), Some(&[7; 32][..]));
        assert_eq!(header.encode(), block);
    }

    #[test]
    fn data_is_no_header() {
        for block in [&b""[..], b"hello", b"{}", b"\x0a\x00", b"\x0a\x01\x00", b"\x0a\x01a\x18\x01"] {
            assert_eq!(FeedHeader::parse(block), None, "{block:?}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_block_panics(block in proptest::collection::vec(proptest::num::u8::ANY, 0..200)) {
            let _ = FeedHeader::parse(&block);
        }
    }
}
