//! Receipts: what the host signs, and outcomes that are remembered.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, VecDeque};
use std::time::Instant;

use quorate_proto::quorate1::{Outcome, Receipt, Refused};
use quorate_types::limits::{MAX_REASON_BYTES, MAX_RULE_NAME_BYTES};
use quorate_types::{Hash, RoomId, Signature};

use super::limits::{MAX_OUTCOMES, REFUSAL_MEMORY};
use crate::identity::{Author, Verifier, b2b256_of};
use crate::refusal::{Refusal, RoomCode, RuleRef, clean};

/// What every receipt's signed bytes begin with.
pub const RECEIPT_CONTEXT: &[u8] = b"quorate/1 receipt\0";

/// What the bytes begin with whose hash names a submission that is no entry.
pub const SUBMISSION_CONTEXT: &[u8] = b"quorate/1 submission\0";

/// Computes the digest in a receipt that refuses bytes: `b2b256("quorate/1 submission\0" | room of the submission | its
/// bytes)`.
///
/// What was submitted is not what its author signed, or for another room. By the hash of what the author signed the
/// receipt would refuse the author's own entry as well, which others may have altered on its way.
pub fn submission_digest(room: &RoomId, entry: &[u8]) -> Hash {
    b2b256_of(&[SUBMISSION_CONTEXT, room.as_ref(), entry])
}

/// Returns what the host signs: `"quorate/1 receipt\0" | room | digest | outcome`.
///
/// An outcome is `u8 1 | u64le index`, or `u8 2 | u16le code | rule id (zeros for no rule) | u32le rule code | u32le
/// length | rule name | u32le length | reason`.
pub fn receipt_bytes(room: &RoomId, digest: &Hash, outcome: &Outcome) -> Vec<u8> {
    let mut bytes = [RECEIPT_CONTEXT, room.as_ref(), digest.as_ref()].concat();
    match outcome {
        Outcome::Appended { index } => {
            bytes.push(1);
            bytes.extend_from_slice(&index.to_le_bytes());
        }
        Outcome::Refused(refused) => {
            bytes.push(2);
            bytes.extend_from_slice(&refused.code.to_le_bytes());
            let (rule, name) = match &refused.rule {
                Some((rule, name)) => (*rule.as_bytes(), name.as_str()),
                None => ([0; 32], ""),
            };
            bytes.extend_from_slice(&rule);
            bytes.extend_from_slice(&refused.rule_code.to_le_bytes());
            for text in [name, &refused.reason] {
                bytes.extend_from_slice(&u32::try_from(text.len()).unwrap_or(u32::MAX).to_le_bytes());
                bytes.extend_from_slice(text.as_bytes());
            }
        }
    }
    bytes
}

/// Signs an outcome.
pub(super) fn sign(host: &Author, room: &RoomId, digest: &Hash, outcome: &Outcome) -> Signature {
    host.sign(&receipt_bytes(room, digest, outcome))
}

/// Tells whether the host signed a receipt.
pub(super) fn is_signed(host: &Verifier, receipt: &Receipt) -> bool {
    let bytes = receipt_bytes(&receipt.room, &receipt.digest, &receipt.outcome);
    host.verify(&bytes, &receipt.signature).is_ok()
}

/// Writes a refusal for a receipt.
pub(super) fn refused(refusal: &Refusal) -> Outcome {
    let name = |rule: &RuleRef| {
        let mut name = clean(&rule.name);
        while name.len() > MAX_RULE_NAME_BYTES {
            name.pop();
        }
        (rule.id, name)
    };
    let reason = clean(&refusal.reason);
    debug_assert!(reason.len() <= MAX_REASON_BYTES);
    Outcome::Refused(Refused {
        code: refusal.code.number(),
        rule: refusal.rule.as_ref().map(name),
        rule_code: refusal.rule_code.unwrap_or(0),
        reason,
    })
}

