//! Signatures that are verified together, of keys that are known: each has the result that it has alone.

use std::sync::LazyLock;

use bytes::Bytes;
use quorate_stream::action::{Action, UnsignedAction, verify_many};
use quorate_stream::identity::{Anchor, Author, KnownKeys};
use quorate_types::{PublicKey, Signature};

use super::entries::ROOM;
use crate::Target;

pub(super) const TARGET: Target = Target { name: "signatures", run, seeds, cost: 40 };

/// Actions in an input: two groups of eight are verified at once, and a few are left.
const ACTIONS: usize = 19;

/// Bytes that make an action: which author, which of the signatures, what becomes of it, and where.
const BYTES: usize = 5;

static AUTHORS: LazyLock<[Author; 4]> =
    LazyLock::new(|| std::array::from_fn(|number| Author::from_seed(&[number as u8; 32])));

/// Keys that have signed before, so that multiples of them are at hand.
static KEYS: LazyLock<KnownKeys> = LazyLock::new(|| {
    let keys = KnownKeys::new();
    for _ in 0..2 {
        let signed = AUTHORS.iter().flat_map(|author| (0..16).map(|number| signed(author, number)));
        assert!(verify_many(&keys, &ROOM, signed).iter().all(Result::is_ok));
    }
    keys
});

fn signed(author: &Author, number: u8) -> Action {
    let payload = Bytes::from(vec![number; usize::from(number) * 20]);
    let action = UnsignedAction { sequence: number.into(), anchor: Anchor::NONE, valid_until: 0, payload };
    action.sign(&ROOM, author).expect("every field is small").into_inner()
}

fn run(input: &[u8]) {
    let actions: Vec<Action> = input.as_chunks().0.iter().take(ACTIONS).map(action).collect();
    let together = verify_many(&KEYS, &ROOM, actions.clone());
    let alone: Vec<_> = actions.into_iter().map(|action| action.verify(&ROOM)).collect();
    assert_eq!(together, alone);
}

/// Makes an action of an author, or breaks one.
fn action(&[author, number, what, place, value]: &[u8; BYTES]) -> Action {
    let author = &AUTHORS[usize::from(author) % AUTHORS.len()];
    let mut action = signed(author, number % 16);
    let mut signature = *action.signature.as_bytes();
    match what % 8 {
        0..=2 => {}
        // A bit, or a byte.
        3 => signature[usize::from(place) % 64] ^= 1 << (value % 8),
        4 => signature[usize::from(place) % 64] = value,
        // R of another signature, or s.
        5 => {
            let other = signed(author, place % 16);
            let half = if value % 2 == 0 { 0..32 } else { 32..64 };
            signature[half.clone()].copy_from_slice(&other.signature.as_bytes()[half]);
        }
        6 => action.author = AUTHORS[usize::from(place) % AUTHORS.len()].public(),
        _ => action.author = PublicKey::new([value; 32]),
    }
    action.signature = Signature::new(signature);
    action
}

fn seeds() -> Vec<Vec<u8>> {
    let action = |at: u8| [at, at, at / 2, at.wrapping_mul(29), at.wrapping_mul(83)];
    let of = |count: u8| (0..count).flat_map(action).collect();
    vec![of(1), of(8), of(ACTIONS as u8), vec![0; ACTIONS * BYTES]]
}
