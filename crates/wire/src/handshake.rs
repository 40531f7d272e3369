//! Noise handshake of wire B2: `Noise_XX_25519_ChaChaPoly_BLAKE2b`, empty prologue
//! (simple-hypercore-protocol 2 `lib/handshake.js`).
//!
//! The transport keys of Noise are not used for Noise: each becomes the key of one XSalsa20
//! stream, whose nonce its sender names in the payload of its messages.

use std::fmt;

use bytes::{Bytes, BytesMut};
use quorate_proto::dat::NoisePayload;
use quorate_types::limits::MAX_HANDSHAKE_MESSAGE_BYTES;
use quorate_types::{NoiseNonce, NoisePublicKey, NoiseSecretKey};
use snow::params::{CipherChoice, DHChoice, HashChoice};
use snow::resolvers::{CryptoResolver, DefaultResolver};
use snow::types::{Cipher, Dh, Hash, Random};
use snow::{Builder, HandshakeState};

use crate::{Role, SessionConfig, SessionError};

const PROTOCOL: &str = "Noise_XX_25519_ChaChaPoly_BLAKE2b";

/// Keys of the two directions.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Split {
    pub(crate) tx: [u8; 32],
    pub(crate) rx: [u8; 32],
}

/// What a complete handshake leaves.
#[derive(Debug)]
pub(crate) struct Secured {
    pub(crate) split: Split,
    pub(crate) remote_nonce: NoiseNonce,
    pub(crate) remote_key: NoisePublicKey,
    pub(crate) hash: [u8; 64],
}

/// One side of a handshake.
pub(crate) struct Handshake {
    state: Box<HandshakeState>,
    payload: BytesMut,
    remote_nonce: Option<NoiseNonce>,
    /// Messages read and written so far.
    messages: u8,
}

/// What follows from a message of the other side.
pub(crate) enum Step {
    /// This message goes out, and the handshake goes on.
    Reply(Bytes),
    /// This message goes out, if any, and the handshake is complete.
    Complete { reply: Option<Bytes>, secured: Box<Secured> },
}

impl Handshake {
    /// Begins a handshake; the initiator has a message to send at once.
    pub(crate) fn new(config: &SessionConfig) -> Result<(Self, Option<Bytes>), SessionError> {
        let params = PROTOCOL.parse().map_err(setup)?;
        let resolver = Box::new(Resolver(config.entropy.ephemeral));
        let builder = Builder::with_resolver(params, resolver)
            .local_private_key(config.keypair.secret().expose())
            .map_err(setup)?;
        let state = match config.role {
            Role::Initiator => builder.build_initiator(),
            Role::Responder => builder.build_responder(),
        }
        .map_err(setup)?;
        let mut payload = BytesMut::new();
        NoisePayload { nonce: config.entropy.nonce }.encode(&mut payload);
        let mut handshake = Self { state: Box::new(state), payload, remote_nonce: None, messages: 0 };
        let first = match config.role {
            Role::Initiator => Some(handshake.write()?),
            Role::Responder => None,
        };
        Ok((handshake, first))
    }

    /// Reads a message of the other side. The static key is known, and has to be judged, before
    /// anything is answered: `admits` says whether the other side may go on.
    pub(crate) fn read(
        &mut self,
        message: &[u8],
        admits: impl FnOnce(&NoisePublicKey) -> bool,
    ) -> Result<Step, SessionError> {
        self.messages = self.messages.saturating_add(1);
        let mut payload = vec![0; MAX_HANDSHAKE_MESSAGE_BYTES];
        let fault = SessionError::Handshake { message: self.messages, found: message.len() };
        let len = self.state.read_message(message, &mut payload).map_err(|_| fault)?;
        payload.truncate(len);
        if !payload.is_empty() {
            self.remote_nonce = Some(NoisePayload::decode(payload.into())?.nonce);
        }
        let remote_key = self.state.get_remote_static().and_then(NoisePublicKey::from_slice);
        if let Some(key) = remote_key.filter(|key| !admits(key)) {
            return Err(SessionError::PeerDenied { key });
        }
        let reply = if self.state.is_handshake_finished() { None } else { Some(self.write()?) };
        if !self.state.is_handshake_finished() {
            return reply.map(Step::Reply).ok_or_else(|| setup("no message to send"));
        }
        let missing = quorate_proto::ProtoError::Missing { message: "noise payload", field: "nonce" };
        let (to_responder, to_initiator) = self.state.dangerously_get_raw_split();
        let split = if self.state.is_initiator() {
            Split { tx: to_responder, rx: to_initiator }
        } else {
            Split { tx: to_initiator, rx: to_responder }
        };
        let hash = <[u8; 64]>::try_from(self.state.get_handshake_hash());
        Ok(Step::Complete {
            reply,
            secured: Box::new(Secured {
                split,
                remote_nonce: self.remote_nonce.ok_or(missing)?,
                remote_key: remote_key.ok_or_else(|| setup("no static key"))?,
                hash: hash.map_err(|_| setup("a hash of another length"))?,
            }),
        })
    }

