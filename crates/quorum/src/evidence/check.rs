//! Whether evidence holds.

use quorate_feed::fork::check_contradiction;
use quorate_feed::sign::{Form, Verifier};
use quorate_feed::{Flavour, Roots, SignedRoots};
use quorate_types::RoomId;

use super::codec::hash;
use super::error::unsigned;
use super::{
    Claim, Evidence, EvidenceError, Judgement, Oracle, PromiseBreak, SignedVerdict, VerifiedEvidence,
    VoteLink,
};
use crate::certificate::Inclusion;
use crate::head::Head;
use crate::statement::{Ack, Common, Have, Seal, Signed, Statement, Vote, response_digest};

impl Evidence {
    /// Checks signatures and contradiction. The oracle is asked where the rules, or a block, decide.
    ///
    /// # Errors
    ///
    /// [`EvidenceError`] says why it proves nothing; [`EvidenceError::Unable`] that others may be able to tell.
    pub fn verify(
        self,
        room: &RoomId,
        oracle: &(impl Oracle + ?Sized),
    ) -> Result<VerifiedEvidence, EvidenceError> {
        if self.room != *room {
            return Err(EvidenceError::Room { expected: *room, found: self.room });
        }
        let bytes = self.checked_bytes()?;
        let topic = self.check(oracle)?;
        let (id, culprit) = (hash(&[&bytes]), *self.claim.culprit());
        Ok(VerifiedEvidence { culprit, bytes, id, topic, evidence: self })
    }

    /// Takes evidence from this node's own disk, which was verified with the history at hand.
    ///
    /// # Errors
    ///
    /// [`EvidenceError`] when it is too large, or not canonical.
    pub fn judged_before(self) -> Result<VerifiedEvidence, EvidenceError> {
        let bytes = self.checked_bytes()?;
        let (id, culprit) = (hash(&[&bytes]), *self.claim.culprit());
        Ok(VerifiedEvidence { culprit, bytes, id, topic: id, evidence: self })
    }

