//! Remembers which feeds a peer must be asked about with an empty digest when it connects again.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use quorate_types::DiscoveryKey;

/// Probes that are remembered; a peer beyond that is treated as any other.
const MAX_PROBES: usize = 1024;

/// Blocks to begin with, by the peer's host and the feed.
///
/// The host stands for the peer: stock peers choose a new identity with every connection, and another port.
#[derive(Debug, Default)]
pub(crate) struct Probes {
    blocks: Mutex<BTreeMap<(String, DiscoveryKey), u64>>,
}

impl Probes {
    /// Remembers a block for the next connection with the host of `address`.
    pub(crate) fn set(&self, address: &str, feed: DiscoveryKey, index: u64) {
        let mut blocks = self.blocks.lock().unwrap_or_else(PoisonError::into_inner);
        if blocks.len() < MAX_PROBES {
            blocks.insert((host_of(address), feed), index);
        }
    }

    /// Takes what is remembered.
    pub(crate) fn take(&self, address: &str, feed: DiscoveryKey) -> Option<u64> {
        let mut blocks = self.blocks.lock().unwrap_or_else(PoisonError::into_inner);
        blocks.remove(&(host_of(address), feed))
    }
}

fn host_of(address: &str) -> String {
    address.rsplit_once(':').map_or(address, |(host, _)| host).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_probe_is_taken_once_from_any_port_of_the_host() {
        let probes = Probes::default();
        let feed = DiscoveryKey::new([1; 32]);
        probes.set("[::1]:4000", feed, 7);
        assert_eq!(probes.take("[::2]:4000", feed), None);
        assert_eq!(probes.take("[::1]:4001", feed), Some(7));
        assert_eq!(probes.take("[::1]:4001", feed), None);
    }
}
