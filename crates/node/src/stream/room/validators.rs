//! Changes of the validators: the host appends one, and once it is final the feed goes on in another epoch.

use bytes::Bytes;
use quorate_feed::{Flavour, Roots};
use quorate_quorum::certificate::encode_change;
use quorate_quorum::engine::Engine;
use quorate_quorum::head::Head;
use quorate_quorum::key::VoteKey;
use quorate_quorum::validators::{ValidatorSet, least_quorum};
use quorate_stream::entry::{Entry, Proof, ProofKind};
use quorate_types::PublicKey;

use super::super::command::Reply;
use super::super::task::StreamTask;
use super::log::Log;
use super::{RoomKeeper, RoomState};
use crate::model::{ValidatorOffer, ValidatorWish, ValidatorsChanged};
use crate::room::{Checker, Stop};
use crate::{Code, Failure};

/// What is to become of the validators of a room, and who hears of it.
#[derive(Debug)]
pub(crate) struct ChangeValidators {
    pub(crate) wish: ValidatorWish,
    pub(crate) reply: Reply<ValidatorsChanged>,
}

/// A change of validators that the host is to append.
pub(super) struct WantedChange {
    pub(super) body: Bytes,
    next: ValidatorSet,
    epoch: u64,
    reply: Reply<ValidatorsChanged>,
}

impl WantedChange {
    /// Says what became of it. `length` is that of the room with its block.
    pub(super) fn answer(self, length: u64, proposed: Result<Bytes, Stop>, appended: &Result<(), String>) {
        let nothing = |why: &str| format!("{why}; nothing was appended");
        let answer = match (proposed, appended) {
            (Ok(_), Ok(())) => Ok(ValidatorsChanged {
                schema: ValidatorsChanged::SCHEMA.into(),
                index: length.saturating_sub(1),
                epoch: self.epoch,
                validators: self.next.keys().copied().collect(),
                needed: self.next.quorum(),
            }),
            (Ok(_), Err(why)) => Err(Failure::new(Code::Io, nothing(why))),
            (Err(Stop::Refused(refusal)), _) => {
                let code = Code::parse(&refusal.code.to_string()).unwrap_or(Code::EntryNotAllowed);
                Err(Failure::new(code, nothing(&refusal.headline())))
            }
            (Err(Stop::Lacking(lacking)), _) => {
                Err(Failure::new(Code::Unable, nothing(&lacking.to_string())))
            }
        };
        let _ = self.reply.try_send(answer);
    }
}

impl RoomKeeper {
    /// Answers those who want a change in a room that is not followed any further.
    pub(super) fn give_up_changes(&mut self, name: &str) {
        let Some(stopped) = &self.stopped else { return };
        for change in self.changes.drain(..) {
            let _ = change.reply.try_send(Err(stopped.failure(name)));
        }
    }
}

impl ValidatorWish {
    /// Makes the set that follows another one, and the body of the change.
    fn apply(&self, now: &ValidatorSet) -> Result<(ValidatorSet, Bytes), String> {
        let mut keys: Vec<PublicKey> = now.keys().copied().collect();
        if let Some(ValidatorOffer { key, proof }) = &self.add {
            if now.contains(key) {
                return Err(format!("expected a key that is no validator's, found {key}, which is one"));
            }
            VoteKey::admit(*key, proof).map_err(|error| error.to_string())?;
            keys.push(*key);
        }
        if let Some(key) = &self.remove {
            if !now.contains(key) {
                return Err(format!("expected a key that is a validator's, found {key}, which is not"));
            }
            keys.retain(|held| held != key);
        }
        let quorum = self.quorum.unwrap_or_else(|| {
            let is_more = now.quorum() > least_quorum(now.n());
            let least = least_quorum(keys.len());
            if is_more { now.quorum().clamp(least, keys.len().max(least)) } else { 0 }
        });
        let next = ValidatorSet::new(keys, quorum).map_err(|error| error.to_string())?;
        if !now.may_become(&next) {
            return Err("expected a change, found the validators and the quorum that there are".to_owned());
        }
        let body = encode_change(&next, self.add.map(|offer| offer.proof));
        Ok((next, body))
    }
}

