//! Links to feeds, in every form in which people copy them.

use std::fmt;
use std::str::FromStr;

use data_encoding::{Encoding, Specification};

use crate::PublicKey;

/// A feed's key, with the version that the link asks for.
///
/// `Display` prints `dat://<64 hex>`, with `+version` where there is one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Link {
    /// Key of the feed.
    pub key: PublicKey,
    /// Length of the feed that is meant, in blocks.
    pub version: Option<u64>,
}

/// Why a text holds no link.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LinkError {
    /// No key stands in the text.
    #[error(
        "expected a key of 64 hexadecimal digits or 52 z-base-32 characters, alone or in a link \
         such as dat://KEY, found {found:?}"
    )]
    NoKey {
        /// The text, cut after 100 characters.
        found: String,
    },
    /// What follows `+` is no number.
    #[error("expected a version number after '+', found {found:?}")]
    Version {
        /// The text after `+`, cut after 100 characters.
        found: String,
    },
    /// The text is longer than any link.
    #[error("expected a link of at most {limit} bytes, found {found}")]
    TooLong {
        /// Bytes in the text.
        found: usize,
        /// Bytes a link may have.
        limit: usize,
    },
}

/// Longest text that is searched for a key, bytes.
const MAX_LINK_BYTES: usize = 4096;

impl Link {
    /// Makes the link of a feed, without a version.
    pub const fn new(key: PublicKey) -> Self {
        Self { key, version: None }
    }
}

impl fmt::Display for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "dat://{}", self.key)?;
        match self.version {
            Some(version) => write!(f, "+{version}"),
            None => Ok(()),
        }
    }
}

impl FromStr for Link {
    type Err = LinkError;

    /// Reads 64 hexadecimal digits (any case), 52 z-base-32 characters, `dat://`, `hyper://`,
    /// `pear://`, `+version`, or any URL in which a key stands as a word of its own.
    fn from_str(text: &str) -> Result<Self, LinkError> {
        if text.len() > MAX_LINK_BYTES {
            return Err(LinkError::TooLong { found: text.len(), limit: MAX_LINK_BYTES });
        }
        let text = text.trim();
        let mut rest = text;
        while !rest.is_empty() {
            let start = match rest.find(|c: char| c.is_ascii_alphanumeric()) {
                Some(start) => start,
                None => break,
            };
            let word_on = rest.get(start..).unwrap_or_default();
            let end = word_on.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(word_on.len());
            let (word, after) = word_on.split_at(end);
            if let Some(key) = key_of(word) {
                return Ok(Self { key, version: version_of(after)? });
            }
            rest = after;
        }
        Err(LinkError::NoKey { found: cut(text) })
    }
}

fn key_of(word: &str) -> Option<PublicKey> {
    match word.len() {
        64 => word.parse().ok(),
        52 => PublicKey::from_slice(&z_base_32().decode(word.to_ascii_lowercase().as_bytes()).ok()?),
        _ => None,
    }
}

fn version_of(after: &str) -> Result<Option<u64>, LinkError> {
    let Some(text) = after.strip_prefix('+') else {
        return Ok(None);
    };
    let digits = text.split(['/', '?', '#']).next().unwrap_or_default();
    digits.parse().map(Some).map_err(|_| LinkError::Version { found: cut(digits) })
}

fn cut(text: &str) -> String {
    text.chars().take(100).collect()
}

/// z-base-32 as hypercore-id-encoding writes it: 32 bytes are 52 characters, the last 4 bits zero.
fn z_base_32() -> Encoding {
    let mut specification = Specification::new();
    specification.symbols.push_str("ybndrfg8ejkmcpqxot1uwisza345h769");
    specification.encoding().expect("32 distinct ASCII symbols are a valid specification")
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "8a88e3dd7409f195fd52db2d3cba5d72ca6709bf1d94121bf3748801b40f6f5c";

    fn link(version: Option<u64>) -> Link {
        Link { key: KEY.parse().unwrap(), version }
    }

    #[test]
    fn every_form_is_read() {
        let z = z_base_32().encode(link(None).key.as_bytes());
        assert_eq!(z.len(), 52);
        for text in [
            KEY.to_string(),
            KEY.to_uppercase(),
            z.clone(),
            z.to_uppercase(),
            format!("dat://{KEY}"),
            format!("hyper://{KEY}/"),
            format!("pear://{z}/index.html?x#y"),
            format!("https://example.org/view/{KEY}/file.txt"),
            format!("  dat://{KEY}\n"),
        ] {
            assert_eq!(text.parse(), Ok(link(None)), "{text}");
        }
        for text in [format!("dat://{KEY}+12"), format!("{KEY}+12/a"), format!("dat://{KEY}+12?x")] {
            assert_eq!(text.parse(), Ok(link(Some(12))), "{text}");
        }
    }

    #[test]
    fn what_is_no_link_is_named() {
        assert_eq!("".parse::<Link>(), Err(LinkError::NoKey { found: String::new() }));
        assert_eq!(format!("{KEY}0").parse::<Link>(), Err(LinkError::NoKey { found: format!("{KEY}0") }));
        assert_eq!(format!("dat://{KEY}+x").parse::<Link>(), Err(LinkError::Version { found: "x".into() }));
        assert_eq!("a".repeat(5000).parse::<Link>(), Err(LinkError::TooLong { found: 5000, limit: 4096 }));
    }

    #[test]
    fn display_reads_back() {
        for link in [link(None), link(Some(7))] {
            assert_eq!(link.to_string().parse(), Ok(link));
        }
    }

    proptest::proptest! {
        #[test]
        fn no_text_panics(text in ".{0,200}") {
            let _ = text.parse::<Link>();
        }
    }
}
