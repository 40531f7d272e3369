//! Modules of rule changes on their way: each node fetches them from whom the change came, when it is asked itself.
//!
//! A module moves one hop at a time and whole: what does not have its hash goes no further than to the neighbour of
//! who sent it.

use std::collections::{BTreeMap, VecDeque};
use std::time::Instant;

use bytes::Bytes;
use quorate_proto::quorate1::{MAX_PART_BYTES, Message, Module, WantModule};
use quorate_types::ModuleHash;

use super::limits::{FETCH_TIMEOUT, MAX_FETCH_TRIES, MAX_FETCHES, MAX_HOLDERS, MAX_MODULES, MAX_SOURCES};
use super::relay::Relay;
use super::{Fault, Peer};
use crate::chunk::{Assembler, ChunkError};

/// Modules that are here, are fetched, or can be fetched.
#[derive(Debug, Default)]
pub(super) struct Modules {
    here: VecDeque<(ModuleHash, Bytes)>,
    fetches: BTreeMap<ModuleHash, Fetch>,
    /// Who submitted changes that need a module; the oldest is forgotten first.
    holders: VecDeque<(ModuleHash, Vec<Peer>)>,
}

/// A module that is being fetched.
#[derive(Debug)]
struct Fetch {
    from: Peer,
    parts: Option<Assembler>,
    deadline: Instant,
    /// Times it was asked for since a part came.
    tries: u32,
    /// Peers that asked, and from which byte.
    wanted_by: BTreeMap<Peer, u32>,
}

impl Modules {
    fn get(&self, module: &ModuleHash) -> Option<&Bytes> {
        self.here.iter().find(|(hash, _)| hash == module).map(|(_, bytes)| bytes)
    }

    fn keep(&mut self, module: ModuleHash, bytes: Bytes) {
        if self.here.len() >= MAX_MODULES {
            self.here.pop_front();
        }
        self.here.push_back((module, bytes));
    }

    /// Notes that a peer submitted a change that needs a module.
    pub(super) fn held_by(&mut self, module: ModuleHash, peer: Peer) {
        if let Some((_, peers)) = self.holders.iter_mut().find(|(hash, _)| *hash == module) {
            if !peers.contains(&peer) && peers.len() < MAX_SOURCES {
                peers.push(peer);
            }
            return;
        }
        if self.holders.len() >= MAX_HOLDERS {
            self.holders.pop_front();
        }
        self.holders.push_back((module, vec![peer]));
    }

    /// Forgets a peer that is gone; what is fetched from it is due for another at once.
    pub(super) fn peer_closed(&mut self, now: Instant, peer: Peer) {
        for (_, peers) in &mut self.holders {
            peers.retain(|holder| *holder != peer);
        }
        for fetch in self.fetches.values_mut() {
            fetch.wanted_by.remove(&peer);
            if fetch.from == peer {
                fetch.deadline = now;
            }
        }
    }

    /// Returns who has a module besides one peer: the one after `last` in turn.
    fn next_holder(&self, module: &ModuleHash, last: Option<Peer>, without: Option<Peer>) -> Option<Peer> {
        let (_, peers) = self.holders.iter().find(|(hash, _)| hash == module)?;
        let start = last.and_then(|last| peers.iter().position(|peer| *peer == last)).map_or(0, |at| at + 1);
        let (before, after) = peers.split_at_checked(start)?;
        after.iter().chain(before).find(|peer| Some(**peer) != without).copied()
    }

    /// Returns when a fetch is due.
    pub(super) fn next_due(&self) -> Option<Instant> {
        self.fetches.values().map(|fetch| fetch.deadline).min()
    }
}

impl Relay {
    /// Returns a module that is here.
    pub(super) fn module(&self, module: &ModuleHash) -> Option<Bytes> {
        self.own.module(module).or_else(|| self.modules.get(module)).cloned()
    }

    /// Fetches a module, for a peer or for an offer; false when it cannot be had.
    pub(super) fn fetch(&mut self, now: Instant, module: ModuleHash, wanted_by: Option<(Peer, u32)>) -> bool {
        if let Some(fetch) = self.modules.fetches.get_mut(&module) {
            fetch.wanted_by.extend(wanted_by);
            return true;
        }
        let without = wanted_by.map(|(peer, _)| peer);
        let Some(from) = self.modules.next_holder(&module, None, without) else { return false };
        if self.modules.fetches.len() >= MAX_FETCHES {
            return false;
        }
        let fetch = Fetch {
            from,
            parts: None,
            deadline: now + FETCH_TIMEOUT,
            tries: 1,
            wanted_by: wanted_by.into_iter().collect(),
        };
        self.modules.fetches.insert(module, fetch);
        self.ask(module, from, 0);
        true
    }

