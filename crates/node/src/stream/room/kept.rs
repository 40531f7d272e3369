//! What this node said and nobody has settled yet: on disk as long as it waits, and said again when it was dropped.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use quorate_store::outbox::{self, Outbox};
use quorate_stream::entry::{Entry, VerifiedEntry};
use quorate_types::{Hash, PublicKey};

use super::super::task::StreamTask;
use super::RoomKeeper;
use super::log::Log;
use super::say::Waiting;
use crate::model::{Said, SaidState};
use crate::room::Checker;
use crate::{Code, Failure};

/// An entry of this node that the host says it appended, and whose block is not here.
pub(super) struct Kept {
    pub(super) digest: Hash,
    pub(super) index: u64,
    pub(super) author: PublicKey,
    pub(super) sequence: u64,
}

impl StreamTask {
    /// Writes entries down, so that they wait for the host even when this process ends.
    pub(super) async fn keep(
        &mut self,
        keeper: &mut RoomKeeper,
        entries: &[(VerifiedEntry, Option<Bytes>)],
    ) -> Result<(), Failure> {
        let failed = |error: outbox::OutboxError| Failure::new(Code::Io, error.to_string());
        let outbox = match &keeper.outbox {
            Some(outbox) => Arc::clone(outbox),
            None => {
                let directory = PathBuf::from(&self.identity.directory);
                let made = blocking::unblock(move || Outbox::create(&directory)).await.map_err(failed)?;
                Arc::clone(keeper.outbox.insert(Arc::new(made)))
            }
        };
        let digests: BTreeSet<Hash> = entries.iter().map(|(entry, _)| *entry.digest()).collect();
        let entries: Vec<outbox::Waiting> = entries
            .iter()
            .map(|(entry, module)| outbox::Waiting {
                digest: *entry.digest(),
                block: entry.encode(),
                module: module.clone().unwrap_or_default(),
            })
            .collect();
        blocking::unblock(move || outbox.keep(&entries)).await.map_err(failed)?;
        keeper.unkept.retain(|digest| !digests.contains(digest));
        Ok(())
    }

    /// Writes down what this node said as the host, where that waits after all: behind a change of validators, for another
    /// host, or for longer than somebody waits who is going to hear that it is kept. Who cannot be told so hears why.
    pub(super) async fn keep_unanswered(&mut self, keeper: &mut RoomKeeper, now: Instant) {
        let lonely = keeper.lonely;
        let is_over = |waiting: &Waiting| waiting.patience.is_over(now, lonely);
        if keeper.appends_at_once() && !keeper.waiting.iter().any(is_over) {
            return;
        }
        let Err(failure) = self.keep_own(keeper).await else { return };
        let is_lost =
            |said: &Said| said.state == SaidState::Submitted && keeper.unkept.contains(&said.digest);
        let lost = |waiting: &mut Waiting| is_over(waiting) && waiting.said.iter().any(is_lost);
        for waiting in keeper.waiting.extract_if(.., lost) {
            let message = format!("{}; what was said waits as long as this node runs", failure.message);
            let _ = waiting.reply.try_send(Err(Failure::new(failure.code, message)));
        }
    }

    /// Writes down what this node said as the host and has no outcome, before the room is let go of.
    pub(super) async fn keep_own_or_warn(&mut self, keeper: &mut RoomKeeper) {
        if let Err(failure) = self.keep_own(keeper).await {
            let stream = &self.identity.name;
            tracing::warn!(stream, "what was said as the host is not kept: {}", failure.message);
        }
    }

    async fn keep_own(&mut self, keeper: &mut RoomKeeper) -> Result<(), Failure> {
        if keeper.unkept.is_empty() {
            return Ok(());
        }
        let own = keeper.relay.submitted().map(|(entry, _)| entry);
        let own = own.filter(|entry| keeper.unkept.contains(entry.digest()));
        let module = |entry: &VerifiedEntry| keeper.relay.submitted_module(entry.digest()).cloned();
        let entries: Vec<_> = own.map(|entry| (entry.clone(), module(entry))).collect();
        if entries.is_empty() { Ok(()) } else { self.keep(keeper, &entries).await }
    }