    fn write(&mut self) -> Result<Bytes, SessionError> {
        self.messages = self.messages.saturating_add(1);
        let mut message = vec![0; MAX_HANDSHAKE_MESSAGE_BYTES];
        let len = self.state.write_message(&self.payload, &mut message).map_err(setup)?;
        message.truncate(len);
        Ok(message.into())
    }
}

impl fmt::Debug for Handshake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handshake").field("messages", &self.messages).finish_non_exhaustive()
    }
}

impl fmt::Debug for Split {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Split(..)")
    }
}

/// Derives the public key of a static secret key.
pub(crate) fn public_key(secret: &NoiseSecretKey) -> NoisePublicKey {
    let mut dh = DefaultResolver
        .resolve_dh(&DHChoice::Curve25519)
        .expect("the default resolver is built with Curve25519");
    dh.set(secret.expose());
    NoisePublicKey::from_slice(dh.pubkey()).expect("a Curve25519 public key has 32 bytes")
}

fn setup(reason: impl fmt::Display) -> SessionError {
    SessionError::HandshakeSetup { reason: reason.to_string() }
}

/// The library's own algorithms, with the ephemeral key as the only randomness.
struct Resolver([u8; 32]);

impl CryptoResolver for Resolver {
    fn resolve_rng(&self) -> Option<Box<dyn Random>> {
        Some(Box::new(Once(Some(self.0))))
    }

    fn resolve_dh(&self, choice: &DHChoice) -> Option<Box<dyn Dh>> {
        DefaultResolver.resolve_dh(choice)
    }

    fn resolve_hash(&self, choice: &HashChoice) -> Option<Box<dyn Hash>> {
        DefaultResolver.resolve_hash(choice)
    }

    fn resolve_cipher(&self, choice: &CipherChoice) -> Option<Box<dyn Cipher>> {
        DefaultResolver.resolve_cipher(choice)
    }
}

/// Gives its bytes once: each side of XX draws one ephemeral key, and drawing twice from the same
/// bytes would be a fault.
struct Once(Option<[u8; 32]>);

impl Random for Once {
    fn try_fill_bytes(&mut self, dest: &mut [u8]) -> Result<(), snow::Error> {
        let bytes = self.0.take().filter(|bytes| bytes.len() == dest.len()).ok_or(snow::Error::Rng)?;
        dest.copy_from_slice(&bytes);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use quorate_proto::ProtoError;
    use quorate_types::{PeerId, Wire};

    use super::*;
    use crate::{NoiseKeyPair, SessionEntropy};

    fn side(role: Role, byte: u8) -> (Handshake, Option<Bytes>) {
        let keypair = NoiseKeyPair::from_secret(NoiseSecretKey::new([byte; 32]));
        let entropy = SessionEntropy { ephemeral: [byte + 2; 32], nonce: NoiseNonce::new([byte; 24]) };
        Handshake::new(&SessionConfig::new(role, Wire::B2, keypair, PeerId::new([0; 32]), entropy)).unwrap()
    }

    /// Messages of 58, 122 and 90 bytes, and the same keys on both sides.
    #[test]
    fn three_messages_secure_a_connection() {
        let (mut a, first) = side(Role::Initiator, 1);
        let (mut b, none) = side(Role::Responder, 2);
        assert_eq!(none, None);
        let first = first.unwrap();
        let Ok(Step::Reply(second)) = b.read(&first, |_| true) else { panic!("a second message") };
        let Ok(Step::Complete { reply: Some(third), secured: ours }) = a.read(&second, |_| true) else {
            panic!("a third message")
        };
        assert_eq!((first.len(), second.len(), third.len()), (58, 122, 90));
        let Ok(Step::Complete { reply: None, secured: theirs }) = b.read(&third, |_| true) else {
            panic!("an end")
        };
        assert!(ours.split.tx == theirs.split.rx && ours.split.rx == theirs.split.tx);
        assert_eq!(ours.hash, theirs.hash);
        assert_eq!(ours.remote_nonce, NoiseNonce::new([2; 24]));
        assert_eq!(theirs.remote_nonce, NoiseNonce::new([1; 24]));
    }

    #[test]
    fn a_peer_that_names_no_nonce_is_refused() {
        let (mut a, first) = side(Role::Initiator, 1);
        let (mut b, _) = side(Role::Responder, 2);
        b.payload.clear();
        let Ok(Step::Reply(second)) = b.read(&first.unwrap(), |_| true) else { panic!("a second message") };
        let missing = ProtoError::Missing { message: "noise payload", field: "nonce" };
        assert!(matches!(a.read(&second, |_| true), Err(SessionError::Message(error)) if error == missing));
    }

    #[test]
    fn randomness_is_drawn_once() {
        let mut once = Once(Some([3; 32]));
        let mut bytes = [0; 32];
        assert_eq!(once.try_fill_bytes(&mut bytes), Ok(()));
        assert_eq!(bytes, [3; 32]);
        assert_eq!(once.try_fill_bytes(&mut bytes), Err(snow::Error::Rng));
    }
}
