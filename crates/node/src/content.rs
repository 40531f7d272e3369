//! What block 0 says a feed is (DEP-0007: a protobuf header with a type and the type's own bytes).

use bytes::Bytes;
use quorate_proto::header::FeedHeader;
use quorate_store::Encoding;
use quorate_stream::entry::Entry;
use quorate_stream::header::StreamHeader;
use quorate_stream::payload::PayloadEncoding;
use quorate_types::PublicKey;

use crate::model::{Content, Message};

/// Longest type name that is repeated to the user, characters.
const MAX_TYPE_CHARS: usize = 64;

/// Reads block 0 of a feed; whatever is no header is [`Content::Plain`].
pub(crate) fn content_of(block: &[u8]) -> Content {
    let Some(header) = FeedHeader::parse(block) else {
        return Content::Plain;
    };
    if let Ok(Some(room)) = StreamHeader::parse(&Bytes::copy_from_slice(block)) {
        return Content::Room { payload_encoding: encoding_of(room.payload_encoding) };
    }
    if header.kind == "hyperdrive"
        && let Some(content) = header.extension.as_deref().and_then(PublicKey::from_slice)
    {
        return Content::Hyperdrive { content };
    }
    Content::Other { name: header.kind.chars().take(MAX_TYPE_CHARS).collect() }
}

/// Reads the action in a block of a room; `None` when the block holds something else. Nothing is verified.
pub fn message_of(block: &Bytes) -> Option<Message> {
    match Entry::decode(block.clone()) {
        Ok(Entry::Action(action)) => {
            Some(Message { author: action.author, sequence: action.sequence, payload: action.payload })
        }
        _ => None,
    }
}

const fn encoding_of(encoding: PayloadEncoding) -> Encoding {
    match encoding {
        PayloadEncoding::Json => Encoding::Json,
        PayloadEncoding::Utf8 => Encoding::Utf8,
        PayloadEncoding::Binary => Encoding::Binary,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_drive_names_its_content_feed() {
        let mut block = b"\x0a\x0ahyperdrive\x12\x20".to_vec();
        block.extend([7; 32]);
        assert_eq!(content_of(&block), Content::Hyperdrive { content: PublicKey::new([7; 32]) });
    }

    #[test]
    fn other_headers_are_named_and_other_blocks_are_plain() {
        assert_eq!(content_of(b"\x0a\x09hypertrie"), Content::Other { name: "hypertrie".into() });
        for plain in [&b""[..], b"hello world", b"{\"a\":1}", b"\x0a\xff\xff\xff\xff\x0f", b"\x12\x01a"] {
            assert_eq!(content_of(plain), Content::Plain, "{plain:?}");
        }
    }
}