/// Reads the refusal of a receipt. A code that is not known here, of a newer host, is shown in the reason.
pub(super) fn refusal(refused: &Refused) -> Refusal {
    let code = RoomCode::from_number(refused.code);
    let reason = match code {
        Some(_) => refused.reason.clone(),
        None => format!("E{}: {}", refused.code, refused.reason),
    };
    Refusal {
        code: code.unwrap_or(RoomCode::NotAllowed),
        rule: refused.rule.as_ref().map(|(id, name)| RuleRef { id: *id, name: clean(name) }),
        rule_code: Some(refused.rule_code).filter(|code| *code != 0),
        reason: clean(&reason),
    }
}

/// Tells whether the same entry will have the same outcome again: not when it only came too early.
pub(super) fn is_lasting(outcome: &Outcome) -> bool {
    match outcome {
        Outcome::Appended { .. } => true,
        Outcome::Refused(refused) => refused.code != RoomCode::SequenceSkipped.number(),
    }
}

/// An outcome that is remembered.
#[derive(Debug)]
struct Known {
    outcome: Outcome,
    /// The host's. The host itself signs when it is asked; elsewhere there is none under what a block has shown.
    signature: Option<Signature>,
    since: Instant,
}

/// Outcomes by digest, the newest of them.
#[derive(Debug, Default)]
pub(super) struct Outcomes {
    known: HashMap<Hash, Known>,
    order: VecDeque<Hash>,
}

impl Outcomes {
    /// Remembers an outcome. The first one of an entry counts, unless it was not signed and this one is.
    pub(super) fn remember(
        &mut self,
        now: Instant,
        digest: Hash,
        outcome: Outcome,
        signature: Option<Signature>,
    ) {
        let known = Known { outcome, signature, since: now };
        match self.known.entry(digest) {
            Entry::Occupied(mut before) => {
                let is_better = known.signature.is_some() && before.get().signature.is_none();
                if is_better || !before.get().is_fresh(now) {
                    before.insert(known);
                }
                return;
            }
            Entry::Vacant(place) => place.insert(known),
        };
        self.order.push_back(digest);
        if self.order.len() > MAX_OUTCOMES
            && let Some(oldest) = self.order.pop_front()
        {
            self.known.remove(&oldest);
        }
    }

    /// Returns the outcome of an entry.
    pub(super) fn get(&self, now: Instant, digest: &Hash) -> Option<&Outcome> {
        self.known.get(digest).filter(|known| known.is_fresh(now)).map(|known| &known.outcome)
    }

    /// Forgets what only blocks from a length on have shown. What the host of now has signed holds: it speaks of the blocks
    /// that come in their place.
    pub(super) fn dropped(&mut self, length: u64) {
        let is_gone = |known: &Known| matches!(known.outcome, Outcome::Appended { index } if index >= length);
        self.known.retain(|_, known| known.signature.is_some() || !is_gone(known));
        self.order.retain(|digest| self.known.contains_key(digest));
    }

    /// Tells whether an entry was refused.
    pub(super) fn is_refused(&self, now: Instant, digest: &Hash) -> bool {
        matches!(self.get(now, digest), Some(Outcome::Refused(_)))
    }

    /// Forgets an outcome.
    pub(super) fn forget(&mut self, digest: &Hash) {
        if self.known.remove(digest).is_some() {
            self.order.retain(|other| other != digest);
        }
    }

    /// Tells whether the host's signature under the outcome of an entry is here.
    pub(super) fn is_signed(&self, now: Instant, digest: &Hash) -> bool {
        self.known.get(digest).is_some_and(|known| known.is_fresh(now) && known.signature.is_some())
    }

    /// Returns the receipt of an entry, signed by the host if this is the host.
    pub(super) fn receipt(
        &mut self,
        now: Instant,
        room: &RoomId,
        digest: &Hash,
        host: Option<&Author>,
    ) -> Option<Receipt> {
        let known = self.known.get_mut(digest).filter(|known| known.is_fresh(now))?;
        if let (None, Some(host)) = (known.signature, host) {
            known.signature = Some(sign(host, room, digest, &known.outcome));
        }
        let (outcome, signature) = (known.outcome.clone(), known.signature?);
        Some(Receipt { room: *room, digest: *digest, outcome, signature })
    }
}

impl Known {
    fn is_fresh(&self, now: Instant) -> bool {
        let age = now.saturating_duration_since(self.since);
        matches!(self.outcome, Outcome::Appended { .. }) || age < REFUSAL_MEMORY
    }
}
