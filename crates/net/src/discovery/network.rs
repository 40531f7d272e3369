//! An interface of this machine with its IPv4 network.

use std::net::Ipv4Addr;

/// A network that this machine is part of.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Network {
    /// Name of the interface.
    pub interface: String,
    /// Address of this machine.
    pub address: Ipv4Addr,
    /// Bits of the network.
    pub mask: Ipv4Addr,
}

impl Network {
    /// Tells whether an address belongs to the network.
    pub fn contains(&self, address: Ipv4Addr) -> bool {
        let mask = self.mask.to_bits();
        address.to_bits() & mask == self.address.to_bits() & mask
    }

    /// Lists the networks of this machine that multicast DNS is spoken on: one for each interface with IPv4 that is up,
    /// and loopback only where there is no other (as multicast-dns 7 does).
    ///
    /// # Errors
    ///
    /// What the system says.
    pub fn list() -> std::io::Result<Vec<Self>> {
        let mut networks: Vec<(bool, Self)> = Vec::new();
        for interface in if_addrs::get_if_addrs()? {
            let if_addrs::IfAddr::V4(v4) = &interface.addr else { continue };
            // One membership for each interface is all that the system takes.
            if networks.iter().any(|(_, network)| network.interface == interface.name) {
                continue;
            }
            let network = Self { interface: interface.name.clone(), address: v4.ip, mask: v4.netmask };
            networks.push((interface.is_loopback(), network));
        }
        if networks.iter().any(|(loopback, _)| !loopback) {
            networks.retain(|(loopback, _)| !loopback);
        }
        let mut networks: Vec<Self> = networks.into_iter().map(|(_, network)| network).collect();
        networks.sort();
        Ok(networks)
    }
}

/// Tells whether somebody elsewhere may send us to an address: one of the internet must not name a machine of our own
/// networks.
pub(super) fn may_name(teller: Ipv4Addr, named: Ipv4Addr) -> bool {
    if named.is_multicast() || named.is_broadcast() || named.is_unspecified() {
        return false;
    }
    let near = |ip: Ipv4Addr| ip.is_loopback() || ip.is_private() || ip.is_link_local();
    if named.is_loopback() {
        return teller.is_loopback();
    }
    !near(named) || near(teller)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_is_what_the_mask_leaves() {
        let network = Network {
            interface: "v0".into(),
            address: [10, 1, 2, 3].into(),
            mask: [255, 255, 254, 0].into(),
        };
        assert!(network.contains([10, 1, 3, 200].into()));
        assert!(!network.contains([10, 1, 4, 1].into()));
        assert!(!network.contains([0, 0, 0, 0].into()));
    }

    #[test]
    fn neighbours_name_neighbours() {
        let (far, near, here) = ([198, 51, 100, 1].into(), [10, 0, 0, 1].into(), Ipv4Addr::LOCALHOST);
        assert!(may_name(far, [203, 0, 113, 9].into()) && may_name(near, [203, 0, 113, 9].into()));
        assert!(may_name(near, [10, 0, 0, 2].into()) && may_name(here, here));
        assert!(!may_name(far, near) && !may_name(far, here) && !may_name(near, here));
        assert!(!may_name(here, Ipv4Addr::UNSPECIFIED) && !may_name(here, Ipv4Addr::BROADCAST));
    }

    #[test]
    fn loopback_is_the_last_resort() {
        let networks = Network::list().unwrap();
        let loopbacks = networks.iter().filter(|network| network.address.is_loopback()).count();
        assert!(loopbacks == 0 || loopbacks == networks.len(), "{networks:?}");
    }
}
