//! Fixed-size byte strings, one type for each meaning.

use std::fmt;
use std::str::FromStr;

use blake2::digest::consts::U32;
use blake2::digest::{Digest, KeyInit, Mac};
use data_encoding::HEXLOWER_PERMISSIVE;

/// Why a text is not a hexadecimal byte string of the expected length.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HexError {
    /// The text has another number of digits.
    #[error("expected {expected} hexadecimal digits, found {found} characters")]
    Length {
        /// Digits that the type takes.
        expected: usize,
        /// Characters in the text.
        found: usize,
    },
    /// The text has a character that is no hexadecimal digit.
    #[error("expected hexadecimal digits, found another character at position {position}")]
    Digit {
        /// Position of the character, in bytes from 0.
        position: usize,
    },
}

macro_rules! byte_string {
    ($(#[$doc:meta])* $name:ident, $len:literal) => {
        byte_string!($(#[$doc])* $name, $len, 8);
    };
    ($(#[$doc:meta])* $name:ident, $len:literal, $short:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name([u8; $len]);

        impl $name {
            /// Length in bytes.
            pub const LEN: usize = $len;

            /// Wraps the bytes as they are.
            pub const fn new(bytes: [u8; $len]) -> Self {
                Self(bytes)
            }

            /// Returns the bytes.
            pub const fn as_bytes(&self) -> &[u8; $len] {
                &self.0
            }

            /// Copies a slice of exactly the right length, or returns `None`.
            pub fn from_slice(bytes: &[u8]) -> Option<Self> {
                <[u8; $len]>::try_from(bytes).ok().map(Self)
            }

            #[doc = concat!("Returns the first ", $short, " hexadecimal digits, for people to recognise it by.")]
            pub fn short(&self) -> String {
                let mut text = self.to_string();
                text.truncate($short);
                text
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&data_encoding::HEXLOWER.encode(&self.0))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({self})", stringify!($name))
            }
        }

        impl FromStr for $name {
            type Err = HexError;

            fn from_str(text: &str) -> Result<Self, HexError> {
                if text.len() != 2 * $len {
                    return Err(HexError::Length { expected: 2 * $len, found: text.chars().count() });
                }
                let bytes = HEXLOWER_PERMISSIVE
                    .decode(text.as_bytes())
                    .map_err(|error| HexError::Digit { position: error.position })?;
                Self::from_slice(&bytes)
                    .ok_or(HexError::Length { expected: 2 * $len, found: text.len() })
            }
        }

        impl From<[u8; $len]> for $name {
            fn from(bytes: [u8; $len]) -> Self {
                Self(bytes)
            }
        }

        impl AsRef<[u8]> for $name {
            fn as_ref(&self) -> &[u8] {
                &self.0
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

byte_string!(
    /// Ed25519 public key of a feed: its name, and the capability to read it.
    PublicKey,
    32
);
byte_string!(
    /// Name under which peers look for a feed without giving its key away.
    DiscoveryKey,
    32
);
byte_string!(
    /// BLAKE2b digest of 32 bytes.
    Hash,
    32
);
byte_string!(
    /// Static X25519 key by which a peer of wire B2 is known.
    NoisePublicKey,
    32
);
byte_string!(
    /// Proof, bound to one handshake, that a peer of wire B2 knows a feed key.
    Capability,
    32
);
byte_string!(
    /// Random identity of a process on wire A, the same on all its connections.
    PeerId,
    32
);
byte_string!(
    /// Digest of everything that the rules of a room wrote, in order, up to some entry.
    StateRoot,
    32
);
byte_string!(
    /// XSalsa20 nonce of one direction of a connection.
    NoiseNonce,
    24
);
byte_string!(
    /// Detached Ed25519 signature.
    Signature,
    64
);
byte_string!(
    /// Name of a room, the same through all of its epochs: it stands in everything that is signed for the room.
    RoomId,
    32
);
byte_string!(
    /// Name of an installed rule, by room and place of installation.
    RuleId,
    32,
    6
);
byte_string!(
    /// BLAKE2b-256 of the bytes of a rule's WebAssembly module, as its author built it.
    ModuleHash,
    32
);

byte_string!(
    /// BLAKE2b-256 of a set of validators and its quorum: stands in everything that validators sign.
    VsetHash,
    32
);
byte_string!(
    /// BLAKE2b-256 of what a quorum certificate certifies, whoever signed it.
    QcHash,
    32
);
byte_string!(
    /// BLAKE2b-256 of the rules that are in force, their modules, parameters and meter, and of the engine's profile.
    RulesHash,
    32
);

impl PublicKey {
    /// Computes the discovery key: BLAKE2b-256 keyed by the public key over `hypercore`
    /// (DEP-0002; hypercore-crypto, `discoveryKey`).
    pub fn discovery_key(&self) -> DiscoveryKey {
        let mut mac = <blake2::Blake2bMac<U32> as KeyInit>::new_from_slice(&self.0)
            .expect("BLAKE2b takes keys of 1 to 64 bytes and this one has 32");
        mac.update(b"hypercore");
        DiscoveryKey(mac.finalize().into_bytes().into())
    }
}

impl ModuleHash {
    /// Hashes a module: unkeyed BLAKE2b-256 of its bytes.
    pub fn of(module: &[u8]) -> Self {
        Self(blake2::Blake2b::<U32>::digest(module).into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn discovery_key_agrees_with_the_reference() {
        let key: PublicKey =
            "8a88e3dd7409f195fd52db2d3cba5d72ca6709bf1d94121bf3748801b40f6f5c".parse().unwrap();
        assert_eq!(
            key.discovery_key().to_string(),
            "c1feb82a2b3ba065ffed9f6addcf19ac250793bcab748986a1b4272c62da20e6"
        );
    }

    #[test]
    fn a_module_is_hashed_without_a_key() {
        assert_eq!(
            ModuleHash::of(b"").to_string(),
            "0e5751c026e543b2e8ab2eb06099daa1d1e5df47778f7787faab45cdf12fe3a8"
        );
    }

    #[test]
    fn hexadecimal_errors_name_what_was_found() {
        assert_eq!("abc".parse::<Hash>(), Err(HexError::Length { expected: 64, found: 3 }));
        let text = format!("{}zz", "0".repeat(62));
        assert_eq!(text.parse::<Hash>(), Err(HexError::Digit { position: 62 }));
        let text = "é".repeat(32);
        assert_eq!(text.parse::<Hash>(), Err(HexError::Digit { position: 0 }));
    }

    #[test]
    fn json_is_the_hexadecimal_text() {
        let hash = Hash::new([7; 32]);
        let text = format!("\"{hash}\"");
        assert_eq!(format!("\"{hash}\""), text);
        assert_eq!(hash.short(), "07070707");
        assert_eq!(RuleId::new([7; 32]).short(), "070707");
    }
}
