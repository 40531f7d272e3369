//! The validators of an epoch, and how many of them are a quorum.

use blake2b_simd::Params;
use quorate_types::limits::MAX_VALIDATORS;
use quorate_types::{PublicKey, VsetHash};

use crate::key::{KeyError, VoteKey};

/// What the hash of a set begins with.
const VSET_CONTEXT: &[u8] = b"quorate validators\0";

/// Validators in the order of their keys, each with weight 1, and the quorum.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ValidatorSet {
    keys: Vec<VoteKey>,
    quorum: usize,
    hash: VsetHash,
}

/// Why keys are no set of validators.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ValidatorSetError {
    /// There is none, or there are too many.
    #[error("expected 1 to {limit} validators, found {found}")]
    Count {
        /// Most validators.
        limit: usize,
        /// Keys there are.
        found: usize,
    },
    /// A key is there twice: it would have two votes.
    #[error("expected every validator once, found {key} twice")]
    Twice {
        /// The key.
        key: PublicKey,
    },
    /// A key is not fit to vote.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The quorum asked for is less than what agreement takes, or more than there are validators.
    #[error("expected a quorum of {least} to {most}, found {found}")]
    Quorum {
        /// Smallest quorum: two thirds, rounded down, and one.
        least: usize,
        /// Validators there are.
        most: usize,
        /// Quorum that is asked for.
        found: usize,
    },
}

/// Returns the smallest quorum of `n` validators: two thirds, rounded down, and one.
pub const fn least_quorum(n: usize) -> usize {
    (2 * n) / 3 + 1
}

impl ValidatorSet {
    /// Makes a set from keys in any order. `quorum` may ask for more votes than are needed; 0 asks for no more.
    ///
    /// # Errors
    ///
    /// [`ValidatorSetError`].
    pub fn new(keys: impl IntoIterator<Item = PublicKey>, quorum: usize) -> Result<Self, ValidatorSetError> {
        // One more than the limit is enough to tell.
        let mut keys: Vec<PublicKey> = keys.into_iter().take(MAX_VALIDATORS.saturating_add(1)).collect();
        let n = keys.len();
        if n == 0 || n > MAX_VALIDATORS {
            return Err(ValidatorSetError::Count { limit: MAX_VALIDATORS, found: n });
        }
        keys.sort_unstable();
        for pair in keys.windows(2) {
            if let [a, b] = pair
                && a == b
            {
                return Err(ValidatorSetError::Twice { key: *a });
            }
        }
        let least = least_quorum(n);
        let quorum = if quorum == 0 { least } else { quorum };
        if !(least..=n).contains(&quorum) {
            return Err(ValidatorSetError::Quorum { least, most: n, found: quorum });
        }
        let hash = hash(&keys, quorum);
        let keys = keys.into_iter().map(VoteKey::new).collect::<Result<_, _>>()?;
        Ok(Self { keys, quorum, hash })
    }

    /// Breaks the quorum, for tests that must notice.
    #[cfg(feature = "planted-bugs")]
    pub(crate) const fn plant_quorum(&mut self, quorum: usize) {
        self.quorum = quorum;
    }

    /// Number of validators.
    pub const fn n(&self) -> usize {
        self.keys.len()
    }

    /// Number of validators that may be faulty without harm to agreement: a third, less one, rounded down.
    pub const fn f(&self) -> usize {
        self.keys.len().saturating_sub(1) / 3
    }

    /// Number of votes that commit; any two such sets of validators share at least `f + 1`.
    pub const fn quorum(&self) -> usize {
        self.quorum
    }

    /// Returns the hash that stands in everything the validators sign:
    /// `b2b256("quorate validators\0" | u32le n | keys in order | u32le quorum)`.
    pub const fn hash(&self) -> &VsetHash {
        &self.hash
    }

    /// Returns the keys, ascending.
    pub fn keys(&self) -> impl ExactSizeIterator<Item = &PublicKey> {
        self.keys.iter().map(VoteKey::public)
    }

    /// Returns the place of a key in the order.
    pub fn position(&self, key: &PublicKey) -> Option<usize> {
        self.keys.binary_search_by_key(&key, VoteKey::public).ok()
    }

    /// Tells whether a key is a validator's.
    pub fn contains(&self, key: &PublicKey) -> bool {
        self.position(key).is_some()
    }

    /// Returns the key at a place.
    pub fn get(&self, position: usize) -> Option<&VoteKey> {
        self.keys.get(position)
    }

    /// Returns a validator's key, ready to verify with.
    pub fn find(&self, key: &PublicKey) -> Option<&VoteKey> {
        self.position(key).and_then(|position| self.get(position))
    }

