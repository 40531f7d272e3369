//! Bytes of a fork proof: one encoding for one proof.
//!
//! ```text
//! 2 version | flavour u8 | key 32 | side A | side B | count u8 | first index u64 (if count > 0) | nodes
//! side A = length u64 | one node for each peak of that length | signature 64
//! side B = length u64 | shared u8 | one node for each other peak of that length | signature 64
//! node = hash 32 | size u64
//! ```
//!
//! Numbers are little-endian. Places are not written where they follow: peaks from the length, the nodes of
//! the link from its first one. The first `shared` peaks of B, as many as there are, are those of A.

use quorate_types::limits::MAX_FEED_LENGTH;
use quorate_types::{Hash, Node, NodeIndex, PublicKey, Signature};

use super::ForkProof;
use crate::{Flavour, Roots, RootsError, SignedRoots, flat};

/// Most bytes of a fork proof: feeds of up to 2^24 blocks never need more.
pub const MAX_PROOF_BYTES: usize = 3 * 1024;

const VERSION: u8 = 2;
const NODE_BYTES: usize = Hash::LEN + 8;

/// Why bytes are no fork proof.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ForkCodecError {
    /// More bytes than any proof takes.
    #[error("expected a fork proof of at most {MAX_PROOF_BYTES} bytes, found {found}")]
    TooLarge {
        /// Bytes there are.
        found: usize,
    },
    /// The bytes end too early.
    #[error("expected {expected} more bytes at byte {at}, found the end")]
    Truncated {
        /// Place.
        at: usize,
        /// Bytes that were expected there.
        expected: usize,
    },
    /// The version is not known.
    #[error("expected version {VERSION} of a fork proof, found {found}")]
    Version {
        /// Version there is.
        found: u8,
    },
    /// The kind of feed is not known.
    #[error("expected flavour 0 (Dat) or 1 (hypercore 10), found {found}")]
    Flavour {
        /// Number there is.
        found: u8,
    },
    /// The peaks are out of the limits of a feed.
    #[error(transparent)]
    Roots(#[from] RootsError),
    /// A place of the link is out of range.
    #[error("expected tree nodes in the link, found an index out of range")]
    Link,
    /// The bytes are not the one encoding of what they hold.
    #[error("expected the one encoding of the proof, found another, or bytes behind it")]
    NotCanonical,
}

impl ForkProof {
    /// Returns the size of the encoded proof, bytes.
    pub fn encoded_len(&self) -> usize {
        let side = |signed: &SignedRoots, shared| {
            8 + NODE_BYTES * (signed.roots.nodes().len() - shared) + Signature::LEN
        };
        let link = if self.link.is_empty() { 1 } else { 9 + NODE_BYTES * self.link.len() };
        2 + PublicKey::LEN + side(&self.a, 0) + 1 + side(&self.b, self.shared_peaks()) + link
    }

    /// Counts the first peaks that are the same nodes in both histories.
    fn shared_peaks(&self) -> usize {
        let peaks = self.a.roots.nodes().iter().zip(self.b.roots.nodes());
        peaks.take_while(|(a, b)| a == b).count()
    }

