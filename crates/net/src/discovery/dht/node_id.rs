//! Names of nodes and of what is looked for, and the distance between them.

use std::fmt;

use quorate_types::DiscoveryKey;

use super::DhtKind;

/// An id. Where a table has shorter ones the rest is zero, which changes no distance.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId([u8; Self::BYTES]);

impl NodeId {
    /// Room for the longest id, bytes.
    pub const BYTES: usize = 32;

    /// Takes as many bytes as an id of this table has.
    pub fn new(kind: DhtKind, bytes: &[u8; Self::BYTES]) -> Self {
        let mut id = [0; Self::BYTES];
        for (to, from) in id.iter_mut().zip(bytes).take(kind.id_bytes()) {
            *to = *from;
        }
        Self(id)
    }

    /// Takes bytes of the length that an id of this table has.
    pub fn from_slice(kind: DhtKind, bytes: &[u8]) -> Option<Self> {
        if bytes.len() != kind.id_bytes() {
            return None;
        }
        let mut id = [0; Self::BYTES];
        for (to, from) in id.iter_mut().zip(bytes) {
            *to = *from;
        }
        Some(Self(id))
    }

    /// Names a feed.
    pub fn of(kind: DhtKind, feed: &DiscoveryKey) -> Self {
        Self::new(kind, feed.as_bytes())
    }

    /// Returns the bytes.
    pub const fn as_bytes(&self) -> &[u8; Self::BYTES] {
        &self.0
    }

    /// Returns the bytes that an id of this table has.
    pub fn bytes(&self, kind: DhtKind) -> &[u8] {
        self.0.get(..kind.id_bytes()).unwrap_or_default()
    }

    /// Returns the distance to another id; the less the closer.
    #[must_use]
    pub fn distance(&self, other: &Self) -> Self {
        let mut distance = self.0;
        for (to, from) in distance.iter_mut().zip(&other.0) {
            *to ^= from;
        }
        Self(distance)
    }

    /// Counts the bits that are zero at the beginning.
    pub(super) fn leading_zeros(&self) -> usize {
        let zeros = self.0.iter().take_while(|byte| **byte == 0).count();
        let next = self.0.get(zeros).map_or(0, |byte| byte.leading_zeros());
        zeros * 8 + next as usize
    }
}

impl fmt::Debug for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "NodeId({})", data_encoding::HEXLOWER.encode(&self.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_distance_is_what_differs() {
        let id = |byte| NodeId::new(DhtKind::Hyperswarm, &[byte; 32]);
        assert_eq!(id(5).distance(&id(5)).leading_zeros(), 256);
        assert_eq!(id(5).distance(&id(4)).leading_zeros(), 7);
        assert_eq!(id(0x85).distance(&id(4)).leading_zeros(), 0);
        assert!(id(5).distance(&id(4)) < id(5).distance(&id(6)));
    }

    #[test]
    fn an_id_of_bittorrent_has_twenty_bytes() {
        let feed = DiscoveryKey::new([7; 32]);
        let id = NodeId::of(DhtKind::BitTorrent, &feed);
        assert_eq!(id.bytes(DhtKind::BitTorrent), [7; 20]);
        assert_eq!(NodeId::from_slice(DhtKind::BitTorrent, &[7; 20]), Some(id));
        assert_eq!(NodeId::from_slice(DhtKind::BitTorrent, &[7; 32]), None);
        assert_eq!(NodeId::of(DhtKind::Hyperswarm, &feed).bytes(DhtKind::Hyperswarm), [7; 32]);
    }
}
