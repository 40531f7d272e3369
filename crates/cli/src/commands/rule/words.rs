//! Payloads, params and authors, as people write them in JSON.

use data_encoding::HEXLOWER_PERMISSIVE;
use quorate_types::{ModuleHash, PublicKey};
use serde_json::value::RawValue;

/// Longest name that stands for a key, in bytes: what is longer is a key that was written wrong.
const MAX_NAME_BYTES: usize = 32;

/// What stands before a name in a string that stands for the name's key.
const KEY: &str = "key:";

/// Reads an author: 64 hexadecimal digits, or a name.
pub(super) fn author(text: &str) -> Result<PublicKey, String> {
    if text.len() == 2 * PublicKey::LEN
        && let Ok(bytes) = HEXLOWER_PERMISSIVE.decode(text.as_bytes())
        && let Ok(key) = <[u8; PublicKey::LEN]>::try_from(bytes)
    {
        return Ok(PublicKey::new(key));
    }
    if text.is_empty() || text.len() > MAX_NAME_BYTES {
        return Err(format!("expected 64 hexadecimal digits or a name as author, found {text:?}"));
    }
    Ok(key_of(text))
}

/// Returns the key that a name stands for: nobody has its secret.
fn key_of(name: &str) -> PublicKey {
    PublicKey::new(*ModuleHash::of(format!("test key {name}").as_bytes()).as_bytes())
}

/// Reads bytes out of hexadecimal digits.
pub(super) fn hex(digits: &str) -> Result<Vec<u8>, String> {
    HEXLOWER_PERMISSIVE
        .decode(digits.as_bytes())
        .map_err(|error| format!("expected pairs of hexadecimal digits, found {error}"))
}

/// Writes JSON without white space, and everything else as it stands.
pub(super) fn compact(json: &RawValue) -> String {
    rewrite(json.get(), |_| None)
}

/// Writes JSON like [`compact`], with a key in the place of each string `key:NAME` that is a value.
pub(super) fn compact_with_keys(json: &RawValue) -> String {
    rewrite(json.get(), |string| {
        let text: String = serde_json::from_str(string).ok()?;
        let name = text.strip_prefix(KEY)?;
        Some(format!("\"{}\"", author(name).unwrap_or_else(|_| key_of(name))))
    })
}

/// Copies valid JSON without its white space; `replace` may say what stands for a string that is a value.
fn rewrite(json: &str, replace: impl Fn(&str) -> Option<String>) -> String {
    let mut out = String::with_capacity(json.len());
    let mut rest = json;
    while let Some(first) = rest.chars().next() {
        let (token, after) = rest.split_at(if first == '"' { string_end(rest) } else { first.len_utf8() });
        rest = after;
        if first == '"' && !after.trim_start().starts_with(':') {
            match replace(token) {
                Some(other) => out.push_str(&other),
                None => out.push_str(token),
            }
        } else if !matches!(first, ' ' | '\n' | '\r' | '\t') {
            out.push_str(token);
        }
    }
    out
}

/// Returns the length of the string that a text begins with, its quotes included.
fn string_end(text: &str) -> usize {
    let mut escaped = false;
    for (at, byte) in text.bytes().enumerate().skip(1) {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => return at + 1,
            _ => {}
        }
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALICE: &str = "a67e57833f3a55f9a8307f1bf98a96f95cb375c1850bbefac40a74bfd112f823";

    fn raw(json: &str) -> Box<RawValue> {
        RawValue::from_string(json.to_string()).unwrap()
    }

    #[test]
    fn json_loses_its_white_space_and_nothing_else() {
        let json = "{ \"b\" : [1.0, 1e3 ,\"a b\\\" :\\\\\" ],\n\t\"a\": {\"é\\u0041\":null} }";
        assert_eq!(compact(&raw(json)), "{\"b\":[1.0,1e3,\"a b\\\" :\\\\\"],\"a\":{\"é\\u0041\":null}}");
        assert_eq!(compact(&raw(" \"key:alice\" ")), "\"key:alice\"");
    }

    #[test]
    fn values_that_name_a_key_become_it() {
        let json = "{\"key:alice\": [\"key:alice\", \"akey:alice\"], \"to\" : \"key:alice\" }";
        assert_eq!(
            compact_with_keys(&raw(json)),
            format!("{{\"key:alice\":[\"{ALICE}\",\"akey:alice\"],\"to\":\"{ALICE}\"}}")
        );
        assert_eq!(compact_with_keys(&raw(&format!("\"key:{ALICE}\""))), format!("\"{ALICE}\""));
    }

    #[test]
    fn authors_are_keys_or_names() {
        assert_eq!(author("alice").unwrap().to_string(), ALICE);
        assert_eq!(author(ALICE).unwrap().to_string(), ALICE);
        assert_eq!(author(&ALICE.to_uppercase()).unwrap().to_string(), ALICE);
        for wrong in ["", &ALICE[1..], &format!("{ALICE}0"), &ALICE.replace('7', "x")] {
            assert!(author(wrong).is_err(), "{wrong}");
        }
    }

    proptest::proptest! {
        #[test]
        fn compact_json_says_the_same(strings: Vec<String>, numbers: Vec<i64>) {
            let value = serde_json::json!({"strings": strings, "numbers": [numbers, [true, null]]});
            let pretty = serde_json::to_string_pretty(&value).unwrap();
            proptest::prop_assert_eq!(compact(&raw(&pretty)), serde_json::to_string(&value).unwrap());
        }
    }
}
