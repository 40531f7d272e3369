//! What is kept about a stream beside its feed.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::HomeError;
use crate::atomic::{self, PUBLIC_MODE};

/// Name of the file in the stream's directory.
pub(super) const FILE_NAME: &str = "quorate.json";

/// What the object says it is; a later version that means something else gets another number.
const SCHEMA: &str = "quorate.stream/1";

/// Longest file that is read, bytes.
const MAX_FILE_BYTES: usize = 256 * 1024;

/// Addresses of peers that are kept, the latest first.
const MAX_PEERS: usize = 64;

/// What the blocks of a stream are to people.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Encoding {
    /// Bytes.
    #[default]
    Binary,
    /// Text.
    #[serde(rename = "utf-8")]
    Utf8,
    /// One JSON value in each block.
    Json,
}

/// How a stream came to be here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Origin {
    /// It was made here.
    #[default]
    Created,
    /// It was cloned from peers.
    Cloned,
    /// It was copied from a directory of another program.
    Imported,
}

/// What peers that are not quorate nodes are shown of a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Gate {
    /// Everything that is here.
    #[default]
    None,
    /// What the validators of the room have committed.
    Committed,
}

/// What is kept about a stream, in `quorate.json`. Losing it loses no block.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StreamInfo {
    schema: String,
    /// When it was made, cloned or imported here: seconds since 1970.
    #[serde(default)]
    pub created_unix_s: u64,
    /// What its blocks are.
    #[serde(default)]
    pub encoding: Encoding,
    /// How it came to be here.
    #[serde(default)]
    pub origin: Origin,
    /// Only blocks that are asked for are fetched.
    #[serde(default)]
    pub sparse: bool,
    /// Blocks of a room are carried without being checked.
    #[serde(default)]
    pub no_check: bool,
    /// What peers that are not quorate nodes are shown.
    #[serde(default)]
    pub gate: Gate,
    /// Where it was found before, `host:port`, the latest first.
    #[serde(default)]
    peers: Vec<String>,
    /// What later versions keep here: written back as it was.
    #[serde(flatten)]
    rest: BTreeMap<String, serde_json::Value>,
}

impl StreamInfo {
    /// Describes a new stream.
    pub fn new(created_unix_s: u64, encoding: Encoding, origin: Origin) -> Self {
        let (peers, rest) = (vec![], BTreeMap::new());
        Self {
            schema: SCHEMA.to_owned(),
            created_unix_s,
            encoding,
            origin,
            sparse: false,
            no_check: false,
            gate: Gate::default(),
            peers,
            rest,
        }
    }

    /// Returns where the stream was found before, `host:port`, the latest first.
    pub fn peers(&self) -> &[String] {
        &self.peers
    }

    /// Notes where the stream was found; of more than 64 places the oldest is forgotten.
    pub fn add_peer(&mut self, address: &str) {
        self.peers.retain(|known| known != address);
        self.peers.insert(0, address.to_owned());
        self.peers.truncate(MAX_PEERS);
    }

    pub(super) fn read(directory: &Path) -> Result<Self, HomeError> {
        let path = directory.join(FILE_NAME);
        let Some(bytes) = atomic::read(&path, MAX_FILE_BYTES).map_err(HomeError::io("read", &path))? else {
            return Ok(Self::new(0, Encoding::default(), Origin::default()));
        };
        let malformed = |(line, found)| HomeError::StreamInfo { path, line, found };
        let mut info: Self = match serde_json::from_slice(&bytes) {
            Ok(info) => info,
            Err(error) => {
                let text = error.to_string();
                let what = text.rsplit_once(" at line ").map_or(text.as_str(), |(what, _)| what);
                return Err(malformed((error.line(), what.to_owned())));
            }
        };
        if info.schema != SCHEMA {
            let line = line_of(&bytes, "schema");
            return Err(malformed((line, format!("the schema {:?} instead of {SCHEMA:?}", info.schema))));
        }
        info.peers.truncate(MAX_PEERS);
        Ok(info)
    }

    pub(super) fn write(&self, directory: &Path) -> io::Result<()> {
        let mut bytes = serde_json::to_vec_pretty(self)?;
        bytes.push(b'\n');
        atomic::replace(&directory.join(FILE_NAME), &bytes, PUBLIC_MODE)
    }
}

/// Finds the line of a member of a JSON object, counted from 1.
fn line_of(json: &[u8], member: &str) -> usize {
    let text = String::from_utf8_lossy(json);
    let member = format!("\"{member}\"");
    text.lines().position(|line| line.contains(&member)).map_or(1, |position| position + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_read_as_it_was_written() {
        let directory = tempfile::tempdir().unwrap();
        let mut info = StreamInfo::new(1_600_000_000, Encoding::Json, Origin::Cloned);
        for port in 0..70 {
            info.add_peer(&format!("127.0.0.1:{port}"));
        }
        info.add_peer("127.0.0.1:50");
        info.gate = Gate::Committed;
        info.write(directory.path()).unwrap();
        assert_eq!(StreamInfo::read(directory.path()).unwrap(), info);
        assert_eq!((info.peers().len(), info.peers()[0].as_str()), (64, "127.0.0.1:50"));
    }

    #[test]
    fn what_later_versions_keep_is_not_lost() {
        let directory = tempfile::tempdir().unwrap();
        let text = r#"{"schema":"quorate.stream/1","encoding":"utf-8","later":[1]}"#;
        std::fs::write(directory.path().join(FILE_NAME), text).unwrap();
        let mut info = StreamInfo::read(directory.path()).unwrap();
        assert_eq!((info.encoding, info.origin, info.created_unix_s), (Encoding::Utf8, Origin::Created, 0));
        info.add_peer("x:1");
        info.write(directory.path()).unwrap();
        let written = std::fs::read_to_string(directory.path().join(FILE_NAME)).unwrap();
        assert!(written.contains("later") && written.contains("x:1"), "{written}");
    }

    #[test]
    fn damage_is_an_error_and_absence_is_not() {
        let directory = tempfile::tempdir().unwrap();
        assert_eq!(StreamInfo::read(directory.path()).unwrap().created_unix_s, 0);
        for text in ["", "{", r#"{"schema":"other/1"}"#, r#"{"encoding":"json"}"#] {
            std::fs::write(directory.path().join(FILE_NAME), text).unwrap();
            assert!(StreamInfo::read(directory.path()).is_err(), "{text}");
        }
        std::fs::write(directory.path().join(FILE_NAME), "{\n\"schema\": 1\n}").unwrap();
        let error = StreamInfo::read(directory.path()).unwrap_err();
        assert!(
            matches!(&error, HomeError::StreamInfo { line: 2, found, .. } if found.contains("integer")),
            "{error}"
        );
    }
}
