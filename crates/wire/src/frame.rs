//! Frames: `varint length | varint (channel << 4 | type) | body`; a length of zero is a ping.
//!
//! Both wires have the same ones (hypercore-protocol 6 `index.js`, simple-message-channels).
//! Whole frames are cut off the received bytes together and share their memory.

use bytes::{Buf, Bytes};
use quorate_types::limits::MAX_FRAME_BYTES;

use crate::SessionError;
use crate::varint::{self, Varint};

/// Longest frame that is accepted: wire B2 does not count the header, which has up to five bytes
/// before its channel is out of range.
pub(crate) const MAX_ACCEPTED_BYTES: u64 = MAX_FRAME_BYTES as u64 + 5;

/// One frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Frame {
    pub(crate) channel: u64,
    pub(crate) kind: u8,
    pub(crate) body: Bytes,
}

/// Counts the bytes at the front of a buffer that are whole frames, and tells what is wrong with
/// the frame behind them if that is known already: it may be no longer than `limit` bytes.
pub(crate) fn complete(buf: &[u8], limit: u64) -> (usize, Result<(), SessionError>) {
    let mut rest = buf;
    let verdict = loop {
        let (value, len) = match varint::read(rest) {
            Varint::Complete { value, len } => (value, len),
            Varint::Incomplete => break Ok(()),
            Varint::TooLong => break Err(SessionError::Varint { what: "length of a frame" }),
        };
        if value > limit {
            break Err(SessionError::FrameTooLarge { limit, found: value });
        }
        let Some(after) = usize::try_from(value).ok().and_then(|value| rest.get(len.checked_add(value)?..))
        else {
            break Ok(());
        };
        rest = after;
    };
    (buf.len() - rest.len(), verdict)
}

/// Takes the next frame off bytes that [`complete`] counted; pings are passed over.
pub(crate) fn next(run: &mut Bytes) -> Result<Option<Frame>, SessionError> {
    while let Varint::Complete { value, len } = varint::read(run) {
        run.advance(len);
        let size = usize::try_from(value).unwrap_or(usize::MAX).min(run.len());
        if size == 0 {
            continue;
        }
        let mut body = run.split_to(size);
        let Varint::Complete { value: header, len } = varint::read(&body) else {
            return Err(SessionError::Varint { what: "header of a frame" });
        };
        body.advance(len);
        return Ok(Some(Frame { channel: header >> 4, kind: (header & 15) as u8, body }));
    }
    Ok(None)
}

/// Header of a frame.
pub(crate) const fn header(channel: u64, kind: u8) -> u64 {
    channel << 4 | kind as u64
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn write(frames: &[(u64, u8, Vec<u8>)]) -> Vec<u8> {
        let mut out = Vec::new();
        for (channel, kind, body) in frames {
            let header = header(*channel, *kind);
            varint::write(&mut out, (varint::len(header) + body.len()) as u64);
            varint::write(&mut out, header);
            out.extend_from_slice(body);
            out.push(0);
        }
        out
    }

    proptest! {
        #[test]
        fn frames_survive_and_never_begin_early(
            frames in prop::collection::vec((0_u64..300, 0_u8..16, prop::collection::vec(any::<u8>(), 0..300)), 0..5)
        ) {
            let bytes = write(&frames);
            for cut in 0..=bytes.len() {
                let (whole, verdict) = complete(&bytes[..cut], MAX_ACCEPTED_BYTES);
                prop_assert_eq!(verdict, Ok(()));
                prop_assert!(whole <= cut);
                let mut run = Bytes::copy_from_slice(&bytes[..whole]);
                let mut found = Vec::new();
                while let Some(frame) = next(&mut run).unwrap() {
                    found.push((frame.channel, frame.kind, frame.body.to_vec()));
                }
                prop_assert!(run.is_empty());
                prop_assert_eq!(&found[..], &frames[..found.len()]);
                if cut == bytes.len() {
                    prop_assert_eq!(found.len(), frames.len());
                }
            }
        }

        #[test]
        fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let (whole, _) = complete(&bytes, MAX_ACCEPTED_BYTES);
            let mut run = Bytes::from(bytes).split_to(whole);
            while let Ok(Some(_)) = next(&mut run) {}
        }
    }

    #[test]
    fn a_lying_length_is_refused_before_its_bytes_come() {
        let mut bytes = Vec::new();
        varint::write(&mut bytes, 1 << 40);
        let found = 1 << 40;
        let error = SessionError::FrameTooLarge { limit: MAX_ACCEPTED_BYTES, found };
        assert_eq!(complete(&bytes, MAX_ACCEPTED_BYTES), (0, Err(error)));
        assert_eq!(
            complete(&[0xff; 8], MAX_ACCEPTED_BYTES),
            (0, Err(SessionError::Varint { what: "length of a frame" }))
        );
        let mut run = Bytes::from_static(&[2, 0x80, 0x80]);
        assert_eq!(next(&mut run), Err(SessionError::Varint { what: "header of a frame" }));
    }
}
