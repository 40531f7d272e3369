//! Strings, numbers and digits.

use crate::buffer::buffer;

/// The characters of a string up to its closing quote, as they stand; or where and what is wrong with it.
pub(super) fn string(bytes: &[u8]) -> Result<&str, (usize, &'static str)> {
    let mut at = 0;
    loop {
        match bytes.get(at) {
            None => return Err((at, "a string without an end")),
            Some(b'"') => break,
            Some(b'\\') => match escape(&bytes[at..]) {
                Some((_, size)) => at += size,
                None => return Err((at, "an escape that is not allowed")),
            },
            Some(0..0x20) => return Err((at, "a character that is not allowed")),
            Some(_) => at += 1,
        }
    }
    core::str::from_utf8(&bytes[..at]).map_err(|error| (error.valid_up_to(), "bytes that are no UTF-8"))
}

/// Decodes the escapes of a string that [`string`] has returned.
pub(super) fn decode(raw: &str) -> &'static str {
    // An escape is never shorter than the character it stands for.
    let out = buffer(raw.len());
    let mut size = 0;
    let mut rest = raw.as_bytes();
    while let Some(byte) = rest.first() {
        let taken = match escape(rest) {
            Some((character, taken)) if *byte == b'\\' => {
                size += character.encode_utf8(&mut out[size..]).len();
                taken
            }
            _ => {
                out[size] = *byte;
                size += 1;
                1
            }
        };
        rest = &rest[taken..];
    }
    core::str::from_utf8(&out[..size]).unwrap_or_default()
}

/// The character of the escape that begins here, and its bytes; `None` where it is unknown, cut off, or half of a
/// surrogate pair.
fn escape(bytes: &[u8]) -> Option<(char, usize)> {
    let character = match bytes.get(1)? {
        b'"' => '"',
        b'\\' => '\\',
        b'/' => '/',
        b'b' => '\u{8}',
        b'f' => '\u{c}',
        b'n' => '\n',
        b'r' => '\r',
        b't' => '\t',
        b'u' => return unicode(bytes),
        _ => return None,
    };
    Some((character, 2))
}

fn unicode(bytes: &[u8]) -> Option<(char, usize)> {
    let unit = code_unit(bytes)?;
    if !(0xd800..0xdc00).contains(&unit) {
        return Some((char::from_u32(unit)?, 6));
    }
    let low = bytes.get(6..).and_then(code_unit).filter(|low| (0xdc00..0xe000).contains(low))?;
    Some((char::from_u32(0x10000 + ((unit - 0xd800) << 10) + (low - 0xdc00))?, 12))
}

/// The four digits of a `\u`.
fn code_unit(bytes: &[u8]) -> Option<u32> {
    let digits = bytes.strip_prefix(b"\\u")?.get(..4)?;
    digits.iter().try_fold(0, |unit, digit| Some(unit << 4 | char::from(*digit).to_digit(16)?))
}

/// Bytes of the number at the beginning; `None` where it is malformed.
pub(super) fn number(bytes: &[u8]) -> Option<usize> {
    let digits = |from: usize| bytes[from..].iter().take_while(|byte| byte.is_ascii_digit()).count();
    let mut at = usize::from(bytes.first() == Some(&b'-'));
    at += match bytes.get(at) {
        Some(b'0') => 1,
        _ => Some(digits(at)).filter(|count| *count > 0)?,
    };
    if bytes.get(at) == Some(&b'.') {
        at += 1 + Some(digits(at + 1)).filter(|count| *count > 0)?;
    }
    if let Some(b'e' | b'E') = bytes.get(at) {
        at += 1 + usize::from(matches!(bytes.get(at + 1), Some(b'+' | b'-')));
        at += Some(digits(at)).filter(|count| *count > 0)?;
    }
    Some(at)
}

/// Decodes 64 lower-case hexadecimal digits.
pub(super) fn hex(digits: &[u8]) -> Option<[u8; 32]> {
    let value = |digit: u8| match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    };
    let mut out = [0; 32];
    if digits.len() != 2 * out.len() {
        return None;
    }
    for (byte, pair) in out.iter_mut().zip(digits.chunks_exact(2)) {
        *byte = value(pair[0])? << 4 | value(pair[1])?;
    }
    Some(out)
}
