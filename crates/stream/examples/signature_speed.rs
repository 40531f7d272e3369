//! What a signature of an entry of 1 KiB costs: alone with `verify_strict`, and among others of keys that come again.
//!
//!     cargo run --release -p quorate-stream --example signature_speed -- [KEYS]
//!
//! Rounds are short, so that other work on the machine leaves some of them alone.

use std::error::Error;
use std::time::{Duration, Instant};

use ed25519_dalek::{Signature, VerifyingKey};
use quorate_stream::action::{Action, UnsignedAction, verify_many};
use quorate_stream::identity::{Anchor, Author, KnownKeys};
use quorate_types::RoomId;

const ROUNDS: usize = 200;
const SIGNATURES: usize = 128;

fn main() -> Result<(), Box<dyn Error>> {
    let count = std::env::args().nth(1).map_or(Ok(1000), |keys| keys.parse::<usize>())?.max(1);
    let room = RoomId::new([7; 32]);
    let authors: Vec<Author> = (0..count as u64)
        .map(|number| {
            let mut seed = [1; 32];
            seed[..8].copy_from_slice(&number.to_le_bytes());
            Author::from_seed(&seed)
        })
        .collect();
    let sign = |number: usize| {
        let (sequence, anchor, payload) = (number as u64, Anchor::NONE, vec![b'x'; 1024].into());
        let action = UnsignedAction { sequence, anchor, valid_until: 0, payload };
        action.sign(&room, &authors[number % count]).map(|action| action.into_inner())
    };
    let actions = (0..ROUNDS * SIGNATURES).map(sign).collect::<Result<Vec<Action>, _>>()?;
    let strict = |actions: &[Action]| {
        for action in actions {
            let key = VerifyingKey::from_bytes(action.author.as_bytes()).expect("a key");
            let signature = Signature::from_bytes(action.signature.as_bytes());
            key.verify_strict(&action.signed_bytes(&room), &signature).expect("a good signature");
        }
    };
    let keys = KnownKeys::new();
    let many = |actions: &[Action]| {
        assert!(verify_many(&keys, &room, actions.to_vec()).iter().all(Result::is_ok));
    };
    report("verify_strict", &actions, strict);
    report("verify_many, at first", &actions, many);
    report("verify_many, of known keys", &actions, many);
    Ok(())
}

fn report(name: &str, actions: &[Action], verify: impl Fn(&[Action])) {
    let (mut best, mut all) = (Duration::MAX, Duration::ZERO);
    for some in actions.chunks(SIGNATURES) {
        let begun = Instant::now();
        verify(some);
        best = best.min(begun.elapsed());
        all += begun.elapsed();
    }
    let micros = |time: Duration, count: usize| time.as_secs_f64() * 1e6 / count as f64;
    println!(
        "{name:28} {:6.1} us each in the best {SIGNATURES}, {:6.1} us in all",
        micros(best, SIGNATURES),
        micros(all, actions.len())
    );
}
