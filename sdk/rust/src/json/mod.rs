//! Reads JSON so strictly that no two readers can disagree on what it says: a member twice, an escape in a name, half of
//! a surrogate pair, a byte that is no UTF-8, a number that is no integer up to 2^53-1, anything after the value are all
//! rejected, with [`MALFORMED`].
//!
//! ```
//! use quorate_rule::{Json, Key, Reject};
//!
//! fn transfer(payload: &[u8]) -> Result<(Key, u64), Reject> {
//!     let mut json = Json::new(payload);
//!     let (mut to, mut amount) = (None, None);
//!     json.object()?;
//!     while let Some(name) = json.member()? {
//!         match name {
//!             "to" => to = Some(json.key()?),
//!             "amount" => amount = Some(json.integer()?),
//!             _ => return Err(json.unknown(name)),
//!         }
//!     }
//!     json.end()?;
//!     to.zip(amount).ok_or_else(|| json.refuse("expected to and amount"))
//! }
//! ```

mod text;

use crate::buffer::buffer;
use crate::bytes::{Input, Key};
use crate::text::Text;
use crate::verdict::{MALFORMED, Reject, reject};

/// Largest integer that every reader of JSON keeps exactly: 2^53 - 1.
pub const MAX_INTEGER: u64 = (1 << 53) - 1;

/// Containers that may be open at once.
const DEPTH: usize = 32;
/// Members of one object.
const MEMBERS: usize = 128;
/// Members of all open objects together.
const NAMES: usize = 256;
/// Bytes that a name is kept in: where it begins and how long it is, each a little-endian u32.
const SPAN: usize = 8;

/// What a value is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// An object.
    Object,
    /// A list.
    List,
    /// A string.
    String,
    /// A number.
    Number,
    /// True or false.
    Bool,
    /// Null.
    Null,
}

/// A reader of one document. After an error it is of no use.
#[derive(Debug)]
pub struct Json<'a> {
    bytes: &'a [u8],
    at: usize,
    /// Open containers, the innermost last.
    open: [Container; DEPTH],
    depth: usize,
    /// Whether the innermost container has been entered and nothing of it been read.
    fresh: bool,
    /// Names of the open objects, [`SPAN`] bytes each: memory that is handed out costs nothing until it is written.
    names: &'static mut [u8],
    count: usize,
}

#[derive(Debug, Clone, Copy)]
struct Container {
    is_object: bool,
    /// Where its names begin.
    first: u16,
}

