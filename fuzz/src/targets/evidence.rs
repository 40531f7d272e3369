//! Evidence of contradictory signatures.

use bytes::Bytes;
use quorate_feed::Flavour;
use quorate_feed::fork::find_link;
use quorate_quorum::evidence::{Claim, Evidence, NoOracle, PromiseBreak};
use quorate_quorum::head::Head;
use quorate_quorum::key::Signer;
use quorate_quorum::statement::{
    Ack, Common, Grant, Have, QcRef, Seal, SealReason, Signed, Statement, Target as Voted, Verified, Vote,
};
use quorate_types::limits::MAX_CERTIFICATE_BYTES;
use quorate_types::{Hash, PublicKey, QcHash, RoomId, RulesHash, StateRoot, VsetHash};

use super::{fork, world};
use crate::Target;

pub(super) const TARGET: Target = Target { name: "evidence", run, seeds, cost: 8 };

const ROOM: RoomId = RoomId::new([1; 32]);

fn run(input: &[u8]) {
    let Ok(evidence) = Evidence::decode(Bytes::copy_from_slice(input)) else {
        return;
    };
    assert_eq!(evidence.encode(), input, "evidence has one encoding");
    let room = evidence.room;
    let Ok(verified) = evidence.clone().verify(&ROOM, &NoOracle) else {
        return;
    };
    assert_eq!(room, ROOM, "evidence of another room");
    assert!(input.len() <= MAX_CERTIFICATE_BYTES);
    assert_eq!((verified.bytes(), verified.evidence()), (&evidence.encode(), &evidence));
    assert_eq!(verified.culprit(), evidence.claim.culprit());
    // Nobody but them has signed a contradiction anywhere in the seeds.
    let culprits = [faulty().public(), world::keys().0];
    assert!(culprits.contains(verified.culprit()), "an honest key is framed");
}

/// Contradicts itself in all ways.
fn faulty() -> Signer {
    Signer::from_seed(&[3; 32])
}

/// Signs nothing that contradicts anything.
fn honest() -> Signer {
    Signer::from_seed(&[4; 32])
}

/// True and false claims: what the faulty key signed proves something, what the honest key signed does not.
fn seeds() -> Vec<Vec<u8>> {
    let mut claims: Vec<Claim> =
        fork::proofs().into_iter().map(|proof| Claim::WriterFork(proof.into())).collect();
    claims.extend(contradictions(&faulty()));
    let proven = claims.len();
    claims.extend(consistent(&honest()));
    let encode = |(place, claim): (usize, Claim)| {
        let evidence = Evidence { room: ROOM, claim };
        let holds = evidence.clone().verify(&ROOM, &NoOracle).is_ok();
        assert_eq!(holds, place < proven, "a seed is what it is made for: {evidence:?}");
        evidence.encode().to_vec()
    };
    claims.into_iter().enumerate().map(encode).collect()
}

fn contradictions(signer: &Signer) -> Vec<Claim> {
    let (one, other) = (vote(signer, head(3, 1), None), vote(signer, head(3, 2), None));
    let seal = seal(signer, head(2, 1), 2);
    let (more, less) = (have(signer, 1, 8), have(signer, 2, 4));
    let granted = |feed| sign(Grant { common: common(signer), feed: PublicKey::new([feed; 32]) }, signer);
    let mut claims = vec![
        Claim::double_vote(one, other),
        Claim::SealBreak { seal, vote: one },
        Claim::double_grant(granted(8), granted(9)),
        Claim::HaveRollback { have: more, broken_by: PromiseBreak::Have(less) },
    ];
    // Votes for histories of different lengths that part in their last block but one.
    for proof in fork::proofs().into_iter().filter(|proof| proof.flavour == Flavour::Dat) {
        let (a, b) = (proof.a.roots, proof.b.roots);
        if a.length() == b.length() {
            continue;
        }
        let voted = |roots: &quorate_feed::Roots| {
            let head = Head::new(roots.length(), roots.tree_hash(Flavour::Dat)).expect("there are blocks");
            vote(signer, head, None)
        };
        let (shorter, longer) = (voted(&a), voted(&b));
        let node = |index| proof.link.iter().find(|node| node.index == index).copied();
        assert!(find_link(&a, &b, node).is_some(), "the link is in the proof");
        claims.extend(Claim::linked_votes(shorter, longer, a, b, node));
    }
    claims
}

fn consistent(signer: &Signer) -> Vec<Claim> {
    let ack = Ack { length: 2, qc: QcHash::new([2; 32]) };
    let votes =
        [vote(signer, head(2, 1), None), vote(signer, head(3, 1), None), vote(signer, head(3, 1), Some(ack))];
    let seal = seal(signer, head(3, 1), 2);
    let (less, more) = (have(signer, 1, 4), have(signer, 2, 8));
    let mut claims: Vec<Claim> = votes.iter().map(|vote| Claim::SealBreak { seal, vote: *vote }).collect();
    claims.push(Claim::double_vote(votes[0], votes[1]));
    claims.push(Claim::double_vote(votes[1], votes[2]));
    claims.push(Claim::HaveRollback { have: less, broken_by: PromiseBreak::Have(more) });
    claims
}

fn head(length: u64, byte: u8) -> Head {
    Head::new(length, Hash::new([byte; 32])).expect("the length is not 0")
}

fn common(signer: &Signer) -> Common {
    Common { room: ROOM, epoch: 1, vset: VsetHash::new([2; 32]), signer: signer.public() }
}

fn feed() -> PublicKey {
    PublicKey::new([5; 32])
}

fn sign<S: Statement + Copy>(statement: S, signer: &Signer) -> Signed<S> {
    *Verified::sign(statement, signer).signed()
}

fn vote(signer: &Signer, head: Head, ack: Option<Ack>) -> Signed<Vote> {
    let target = Voted { head, state_root: StateRoot::new([6; 32]), rules_hash: RulesHash::new([7; 32]) };
    sign(Vote { common: common(signer), feed: feed(), target, ack }, signer)
}

/// Reports a vote, and a QC of this length.
fn seal(signer: &Signer, voted: Head, length: u64) -> Signed<Seal> {
    let qc = QcRef { epoch: 1, head: head(length, 1), qc: QcHash::new([2; 32]) };
    let (highest_qc, highest_vote) = (Some(qc), Some(voted));
    let statement = Seal {
        common: common(signer),
        feed: Some(feed()),
        highest_qc,
        highest_vote,
        reason: SealReason::Stalled,
    };
    sign(statement, signer)
}

fn have(signer: &Signer, sequence: u64, length: u64) -> Signed<Have> {
    let (from, to, until_epoch) = (0, length, 9);
    let common = common(signer);
    sign(Have { common, feed: feed(), head: head(length, 1), sequence, from, to, until_epoch }, signer)
}
