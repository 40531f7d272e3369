//! Keys that come again: what is computed of one of them once makes each of its signatures cheaper to verify.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use quorate_types::PublicKey;

use super::Forgery;
use super::multiples::Multiples;
use super::strict::Verifier;

/// Multiples of a key: 13 rows of 16.
pub(super) type KeyMultiples = Multiples<5, 4>;

/// Good signatures of a key before its multiples are computed, which takes as long as verifying two or three.
const FAMILIAR: u32 = 8;

/// Keys with multiples, at most: 33 280 bytes each, 8.5 MB together. Many more do not fit the caches, and gain little.
const MAX_FAMILIAR: usize = 256;

/// Keys that are counted, at most.
const MAX_COUNTED: usize = 8192;

/// Look-ups of keys for which one with multiples is kept, though it does not come again, when another could have its place.
const KEPT_FOR: u64 = 16 * MAX_FAMILIAR as u64;

/// Keys that have signed, the most recent of them. Any number of threads may use it at once.
///
/// It makes verification faster and never changes its result.
pub struct KnownKeys {
    shelves: Mutex<Shelves>,
}

/// A key that can be verified with.
#[derive(Debug)]
pub(crate) struct KnownKey {
    verifier: Verifier,
    seen: AtomicU32,
    /// Its multiples are worth their memory.
    familiar: AtomicBool,
    multiples: OnceLock<KeyMultiples>,
}

impl KnownKeys {
    /// Knows no key.
    pub fn new() -> Self {
        Self::with_places(if is_fast_without() { 0 } else { MAX_FAMILIAR })
    }

    fn with_places(places: usize) -> Self {
        Self { shelves: Mutex::new(Shelves { places, ..Shelves::default() }) }
    }

    /// Returns what is known of a key, or begins to know it.
    ///
    /// # Errors
    ///
    /// The key is none to verify with.
    pub(crate) fn get(&self, key: &PublicKey) -> Result<Arc<KnownKey>, Forgery> {
        if let Some(known) = self.shelves().find(key) {
            return Ok(known);
        }
        // Not under the lock: a key takes as long as some hundred look-ups.
        let verifier = Verifier::new(key)?;
        Ok(self.shelves().begin(key, verifier))
    }

    fn shelves(&self) -> MutexGuard<'_, Shelves> {
        // A panic elsewhere leaves nothing behind that could change a result.
        self.shelves.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for KnownKeys {
    fn default() -> Self {
        Self::new()
    }
}

/// Tells whether the curve's library multiplies with AVX-512 here, which takes no longer than adding multiples
/// (`docs/performance.md`, signatures), and none of their memory.
fn is_fast_without() -> bool {
    #[cfg(all(target_arch = "x86_64", curve25519_dalek_backend = "avx512"))]
    {
        std::arch::is_x86_feature_detected!("avx512ifma") && std::arch::is_x86_feature_detected!("avx512vl")
    }
    #[cfg(not(all(target_arch = "x86_64", curve25519_dalek_backend = "avx512")))]
    {
        false
    }
}

impl fmt::Debug for KnownKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shelves = self.shelves();
        f.debug_struct("KnownKeys")
            .field("counted", &shelves.counted.keys.len())
            .field("familiar", &shelves.familiar.keys.len())
            .finish()
    }
}

impl KnownKey {
    pub(super) const fn verifier(&self) -> &Verifier {
        &self.verifier
    }

    /// Returns the multiples of the key, negated, if it is familiar.
    pub(super) fn multiples(&self) -> Option<&KeyMultiples> {
        let familiar = self.familiar.load(Ordering::Relaxed);
        familiar.then(|| self.multiples.get_or_init(|| KeyMultiples::of(self.verifier.negated())))
    }

    /// Notes a signature that was good: nobody makes a key familiar but who has its secret.
    pub(super) fn note_good(&self) {
        self.seen.fetch_add(1, Ordering::Relaxed);
    }

    fn is_seen_often(&self) -> bool {
        self.seen.load(Ordering::Relaxed) >= FAMILIAR
    }
}

#[derive(Default)]
struct Shelves {
    clock: u64,
    /// Keys that may be familiar at once.
    places: usize,
    counted: Shelf,
    familiar: Shelf,
}

impl Shelves {
    fn find(&mut self, key: &PublicKey) -> Option<Arc<KnownKey>> {
        self.clock = self.clock.saturating_add(1);
        if let Some(known) = self.familiar.touch(key, self.clock) {
            return Some(known);
        }
        let known = self.counted.touch(key, self.clock)?;
        if known.is_seen_often() && self.has_room() {
            self.counted.remove(key);
            self.familiar.put(key, Arc::clone(&known), self.clock);
            known.familiar.store(true, Ordering::Relaxed);
        }
        Some(known)
    }

    /// Tells whether there is room for another familiar key. One that was not needed for long gives it up: one that was
    /// would only be computed anew, so that more keys than there is room for take turns for nothing.
    fn has_room(&mut self) -> bool {
        if self.familiar.keys.len() < self.places {
            return true;
        }
        let is_old = self.familiar.oldest().is_some_and(|used| self.clock.saturating_sub(used) > KEPT_FOR);
        if is_old {
            self.familiar.drop_oldest();
        }
        is_old
    }

