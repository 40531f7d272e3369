//! What attackers make of what honest validators have signed.

use std::collections::BTreeMap;

use bytes::Bytes;
use quorate_proto::quorum as proto;
use quorate_quorum::certificate::{Certified, Qc};
use quorate_quorum::evidence::Claim;
use quorate_quorum::statement::{Signed, Vote};
use quorate_types::{PublicKey, Signature, StateRoot};

use super::World;

/// Returns the newest vote of each honest validator that has voted for the longest head; the others are of no use, since
/// what lies below a Final is not read.
pub(super) fn newest_votes(world: &World) -> Vec<Signed<Vote>> {
    let votes = world.ledger.votes();
    let length = |vote: &Signed<Vote>| vote.statement.target.head.length();
    let longest = votes.iter().map(length).max();
    let of_longest = votes.into_iter().filter(|vote| Some(length(vote)) == longest);
    let by_signer: BTreeMap<PublicKey, Signed<Vote>> =
        of_longest.map(|vote| (vote.statement.common.signer, vote)).collect();
    by_signer.into_values().collect()
}

/// The order of the base point, little-endian: added to S it gives a second signature of one statement.
const ORDER: [u8; 32] = [
    0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14, 0, 0, 0,
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
];

/// The same vote with a signature that holds where S may be any number.
pub(super) fn malleated(vote: Signed<Vote>) -> Signed<Vote> {
    let mut bytes = *vote.signature.as_bytes();
    let mut carry = 0;
    for (byte, order) in bytes.iter_mut().skip(32).zip(ORDER) {
        let sum = u16::from(*byte) + u16::from(order) + carry;
        *byte = sum as u8;
        carry = sum >> 8;
    }
    Signed { signature: Signature::new(bytes), ..vote }
}

/// Under the neutral element every signature with R = S = 0 "verifies" without strictness.
pub(super) fn small_order(mut first: Signed<Vote>) -> Claim {
    let mut key = [0; 32];
    key[0] = 1;
    let mut signature = [0; 64];
    signature[0] = 1;
    first.statement.common.signer = PublicKey::new(key);
    first.signature = Signature::new(signature);
    let mut second = first;
    second.statement.target.state_root = StateRoot::new([9; 32]);
    Claim::double_vote(first, second)
}

/// The same vote for another feed: the signature does not fit.
pub(super) fn of_feed(vote: Signed<Vote>, feed: PublicKey) -> Signed<Vote> {
    Signed { statement: Vote { feed, ..vote.statement }, ..vote }
}

/// A QC of these votes, whatever they are for.
pub(super) fn qc(world: &World, certified: Certified, votes: &[Signed<Vote>]) -> Bytes {
    let places = votes.iter().filter_map(|vote| {
        let place = world.room.validators.position(&vote.statement.common.signer)?;
        Some((place as u32, (vote.statement.ack, vote.signature)))
    });
    Qc { certified, votes: places.collect() }.encode()
}

/// The same QC with its first vote once more.
pub(super) fn first_twice(qc: Bytes) -> Bytes {
    let mut qc = proto::Qc::decode(qc).expect("it was encoded here");
    let first = *qc.votes.first().expect("a QC that is made here has votes");
    qc.votes.insert(0, first);
    qc.encode()
}