    /// Encodes the proof.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.encoded_len());
        out.push(VERSION);
        out.push(match self.flavour {
            Flavour::Dat => 0,
            Flavour::Hypercore10 => 1,
        });
        out.extend_from_slice(self.key.as_bytes());
        out.extend_from_slice(&self.a.roots.length().to_le_bytes());
        self.a.roots.nodes().iter().for_each(|node| put_node(&mut out, node));
        out.extend_from_slice(self.a.signature.as_bytes());
        let shared = self.shared_peaks();
        out.extend_from_slice(&self.b.roots.length().to_le_bytes());
        // A feed has 64 peaks at the most.
        out.push(u8::try_from(shared).unwrap_or(u8::MAX));
        self.b.roots.nodes().iter().skip(shared).for_each(|node| put_node(&mut out, node));
        out.extend_from_slice(self.b.signature.as_bytes());
        // A count that does not fit is far beyond the size that is verified or decoded.
        out.push(u8::try_from(self.link.len()).unwrap_or(u8::MAX));
        if let Some(first) = self.link.first() {
            out.extend_from_slice(&first.index.get().to_le_bytes());
            self.link.iter().for_each(|node| put_node(&mut out, node));
        }
        out
    }

    /// Decodes a proof, which is not verified by that.
    ///
    /// # Errors
    ///
    /// [`ForkCodecError`] for bytes that no proof encodes to.
    pub fn decode(bytes: &[u8]) -> Result<Self, ForkCodecError> {
        if bytes.len() > MAX_PROOF_BYTES {
            return Err(ForkCodecError::TooLarge { found: bytes.len() });
        }
        let mut reader = Reader { bytes, at: 0 };
        let [version, flavour] = reader.array()?;
        if version != VERSION {
            return Err(ForkCodecError::Version { found: version });
        }
        let flavour = match flavour {
            0 => Flavour::Dat,
            1 => Flavour::Hypercore10,
            found => return Err(ForkCodecError::Flavour { found }),
        };
        let key = PublicKey::new(reader.array()?);
        let a = reader.side(None)?;
        let b = reader.side(Some(&a.roots))?;
        let [count] = reader.array()?;
        let mut link = Vec::new();
        if count > 0 {
            let mut index = reader.u64()?;
            link.push(reader.node(index)?);
            for _ in 1..count {
                let sibling = flat::sibling(index).ok_or(ForkCodecError::Link)?;
                link.push(reader.node(sibling)?);
                index = flat::parent(index).ok_or(ForkCodecError::Link)?;
            }
        }
        let proof = Self { key, flavour, a, b, link };
        if proof.encode() == bytes { Ok(proof) } else { Err(ForkCodecError::NotCanonical) }
    }
}

fn put_node(out: &mut Vec<u8>, node: &Node) {
    out.extend_from_slice(node.hash.as_bytes());
    out.extend_from_slice(&node.size.to_le_bytes());
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Reader<'_> {
    fn array<const N: usize>(&mut self) -> Result<[u8; N], ForkCodecError> {
        let (head, rest) =
            self.bytes.split_first_chunk().ok_or(ForkCodecError::Truncated { at: self.at, expected: N })?;
        self.bytes = rest;
        self.at = self.at.saturating_add(N);
        Ok(*head)
    }

    fn u64(&mut self) -> Result<u64, ForkCodecError> {
        Ok(u64::from_le_bytes(self.array()?))
    }

    fn node(&mut self, index: u64) -> Result<Node, ForkCodecError> {
        let hash = Hash::new(self.array()?);
        Ok(Node { index: NodeIndex::new(index), hash, size: self.u64()? })
    }

    /// Reads one history. `other` has the peaks that it may share.
    fn side(&mut self, other: Option<&Roots>) -> Result<SignedRoots, ForkCodecError> {
        let length = self.u64()?;
        if length > MAX_FEED_LENGTH {
            return Err(RootsError::Length { found: length }.into());
        }
        let mut shared = match other {
            Some(other) => {
                let [shared] = self.array()?;
                other.nodes().get(..usize::from(shared)).ok_or(ForkCodecError::NotCanonical)?
            }
            None => &[],
        };
        let mut nodes = Vec::new();
        for peak in flat::full_roots(length) {
            match shared.split_first() {
                Some((node, rest)) if node.index.get() == peak => {
                    nodes.push(*node);
                    shared = rest;
                }
                Some(_) => return Err(ForkCodecError::NotCanonical),
                None => nodes.push(self.node(peak)?),
            }
        }
        let roots = Roots::new(length, nodes)?;
        Ok(SignedRoots { roots, signature: Signature::new(self.array()?) })
    }
}
