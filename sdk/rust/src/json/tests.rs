use std::format;
use std::string::{String, ToString};
use std::vec::Vec;

use super::*;

fn skipped(text: &str) -> Result<(), String> {
    let mut json = Json::new(text.as_bytes());
    json.skip().and_then(|()| json.end()).map_err(|reject| {
        assert_eq!(reject.code, MALFORMED);
        reject.reason.as_str().to_string()
    })
}

#[test]
fn values_are_read() {
    let mut json = Json::new(
        br#" {"a": 9007199254740991, "b": [true, false, null, "x\n\u00e9\ud83d\ude00"], "c": {}} "#,
    );
    assert_eq!(json.kind(), Some(Kind::Object));
    json.object().unwrap();
    assert_eq!(json.member().unwrap(), Some("a"));
    assert_eq!(json.integer().unwrap(), MAX_INTEGER);
    assert_eq!(json.member().unwrap(), Some("b"));
    json.list().unwrap();
    assert!(json.item().unwrap() && json.boolean().unwrap());
    assert!(json.item().unwrap() && !json.boolean().unwrap());
    assert!(json.item().unwrap() && json.null());
    assert!(json.item().unwrap());
    assert_eq!(json.string().unwrap(), "x\né😀");
    assert!(!json.item().unwrap());
    assert_eq!(json.member().unwrap(), Some("c"));
    json.object().unwrap();
    assert_eq!(json.member().unwrap(), None);
    assert_eq!(json.member().unwrap(), None);
    json.end().unwrap();
}

#[test]
fn keys_are_64_lower_case_digits() {
    let digits = "0123456789abcdef".repeat(4);
    let text = format!("\"{digits}\"");
    let mut json = Json::new(text.as_bytes());
    let key = json.key().unwrap();
    json.end().unwrap();
    assert_eq!(Text::new().key(key).as_str(), digits);
    for wrong in [digits.to_uppercase(), digits[1..].into(), format!("{digits}0"), digits.replace('f', "g")] {
        let text = format!("\"{wrong}\"");
        assert!(Json::new(text.as_bytes()).key().is_err(), "{wrong}");
    }
}

#[test]
fn what_all_readers_take_is_taken() {
    for text in [
        "0",
        "-0",
        "10.5e-3",
        "1E+9",
        "\"\"",
        "\"\\\\\\\"\\/\\b\\f\\n\\r\\t\"",
        "[]",
        "[1,[2,[3]]]",
        "{}",
        "\t{\"a\" : 1 ,\r\n\"A\":2}",
        "\"\u{7f}é\"",
        "true",
        "false",
        "null",
        "{\"\":{\"\":0},\"a\":{\"\":0}}",
    ] {
        assert_eq!(skipped(text), Ok(()), "{text}");
    }
    assert_eq!(skipped(&("[".repeat(32) + &"]".repeat(32))), Ok(()));
}

#[test]
fn what_readers_could_disagree_on_is_refused() {
    for text in [
        "",
        " ",
        "01",
        "-",
        "1.",
        ".5",
        "1e",
        "+1",
        "nul",
        "nulll",
        "tru",
        "True",
        "[1,]",
        "[,1]",
        "[1 2]",
        "{,}",
        "{\"a\"}",
        "{\"a\":}",
        "{\"a\":1,}",
        "{a:1}",
        "{'a':1}",
        "{\"a\":1,\"a\":2}",
        "{\"\\u0061\":1}",
        "\"\\x\"",
        "\"\\ud800\"",
        "\"\\udc00\"",
        "\"\\ud800\\u0041\"",
        "\"\\u00g0\"",
        "\"\\u00\"",
        "\"a",
        "\"a\n\"",
        "1 2",
        "{} {}",
        "[",
        "]",
        "{\"a\":[}",
        "\u{feff}1",
        "//\n1",
        "NaN",
        "{\"a\":1 \"b\":2}",
    ] {
        assert!(skipped(text).is_err(), "{text}");
    }
    assert!(skipped(&("[".repeat(33) + &"]".repeat(33))).unwrap_err().ends_with("too deep"));
    let mut json = Json::new(b"\"\xff\"");
    assert!(json.string().is_err());
}

#[test]
fn a_reason_says_where() {
    assert_eq!(skipped("[1,]").unwrap_err(), "malformed JSON at byte 3: expected a value");
    let mut json = Json::new(b"{\"nope\": 1}");
    json.object().unwrap();
    let name = json.member().unwrap().unwrap();
    assert_eq!(json.unknown(name).reason.as_str(), "malformed JSON at byte 8: unknown member nope");
}

#[test]
fn integers_are_exact_and_plain() {
    for (text, value) in [("0", Some(0)), ("7 ", Some(7)), ("9007199254740991", Some(MAX_INTEGER))] {
        assert_eq!(Json::new(text.as_bytes()).integer().ok(), value, "{text}");
    }
    for text in ["9007199254740992", "-1", "1.0", "1e3", "007", "99999999999999999999", "x", ""] {
        assert!(Json::new(text.as_bytes()).integer().is_err(), "{text}");
    }
}

#[test]
fn members_are_counted_and_forgotten() {
    let object = |count: usize| {
        let members: Vec<String> = (0..count).map(|number| format!("\"{number}\":0")).collect();
        format!("{{{}}}", members.join(","))
    };
    assert_eq!(skipped(&object(128)), Ok(()));
    assert!(skipped(&object(129)).unwrap_err().ends_with("too many members"));
    let many = [object(128), object(128), object(128)].join(",");
    assert_eq!(skipped(&format!("[{many}]")), Ok(()));
}

#[test]
fn members_and_items_are_where_they_belong() {
    let mut json = Json::new(b"[1]");
    assert!(json.member().is_err());
    let mut json = Json::new(b"[1]");
    json.list().unwrap();
    assert!(json.member().is_err());
    let mut json = Json::new(b"{\"a\":1}");
    json.object().unwrap();
    assert!(json.item().is_err());
}
