//! A byte stream with what was found out about it, and the count of such streams.

use std::collections::BTreeMap;
use std::fmt;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::BytesMut;

use crate::runtime::BoxStream;

/// A stream to a peer, ready for [`drive`](crate::drive::drive).
#[derive(Debug)]
pub struct Connection {
    /// The stream.
    pub stream: BoxStream,
    /// Bytes that were read from it already, when it was found out what the peer speaks.
    pub received: BytesMut,
    /// Address of the peer, when it has one. IPv4 is never written as IPv6.
    pub remote: Option<SocketAddr>,
    /// The place that the connection takes among those that are allowed.
    pub permit: Option<Permit>,
}

impl Connection {
    /// A stream of which nothing is known.
    pub fn new(stream: BoxStream) -> Self {
        Self { stream, received: BytesMut::new(), remote: None, permit: None }
    }
}

/// Counts connections, in all and by address.
#[derive(Clone)]
pub struct Slots {
    limits: Limits,
    taken: Arc<Mutex<Taken>>,
}

/// How many connections may be open at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// In all.
    pub total: usize,
    /// From one IPv4 address or one IPv6 network of 64 bits. Does not hold for this machine.
    pub per_address: usize,
}

#[derive(Debug, Default)]
struct Taken {
    total: usize,
    by_address: BTreeMap<IpAddr, usize>,
}

/// A place among the connections that are allowed; free again when dropped.
pub struct Permit {
    slots: Slots,
    address: IpAddr,
}

impl Slots {
    /// Begins to count.
    pub fn new(limits: Limits) -> Self {
        Self { limits, taken: Arc::default() }
    }

    /// Takes a place for a connection with `address`; `None` when there is none.
    pub fn take(&self, address: IpAddr) -> Option<Permit> {
        let address = network(address);
        let mut taken = self.lock();
        let here = taken.by_address.get(&address).copied().unwrap_or(0);
        let crowded = here >= self.limits.per_address && !address.is_loopback();
        if crowded || taken.total >= self.limits.total {
            return None;
        }
        taken.total += 1;
        taken.by_address.insert(address, here + 1);
        Some(Permit { slots: self.clone(), address })
    }

    /// How many places are taken.
    pub fn taken(&self) -> usize {
        self.lock().total
    }

    fn lock(&self) -> MutexGuard<'_, Taken> {
        // Nothing panics while it holds the lock.
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let mut taken = self.slots.lock();
        taken.total = taken.total.saturating_sub(1);
        if let Some(here) = taken.by_address.get_mut(&self.address) {
            *here = here.saturating_sub(1);
            if *here == 0 {
                taken.by_address.remove(&self.address);
            }
        }
    }
}

impl fmt::Debug for Slots {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Slots").field("limits", &self.limits).field("taken", &self.taken()).finish()
    }
}

impl fmt::Debug for Permit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Permit").field(&self.address).finish()
    }
}

/// What one party has of its own: an IPv4 address, or a network of 64 bits.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) if !address.is_loopback() => {
            Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX)).into()
        }
        address => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_counted_in_all_and_by_network() {
        let slots = Slots::new(Limits { total: 4, per_address: 2 });
        let take = |address: &str| slots.take(address.parse().unwrap());
        let first = take("192.0.2.1").unwrap();
        let _mapped = take("::ffff:192.0.2.1").unwrap();
        assert!(take("192.0.2.1").is_none());
        let _v6 = [take("2001:db8:1:2::1").unwrap(), take("2001:db8:1:2:ffff::2").unwrap()];
        assert!(take("192.0.2.9").is_none(), "no more than four in all");
        drop(first);
        assert!(take("2001:db8:1:2::3").is_none());
        assert!(take("192.0.2.1").is_some());
        assert_eq!(slots.taken(), 3);
    }

    #[test]
    fn this_machine_may_connect_more_often() {
        let slots = Slots::new(Limits { total: 3, per_address: 1 });
        let taken: Vec<_> = (0..4).filter_map(|_| slots.take(Ipv6Addr::LOCALHOST.into())).collect();
        assert_eq!(taken.len(), 3);
    }
}
