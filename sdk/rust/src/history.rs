//! Earlier blocks of the stream.
//!
//! The module needs the marker: `rule! { ..., needs: [history] }`. Not in `init`, which runs before there is a history
//! that everybody has.

use crate::buffer::filled;
use crate::bytes::{Input, Key};
use crate::host;

/// Bytes that [`block`] tries with first.
const FIRST_TRY: usize = 4096;

/// Returns an earlier block; `None` from the entry's own index on.
pub fn block(index: u64) -> Option<&'static [u8]> {
    filled(FIRST_TRY, |out| host::get_block(index, out))
}

/// An action that was accepted earlier.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Action {
    /// Who signed it.
    pub author: Key,
    /// How many entries the author had before it.
    pub sequence: u64,
    /// What the author said.
    pub payload: &'static [u8],
}

/// Returns the action in an earlier block; `None` where there is another entry, or none before this one.
pub fn action(index: u64) -> Option<Action> {
    let mut entry = Input(block(index)?);
    let Field { number: 1, bytes: Some(action), .. } = field(&mut entry)? else { return None };
    let (mut author, mut sequence, mut payload) = (None, 0, &[][..]);
    let mut fields = Input(action);
    while let Some(Field { number, value, bytes }) = field(&mut fields) {
        match (number, bytes) {
            (1, Some(bytes)) => author = bytes.try_into().ok().map(Key),
            (2, None) => sequence = value,
            (6, Some(bytes)) => payload = bytes,
            _ => {}
        }
    }
    Some(Action { author: author?, sequence, payload })
}

/// A field of a protobuf message (proto/stream.proto). A room lets in canonical blocks only.
struct Field {
    number: u64,
    value: u64,
    bytes: Option<&'static [u8]>,
}

fn field(message: &mut Input<'static>) -> Option<Field> {
    let tag = message.varint()?;
    let value = message.varint()?;
    let bytes = match tag & 7 {
        0 => None,
        2 => Some(message.take(usize::try_from(value).ok()?)?),
        _ => return None,
    };
    Some(Field { number: tag >> 3, value, bytes })
}
