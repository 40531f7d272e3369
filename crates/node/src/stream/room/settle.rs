//! Who waits until what was said is committed, wherever in the room it comes to stand.

use std::collections::{BTreeMap, BTreeSet};

use bytes::{Bytes, BytesMut};
use quorate_stream::entry::{Entry, VerifiedEntry};
use quorate_types::{Hash, ModuleHash, PublicKey, RoomId};

use super::super::command::Reply;
use super::super::task::StreamTask;
use super::log::Log;
use super::{RoomKeeper, RoomState};
use crate::model::{Said, SaidState, Settled};
use crate::{Code, Failure};

/// What a local identity said, and who hears what came of it.
#[derive(Debug)]
pub(crate) struct Settling {
    pub(crate) said: Vec<Said>,
    pub(crate) reply: Reply<Settled>,
}

/// Somebody who waits until entries are committed, or will not be.
pub(super) struct Settlement {
    said: Vec<Said>,
    /// Those that have not come to an end, and their place among all.
    open: BTreeMap<Hash, usize>,
    reply: Reply<Settled>,
}

impl Settlement {
    fn note(&mut self, digest: &Hash, state: &SaidState) {
        if let Some(said) = self.open.remove(digest).and_then(|place| self.said.get_mut(place)) {
            said.state = state.clone();
        }
    }
}

impl RoomKeeper {
    /// Tells whether an entry of this node is on its way to the host, or to being committed.
    fn is_under_way(&self, digest: &Hash) -> bool {
        self.own.contains_key(digest)
            || self.promised.iter().any(|kept| kept.digest == *digest)
            || self.standing.values().any(|standing| standing == digest)
    }

    /// Tells whether somebody waits until an entry is committed.
    pub(super) fn is_settled_for(&self, digest: &Hash) -> bool {
        let awaits =
            |settlement: &Settlement| !settlement.reply.is_closed() && settlement.open.contains_key(digest);
        self.settlements.iter().any(awaits)
    }

    /// Notes that an entry has come to an end.
    pub(super) fn settle(&mut self, digest: &Hash, state: &SaidState) {
        for settlement in &mut self.settlements {
            settlement.note(digest, state);
        }
    }

    /// Gives up what could not be submitted again.
    pub(super) fn settle_lost(&mut self) {
        let open = self.settlements.iter().flat_map(|settlement| settlement.open.keys());
        let lost: BTreeSet<Hash> = open.filter(|digest| !self.is_under_way(digest)).copied().collect();
        for digest in lost {
            let state = SaidState::Refused {
                code: Code::NotCommitted.to_string(),
                reason: "another host goes on from fewer blocks, and it could not be submitted to that host"
                    .into(),
                place: "on the way".into(),
                rule_code: None,
            };
            self.settle(&digest, &state);
        }
    }

    /// Takes what is committed by now for settled; returns what need not be kept any longer.
    pub(super) fn settle_committed(&mut self) -> Vec<Hash> {
        let committed = self.committed().unwrap_or(0);
        let later = self.standing.split_off(&committed.saturating_add(1));
        let settled = std::mem::replace(&mut self.standing, later);
        for (length, digest) in &settled {
            self.settle(digest, &SaidState::Appended { index: length.saturating_sub(1) });
        }
        for settlement in self.settlements.extract_if(.., |settlement| settlement.open.is_empty()) {
            let settled = Settled { length: committed, said: settlement.said };
            let _ = settlement.reply.try_send(Ok(settled));
        }
        settled.into_values().collect()
    }
}

impl StreamTask {
    /// Settles what is committed, where it stands as the host said.
    pub(super) async fn settle(&mut self, keeper: &mut RoomKeeper) {
        let displaced = if keeper.has_dropped { self.displaced(keeper).await } else { BTreeSet::new() };
        if !displaced.is_empty() {
            // Nothing is told before the state of the room is at hand.
            let Some(checker) = keeper.checker.take() else { return };
            tracing::warn!(
                stream = self.identity.name,
                entries = displaced.len(),
                "another entry is committed in their place"
            );
            keeper.standing.retain(|_, digest| !displaced.contains(digest));
            displaced.iter().for_each(|digest| keeper.relay.forget(digest));
            if let Err(why) = self.take_up_kept(keeper, &checker).await {
                tracing::warn!(stream = self.identity.name, "they are not submitted again: {why}");
            }
            keeper.checker = Some(checker);
            keeper.settle_lost();
        }
        let settled = keeper.settle_committed();
        self.forget_kept(keeper, settled).await;
    }

