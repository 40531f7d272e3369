//! Objects of JSON that people write, field by field.

use std::fmt;

use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

/// Longest number that a message repeats, in bytes.
const MAX_SHOWN_BYTES: usize = 24;

/// The fields of an object, in their order, each as it was written.
///
/// What is derived takes an array in the place of an object; this takes none.
#[derive(Debug)]
pub(super) struct Fields(Vec<(String, Box<RawValue>)>);

impl Fields {
    /// Reads the object that a text is. `expected` says what it has, for where the text is something else.
    pub(super) fn read(text: &[u8], expected: &str) -> Result<Self, String> {
        // An end of line behind the last byte would be a line of its own in the place of an error.
        let text = text.trim_ascii_end();
        let json: &RawValue = serde_json::from_slice(text).map_err(|error| {
            let line = if text.contains(&b'\n') { format!("line {}, ", error.line()) } else { String::new() };
            let (column, said) = (error.column(), said(&error));
            format!("expected {expected}, found what is no JSON in {line}column {column}: {said}")
        })?;
        Self::of(json, expected)
    }

    /// Reads the object that a value is, like [`Fields::read`].
    pub(super) fn of(json: &RawValue, expected: &str) -> Result<Self, String> {
        if !json.get().starts_with('{') {
            return Err(format!("expected {expected}, found {}", kind(json)));
        }
        serde_json::from_str(json.get()).map_err(|error| {
            format!("expected {expected}, found the name of a field with an error: {}", said(&error))
        })
    }

    /// Returns a field; `None` when it is not there. One that is there twice says two things.
    pub(super) fn get(&self, name: &str) -> Result<Option<&RawValue>, String> {
        let mut found = self.all().filter(|(field, _)| *field == name);
        match (found.next(), found.next()) {
            (Some(_), Some(_)) => Err(format!("expected {name} once, found it twice")),
            (first, _) => Ok(first.map(|(_, json)| json)),
        }
    }

    /// Returns a field that is a string; `None` when it is not there, or `null`.
    pub(super) fn string(&self, name: &str) -> Result<Option<String>, String> {
        let there = self.get(name)?.filter(|json| json.get() != "null");
        there.map(|json| string(json, name)).transpose()
    }

    /// Returns a field that must be there, and is a string.
    pub(super) fn required(&self, name: &str) -> Result<String, String> {
        self.string(name)?.ok_or_else(|| format!("expected a string as {name}, found none"))
    }

    /// Returns the first field that is none of these.
    pub(super) fn other_than(&self, names: &[&str]) -> Option<&str> {
        self.all().map(|(field, _)| field).find(|field| !names.contains(field))
    }

    /// Lists all fields, those that come twice as well.
    pub(super) fn all(&self) -> impl Iterator<Item = (&str, &RawValue)> {
        self.0.iter().map(|(field, json)| (field.as_str(), &**json))
    }
}

impl<'de> Deserialize<'de> for Fields {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_map(FieldsVisitor)
    }
}

struct FieldsVisitor;

impl<'de> Visitor<'de> for FieldsVisitor {
    type Value = Fields;

    fn expecting(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Fields, A::Error> {
        let mut fields = Vec::new();
        while let Some(field) = map.next_entry()? {
            fields.push(field);
        }
        Ok(Fields(fields))
    }
}

/// Reads the string that a value is, which stands for `name`.
pub(super) fn string(json: &RawValue, name: &str) -> Result<String, String> {
    if !json.get().starts_with('"') {
        return Err(format!("expected a string as {name}, found {}", kind(json)));
    }
    serde_json::from_str(json.get())
        .map_err(|error| format!("expected a string as {name}, found one with an error: {}", said(&error)))
}

/// Reads the elements of the array that a value is, which stands for `name`.
pub(super) fn elements<'a>(json: &'a RawValue, name: &str) -> Result<Vec<&'a RawValue>, String> {
    serde_json::from_str(json.get()).map_err(|_| format!("expected an array as {name}, found {}", kind(json)))
}

/// Says what a value is: `an array`, `null`, `-1`.
pub(super) fn kind(json: &RawValue) -> &str {
    let text = json.get();
    match text.as_bytes().first() {
        Some(b'{') => "an object",
        Some(b'[') => "an array",
        Some(b'"') => "a string",
        _ if text.len() <= MAX_SHOWN_BYTES => text,
        _ => "a number",
    }
}

/// Returns what is wrong, without the place.
fn said(error: &serde_json::Error) -> String {
    let said = error.to_string();
    let place = format!(" at line {} column {}", error.line(), error.column());
    said.strip_suffix(&place).unwrap_or(&said).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(text: &str) -> String {
        Fields::read(text.as_bytes(), "an object with a").unwrap_err()
    }

    #[test]
    fn an_object_is_taken_and_nothing_else() {
        let fields = Fields::read(b" {\"a\": [1, 2.50], \"b\": \"x\\n\", \"c\": null}\r\n", "").unwrap();
        assert_eq!(fields.get("a").unwrap().unwrap().get(), "[1, 2.50]");
        assert_eq!(fields.string("b").unwrap().as_deref(), Some("x\n"));
        assert_eq!((fields.string("c"), fields.get("d").unwrap().is_none()), (Ok(None), true));
        assert_eq!(fields.get("c").unwrap().unwrap().get(), "null");
        assert_eq!((fields.other_than(&["a", "c"]), fields.other_than(&["a", "b", "c"])), (Some("b"), None));
        for (text, found) in [
            ("[]", "an array"),
            ("[\"a\", 1, null]", "an array"),
            ("\"{}\"", "a string"),
            ("5", "5"),
            ("true", "true"),
            ("null", "null"),
            ("1234567890123456789012345", "a number"),
        ] {
            assert_eq!(problem(text), format!("expected an object with a, found {found}"));
        }
    }

    #[test]
    fn the_place_of_an_error_is_the_column_and_the_line_where_there_are_several() {
        let no_json = "expected an object with a, found what is no JSON in";
        assert_eq!(problem("{\"a\"}\n"), format!("{no_json} column 5: expected `:`"));
        assert_eq!(problem("{\"a\":1\n"), format!("{no_json} column 6: EOF while parsing an object"));
        assert_eq!(problem("{\n\"a\":1,\n}"), format!("{no_json} line 3, column 1: key must be a string"));
        assert!(problem("{\"\\ud800\":1}").contains("the name of a field with an error: "));
    }

    #[test]
    fn fields_of_another_kind_are_told_by_name() {
        let fields = Fields::read(b"{\"a\":1,\"b\":{},\"a\":2,\"c\":\"\\ud800\"}", "").unwrap();
        assert_eq!(fields.string("a"), Err("expected a once, found it twice".into()));
        assert_eq!(fields.string("b"), Err("expected a string as b, found an object".into()));
        assert_eq!(fields.required("d"), Err("expected a string as d, found none".into()));
        assert!(fields.string("c").is_err_and(|problem| problem.contains("hex escape")));
        let elements = |name: &str| elements(fields.get(name).unwrap().unwrap(), name).map(|all| all.len());
        assert_eq!(elements("b"), Err("expected an array as b, found an object".into()));
    }
}
