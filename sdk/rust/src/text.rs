//! Text without an allocator.

use core::fmt;

use crate::buffer::{buffer, kept};
use crate::bytes::Key;

/// UTF-8 text in the making, for reasons, logs and answers. Its functions return the text itself, so they chain; it is a
/// [`fmt::Write`] as well, at the price of some kilobytes of module.
pub struct Text {
    bytes: &'static mut [u8],
    size: usize,
}

/// Bytes that a text begins with.
const ROOM: usize = 256;

impl Text {
    /// An empty text.
    pub fn new() -> Self {
        Self { bytes: buffer(ROOM), size: 0 }
    }

    /// A text that begins with `words`.
    pub fn of(words: &str) -> Self {
        Self::new().words(words)
    }

    /// Appends words.
    #[must_use]
    pub fn words(mut self, words: &str) -> Self {
        self.push(words.as_bytes());
        self
    }

    /// Appends a number in decimal digits.
    #[must_use]
    pub fn number(mut self, value: u64) -> Self {
        let mut digits = [0; 20];
        let mut from = digits.len();
        let mut rest = value;
        loop {
            from -= 1;
            digits[from] = b'0' + (rest % 10) as u8;
            rest /= 10;
            if rest == 0 {
                break;
            }
        }
        self.push(&digits[from..]);
        self
    }

    /// Appends bytes as hexadecimal digits.
    #[must_use]
    pub fn hex(mut self, bytes: &[u8]) -> Self {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        for byte in bytes {
            self.push(&[DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]]);
        }
        self
    }

    /// Appends all 64 digits of a key.
    #[must_use]
    pub fn key(self, key: Key) -> Self {
        self.hex(&key.0)
    }

    /// Appends the first 8 digits of a key, as commands print them.
    #[must_use]
    pub fn short(self, key: Key) -> Self {
        self.hex(&key.0[..4])
    }

    /// The text so far.
    pub fn as_str(&self) -> &str {
        // Only whole strings and ASCII are ever appended.
        core::str::from_utf8(self.as_bytes()).unwrap_or_default()
    }

    /// Its bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.size]
    }

    fn push(&mut self, more: &[u8]) {
        let end = self.size + more.len();
        if end > self.bytes.len() {
            let larger = buffer(2 * end);
            larger[..self.size].copy_from_slice(&self.bytes[..self.size]);
            self.bytes = larger;
        }
        self.bytes[self.size..end].copy_from_slice(more);
        self.size = end;
    }
}

impl Default for Text {
    fn default() -> Self {
        Self::new()
    }
}

impl From<&str> for Text {
    fn from(words: &str) -> Self {
        Self { bytes: kept(words.as_bytes()), size: words.len() }
    }
}

impl fmt::Write for Text {
    fn write_str(&mut self, words: &str) -> fmt::Result {
        self.push(words.as_bytes());
        Ok(())
    }
}

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

#[cfg(test)]
mod tests {
    use core::fmt::Write;

    use super::*;

    #[test]
    fn text_is_put_together() {
        let key = Key([0xab; 32]);
        let text = Text::of("it is ")
            .number(0)
            .words("é")
            .number(u64::MAX)
            .words(" ")
            .short(key)
            .words(" ")
            .hex(&[0, 0x1f]);
        assert_eq!(text.as_str(), "it is 0é18446744073709551615 abababab 001f");
        assert_eq!(Text::new().key(key).as_str(), "ab".repeat(32));
    }

    #[test]
    fn text_grows_and_keeps_what_it_has() {
        let mut text = Text::from("a");
        for _ in 0..1000 {
            text = text.words("bc");
        }
        assert_eq!(text.as_bytes().len(), 2001);
        assert!(text.as_str().starts_with("abcbc") && text.as_str().ends_with("bcbc"));
        let mut text = Text::new();
        write!(text, "{:>4}|{:?}", 7, "x").unwrap();
        assert_eq!(text.as_str(), "   7|\"x\"");
    }
}