    /// Finds the entries of this node in whose place something else is committed.
    async fn displaced(&mut self, keeper: &mut RoomKeeper) -> BTreeSet<Hash> {
        let committed = keeper.committed().unwrap_or(0);
        let mut displaced = BTreeSet::new();
        let standing: Vec<(u64, Hash)> =
            keeper.standing.range(..=committed).map(|(length, digest)| (*length, *digest)).collect();
        for (length, digest) in standing {
            let Some(block) = self.log_get(&keeper.log, length.saturating_sub(1)).await else { continue };
            let stands = Entry::decode(block).ok().and_then(|entry| entry.digest(&keeper.id).ok());
            if stands != Some(digest) {
                displaced.insert(digest);
            }
        }
        displaced
    }

    /// Answers when each of some entries is committed, or will not be.
    pub(in crate::stream) async fn wait_until_settled(&mut self, settling: Settling) {
        let Settling { said, reply } = settling;
        let mut keeper = match std::mem::take(&mut self.rooms) {
            RoomState::Open(keeper) if keeper.quorum.is_some() => keeper,
            other => {
                self.rooms = other;
                let _ = reply.try_send(Err(self.nobody_commits()));
                return;
            }
        };
        // Who does not wait any longer is no concern.
        keeper.settlements.retain(|settlement| !settlement.reply.is_closed());
        let answer = self.open_settlement(&mut keeper, said, reply.clone()).await;
        self.rooms = RoomState::Open(keeper);
        match answer {
            Ok(()) => self.tend_room().await,
            Err(failure) => drop(reply.try_send(Err(failure))),
        }
    }

    async fn open_settlement(
        &mut self,
        keeper: &mut RoomKeeper,
        said: Vec<Said>,
        reply: Reply<Settled>,
    ) -> Result<(), Failure> {
        let mut open = BTreeMap::new();
        for (place, one) in said.iter().enumerate() {
            let stands = match one.state {
                SaidState::Appended { index } => keeper.standing.get(&index.saturating_add(1)),
                _ => None,
            };
            if stands == Some(&one.digest) || keeper.is_under_way(&one.digest) {
                open.insert(one.digest, place);
                continue;
            }
            // It is committed already, or the room is one in which nobody keeps account of what may be dropped.
            let SaidState::Appended { index } = one.state else { continue };
            let block = self.log_get(&keeper.log, index).await;
            let digest = block.and_then(|block| Entry::decode(block).ok()?.digest(&keeper.id).ok());
            if digest != Some(one.digest) {
                return Err(self.another_stands(index));
            }
            if index >= keeper.committed().unwrap_or(0) {
                keeper.standing.insert(index.saturating_add(1), one.digest);
                open.insert(one.digest, place);
            }
        }
        keeper.settlements.push(Settlement { said, open, reply });
        Ok(())
    }

    fn another_stands(&self, index: u64) -> Failure {
        let message = format!(
            "expected a quorum to commit what was appended as block {index}, found another one there: another host \
             went on from fewer blocks"
        );
        Failure::new(Code::NotCommitted, message).next(format!("quorate log {}", self.identity.name))
    }

    /// Finds what identities of this home said in blocks between two lengths, which another host drops, with the module
    /// of each that stands in them.
    pub(super) async fn said_between(
        &mut self,
        room: RoomId,
        log: &Log,
        (start, end): (u64, u64),
    ) -> Vec<(VerifiedEntry, Option<Bytes>)> {
        let Some(home) = self.node.upgrade().map(|node| node.home.clone()) else { return Vec::new() };
        let own: BTreeSet<PublicKey> = match blocking::unblock(move || home.identities()).await {
            Ok(identities) => identities.into_iter().map(|identity| identity.key).collect(),
            Err(error) => {
                tracing::warn!(
                    stream = self.identity.name,
                    "what is dropped is not submitted again: {error}"
                );
                return Vec::new();
            }
        };
        let mut modules: BTreeMap<ModuleHash, BytesMut> = BTreeMap::new();
        let mut said = Vec::new();
        for index in start..end {
            let Some(block) = self.log_get(log, index).await else { continue };
            let Ok(entry) = Entry::decode(block) else { continue };
            if let Entry::Chunk(chunk) = &entry {
                modules.entry(chunk.module).or_default().extend_from_slice(&chunk.data);
                continue;
            }
            let Ok(entry) = entry.verify(&room) else { continue };
            if own.contains(entry.author()) {
                said.push(entry);
            }
        }
        let module = |entry: &VerifiedEntry| {
            let VerifiedEntry::RuleChange(change) = entry else { return None };
            let module = change.change.module()?;
            modules
                .get(module)
                .filter(|bytes| ModuleHash::of(bytes) == *module)
                .map(|bytes| bytes.clone().freeze())
        };
        said.into_iter()
            .map(|entry| {
                let module = module(&entry);
                (entry, module)
            })
            .collect()
    }
}