    /// Checks everything; returns a hash of what is proven, without signatures.
    fn check(&self, oracle: &(impl Oracle + ?Sized)) -> Result<quorate_types::Hash, EvidenceError> {
        let unable = EvidenceError::Unable { kind: self.claim.kind() };
        let tree_hash = |roots: &Roots| *roots.tree_hash(Flavour::Dat).as_bytes();
        let topic = match &self.claim {
            Claim::WriterFork(proof) => {
                let verified = (**proof).clone().verify()?;
                let proof = verified.proof();
                let mut histories = [tree_hash(&proof.a.roots), tree_hash(&proof.b.roots)];
                // Two of one length prove the same in either order.
                histories.sort_unstable();
                let [first, second] = &histories;
                hash(&[b"fork", first, second])
            }
            Claim::WriterTruncate { key, signed, fork } => {
                if *fork == 0 {
                    return Err(EvidenceError::Consistent { why: "a history that was never rewritten" });
                }
                let tree = signed.roots.tree_hash(Flavour::Hypercore10);
                let form = Form::Compat { fork: *fork };
                let length = signed.roots.length();
                if !Verifier::new(*key)?.verify_form(form, &tree, length, &signed.signature) {
                    return Err(unsigned(signed));
                }
                hash(&[b"truncate", tree.as_bytes(), &fork.to_le_bytes()])
            }
            Claim::BadAppend { key, length, nodes, signature, index, block } => {
                let inclusion = Inclusion::of(*index, block, *length, nodes)?;
                let signed = SignedRoots { roots: inclusion.roots, signature: *signature };
                if signed.verify(Flavour::Dat, &Verifier::new(*key)?).is_none() {
                    return Err(unsigned(&signed));
                }
                match oracle.judge_block(key, inclusion.before.as_ref(), block) {
                    Judgement::Refused { .. } => {}
                    Judgement::Accepted { .. } => {
                        return Err(EvidenceError::Consistent { why: "the rules accept the block" });
                    }
                    Judgement::Unable => return Err(unable),
                }
                hash(&[b"append", inclusion.with.tree_hash().as_bytes()])
            }
            Claim::DoubleGrant(a, b) => {
                self.check_pair(a, b)?;
                check_order(a.statement_bytes() <= b.statement_bytes())?;
                if a.statement.feed == b.statement.feed {
                    return Err(EvidenceError::Consistent { why: "one feed" });
                }
                verify_both(a, b)?
            }
            Claim::DoubleVote { first, second, link } => {
                self.check_pair(first, second)?;
                check_votes(first, second, link.as_deref())?;
                verify_both(first, second)?
            }
            Claim::SealBreak { seal, vote } => {
                self.check_pair(seal, vote)?;
                if let Some(why) = keeps_seal(&seal.statement, &vote.statement) {
                    return Err(EvidenceError::Consistent { why });
                }
                verify_both(seal, vote)?
            }
            Claim::BadVerdict(verdict) => self.check_verdict(verdict, oracle)?,
            Claim::HaveRollback { have, broken_by } => {
                let common = &have.statement.common;
                self.check_room(common)?;
                match broken_by {
                    PromiseBreak::Have(later) => {
                        self.check_signer(common, &later.statement.common)?;
                        check_rollback(&have.statement, &later.statement)?;
                        verify_both(have, later)?
                    }
                    PromiseBreak::Response(response) => {
                        self.check_signer(common, &response.statement.common)?;
                        let (promise, given) = (&have.statement, response.statement);
                        let is_promised = promise.feed == given.feed
                            && (promise.from..promise.to).contains(&given.index)
                            && (common.epoch..=promise.until_epoch).contains(&given.common.epoch);
                        if !is_promised {
                            return Err(EvidenceError::Consistent { why: "a block that was not promised" });
                        }
                        let block = oracle.block(&promise.feed, &promise.head, given.index).ok_or(unable)?;
                        if response_digest(&given.nonce, &block) == given.digest {
                            return Err(EvidenceError::Consistent { why: "a right answer" });
                        }
                        verify_both(have, response)?
                    }
                }
            }
        };
        Ok(topic)
    }

    fn check_room(&self, common: &Common) -> Result<(), EvidenceError> {
        if common.room == self.room {
            return Ok(());
        }
        Err(EvidenceError::Room { expected: self.room, found: common.room })
    }

    fn check_signer(&self, first: &Common, second: &Common) -> Result<(), EvidenceError> {
        self.check_room(first)?;
        self.check_room(second)?;
        if first.signer != second.signer {
            return Err(EvidenceError::Signers { first: first.signer, second: second.signer });
        }
        Ok(())
    }

    /// Checks that two statements are of one key, room and epoch.
    fn check_pair<A: Statement, B: Statement>(
        &self,
        first: &Signed<A>,
        second: &Signed<B>,
    ) -> Result<(), EvidenceError> {
        let (first, second) = (first.statement.common(), second.statement.common());
        self.check_signer(first, second)?;
        if first.epoch != second.epoch {
            return Err(EvidenceError::Epochs { first: first.epoch, second: second.epoch });
        }
        Ok(())
    }

