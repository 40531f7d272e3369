//! Keys that come again: what is computed of one of them once makes each of its signatures cheaper to verify.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use quorate_types::PublicKey;

use super::Forgery;
use super::eight::{Eight, KeyAddends, LANES};
use super::multiples::Multiples;
use super::strict::Verifier;

/// Multiples of a key: 13 rows of 16.
pub(super) type KeyMultiples = Multiples<5, 4>;

/// What is computed of a key that comes again, which depends on the processor.
#[derive(Debug)]
enum Ahead {
    /// Multiples, to be added one by one.
    Points(KeyMultiples),
    /// Multiples for eight sums at once.
    Eight(KeyAddends),
    /// They did not come out as points, which does not happen.
    Nothing,
}

/// How much is computed ahead.
#[derive(Debug, Clone, Copy)]
struct Familiarity {
    eight: Option<Eight>,
    /// Good signatures of a key before it is familiar.
    seen: u32,
    /// Keys that may be familiar at once. Many more do not fit the caches, and gain little.
    places: usize,
}

impl Familiarity {
    /// Sums of multiples: computing them takes as long as verifying two or three signatures; 33 280 bytes a key, 8.5 MB together.
    const POINTS: Self = Self { eight: None, seen: 8, places: 256 };

    /// Products take no longer than sums, and none of their memory.
    const NONE: Self = Self { eight: None, seen: u32::MAX, places: 0 };

    /// Eight sums at once: computing the multiples of eight keys takes as long as verifying eight or nine signatures without;
    /// 8704 bytes a key, 8.9 MB together.
    const fn eight(eight: Eight) -> Self {
        Self { eight: Some(eight), seen: 8, places: 1024 }
    }

    fn of_this_processor() -> Self {
        match Eight::detect() {
            Some(eight) => Self::eight(eight),
            None if is_fast_without() => Self::NONE,
            None => Self::POINTS,
        }
    }
}

/// Keys that are counted, at most.
const MAX_COUNTED: usize = 8192;

/// Look-ups of keys for which a familiar one is kept, though it does not come again, when another could have its place.
const KEPT_FOR: u64 = 4096;

/// Keys that have signed, the most recent of them. Any number of threads may use it at once.
///
/// It makes verification faster and never changes its result.
pub struct KnownKeys {
    familiarity: Familiarity,
    shelves: Mutex<Shelves>,
}

/// A key that can be verified with.
#[derive(Debug)]
pub(crate) struct KnownKey {
    verifier: Verifier,
    seen: AtomicU32,
    /// Its multiples are worth their memory.
    familiar: AtomicBool,
    ahead: OnceLock<Ahead>,
}

impl KnownKeys {
    /// Knows no key.
    pub fn new() -> Self {
        Self::with(Familiarity::of_this_processor())
    }

    fn with(familiarity: Familiarity) -> Self {
        Self { familiarity, shelves: Mutex::default() }
    }

    /// Returns what computes eight sums at once, if the processor does.
    pub(super) const fn eight(&self) -> Option<Eight> {
        self.familiarity.eight
    }

