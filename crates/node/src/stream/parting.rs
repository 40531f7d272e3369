//! Peers that are let go: with the whole connection, or with the feed of this stream alone.

use quorate_quorum::engine::{Input as QuorumInput, Peer as Voter};
use quorate_replicate::{Peer, PeerFault};
use quorate_stream::submit::{Input as RelayInput, Peer as RelayPeer};

use super::room::RoomState;
use super::task::StreamTask;
use crate::event::Event;

impl StreamTask {
    pub(super) fn disconnect(&mut self, peer: Peer, fault: PeerFault, probe: Option<u64>) {
        let is_fork = matches!(fault, PeerFault::Fork { .. });
        if is_fork && self.part_alone(peer) {
            return self.forget(peer);
        }
        if let Some(joined) = self.peers.get_mut(&peer) {
            if let Some(index) = probe {
                self.probes.set(&joined.address, self.identity.discovery_key, index);
            }
            tracing::info!(peer = joined.address, "disconnecting: {fault}");
            joined.disconnect();
        }
        self.forget(peer);
    }

    /// Closes the feed of a fork on a connection that carries other streams: they are not what its writer has signed, nor
    /// does the peer answer for it. A room is met again instead, in which its nodes tell each other which history counts.
    /// False when the connection carries nothing else.
    fn part_alone(&mut self, peer: Peer) -> bool {
        let Some(joined) = self.peers.get_mut(&peer) else { return false };
        let Some(node) = self.node.upgrade() else { return false };
        let is_shared = node.peers.carries_beside(&joined.address, &self.identity.discovery_key);
        if matches!(self.rooms, RoomState::Open(_)) || !is_shared {
            return false;
        }
        tracing::info!(peer = joined.address, "its feed is closed: it has another history of it");
        joined.close_channel();
        true
    }

    pub(super) fn forget(&mut self, peer: Peer) {
        self.serving.remove(&peer);
        self.tell_relay(RelayInput::PeerClosed { peer: RelayPeer(peer.0) });
        self.tell_quorum(QuorumInput::PeerClosed { peer: Voter(peer.0) });
        if let Some(joined) = self.peers.remove(&peer) {
            self.emit(Event::Left { stream: self.identity.name.clone(), peer: joined.address });
        }
    }
}