    /// Returns the keys that `next` has and this set has not, and those that it no longer has.
    pub fn difference<'a>(&'a self, next: &'a Self) -> (Vec<&'a PublicKey>, Vec<&'a PublicKey>) {
        let added = next.keys().filter(|key| !self.contains(key)).collect();
        let removed = self.keys().filter(|key| !next.contains(key)).collect();
        (added, removed)
    }

    /// Tells whether `next` may follow this set: it is another one, and adds or removes at most one key.
    ///
    /// Quorums of both share at least `f + 1` keys then: they are more than 2n/3 and 2(n+1)/3 out of n+1.
    pub fn may_become(&self, next: &Self) -> bool {
        let (added, removed) = self.difference(next);
        self.hash != next.hash && added.len().saturating_add(removed.len()) <= 1
    }
}

fn hash(keys: &[PublicKey], quorum: usize) -> VsetHash {
    let mut params = Params::new();
    let mut state = params.hash_length(VsetHash::LEN).to_state();
    let number = |number: usize| u32::try_from(number).unwrap_or(u32::MAX).to_le_bytes();
    state.update(VSET_CONTEXT);
    state.update(&number(keys.len()));
    for key in keys {
        state.update(key.as_bytes());
    }
    state.update(&number(quorum));
    VsetHash::from_slice(state.finalize().as_bytes()).expect("the digest length is set to 32 bytes")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::Signer;
    use proptest::prelude::*;

    fn key(i: u8) -> PublicKey {
        Signer::from_seed(&[i; 32]).public()
    }

    fn set(n: u8) -> ValidatorSet {
        ValidatorSet::new((0..n).map(key), 0).unwrap()
    }

    #[test]
    fn quorums_are_those_of_the_design() {
        for (n, q) in [(1, 1), (2, 2), (3, 3), (4, 3), (5, 4), (7, 5), (10, 7), (100, 67)] {
            assert_eq!(least_quorum(n), q);
        }
        for n in 1..=MAX_VALIDATORS {
            let (f, q) = ((n - 1) / 3, least_quorum(n));
            assert!(2 * q > n + f && q <= n - f, "{n}");
            // A set of one more, in which all of both may vote.
            assert!(q + least_quorum(n + 1) > n + 1 + f.max(n / 3), "{n}");
        }
    }

    #[test]
    fn a_header_may_ask_for_more_and_never_for_less() {
        let keys: Vec<_> = (0..5).map(key).collect();
        let of = |quorum| ValidatorSet::new(keys.clone(), quorum);
        assert_eq!(of(0).unwrap().quorum(), 4);
        assert_eq!(of(5).unwrap().quorum(), 5);
        assert_eq!(of(3), Err(ValidatorSetError::Quorum { least: 4, most: 5, found: 3 }));
        assert_eq!(of(6), Err(ValidatorSetError::Quorum { least: 4, most: 5, found: 6 }));
        assert_ne!(of(4).unwrap().hash(), of(5).unwrap().hash());
        assert_eq!(of(4).unwrap(), of(0).unwrap());
    }

    #[test]
    fn what_is_no_set() {
        assert_eq!(
            ValidatorSet::new([], 0),
            Err(ValidatorSetError::Count { limit: MAX_VALIDATORS, found: 0 })
        );
        let many = std::iter::repeat_with(|| key(1));
        let found = MAX_VALIDATORS + 1;
        assert_eq!(
            ValidatorSet::new(many, 0),
            Err(ValidatorSetError::Count { limit: MAX_VALIDATORS, found })
        );
        let twice = ValidatorSet::new([key(1), key(2), key(1)], 0);
        assert_eq!(twice, Err(ValidatorSetError::Twice { key: key(1) }));
        let none = PublicKey::new([2; 32]);
        assert!(matches!(ValidatorSet::new([none, key(1)], 0), Err(ValidatorSetError::Key(_))));
    }

    #[test]
    fn golden_hash() {
        assert_eq!(
            set(4).hash().to_string(),
            "00bd133ab513b7345315214084dc749334af280d5b384e98fb1411426f1156bd"
        );
    }

    #[test]
    fn one_key_at_a_time() {
        assert!(set(4).may_become(&set(5)) && set(5).may_become(&set(4)));
        assert!(!set(4).may_become(&set(4)) && !set(4).may_become(&set(6)));
        let other = ValidatorSet::new([0, 1, 2, 9].map(key), 0).unwrap();
        assert!(!set(4).may_become(&other));
        let stricter = ValidatorSet::new((0..4).map(key), 4).unwrap();
        assert!(set(4).may_become(&stricter));
    }

    proptest! {
        #[test]
        fn the_order_of_the_keys_does_not_matter(seeds in prop::collection::btree_set(any::<u8>(), 1..20)) {
            let forwards = ValidatorSet::new(seeds.iter().copied().map(key), 0).unwrap();
            let backwards = ValidatorSet::new(seeds.iter().rev().copied().map(key), 0).unwrap();
            prop_assert_eq!(&forwards, &backwards);
            prop_assert_eq!(forwards.n(), seeds.len());
            for (place, key) in forwards.keys().enumerate() {
                prop_assert_eq!(forwards.position(key), Some(place));
            }
        }
    }
}
