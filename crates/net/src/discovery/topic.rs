//! What a feed is called in discovery.

use std::fmt;

use data_encoding::HEXLOWER_PERMISSIVE;
use quorate_types::DiscoveryKey;

/// The first 20 bytes of a discovery key: as many as an infohash of BitTorrent has
/// (discovery-channel 5 `index.js`, @hyperswarm/discovery 2 `index.js`).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Topic([u8; Self::BYTES]);

impl Topic {
    /// Length, bytes.
    pub const BYTES: usize = 20;

    /// Takes the topic of a feed.
    pub fn of(discovery_key: &DiscoveryKey) -> Self {
        let mut topic = [0; Self::BYTES];
        for (to, from) in topic.iter_mut().zip(discovery_key.as_bytes()) {
            *to = *from;
        }
        Self(topic)
    }

    /// Wraps the bytes.
    pub const fn new(bytes: [u8; Self::BYTES]) -> Self {
        Self(bytes)
    }

    /// Returns the bytes.
    pub const fn as_bytes(&self) -> &[u8; Self::BYTES] {
        &self.0
    }

    /// Reads 40 hexadecimal digits of any case.
    pub fn from_hex(digits: &[u8]) -> Option<Self> {
        let bytes = HEXLOWER_PERMISSIVE.decode(digits).ok()?;
        Some(Self(bytes.try_into().ok()?))
    }
}

impl fmt::Display for Topic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&data_encoding::HEXLOWER.encode(&self.0))
    }
}

impl fmt::Debug for Topic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Topic({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_topic_is_the_beginning_of_the_discovery_key() {
        let topic = Topic::of(&DiscoveryKey::new([0xab; 32]));
        assert_eq!(topic.to_string(), "ab".repeat(20));
        assert_eq!(Topic::from_hex("AB".repeat(20).as_bytes()), Some(topic));
        assert_eq!(Topic::from_hex(b"ab"), None);
        assert_eq!(Topic::from_hex("zz".repeat(20).as_bytes()), None);
    }
}