    fn ask(&mut self, module: ModuleHash, from: Peer, offset: u32) {
        let room = self.room;
        self.send(from, &Message::WantModule(WantModule { room, module, offset }));
    }

    /// A peer asks for a module.
    pub(super) fn want_module(&mut self, now: Instant, peer: Peer, want: WantModule) -> Result<(), Fault> {
        self.check_room(&want.room)?;
        match self.module(&want.module) {
            Some(bytes) => self.send_module(now, peer, want.module, want.offset, &bytes),
            None => drop(self.fetch(now, want.module, Some((peer, want.offset)))),
        }
        Ok(())
    }

    /// Sends a module from a byte on, as long as the peer has not had too much.
    fn send_module(&mut self, now: Instant, peer: Peer, module: ModuleHash, offset: u32, bytes: &Bytes) {
        let room = self.room;
        let Ok(size) = u32::try_from(bytes.len()) else { return };
        let Some(remote) = self.peers.get_mut(&peer) else { return };
        if offset >= size || !remote.module_bytes.take(now, size.saturating_sub(offset)) {
            return;
        }
        let Ok(mut rest) = usize::try_from(offset).map(|offset| bytes.slice(offset..)) else { return };
        while !rest.is_empty() {
            let offset = size.saturating_sub(u32::try_from(rest.len()).unwrap_or(size));
            let data = rest.split_to(rest.len().min(MAX_PART_BYTES));
            self.send(peer, &Message::Module(Module { room, module, size, offset, data }));
        }
    }

    /// A part of a module came. What was not asked for, or comes twice, is ignored.
    pub(super) fn module_part(&mut self, now: Instant, peer: Peer, part: Module) -> Result<(), Fault> {
        self.check_room(&part.room)?;
        let Some(fetch) = self.modules.fetches.get_mut(&part.module) else { return Ok(()) };
        if fetch.from != peer {
            return Ok(());
        }
        let mut parts = match fetch.parts.take() {
            Some(parts) => parts,
            None => Assembler::new(part.module, part.size)?,
        };
        match parts.push_part(part.size, part.offset, &part.data) {
            Ok(Some(bytes)) => self.fetched(now, part.module, &bytes),
            Ok(None) => {
                fetch.parts = Some(parts);
                fetch.deadline = now + FETCH_TIMEOUT;
                fetch.tries = 0;
            }
            Err(ChunkError::Offset { .. }) => fetch.parts = Some(parts),
            Err(fault) => return Err(fault.into()),
        }
        Ok(())
    }

    fn fetched(&mut self, now: Instant, module: ModuleHash, bytes: &Bytes) {
        let Some(fetch) = self.modules.fetches.remove(&module) else { return };
        self.modules.keep(module, bytes.clone());
        for (peer, offset) in fetch.wanted_by {
            self.send_module(now, peer, module, offset, bytes);
        }
        self.module_came(&module, Some(bytes));
    }

    /// Asks again for modules of which nothing more came, the next one who should have them.
    pub(super) fn check_fetches(&mut self, now: Instant) {
        let due = self.modules.fetches.iter().filter(|(_, fetch)| fetch.deadline <= now);
        let due: Vec<ModuleHash> = due.map(|(module, _)| *module).collect();
        for module in due {
            self.fetch_again(now, module);
        }
    }

    fn fetch_again(&mut self, now: Instant, module: ModuleHash) {
        let Some(fetch) = self.modules.fetches.get(&module) else { return };
        let next = self.modules.next_holder(&module, Some(fetch.from), None);
        let next = next.filter(|_| fetch.tries < MAX_FETCH_TRIES);
        let (Some(next), Some(fetch)) = (next, self.modules.fetches.get_mut(&module)) else {
            self.modules.fetches.remove(&module);
            return self.module_came(&module, None);
        };
        fetch.tries = fetch.tries.saturating_add(1);
        fetch.deadline = now + FETCH_TIMEOUT;
        if next != fetch.from {
            // What one peer began another cannot be blamed for.
            fetch.parts = None;
            fetch.from = next;
        }
        let offset = fetch.parts.as_ref().map_or(0, Assembler::offset);
        self.ask(module, next, offset);
    }
}