impl StreamTask {
    /// Takes a change of validators that the user of the host asks for.
    pub(in crate::stream) fn change_validators(&mut self, change: ChangeValidators) {
        let ChangeValidators { wish, reply } = change;
        let name = self.identity.name.clone();
        let refuse = |code, message: String, next: String| {
            let failure = Failure::new(code, format!("{message}; nothing was appended")).next(next);
            let _ = reply.try_send(Err(failure));
        };
        let RoomState::Open(keeper) = &mut self.rooms else {
            let message = format!("expected a room with validators that is checked here, found {name}");
            return refuse(Code::NoValidators, message, format!("quorate info {name}"));
        };
        let Some(quorum) = &keeper.quorum else {
            let message = format!(
                "expected a room with validators, found that {name} has none: they are named when a room is made"
            );
            return refuse(Code::NoValidators, message, format!("quorate info {name}"));
        };
        if let Some(stopped) = &keeper.stopped {
            let failure = stopped.failure(&name);
            return refuse(failure.code, failure.message, format!("quorate info {name}"));
        }
        let epoch = quorum.engine.epoch();
        if !keeper.is_host || keeper.log.last().epoch != epoch.number() {
            let message =
                "expected the host of the room, who appends changes of validators, found another node";
            let next = format!("quorate info {name}    # names the host: say it there");
            return refuse(Code::NotHost, message.into(), next);
        }
        if keeper.closed.is_some() || !keeper.changes.is_empty() {
            let message =
                "expected no change of validators under way, found one that has not come to its end";
            return refuse(Code::ChangeUnderWay, message.into(), format!("quorate votes {name}"));
        }
        match wish.apply(epoch.validators()) {
            Ok((next, body)) => {
                let epoch = epoch.number().saturating_add(1);
                keeper.changes.push_back(WantedChange { body, next, epoch, reply });
            }
            Err(message) => {
                refuse(Code::BadQuorum, message, format!("quorate validator ls {name}"));
            }
        }
    }

    /// Finds the change of validators behind which a room stands that was opened there.
    pub(super) async fn recall_change(&mut self, log: &Log, checker: &mut Checker) {
        if !checker.lacks_change() {
            return;
        }
        let length = checker.length();
        let Some(index) = length.checked_sub(1) else { return };
        let block = self.log_get(log, index).await;
        let before: Option<Roots> = self.log_roots(log, index).await;
        if let (Some(block), Some(before)) = (block, before) {
            checker.note_change(&block, &before);
        }
    }

    /// Begins an epoch in the feed of the one before, as its host.
    pub(super) async fn append_start(&mut self, engine: &Engine, log: &Log, feed: PublicKey, body: Bytes) {
        let last = log.last();
        let start = engine.check_start(body.clone());
        let why = match start {
            Err(error) => error.to_string(),
            Ok(start) => {
                let base = start.epoch().base().map_or(0, |base| base.head().length());
                let length = self.log_length(log).saturating_sub(last.offset());
                if last.key != feed || length > base {
                    // It is there: the machine asks again after each start of the node.
                    return;
                }
                let roots = self.log_roots(log, last.offset().saturating_add(length)).await;
                let head = roots.and_then(|roots| Head::new(length, roots.tree_hash(Flavour::Dat)));
                if start.may_stand(&feed, head.as_ref()) {
                    let proof = Proof { kind: ProofKind::EpochStart, body };
                    match self.log_extend(log, vec![Entry::Proof(proof).encode()]).await {
                        Ok(()) => return,
                        Err(why) => why,
                    }
                } else {
                    format!("expected the base at length {base}, found a feed of {length} blocks")
                }
            }
        };
        tracing::error!(stream = self.identity.name, "the feed does not go on in the next epoch: {why}");
    }
}
