//! Names of Dat archives: `dat://example.org` (DEP-0005).
//!
//! A name stands for a key by a file on its web server, `https://NAME/.well-known/dat`, or by a TXT record with
//! `datkey=KEY`. The file is asked first: TLS says who sent it, while anyone on the way can forge a record.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use quorate_types::PublicKey;

use crate::runtime::{Runtime, before};

mod txt;
mod well_known;

pub use txt::{TxtError, parse_txt};
pub use well_known::{WellKnownError, parse_well_known};

/// Longest name, bytes (RFC 1035 section 2.3.4: 255 on the wire).
const MAX_NAME_BYTES: usize = 253;

/// Longest label of a name, bytes (RFC 1035 section 2.3.4).
const MAX_LABEL_BYTES: usize = 63;

/// A name that DNS can have, lower case, with one dot at least: never a key and never an address.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct DatName(String);

/// Text that holds no name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected a name such as dat://example.org, found {found:?}")]
pub struct NotAName {
    /// The text, cut after 100 characters.
    pub found: String,
}

/// How a name was resolved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NameSource {
    /// `https://NAME/.well-known/dat`.
    WellKnown,
    /// A TXT record, which nothing authenticates.
    Txt,
}

/// The key that a name stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Resolved {
    /// The key.
    pub key: PublicKey,
    /// Who says so.
    pub by: NameSource,
}

/// Who may be asked what a name stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct AskNames {
    /// The web server of the name.
    pub well_known: bool,
    /// The resolvers of this machine, for TXT records.
    pub txt: bool,
}

/// Why a name stands for no key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NameError {
    /// The name.
    pub name: DatName,
    /// Why not by its web server, where that was asked.
    pub well_known: Option<WellKnownError>,
    /// Why not by a TXT record, where one was asked for.
    pub txt: Option<TxtError>,
}

impl std::error::Error for NameError {}

impl fmt::Display for NameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, well_known, txt } = self;
        write!(f, "expected {name} to stand for a key, found none")?;
        if let Some(error) = well_known {
            write!(f, "; https://{name}/.well-known/dat: {error}")?;
        }
        match txt {
            Some(error) => write!(f, "; TXT record: {error}"),
            None => Ok(()),
        }
    }
}

impl DatName {
    /// Reads a name, alone or in a link, with the version behind it: `dat://example.org+7/path`.
    ///
    /// # Errors
    ///
    /// Nothing that DNS could resolve stands where the name does.
    pub fn from_link(text: &str) -> Result<(Self, Option<u64>), NotAName> {
        let not_a_name = || NotAName { found: text.chars().take(100).collect() };
        let rest = ["dat://", "hyper://", "pear://"].iter().find_map(|scheme| text.strip_prefix(scheme));
        let rest = rest.unwrap_or(text);
        let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
        match host.split_once('+') {
            None => Ok((host.parse().map_err(|_| not_a_name())?, None)),
            Some((host, version)) => {
                let version = version.parse().map_err(|_| not_a_name())?;
                Ok((host.parse().map_err(|_| not_a_name())?, Some(version)))
            }
        }
    }

    /// Returns the name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for DatName {
    type Err = NotAName;

    fn from_str(text: &str) -> Result<Self, NotAName> {
        let is_label = |label: &str| {
            (1..=MAX_LABEL_BYTES).contains(&label.len())
                && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
                && !label.starts_with('-')
        };
        let is_name = text.len() <= MAX_NAME_BYTES
            && text.contains('.')
            && text.split('.').all(is_label)
            && text.parse::<IpAddr>().is_err();
        match is_name {
            true => Ok(Self(text.to_ascii_lowercase())),
            false => Err(NotAName { found: text.chars().take(100).collect() }),
        }
    }
}

impl fmt::Display for DatName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Looks a name up: its web server, then its TXT records, each within `patience`.
///
/// # Errors
///
/// Nobody who was asked says which key it stands for; the error has all reasons.
pub async fn look_up(
    runtime: &Arc<dyn Runtime>,
    name: &DatName,
    ask: AskNames,
    patience: Duration,
) -> Result<Resolved, NameError> {
    let mut failure = NameError { name: name.clone(), well_known: None, txt: None };
    if ask.well_known {
        let deadline = runtime.now() + patience;
        let asked = before(&**runtime, deadline, well_known::ask(runtime, name)).await;
        match asked.unwrap_or(Err(WellKnownError::TimedOut)) {
            Ok(key) => return Ok(Resolved { key, by: NameSource::WellKnown }),
            Err(error) => failure.well_known = Some(error),
        }
    }
    if ask.txt {
        let deadline = runtime.now() + patience;
        let asked = before(&**runtime, deadline, txt::ask(runtime, name)).await;
        match asked.unwrap_or(Err(TxtError::TimedOut)) {
            Ok(key) => return Ok(Resolved { key, by: NameSource::Txt }),
            Err(error) => failure.txt = Some(error),
        }
    }
    Err(failure)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_not_asked_is_not_named() {
        futures_lite::future::block_on(async {
            let runtime: Arc<dyn Runtime> = Arc::new(crate::runtime::AsyncStd);
            let name: DatName = "example.org".parse().unwrap();
            let nobody = AskNames::default();
            let error = look_up(&runtime, &name, nobody, Duration::from_secs(1)).await.unwrap_err();
            assert_eq!(error.to_string(), "expected example.org to stand for a key, found none");
        });
        let error = NameError {
            name: "a.b".parse().unwrap(),
            well_known: Some(WellKnownError::Status { status: 404 }),
            txt: Some(TxtError::NoKey),
        };
        assert_eq!(
            error.to_string(),
            "expected a.b to stand for a key, found none; https://a.b/.well-known/dat: expected status 200, \
             found 404; TXT record: no record has datkey="
        );
    }

    #[test]
    fn names_are_read_with_their_version() {
        let read = |text| DatName::from_link(text).map(|(name, version)| (name.0, version));
        assert_eq!(read("dat://Example.org"), Ok(("example.org".into(), None)));
        assert_eq!(read("dat://example.org+7/a/b?c#d"), Ok(("example.org".into(), Some(7))));
        assert_eq!(read("a.b.c/x"), Ok(("a.b.c".into(), None)));
        let long = format!("dat://{}.org", "a".repeat(64));
        let key = format!("dat://{}", "ab".repeat(32));
        for wrong in
            ["", "dat://", "feed", "10.0.0.1", "dat://a..b", "a b.c", "dat://a.b+x", "-a.b", &long, &key]
        {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }
}
