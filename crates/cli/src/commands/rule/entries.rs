//! Entries, one JSON object a line.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;

use quorate_node::{Code, Failure};
use quorate_types::PublicKey;
use quorate_types::limits::MAX_PAYLOAD_BYTES;

use super::bench::NOBODY;
use super::fields::{self, Fields};
use super::words;
use crate::stop::{Outcome, Stop};

/// Longest line, in bytes: a payload whose every byte is an escape, and the rest.
const MAX_LINE_BYTES: u64 = 8 * MAX_PAYLOAD_BYTES as u64;

/// What some editors begin a file with.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// Fields of an entry.
const FIELDS: [&str; 3] = ["author", "payload", "hex"];

/// What an entry is.
const ENTRY: &str = "an object with author, payload or hex";

/// What somebody says.
pub(super) struct Entry {
    pub(super) author: PublicKey,
    pub(super) payload: Vec<u8>,
}

/// Reads entries.
pub(super) struct Entries {
    shown: String,
    input: Box<dyn BufRead>,
    line: u64,
    /// What is said of the first field that nobody reads, and whether it was.
    unknown: Option<String>,
    told: bool,
}

impl Entries {
    /// Opens a file; `-` is standard input.
    pub(super) fn open(path: &Path) -> Outcome<Self> {
        if path == Path::new("-") {
            return Ok(Self::of("standard input".into(), Box::new(io::stdin().lock())));
        }
        let shown = path.display().to_string();
        let file = File::open(path).map_err(|error| {
            let is_named_wrong =
                matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory);
            let code = if is_named_wrong { Code::BadRequest } else { Code::Io };
            Failure::new(code, format!("expected entries to read, found {shown}: {error}"))
                .next("quorate help rule run shows what entries look like")
        })?;
        // A directory opens like a file, and cannot be read.
        if file.metadata().is_ok_and(|found| found.is_dir()) {
            let message = format!("expected entries to read, found the directory {shown}");
            return Err(Stop::usage(message, "quorate help rule run shows what entries look like"));
        }
        Ok(Self::of(shown, Box::new(BufReader::new(file))))
    }

    fn of(shown: String, input: Box<dyn BufRead>) -> Self {
        Self { shown, input, line: 0, unknown: None, told: false }
    }

    /// Says once, of the first entry that has one, that a field is passed over.
    pub(super) fn unknown(&mut self) -> Option<String> {
        self.unknown.take()
    }

    /// Looks whether an entry has fields that nobody reads: they may be for those who wrote them, or written wrong.
    fn look_for_unknown(&mut self, fields: &Fields) {
        let Some(field) = fields.other_than(&FIELDS) else { return };
        self.told = true;
        self.unknown = Some(format!(
            "the field {field:?} in line {} of {} is passed over, and others like it: entries have {}",
            self.line,
            self.shown,
            FIELDS.join(", ")
        ));
    }

    /// Reads the next entry; `None` after the last. Lines with nothing on them are passed over.
    pub(super) fn next(&mut self) -> Outcome<Option<Entry>> {
        loop {
            let mut line = Vec::new();
            let read = self.input.by_ref().take(MAX_LINE_BYTES + 1).read_until(b'\n', &mut line);
            let read = read.map_err(|error| Stop::io(format_args!("reading {}", self.shown), &error))?;
            if read == 0 {
                return Ok(None);
            }
            self.line += 1;
            if self.line == 1 && line.starts_with(BYTE_ORDER_MARK) {
                line.drain(..BYTE_ORDER_MARK.len());
            }
            if line.len() as u64 > MAX_LINE_BYTES {
                return Err(self.wrong(&format!("expected at most {MAX_LINE_BYTES} bytes, found more")));
            }
            if !line.trim_ascii().is_empty() {
                let fields = Fields::read(&line, ENTRY).map_err(|problem| self.wrong(&problem))?;
                if !self.told {
                    self.look_for_unknown(&fields);
                }
                return entry(&fields).map(Some).map_err(|problem| self.wrong(&problem));
            }
        }
    }

    fn wrong(&self, problem: &str) -> Stop {
        let message = format!("line {} of {}: {problem}", self.line, self.shown);
        Stop::usage(message, "quorate help rule run shows what entries look like")
    }
}

/// Reads an entry. Other fields are passed over: they are for those who wrote them.
fn entry(fields: &Fields) -> Result<Entry, String> {
    let author = fields.string("author")?.as_deref().map_or(Ok(NOBODY), words::author)?;
    let payload = match (fields.get("payload")?, fields.string("hex")?) {
        (Some(json), None) if json.get().starts_with('"') => fields::string(json, "payload")?.into_bytes(),
        (Some(json), None) => words::compact(json).into_bytes(),
        (None, Some(digits)) => words::hex(&digits)?,
        (Some(_), Some(_)) => return Err("expected one of payload and hex, found both".into()),
        (None, None) => return Err("expected one of payload and hex, found neither".into()),
    };
    if payload.len() > MAX_PAYLOAD_BYTES {
        let found = payload.len();
        return Err(format!(
            "expected a payload of at most {MAX_PAYLOAD_BYTES} bytes, as rooms take it, found {found}"
        ));
    }
    Ok(Entry { author, payload })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Entry, String> {
        entry(&Fields::read(line.as_bytes(), ENTRY)?)
    }

    fn payload(line: &str) -> Vec<u8> {
        parse(line).map(|entry| entry.payload).unwrap()
    }

    #[test]
    fn payloads_are_text_or_json_or_bytes() {
        assert_eq!(payload(r#"{"payload": "a \"b\"\n\u00e9"}"#), "a \"b\"\né".as_bytes());
        assert_eq!(payload(r#"{"payload": {"b": 1.0, "a": [2, "x y"]}}"#), br#"{"b":1.0,"a":[2,"x y"]}"#);
        assert_eq!(payload(r#"{"payload": null}"#), b"null");
        assert_eq!(payload(r#"{"hex": "00fF"}"#), [0, 255]);
        assert_eq!(payload(r#"{"payload": ""}"#), b"");
        assert_eq!(payload(r#"{"note": [1], "payload": 2}"#), b"2");
        assert_eq!(
            payload(r#"{"payload": ["aa", {"move": "e2e4"}, null]}"#),
            br#"["aa",{"move":"e2e4"},null]"#
        );
        assert_eq!(payload(r#"{"author": null, "payload": 0, "hex": null}"#), b"0");
    }

    #[test]
    fn lines_that_say_something_else_are_told() {
        for (line, problem) in [
            ("{}", "expected one of payload and hex, found neither"),
            (r#"{"payload":1,"hex":""}"#, "expected one of payload and hex, found both"),
            (r#"{"payload":1,"payload":2}"#, "expected payload once, found it twice"),
            (r#"{"author":5,"payload":1}"#, "expected a string as author, found 5"),
            (r#"{"payload":1,"author":"12345678901234567890123456789012345"}"#, "64 hexadecimal digits"),
            (r#"{"hex":"0"}"#, "hexadecimal"),
            (r#"{"payload":"\ud800"}"#, "hex escape"),
            (
                r#"["aa",{"move":"e2e4"},null]"#,
                "expected an object with author, payload or hex, found an array",
            ),
            ("5", "expected an object with author, payload or hex, found 5"),
        ] {
            let found = parse(line).map(|_| ()).unwrap_err();
            assert!(found.contains(problem), "{line}: {found}");
        }
        let long = format!("{{\"payload\":\"{}\"}}", "x".repeat(64_513));
        assert!(parse(&long).is_err_and(|problem| problem.contains("64512")));
    }
}