    /// Forgets entries that have come to an end.
    pub(super) async fn forget_kept(&mut self, keeper: &mut RoomKeeper, mut digests: Vec<Hash>) {
        digests.retain(|digest| !keeper.unkept.remove(digest));
        let Some(outbox) = keeper.outbox.as_ref().map(Arc::clone) else { return };
        let outcomes = keeper.unheard.take_unsaved();
        if digests.is_empty() && outcomes.is_empty() {
            return;
        }
        if let Err(error) = blocking::unblock(move || outbox.forget(&digests, &outcomes)).await {
            tracing::warn!(stream = self.identity.name, "{error}");
        }
    }

    /// Takes up what waited when the stream was open last.
    pub(super) async fn take_up_kept(
        &mut self,
        keeper: &mut RoomKeeper,
        checker: &Checker,
    ) -> Result<(), String> {
        let Some(outbox) = keeper.outbox.as_ref().map(Arc::clone) else { return Ok(()) };
        let kept = blocking::unblock(move || outbox.waiting()).await.map_err(|error| error.to_string())?;
        let mut entries = Vec::new();
        let mut ended = Vec::new();
        for outbox::Waiting { digest, block, module } in kept {
            match Entry::decode(block).and_then(|entry| entry.verify(&keeper.id)) {
                Ok(entry) => entries.push((entry, (!module.is_empty()).then_some(module))),
                Err(error) => {
                    tracing::warn!(stream = self.identity.name, "an entry that waited is damaged: {error}");
                    ended.push(digest);
                }
            }
        }
        entries.sort_by_key(|(entry, _)| (*entry.author(), entry.sequence()));
        let now = self.runtime.now();
        for (entry, module) in entries {
            let stands = checker.room().next_sequence(entry.author()).map_err(|error| error.to_string())?;
            let digest = *entry.digest();
            let number = (*entry.author(), entry.sequence());
            let found = if entry.sequence() < stands {
                self.stands(&keeper.log, &entry, checker.length()).await
            } else {
                None
            };
            if keeper.may_change_host() && found.is_none() {
                keeper.pending.hear(now, &entry);
            }
            if let Some(index) = found {
                ended.extend(keeper.stood(index, digest));
            } else if let Err(error) = keeper.relay.submit(now, entry, module, None) {
                tracing::warn!(stream = self.identity.name, "an entry that waited is given up: {error}");
                let (code, reason) = (Code::EntryNotAllowed.to_string(), error.to_string());
                let state = SaidState::Refused { code, reason, place: "on the way".into(), rule_code: None };
                keeper.unheard.note(digest, number, state);
                ended.push(digest);
            } else {
                keeper.own.insert(digest, number);
            }
        }
        self.forget_kept(keeper, ended).await;
        Ok(())
    }

    /// Finds an entry in the blocks that were checked, after the head that its author had seen.
    async fn stands(&mut self, log: &Log, entry: &VerifiedEntry, checked: u64) -> Option<u64> {
        let block = entry.encode();
        for index in entry.anchor().length()..checked {
            if self.log_get(log, index).await.is_some_and(|there| there == block) {
                return Some(index);
            }
        }
        None
    }

    /// Submits again what stood in blocks beyond a length, which another host has dropped: what is kept, and `said` that
    /// this node appended as the host before.
    pub(super) async fn submit_dropped(
        &mut self,
        keeper: &mut RoomKeeper,
        checker: &Checker,
        length: u64,
        said: Vec<(VerifiedEntry, Option<Bytes>)>,
    ) {
        let dropped = keeper.standing.split_off(&length.saturating_add(1));
        let is_promised = keeper.promised.iter().any(|kept| kept.index >= length);
        if said.is_empty() && dropped.is_empty() && !is_promised {
            return;
        }
        // All that is kept is looked at again.
        keeper.promised.clear();
        let kept = match said.is_empty() {
            true => Ok(()),
            false => self.keep(keeper, &said).await.map_err(|failure| failure.message),
        };
        let taken_up = match kept {
            Ok(()) => self.take_up_kept(keeper, checker).await,
            Err(why) => Err(why),
        };
        if let Err(why) = taken_up {
            tracing::warn!(stream = self.identity.name, "what was dropped is not submitted again: {why}");
        }
        keeper.settle_lost();
    }

    /// Keeps what this home said in blocks that are dropped; it is submitted when the room is met again.
    pub(super) async fn keep_said(
        &mut self,
        keeper: &mut RoomKeeper,
        said: &[(VerifiedEntry, Option<Bytes>)],
    ) {
        if !said.is_empty()
            && let Err(failure) = self.keep(keeper, said).await
        {
            let stream = &self.identity.name;
            tracing::warn!(stream, "what was dropped is not submitted again: {}", failure.message);
        }
    }
}
