//! What one end of a connection is told before it begins.

use std::collections::BTreeSet;
use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use quorate_types::limits::{
    HANDSHAKE_TIMEOUT, WIRE_A_KEEP_ALIVE, WIRE_A_TIMEOUT, WIRE_B2_KEEP_ALIVE, WIRE_B2_TIMEOUT,
};
use quorate_types::{NoiseNonce, NoisePublicKey, NoiseSecretKey, PeerId, Wire};

use crate::handshake;

/// Which side dialled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// This side dialled.
    Initiator,
    /// The other side dialled.
    Responder,
}

/// Static X25519 key pair by which a node is known on wire B2.
#[derive(Debug, Clone)]
pub struct NoiseKeyPair {
    public: NoisePublicKey,
    secret: NoiseSecretKey,
}

impl NoiseKeyPair {
    /// Derives the public key; any 32 random bytes are a secret key.
    pub fn from_secret(secret: NoiseSecretKey) -> Self {
        Self { public: handshake::public_key(&secret), secret }
    }

    /// Returns the key that other nodes see.
    pub const fn public(&self) -> &NoisePublicKey {
        &self.public
    }

    /// Returns the secret key.
    pub const fn secret(&self) -> &NoiseSecretKey {
        &self.secret
    }
}

/// Which static keys a peer of wire B2 may have. Wire A knows no such keys.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PeerPolicy {
    /// When given, no other key is admitted.
    pub allowed: Option<BTreeSet<NoisePublicKey>>,
    /// Keys that are not admitted, even when they are among the allowed ones.
    pub denied: BTreeSet<NoisePublicKey>,
}

impl PeerPolicy {
    /// Tells whether a peer with this key is admitted.
    pub fn admits(&self, key: &NoisePublicKey) -> bool {
        !self.denied.contains(key) && self.allowed.as_ref().is_none_or(|allowed| allowed.contains(key))
    }
}

/// Randomness of one connection: never to be used for a second one.
#[derive(Clone)]
pub struct SessionEntropy {
    /// Ephemeral X25519 secret key of the Noise handshake; wire A has no use for it.
    pub ephemeral: [u8; 32],
    /// Nonce of everything that this side writes.
    pub nonce: NoiseNonce,
}

impl SessionEntropy {
    /// Splits 56 random bytes.
    pub fn new(random: &[u8; 56]) -> Self {
        let mut entropy = Self { ephemeral: [0; 32], nonce: NoiseNonce::new([0; 24]) };
        let mut nonce = [0; NoiseNonce::LEN];
        for (to, from) in entropy.ephemeral.iter_mut().chain(nonce.iter_mut()).zip(random) {
            *to = *from;
        }
        entropy.nonce = NoiseNonce::new(nonce);
        entropy
    }
}

impl fmt::Debug for SessionEntropy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SessionEntropy(..)")
    }
}

/// Times after which something happens by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    /// Time from the beginning until the handshake must be complete.
    pub handshake: Duration,
    /// Silence of the other side after which the connection is given up.
    pub silence: Duration,
    /// Silence of this side after which it sends a ping.
    pub keep_alive: Duration,
}

impl Timeouts {
    /// Returns the times that suit the stock peers of a wire.
    pub const fn of(wire: Wire) -> Self {
        match wire {
            Wire::A => {
                Self { handshake: HANDSHAKE_TIMEOUT, silence: WIRE_A_TIMEOUT, keep_alive: WIRE_A_KEEP_ALIVE }
            }
            Wire::B2 => Self {
                handshake: HANDSHAKE_TIMEOUT,
                silence: WIRE_B2_TIMEOUT,
                keep_alive: WIRE_B2_KEEP_ALIVE,
            },
        }
    }
}

/// What a [`Session`](crate::Session) is made of.
#[derive(Debug, Clone)]
pub struct SessionConfig {
    /// Which side dialled.
    pub role: Role,
    /// Wire that is spoken.
    pub wire: Wire,
    /// Static key pair of the node (wire B2).
    pub keypair: NoiseKeyPair,
    /// Identity of the process, the same on all its connections (wire A).
    pub id: PeerId,
    /// Names of the extensions that this side knows, about every feed.
    pub extensions: Vec<String>,
    /// Names of the extensions that this side knows, about the connection itself (wire B2).
    pub stream_extensions: Vec<String>,
    /// The connection stays open when all blocks are there (told on wire A).
    pub live: bool,
    /// Every block is to be acknowledged by the other side.
    pub ack: bool,
    /// Bytes for the application on the other side (wire A).
    pub user_data: Option<Bytes>,
    /// Static keys that are admitted (wire B2).
    pub peers: PeerPolicy,
    /// Randomness of this connection.
    pub entropy: SessionEntropy,
    /// Times after which something happens by itself.
    pub timeouts: Timeouts,
}

impl SessionConfig {
    /// Gives a live connection without extensions, open to every peer, with the times of its wire.
    pub fn new(role: Role, wire: Wire, keypair: NoiseKeyPair, id: PeerId, entropy: SessionEntropy) -> Self {
        Self {
            role,
            wire,
            keypair,
            id,
            extensions: Vec::new(),
            stream_extensions: Vec::new(),
            live: true,
            ack: false,
            user_data: None,
            peers: PeerPolicy::default(),
            entropy,
            timeouts: Timeouts::of(wire),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_denied_key_is_not_admitted_even_when_allowed() {
        let (a, b) = (NoisePublicKey::new([1; 32]), NoisePublicKey::new([2; 32]));
        let open = PeerPolicy::default();
        assert!(open.admits(&a));
        let policy = PeerPolicy { allowed: Some([a, b].into()), denied: [b].into() };
        assert!(policy.admits(&a));
        assert!(!policy.admits(&b));
        assert!(!policy.admits(&NoisePublicKey::new([3; 32])));
    }

    #[test]
    fn secrets_are_not_printed() {
        let secret = NoiseSecretKey::new([0xab; 32]);
        let entropy = SessionEntropy::new(&[0xab; 56]);
        let config = SessionConfig::new(
            Role::Initiator,
            Wire::B2,
            NoiseKeyPair::from_secret(secret),
            PeerId::new([1; 32]),
            entropy,
        );
        let text = format!("{config:?}");
        assert!(!text.contains("abab") && !text.contains("171, 171"), "{text}");
    }
}