    /// Returns what is known of a key, or begins to know it.
    ///
    /// # Errors
    ///
    /// The key is none to verify with.
    pub(crate) fn get(&self, key: &PublicKey) -> Result<Arc<KnownKey>, Forgery> {
        if let Some(known) = self.shelves().find(key, &self.familiarity) {
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

/// Computes what eight sums at once need, of the keys among some that are familiar and have it not.
pub(super) fn compute_ahead<'a>(eight: Eight, keys: impl IntoIterator<Item = &'a Arc<KnownKey>>) {
    let lacking = keys.into_iter().filter(|known| known.is_familiar() && known.ahead.get().is_none());
    let lacking: BTreeMap<&PublicKey, &Arc<KnownKey>> =
        lacking.map(|known| (known.verifier.key(), known)).collect();
    let lacking: Vec<&Arc<KnownKey>> = lacking.into_values().collect();
    for some in lacking.chunks(LANES) {
        let [first, ..] = some else { continue };
        let encodings = std::array::from_fn(|lane| some.get(lane).unwrap_or(first).verifier.negated_bytes());
        for (known, addends) in some.iter().zip(eight.keys(&encodings)) {
            // Another thread may have been faster, with the same.
            let _ = known.ahead.set(addends.map_or(Ahead::Nothing, Ahead::Eight));
        }
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

    /// Returns the multiples of the key, negated, if it is familiar and they are to be added one by one.
    pub(super) fn multiples(&self) -> Option<&KeyMultiples> {
        if !self.is_familiar() {
            return None;
        }
        match self.ahead.get_or_init(|| Ahead::Points(KeyMultiples::of(self.verifier.negated()))) {
            Ahead::Points(multiples) => Some(multiples),
            Ahead::Eight(_) | Ahead::Nothing => None,
        }
    }

    /// Returns the multiples of the key, negated, for eight sums at once, if they were [computed](compute_ahead).
    pub(super) fn addends(&self) -> Option<&KeyAddends> {
        match self.ahead.get()? {
            Ahead::Eight(addends) => Some(addends),
            Ahead::Points(_) | Ahead::Nothing => None,
        }
    }

    fn is_familiar(&self) -> bool {
        self.familiar.load(Ordering::Relaxed)
    }

    /// Notes a signature that was good: nobody makes a key familiar but who has its secret.
    pub(super) fn note_good(&self) {
        self.seen.fetch_add(1, Ordering::Relaxed);
    }
}

#[derive(Default)]
struct Shelves {
    clock: u64,
    counted: Shelf,
    familiar: Shelf,
}

impl Shelves {
    fn find(&mut self, key: &PublicKey, familiarity: &Familiarity) -> Option<Arc<KnownKey>> {
        self.clock = self.clock.saturating_add(1);
        if let Some(known) = self.familiar.touch(key, self.clock) {
            return Some(known);
        }
        let known = self.counted.touch(key, self.clock)?;
        let seen = known.seen.load(Ordering::Relaxed);
        if seen >= familiarity.seen && self.has_room(familiarity.places) {
            self.counted.remove(key);
            self.familiar.put(key, Arc::clone(&known), self.clock);
            known.familiar.store(true, Ordering::Relaxed);
        }
        Some(known)
    }

    /// Tells whether there is room for another familiar key. One that was not needed for long gives it up: one that was
    /// would only be computed anew, so that more keys than there is room for take turns for nothing.
    fn has_room(&mut self, places: usize) -> bool {
        if self.familiar.keys.len() < places {
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
            ahead: OnceLock::new(),
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
    /// Knows no key, and will compute ahead in each way that this processor has.
    pub(super) fn in_each_way() -> Vec<Self> {
        let ways = Eight::detect().map(Familiarity::eight).into_iter().chain([Familiarity::POINTS]);
        ways.map(Self::with).collect()
    }

    /// Returns how many good signatures make a key familiar.
    pub(super) const fn needed(&self) -> u32 {
        self.familiarity.seen
    }

    /// Makes a key familiar, if it is one to verify with.
    pub(super) fn know(&self, key: &PublicKey) {
        if let Ok(known) = self.get(key) {
            known.seen.store(self.needed(), Ordering::Relaxed);
            assert!(self.is_familiar(key));
        }
    }

    /// Tells whether something was computed ahead for a key.
    pub(super) fn is_familiar(&self, key: &PublicKey) -> bool {
        let Ok(known) = self.get(key) else { return false };
        match self.eight() {
            Some(eight) => {
                compute_ahead(eight, [&known]);
                known.addends().is_some()
            }
            None => known.multiples().is_some(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::Author;
    #[cfg(target_arch = "x86_64")]
    use crate::identity::eight::BaseAddends;

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
    fn what_is_computed_ahead_takes_what_is_said() {
        assert_eq!(KeyMultiples::BYTES, 33_280);
        #[cfg(target_arch = "x86_64")]
        assert_eq!((KeyAddends::BYTES, BaseAddends::BYTES), (8704, 528_384));
    }

    #[test]
    fn keys_are_bounded_and_the_first_stay_familiar() {
        for keys in KnownKeys::in_each_way() {
            let places = keys.familiarity.places;
            let all: Vec<PublicKey> = (0..places + 200).map(key).collect();
            for key in &all {
                keys.get(key).unwrap().seen.store(keys.needed(), Ordering::Relaxed);
            }
            assert_eq!(counts(&keys), (all.len(), 0));
            // The multiples themselves are computed when they are needed, which is not here.
            for _ in 0..3 {
                for key in &all {
                    keys.get(key).unwrap();
                }
                assert_eq!(counts(&keys), (200, places));
                assert!(keys.get(&all[0]).unwrap().familiar.load(Ordering::Relaxed));
            }
            // One that comes again for long gets the place of one that does not.
            let late = &all[places];
            for _ in 0..=KEPT_FOR {
                keys.get(late).unwrap();
            }
            assert!(keys.get(late).unwrap().familiar.load(Ordering::Relaxed));
            assert_eq!(counts(&keys), (199, places));
        }
    }

    #[test]
    fn counted_keys_are_bounded() {
        let keys = KnownKeys::new();
        for number in 0..MAX_COUNTED + 10 {
            keys.get(&key(number)).unwrap();
        }
        assert_eq!(counts(&keys), (MAX_COUNTED, 0));
        assert_eq!(keys.get(&PublicKey::new([2; 32])).unwrap_err(), Forgery::NoKey);
        assert_eq!(counts(&keys), (MAX_COUNTED, 0));
    }
}
