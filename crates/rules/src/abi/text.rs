//! Texts of a rule, made fit for people. Outside consensus.

use crate::limits::MAX_REASON_BYTES;

/// Reads at most `limit` bytes of UTF-8, up to a character's end. What is no text and what steers a terminal is replaced.
fn readable(bytes: &[u8], limit: usize, steers: impl Fn(char) -> bool) -> String {
    let is_inside = |end: &usize| bytes.get(*end).is_some_and(|byte| byte & 0xc0 == 0x80);
    let end = (limit.saturating_sub(3)..=limit).rev().find(|end| !is_inside(end)).unwrap_or(limit);
    let text = String::from_utf8_lossy(bytes.get(..end).unwrap_or(bytes));
    let mut text: String =
        text.chars().map(|c| if steers(c) { char::REPLACEMENT_CHARACTER } else { c }).collect();
    text.truncate(text.floor_char_boundary(limit));
    text
}

/// Reads a reason.
pub(super) fn reason(bytes: &[u8]) -> String {
    readable(bytes, MAX_REASON_BYTES, char::is_control)
}

/// Reads a message for the log, which may have several lines.
pub(super) fn log(bytes: &[u8], limit: usize) -> String {
    readable(bytes, limit, |c| c.is_control() && !matches!(c, '\n' | '\t'))
}

/// Reads a string of AssemblyScript: UTF-16, with its length in bytes in the four before it.
pub(super) fn utf16(memory: &[u8], pointer: i32) -> Option<String> {
    let start = usize::try_from(pointer.cast_unsigned()).ok()?;
    let length = memory.get(start.checked_sub(4)?..start)?.first_chunk()?;
    let length = usize::try_from(u32::from_le_bytes(*length)).ok()?.min(2 * MAX_REASON_BYTES);
    let units = memory.get(start..start.checked_add(length)?)?.as_chunks::<2>().0;
    let text =
        String::from_utf16(&units.iter().map(|unit| u16::from_le_bytes(*unit)).collect::<Vec<_>>()).ok()?;
    Some(reason(text.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_are_cut_between_characters() {
        assert_eq!(reason("né".as_bytes()), "né");
        let long = "é".repeat(200);
        assert_eq!(reason(long.as_bytes()), "é".repeat(128));
        let odd = format!("x{long}");
        assert_eq!(reason(odd.as_bytes()), format!("x{}", "é".repeat(127)));
        assert!(reason(&[0xff; 300]).len() <= MAX_REASON_BYTES);
    }

    #[test]
    fn what_is_no_text_is_replaced() {
        assert_eq!(reason(b"a\xffb\xc3"), "a\u{fffd}b\u{fffd}");
        assert_eq!(reason(b"\x1b[31mred\nline"), "\u{fffd}[31mred\u{fffd}line");
        assert_eq!(log(b"one\ntwo\x07", 100), "one\ntwo\u{fffd}");
    }

    #[test]
    fn strings_of_assemblyscript_are_read() {
        let mut memory = vec![0; 16];
        memory.extend(6_u32.to_le_bytes());
        memory.extend("né!".encode_utf16().flat_map(u16::to_le_bytes));
        assert_eq!(utf16(&memory, 20).as_deref(), Some("né!"));
        memory[16] = 255;
        for pointer in [0, 3, 20, 27, -1] {
            assert_eq!(utf16(&memory, pointer), None, "{pointer}");
        }
    }
}
