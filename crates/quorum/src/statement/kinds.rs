//! The kinds of statements.

use blake2b_simd::Params;
use quorate_types::limits::MAX_FEED_LENGTH;
use quorate_types::{Hash, PublicKey, QcHash, RulesHash, StateRoot, VsetHash};

use super::codec::{Field, Statement, height};
use super::{Common, MAX_SIGNED_BYTES};
use crate::head::Head;

/// Numbers of the kinds.
pub mod kind {
    /// [`Vote`](super::Vote).
    pub const VOTE: u8 = 1;
    /// [`Reject`](super::Reject).
    pub const REJECT: u8 = 2;
    /// [`Seal`](super::Seal).
    pub const SEAL: u8 = 3;
    /// [`Have`](super::Have).
    pub const HAVE: u8 = 4;
    /// [`Challenge`](super::Challenge).
    pub const CHALLENGE: u8 = 5;
    /// [`Response`](super::Response).
    pub const RESPONSE: u8 = 6;
    /// [`Grant`](super::Grant).
    pub const GRANT: u8 = 7;
    /// [`Accept`](super::Accept).
    pub const ACCEPT: u8 = 8;
}

/// What a vote is for: a head, and what the rules make of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Target {
    /// Blocks that are held, all of them.
    pub head: Head,
    /// What the rules wrote up to there.
    pub state_root: StateRoot,
    /// Rules in force, and the engine that ran them.
    pub rules_hash: RulesHash,
}

/// QC that a validator has on its disk, of the epoch of its vote.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ack {
    /// Length that the QC certifies; at least 1.
    pub length: u64,
    /// Its hash.
    pub qc: QcHash,
}

/// Names a QC of any epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct QcRef {
    /// Its epoch.
    pub epoch: u64,
    /// What it certifies.
    pub head: Head,
    /// Its hash.
    pub qc: QcHash,
}

/// Why a validator seals an epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum SealReason {
    /// The host made no progress, or left a signed action out, for too long.
    Stalled = 1,
    /// There is evidence against the host.
    Evidence = 2,
    /// The change of validators that ends the epoch is final.
    Membership = 3,
    /// Enough other validators have sealed.
    Others = 4,
}

impl SealReason {
    /// Returns the number that is signed.
    pub const fn number(self) -> u8 {
        self as u8
    }

    /// Finds the reason of a number.
    pub const fn from_number(number: u8) -> Option<Self> {
        Some(match number {
            1 => Self::Stalled,
            2 => Self::Evidence,
            3 => Self::Membership,
            4 => Self::Others,
            _ => return None,
        })
    }
}

/// "I hold these blocks, the rules accept every one, I voted for nothing else in this epoch, and my disk holds a QC for
/// what I acknowledge."
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Vote {
    /// Room, epoch, validators, signer.
    pub common: Common,
    /// Feed of the epoch.
    pub feed: PublicKey,
    /// What it is for.
    pub target: Target,
    /// QC that it acknowledges; not above the target.
    pub ack: Option<Ack>,
}

/// "A rule says no." It locks nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Reject {
    /// Room, epoch, validators, signer.
    pub common: Common,
    /// Feed of the epoch.
    pub feed: PublicKey,
    /// Head whose last block is refused.
    pub head: Head,
    /// Rules in force, and the engine that ran them.
    pub rules_hash: RulesHash,
    /// Number of the reason, as people see it.
    pub rule: u16,
    /// What the rule returned, as far as it fits.
    pub code: u16,
}

/// "I sign nothing more in this epoch."
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Seal {
    /// Room, epoch, validators, signer.
    pub common: Common,
    /// Feed of the epoch; `None` when its host never showed up.
    pub feed: Option<PublicKey>,
    /// Highest QC that is held, by epoch and length.
    pub highest_qc: Option<QcRef>,
    /// Longest head voted for in this epoch.
    pub highest_vote: Option<Head>,
    /// Why.
    pub reason: SealReason,
}

/// "My feed for this epoch is this one." Signed by a host's identity key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Grant {
    /// Room, epoch, validators of the epoch, identity of the host.
    pub common: Common,
    /// The feed.
    pub feed: PublicKey,
}

/// "I hold the room up to the base and start from it." Signed by a validator of the epoch that begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Accept {
    /// Room, the epoch that begins, validators of the one that ends, signer.
    pub common: Common,
    /// Validators of the epoch that begins.
    pub next: VsetHash,
    /// What it begins from.
    pub base: Head,
}

/// A promise of storage. Any peer may sign one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Have {
    /// Room, epoch, validators, signer.
    pub common: Common,
    /// Feed that is stored.
    pub feed: PublicKey,
    /// Head that is stored.
    pub head: Head,
    /// Number of the promise: a later one replaces it.
    pub sequence: u64,
    /// First block that is kept.
    pub from: u64,
    /// One past the last block that is kept; at most the length.
    pub to: u64,
    /// Last epoch in which they are kept.
    pub until_epoch: u64,
}

/// Asks a peer to show that it has a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Challenge {
    /// Room, epoch, validators, signer.
    pub common: Common,
    /// Feed of the block.
    pub feed: PublicKey,
    /// Its index.
    pub index: u64,
    /// Bytes that no earlier answer fits.
    pub nonce: [u8; 32],
}

/// Shows that a peer has a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Response {
    /// Room, epoch, validators, signer.
    pub common: Common,
    /// Feed of the block.
    pub feed: PublicKey,
    /// Its index.
    pub index: u64,
    /// Bytes of the challenge.
    pub nonce: [u8; 32],
    /// [`response_digest`] of nonce and block.
    pub digest: Hash,
}