    fn check_verdict(
        &self,
        verdict: &SignedVerdict,
        oracle: &(impl Oracle + ?Sized),
    ) -> Result<quorate_types::Hash, EvidenceError> {
        let unable = EvidenceError::Unable { kind: self.claim.kind() };
        match verdict {
            SignedVerdict::Vote(vote) => {
                let Vote { common, feed, target, .. } = &vote.statement;
                self.check_room(common)?;
                let same = |rules_hash| rules_hash == target.rules_hash;
                match oracle.judge(feed, &target.head) {
                    Judgement::Unable => return Err(unable),
                    Judgement::Accepted { rules_hash, .. } | Judgement::Refused { rules_hash }
                        if !same(rules_hash) =>
                    {
                        return Err(EvidenceError::Profile);
                    }
                    Judgement::Accepted { state_root, .. } if state_root == target.state_root => {
                        return Err(EvidenceError::Consistent {
                            why: "the rules accept it, with this state",
                        });
                    }
                    Judgement::Accepted { .. } | Judgement::Refused { .. } => {}
                }
                vote.verify()?;
                Ok(hash(&[b"verdict", &vote.statement_bytes()]))
            }
            SignedVerdict::Reject(reject) => {
                self.check_room(&reject.statement.common)?;
                match oracle.judge(&reject.statement.feed, &reject.statement.head) {
                    Judgement::Unable => return Err(unable),
                    Judgement::Accepted { rules_hash, .. } | Judgement::Refused { rules_hash }
                        if rules_hash != reject.statement.rules_hash =>
                    {
                        return Err(EvidenceError::Profile);
                    }
                    Judgement::Refused { .. } => {
                        return Err(EvidenceError::Consistent { why: "the rules refuse it" });
                    }
                    Judgement::Accepted { .. } => {}
                }
                reject.verify()?;
                Ok(hash(&[b"verdict", &reject.statement_bytes()]))
            }
        }
    }
}

fn check_order(is: bool) -> Result<(), EvidenceError> {
    if is { Ok(()) } else { Err(EvidenceError::NotCanonical) }
}

fn verify_both<A: Statement, B: Statement>(
    a: &Signed<A>,
    b: &Signed<B>,
) -> Result<quorate_types::Hash, EvidenceError> {
    a.verify()?;
    b.verify()?;
    Ok(hash(&[b"pair", &a.statement_bytes(), &b.statement_bytes()]))
}

/// Checks that two votes of one key and epoch are inconsistent.
fn check_votes(
    first: &Signed<Vote>,
    second: &Signed<Vote>,
    link: Option<&VoteLink>,
) -> Result<(), EvidenceError> {
    let (a, b) = (&first.statement, &second.statement);
    let (short, long) = (a.target.head.length(), b.target.head.length());
    let is_ordered = short < long || short == long && first.statement_bytes() <= second.statement_bytes();
    check_order(is_ordered)?;
    let needs_link = a.feed == b.feed && short < long;
    check_order(needs_link || link.is_none())?;
    if a.feed != b.feed {
        return Ok(());
    }
    if short == long {
        // Votes for one head that acknowledge different QCs are one vote, sent again.
        let why = "one head";
        return if a.target == b.target { Err(EvidenceError::Consistent { why }) } else { Ok(()) };
    }
    let why = "different lengths, and nothing that shows that they are of different histories";
    let VoteLink { first, second, nodes } = link.ok_or(EvidenceError::Consistent { why })?;
    for (roots, head) in [(first, a.target.head), (second, b.target.head)] {
        let found = Head::new(roots.length(), roots.tree_hash(Flavour::Dat));
        if found != Some(head) {
            return Err(EvidenceError::Consistent { why: "peaks of another history than was voted for" });
        }
    }
    Ok(check_contradiction(Flavour::Dat, first, second, nodes)?)
}

/// Tells why a vote of the sealed epoch agrees with the seal; `None` when it contradicts.
fn keeps_seal(seal: &Seal, vote: &Vote) -> Option<&'static str> {
    let head = seal.highest_vote?;
    let voted = &vote.target.head;
    if seal.feed != Some(vote.feed) || voted.length() > head.length() {
        return None;
    }
    if voted.length() == head.length() && *voted != head {
        return None;
    }
    if let Some(Ack { length, qc }) = vote.ack {
        let of_epoch = seal.highest_qc.filter(|highest| highest.epoch == seal.common.epoch)?;
        let highest = of_epoch.head.length();
        if length > highest || length == highest && qc != of_epoch.qc {
            return None;
        }
    }
    Some("the seal reports this vote, or a longer one, and what it acknowledges")
}

fn check_rollback(earlier: &Have, later: &Have) -> Result<(), EvidenceError> {
    let why = "a later promise of as much or more, or of another feed";
    let is_less = earlier.feed == later.feed
        && earlier.sequence < later.sequence
        && earlier.head.length() > later.head.length();
    if is_less { Ok(()) } else { Err(EvidenceError::Consistent { why }) }
}
