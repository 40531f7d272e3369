//! One encoding for each message.
//!
//! A message that is signed, or whose hash stands for it, must not have two encodings. [`decode`] takes only the one
//! that encoding it again gives: fields in ascending order, each once unless it is repeated, none at its default value,
//! none unknown, every varint as short as it can be. A [`Schema`] lets it say what is wrong, and count repeated fields
//! before anything is allocated for them.

use std::fmt;

use bytes::Bytes;
use prost::Message;

use crate::ProtoError;

/// Shape of a message.
#[derive(Debug)]
pub(crate) struct Schema {
    /// Name in errors.
    pub(crate) message: &'static str,
    /// Fields in ascending order of their numbers.
    pub(crate) fields: &'static [Field],
}

/// Shape of a field.
#[derive(Debug)]
pub(crate) struct Field {
    pub(crate) number: u32,
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
}

/// Type of a field.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Kind {
    /// A number up to a largest one; a `bool` is a number up to 1.
    Number(u64),
    /// Bytes or text.
    Bytes,
    /// Bytes, this many times at most.
    EachBytes(usize),
    /// A message.
    Message(&'static Schema),
    /// A message, this many times at most.
    EachMessage(&'static Schema, usize),
}

impl Kind {
    pub(crate) const BOOL: Self = Self::Number(1);
    pub(crate) const U32: Self = Self::Number(u32::MAX as u64);
    pub(crate) const U64: Self = Self::Number(u64::MAX);
    /// The numbers of an enumeration that are not negative.
    pub(crate) const ENUM: Self = Self::Number(i32::MAX as u64);
}

pub(crate) const fn field(number: u32, name: &'static str, kind: Kind) -> Field {
    Field { number, name, kind }
}

/// In what way an encoding is not the canonical one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deviation {
    /// The bytes end inside a field.
    CutShort,
    /// A varint has more bytes than it needs, or stands for no number of 64 bits.
    LongVarint,
    /// A number is larger than the type of its field.
    LargeNumber,
    /// A field has a number that the message does not know.
    UnknownField,
    /// A field is of another wire type than it should be.
    WireType,
    /// A field stands behind one with a larger number.
    OutOfOrder,
    /// A field that stands once stands there again.
    Duplicate,
    /// A field has its default value, which is left out.
    DefaultValue,
    /// Encoding the message again gives other bytes.
    Differs,
}

impl fmt::Display for Deviation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::CutShort => "bytes that end inside a field",
            Self::LongVarint => "a varint that is longer than it needs to be",
            Self::LargeNumber => "a number that is too large for its field",
            Self::UnknownField => "a field that the message does not have",
            Self::WireType => "a field of another wire type",
            Self::OutOfOrder => "a field behind one with a larger number",
            Self::Duplicate => "a field for the second time",
            Self::DefaultValue => "a field with its default value",
            Self::Differs => "other bytes than encoding it again gives",
        })
    }
}

/// Decodes a message from its canonical encoding.
pub(crate) fn decode<M: Message + Default>(schema: &Schema, body: Bytes) -> Result<M, ProtoError> {
    scan(schema, &body, 0)?;
    let message =
        M::decode(body.clone()).map_err(|error| ProtoError::Malformed { message: schema.message, error })?;
    if message.encode_to_vec() != body {
        let (message, deviation) = (schema.message, Deviation::Differs);
        return Err(ProtoError::NotCanonical { message, at: 0, deviation });
    }
    Ok(message)
}

/// Walks over a message that begins at a position, and over the messages inside it.
fn scan(schema: &Schema, body: &[u8], begin: usize) -> Result<(), ProtoError> {
    let mut rest = body;
    let position = |rest: &[u8]| begin.saturating_add(body.len().saturating_sub(rest.len()));
    let mut fields = schema.fields.iter().peekable();
    let (mut last, mut times) = (0, 0_usize);
    while !rest.is_empty() {
        let at = position(rest);
        let fault = |deviation| ProtoError::NotCanonical { message: schema.message, at, deviation };
        let key = varint(&mut rest).map_err(fault)?;
        let (number, wire_type) = (key >> 3, key & 7);
        if number < last {
            return Err(fault(Deviation::OutOfOrder));
        }
        times = if number == last { times.saturating_add(1) } else { 1 };
        last = number;
        while fields.next_if(|field| u64::from(field.number) < number).is_some() {}
        let Some(field) = fields.peek().filter(|field| u64::from(field.number) == number) else {
            return Err(fault(Deviation::UnknownField));
        };
        match (field.kind, wire_type) {
            (Kind::Number(_), 0) | (Kind::Bytes | Kind::Message(_), 2) if times > 1 => {
                return Err(fault(Deviation::Duplicate));
            }
            (Kind::EachBytes(limit) | Kind::EachMessage(_, limit), 2) if times > limit => {
                let (message, field) = (schema.message, field.name);
                return Err(ProtoError::TooLong { message, field, limit, found: times });
            }
            (Kind::Number(largest), 0) => match varint(&mut rest).map_err(fault)? {
                0 => return Err(fault(Deviation::DefaultValue)),
                number if number > largest => return Err(fault(Deviation::LargeNumber)),
                _ => {}
            },
            (Kind::Bytes, 2) => {
                if value(&mut rest).map_err(fault)?.is_empty() {
                    return Err(fault(Deviation::DefaultValue));
                }
            }
            (Kind::EachBytes(_), 2) => drop(value(&mut rest).map_err(fault)?),
            (Kind::Message(inner) | Kind::EachMessage(inner, _), 2) => {
                let body = value(&mut rest).map_err(fault)?;
                scan(inner, body, position(rest).saturating_sub(body.len()))?;
            }
            _ => return Err(fault(Deviation::WireType)),
        }
    }
    Ok(())
}

/// Takes a length and as many bytes.
fn value<'a>(rest: &mut &'a [u8]) -> Result<&'a [u8], Deviation> {
    let len = usize::try_from(varint(rest)?).map_err(|_| Deviation::CutShort)?;
    let (value, after) = rest.split_at_checked(len).ok_or(Deviation::CutShort)?;
    *rest = after;
    Ok(value)
}

/// Takes a varint in its shortest form.
fn varint(rest: &mut &[u8]) -> Result<u64, Deviation> {
    let mut number = 0_u64;
    for shift in (0..64).step_by(7) {
        let (byte, after) = rest.split_first().ok_or(Deviation::CutShort)?;
        *rest = after;
        let bits = u64::from(byte & 0x7f);
        if shift == 63 && bits > 1 {
            return Err(Deviation::LongVarint);
        }
        number |= bits << shift;
        if byte & 0x80 == 0 {
            return if *byte == 0 && shift > 0 { Err(Deviation::LongVarint) } else { Ok(number) };
        }
    }
    Err(Deviation::LongVarint)
}