/// Returns what an honest answer to a challenge has: `b2b256(nonce | block)`.
pub fn response_digest(nonce: &[u8; 32], block: &[u8]) -> Hash {
    let mut params = Params::new();
    let mut state = params.hash_length(Hash::LEN).to_state();
    state.update(nonce).update(block);
    Hash::from_slice(state.finalize().as_bytes()).expect("the digest length is set to 32 bytes")
}

/// Writes the fields of statements in their order; `height` marks numbers with a limit.
macro_rules! layout {
    ($($name:ident = $kind:expr, { $($field:ident: $type:ty $(: $check:ident)?),* $(,)? } $(, $rule:expr)?;)*) => {
        $(impl Statement for $name {
            const KIND: u8 = $kind;
            const BYTES: usize = 0 $(+ <$type as Field>::BYTES)*;

            fn common(&self) -> &Common {
                &self.common
            }

            fn common_mut(&mut self) -> &mut Common {
                &mut self.common
            }

            fn put(&self, out: &mut Vec<u8>) {
                $(Field::put(&self.$field, out);)*
            }

            fn take(common: Common, bytes: &mut &[u8]) -> Result<Self, &'static str> {
                $(let $field: $type = layout!(@take bytes $($check)?)?;)*
                let statement = Self { common, $($field),* };
                $(
                    let rule: fn(&Self) -> Result<(), &'static str> = $rule;
                    rule(&statement)?;
                )?
                Ok(statement)
            }
        }

        const _: () = assert!(
            super::CONTEXT.len() + 1 + Common::BYTES + <$name as Statement>::BYTES <= MAX_SIGNED_BYTES
        );)*
    };
    (@take $bytes:ident height) => { height($bytes) };
    (@take $bytes:ident) => { Field::take($bytes) };
}

layout! {
    Vote = kind::VOTE, { feed: PublicKey, target: Target, ack: Option<Ack> }, |vote| {
        let is_below = vote.ack.is_none_or(|ack| ack.length <= vote.target.head.length());
        if is_below { Ok(()) } else { Err("an acknowledgement that is not above the vote") }
    };
    Reject = kind::REJECT, { feed: PublicKey, head: Head, rules_hash: RulesHash, rule: u16, code: u16 };
    Seal = kind::SEAL, {
        feed: Option<PublicKey>, highest_qc: Option<QcRef>, highest_vote: Option<Head>, reason: SealReason
    }, |seal| {
        if seal.highest_qc.is_some_and(|qc| qc.epoch > seal.common.epoch) {
            return Err("a QC of the sealed epoch or of one before it");
        }
        if seal.highest_vote.is_some() && seal.feed.is_none() {
            return Err("the feed that was voted for");
        }
        Ok(())
    };
    Grant = kind::GRANT, { feed: PublicKey };
    Accept = kind::ACCEPT, { next: VsetHash, base: Head };
    Have = kind::HAVE, {
        feed: PublicKey, head: Head, sequence: u64: height, from: u64: height, to: u64: height, until_epoch: u64: height
    }, |have| {
        let is_range = have.from < have.to && have.to <= have.head.length();
        if is_range { Ok(()) } else { Err("blocks below the length, at least one") }
    };
    Challenge = kind::CHALLENGE, { feed: PublicKey, index: u64: height, nonce: [u8; 32] };
    Response = kind::RESPONSE, { feed: PublicKey, index: u64: height, nonce: [u8; 32], digest: Hash };
}

impl Field for Target {
    const BYTES: usize = Head::BYTES + StateRoot::LEN + RulesHash::LEN;

    fn put(&self, out: &mut Vec<u8>) {
        self.head.put(out);
        self.state_root.put(out);
        self.rules_hash.put(out);
    }

    fn take(bytes: &mut &[u8]) -> Result<Self, &'static str> {
        let head = Head::take(bytes)?;
        Ok(Self { head, state_root: Field::take(bytes)?, rules_hash: Field::take(bytes)? })
    }
}

impl Field for Ack {
    const BYTES: usize = 8 + QcHash::LEN;

    fn put(&self, out: &mut Vec<u8>) {
        self.length.put(out);
        self.qc.put(out);
    }

    fn take(bytes: &mut &[u8]) -> Result<Self, &'static str> {
        let length = u64::take(bytes)?;
        if length == 0 || length > MAX_FEED_LENGTH {
            return Err("an acknowledged length of 1 to 2^52");
        }
        Ok(Self { length, qc: Field::take(bytes)? })
    }
}

impl Field for QcRef {
    const BYTES: usize = 8 + Head::BYTES + QcHash::LEN;

    fn put(&self, out: &mut Vec<u8>) {
        self.epoch.put(out);
        self.head.put(out);
        self.qc.put(out);
    }

    fn take(bytes: &mut &[u8]) -> Result<Self, &'static str> {
        let epoch = height(bytes)?;
        let head = Head::take(bytes)?;
        Ok(Self { epoch, head, qc: Field::take(bytes)? })
    }
}

impl Field for SealReason {
    const BYTES: usize = 1;

    fn put(&self, out: &mut Vec<u8>) {
        out.push(self.number());
    }

    fn take(bytes: &mut &[u8]) -> Result<Self, &'static str> {
        Self::from_number(u8::take(bytes)?).ok_or("a known reason for a seal")
    }
}