    fn begin(&mut self, key: &PublicKey, verifier: Verifier) -> Arc<KnownKey> {
        self.clock = self.clock.saturating_add(1);
        // Another thread may have been faster.
        if let Some(known) =
            self.familiar.touch(key, self.clock).or_else(|| self.counted.touch(key, self.clock))
        {
            return known;
        }
        if self.counted.keys.len() >= MAX_COUNTED {
            self.counted.drop_oldest();
        }
        let known = Arc::new(KnownKey {
            verifier,
            seen: AtomicU32::new(0),
            familiar: AtomicBool::new(false),
            multiples: OnceLock::new(),
        });
        self.counted.put(key, Arc::clone(&known), self.clock);
        known
    }
}

/// Keys, and when each was last looked up.
#[derive(Default)]
struct Shelf {
    keys: BTreeMap<PublicKey, (Arc<KnownKey>, u64)>,
    /// No two look-ups have the same time.
    order: BTreeMap<u64, PublicKey>,
}

impl Shelf {
    fn touch(&mut self, key: &PublicKey, now: u64) -> Option<Arc<KnownKey>> {
        let (known, used) = self.keys.get_mut(key)?;
        self.order.remove(used);
        self.order.insert(now, *key);
        *used = now;
        Some(Arc::clone(known))
    }

    fn put(&mut self, key: &PublicKey, known: Arc<KnownKey>, now: u64) {
        self.keys.insert(*key, (known, now));
        self.order.insert(now, *key);
    }

    fn remove(&mut self, key: &PublicKey) {
        if let Some((_, used)) = self.keys.remove(key) {
            self.order.remove(&used);
        }
    }

    fn oldest(&self) -> Option<u64> {
        self.order.first_key_value().map(|(used, _)| *used)
    }

    fn drop_oldest(&mut self) {
        if let Some((_, key)) = self.order.pop_first() {
            self.keys.remove(&key);
        }
    }
}

#[cfg(test)]
impl KnownKeys {
    /// Knows no key, and will compute multiples whatever the processor.
    pub(super) fn with_multiples() -> Self {
        Self::with_places(MAX_FAMILIAR)
    }

    /// Begins with a familiar key, if it is one to verify with.
    pub(super) fn knowing(key: &PublicKey) -> Self {
        let keys = Self::with_multiples();
        if let Ok(known) = keys.get(key) {
            known.seen.store(FAMILIAR, Ordering::Relaxed);
            assert!(keys.get(key).is_ok_and(|known| known.multiples().is_some()));
        }
        keys
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::Author;

    fn key(number: usize) -> PublicKey {
        let mut seed = [0; 32];
        seed[..8].copy_from_slice(&(number as u64).to_le_bytes());
        Author::from_seed(&seed).public()
    }

    fn counts(keys: &KnownKeys) -> (usize, usize) {
        let shelves = keys.shelves();
        for shelf in [&shelves.counted, &shelves.familiar] {
            assert_eq!(shelf.keys.len(), shelf.order.len());
        }
        (shelves.counted.keys.len(), shelves.familiar.keys.len())
    }

    #[test]
    fn multiples_take_what_is_said() {
        assert_eq!(KeyMultiples::BYTES, 33_280);
    }

    #[test]
    fn keys_are_bounded_and_the_first_stay_familiar() {
        let keys = KnownKeys::with_multiples();
        let all: Vec<PublicKey> = (0..MAX_FAMILIAR + 200).map(key).collect();
        for key in &all {
            keys.get(key).unwrap().seen.store(FAMILIAR, Ordering::Relaxed);
        }
        assert_eq!(counts(&keys), (all.len(), 0));
        // The multiples themselves are computed when they are needed, which is not here.
        for _ in 0..3 {
            for key in &all {
                keys.get(key).unwrap();
            }
            assert_eq!(counts(&keys), (200, MAX_FAMILIAR));
            assert!(keys.get(&all[0]).unwrap().familiar.load(Ordering::Relaxed));
        }
        // One that comes again for long gets the place of one that does not.
        let late = &all[MAX_FAMILIAR];
        for _ in 0..=KEPT_FOR {
            keys.get(late).unwrap();
        }
        assert!(keys.get(late).unwrap().familiar.load(Ordering::Relaxed));
        assert_eq!(counts(&keys), (199, MAX_FAMILIAR));
    }

    #[test]
    fn counted_keys_are_bounded() {
        let keys = KnownKeys::with_multiples();
        for number in 0..MAX_COUNTED + 10 {
            keys.get(&key(number)).unwrap();
        }
        assert_eq!(counts(&keys), (MAX_COUNTED, 0));
        assert_eq!(keys.get(&PublicKey::new([2; 32])).unwrap_err(), Forgery::NoKey);
        assert_eq!(counts(&keys), (MAX_COUNTED, 0));
    }
}