impl<'a> Json<'a> {
    /// Begins to read.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self {
            bytes,
            at: 0,
            open: [Container { is_object: false, first: 0 }; DEPTH],
            depth: 0,
            fresh: false,
            names: buffer(NAMES * SPAN),
            count: 0,
        }
    }

    /// Makes sure that all was read, to its end.
    pub fn end(&mut self) -> Result<(), Reject> {
        self.blank();
        if self.depth == 0 && self.at == self.bytes.len() {
            Ok(())
        } else {
            Err(self.refuse("expected the end"))
        }
    }

    /// Returns what the next value is; `None` when none comes.
    pub fn kind(&mut self) -> Option<Kind> {
        self.blank();
        match self.peek()? {
            b'{' => Some(Kind::Object),
            b'[' => Some(Kind::List),
            b'"' => Some(Kind::String),
            b'-' | b'0'..=b'9' => Some(Kind::Number),
            b't' | b'f' => Some(Kind::Bool),
            b'n' => Some(Kind::Null),
            _ => None,
        }
    }

    /// Steps into an object.
    pub fn object(&mut self) -> Result<(), Reject> {
        self.enter(b'{', "expected an object")
    }

    /// Goes to the next member of the object and returns its name; `None` after the last, when it has stepped out. Its
    /// value must be read before the next.
    pub fn member(&mut self) -> Result<Option<&'a str>, Reject> {
        let Some(container) = self.innermost().filter(|container| container.is_object) else {
            return Err(self.refuse("no object is being read"));
        };
        if !self.goes_on(b'}', "expected a comma or the end of the object")? {
            self.count = usize::from(container.first);
            return Ok(None);
        }
        self.blank();
        if self.peek() != Some(b'"') {
            return Err(self.refuse("expected the name of a member"));
        }
        let name = self.name()?;
        let first = usize::from(container.first);
        if (first..self.count).any(|one| self.named(one) == name.as_bytes()) {
            return Err(self.refuse("a member twice"));
        }
        if self.count - first == MEMBERS || self.count == NAMES {
            return Err(self.refuse("too many members"));
        }
        self.note(name);
        self.blank();
        self.byte(b':', "expected a colon")?;
        Ok(Some(name))
    }

    /// Steps into a list.
    pub fn list(&mut self) -> Result<(), Reject> {
        self.enter(b'[', "expected a list")
    }

    /// Goes to the next item of the list; false after the last, when it has stepped out. It must be read before the
    /// next.
    pub fn item(&mut self) -> Result<bool, Reject> {
        if self.innermost().is_none_or(|container| container.is_object) {
            return Err(self.refuse("no list is being read"));
        }
        self.goes_on(b']', "expected a comma or the end of the list")
    }

    /// Reads an integer from 0 to [`MAX_INTEGER`].
    pub fn integer(&mut self) -> Result<u64, Reject> {
        self.blank();
        let from = self.at;
        let rest = &self.bytes[from..];
        let size = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        // A fraction or an exponent does not follow; neither does a zero lead.
        let is_plain =
            !matches!(rest.get(size), Some(b'.' | b'e' | b'E')) && (size == 1 || rest.first() != Some(&b'0'));
        if is_plain && (1..=16).contains(&size) {
            let value = rest[..size].iter().fold(0, |value, digit| value * 10 + u64::from(digit - b'0'));
            if value <= MAX_INTEGER {
                self.at += size;
                return Ok(value);
            }
        }
        Err(self.refuse("expected an integer from 0 to 2^53-1"))
    }

    /// Reads true or false.
    pub fn boolean(&mut self) -> Result<bool, Reject> {
        if self.literal("true") {
            Ok(true)
        } else if self.literal("false") {
            Ok(false)
        } else {
            Err(self.refuse("expected true or false"))
        }
    }

    /// Reads null, if that is what comes.
    pub fn null(&mut self) -> bool {
        self.literal("null")
    }

    /// Reads a key or a hash: 64 lower-case hexadecimal digits.
    pub fn key(&mut self) -> Result<Key, Reject> {
        const EXPECTED: &str = "expected a key of 64 lower-case hexadecimal digits";
        self.blank();
        let quoted = self.bytes[self.at..].split_at_checked(66).map(|(quoted, _)| quoted);
        let key = match quoted {
            Some([b'"', digits @ .., b'"']) => text::hex(digits),
            _ => None,
        };
        let Some(key) = key else { return Err(self.refuse(EXPECTED)) };
        self.at += 66;
        Ok(Key(key))
    }

    /// Reads a string, with its escapes decoded.
    pub fn string(&mut self) -> Result<&'a str, Reject> {
        self.blank();
        if self.peek() != Some(b'"') {
            return Err(self.refuse("expected a string"));
        }
        let raw = self.raw()?;
        if raw.contains('\\') { Ok(text::decode(raw)) } else { Ok(raw) }
    }

    /// Reads over a value, whatever it is, as strictly as if it were read. Its numbers need not be integers.
    pub fn skip(&mut self) -> Result<(), Reject> {
        let outer = self.depth;
        self.skip_one()?;
        while self.depth > outer {
            let more = match self.open[self.depth - 1].is_object {
                true => self.member()?.is_some(),
                false => self.item()?,
            };
            if more {
                self.skip_one()?;
            }
        }
        Ok(())
    }

    /// Makes the rejection of a member that nobody knows.
    #[cold]
    pub fn unknown(&self, name: &str) -> Reject {
        reject(MALFORMED, self.place().words("unknown member ").words(name))
    }

    /// Makes the rejection of what was read last.
    #[cold]
    pub fn refuse(&self, reason: &str) -> Reject {
        reject(MALFORMED, self.place().words(reason))
    }

    fn place(&self) -> Text {
        Text::of("malformed JSON at byte ").number(self.at as u64).words(": ")
    }

    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn blank(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\n' | b'\r' | b'\t')) {
            self.at += 1;
        }
    }

    fn byte(&mut self, byte: u8, expected: &str) -> Result<(), Reject> {
        if self.peek() != Some(byte) {
            return Err(self.refuse(expected));
        }
        self.at += 1;
        Ok(())
    }

    fn literal(&mut self, word: &str) -> bool {
        self.blank();
        let is_there = self.bytes[self.at..].starts_with(word.as_bytes());
        if is_there {
            self.at += word.len();
        }
        is_there
    }

    fn innermost(&self) -> Option<Container> {
        self.depth.checked_sub(1).map(|last| self.open[last])
    }

    fn enter(&mut self, bracket: u8, expected: &str) -> Result<(), Reject> {
        self.blank();
        if self.peek() == Some(bracket) && self.depth == DEPTH {
            return Err(self.refuse("too deep"));
        }
        self.byte(bracket, expected)?;
        self.open[self.depth] = Container { is_object: bracket == b'{', first: self.count as u16 };
        self.depth += 1;
        self.fresh = true;
        Ok(())
    }

    /// Goes to what comes next in the innermost container, or steps out of it.
    fn goes_on(&mut self, bracket: u8, expected: &str) -> Result<bool, Reject> {
        self.blank();
        let fresh = core::mem::replace(&mut self.fresh, false);
        if self.peek() == Some(bracket) {
            self.at += 1;
            self.depth -= 1;
            return Ok(false);
        }
        if !fresh {
            self.byte(b',', expected)?;
        }
        Ok(true)
    }

    /// Keeps the name that ends before the last quote.
    fn note(&mut self, name: &str) {
        let from = self.at - 1 - name.len();
        let span = &mut self.names[self.count * SPAN..][..SPAN];
        span[..4].copy_from_slice(&(from as u32).to_le_bytes());
        span[4..].copy_from_slice(&(name.len() as u32).to_le_bytes());
        self.count += 1;
    }

    /// The bytes of a name that was kept.
    fn named(&self, one: usize) -> &'a [u8] {
        let mut span = Input(&self.names[one * SPAN..]);
        let (from, size) = (span.size().unwrap_or_default(), span.size().unwrap_or_default());
        &self.bytes[from..from + size]
    }

    /// Reads a name, at its quote.
    fn name(&mut self) -> Result<&'a str, Reject> {
        let name = self.raw()?;
        if name.contains('\\') { Err(self.refuse("an escape in a name")) } else { Ok(name) }
    }

    /// Reads a string, at its quote, without decoding what is valid in it.
    fn raw(&mut self) -> Result<&'a str, Reject> {
        let from = self.at + 1;
        match text::string(&self.bytes[from..]) {
            Ok(raw) => {
                self.at = from + raw.len() + 1;
                Ok(raw)
            }
            Err((at, problem)) => {
                self.at = from + at;
                Err(self.refuse(problem))
            }
        }
    }

    /// Steps into a container, reads over anything else.
    fn skip_one(&mut self) -> Result<(), Reject> {
        match self.kind() {
            Some(Kind::Object) => self.object(),
            Some(Kind::List) => self.list(),
            Some(Kind::String) => self.raw().map(drop),
            Some(Kind::Number) => match text::number(&self.bytes[self.at..]) {
                Some(size) => {
                    self.at += size;
                    Ok(())
                }
                None => Err(self.refuse("expected a number")),
            },
            Some(Kind::Bool) => self.boolean().map(drop),
            Some(Kind::Null) if self.null() => Ok(()),
            _ => Err(self.refuse("expected a value")),
        }
    }
}

#[cfg(test)]
mod tests;
