//! Branches of the room's feeds. Where a host signs two histories, the one counts that a quorum voted for.

use std::collections::{BTreeMap, VecDeque};

use quorate_feed::Flavour;
use quorate_feed::fork::VerifiedForkProof;
use quorate_quorum::engine::Input;
use quorate_quorum::evidence::Claim;
use quorate_quorum::head::Head;
use quorate_types::{BlockRange, PublicKey};

use super::super::task::StreamTask;
use super::log::Part;
use super::{RoomKeeper, Stopped};
use crate::room::Checker;

/// What was looked at of a feed: a head that counts, and how long the copy was.
type Look = (PublicKey, Head, u64);

/// Forks that are kept beside the evidence, of which there may be enough against one key.
const MAX_MET: usize = 4;

/// Whether the feeds of the room are here as the validators voted for them.
#[derive(Debug, Default)]
pub(super) struct Branches {
    /// What was looked at last.
    looked: Vec<Look>,
    /// Lengths up to which feeds are as they were voted for.
    agreed: BTreeMap<PublicKey, u64>,
    /// A feed that is not, with the head that it would contain.
    contradicted: Option<(PublicKey, Head)>,
    /// Forks that this node has met itself, the newest last.
    met: VecDeque<VerifiedForkProof>,
    /// Forks that were of no use, for what is contradicted.
    tried: Option<(PublicKey, Head, usize)>,
}

impl Branches {
    /// Tells whether a feed of the room is here with other blocks than the validators voted for.
    pub(super) const fn is_contradicted(&self) -> bool {
        self.contradicted.is_some()
    }

    /// Keeps a fork that this node has met.
    pub(super) fn meet(&mut self, fork: VerifiedForkProof) {
        if !self.met.contains(&fork) {
            self.met.push_back(fork);
            self.tried = None;
        }
        while self.met.len() > MAX_MET {
            self.met.pop_front();
        }
    }

    fn agree(&mut self, feed: PublicKey, length: u64) {
        let agreed = self.agreed.entry(feed).or_default();
        *agreed = length.max(*agreed);
    }
}

impl StreamTask {
    /// Returns the heads that feeds of the room contain if they are those that a quorum voted for, as far as the engine does
    /// not know that they do.
    fn heads_that_count(&self, keeper: &mut RoomKeeper) -> Vec<Look> {
        let Some(quorum) = &keeper.quorum else { return Vec::new() };
        let certified = quorum.engine.certified().map(|certified| (certified.feed, *certified.head()));
        let certified = certified.filter(|(feed, head)| {
            let is_here = quorum.engine.has_checked_certified();
            if is_here {
                keeper.branches.agree(*feed, head.length());
            }
            !is_here
        });
        let agreed = |feed: &PublicKey| keeper.branches.agreed.get(feed).copied().unwrap_or(0);
        let committed = quorum.engine.committed().map(|committed| (committed.feed, *committed.head()));
        let committed = committed.filter(|(feed, head)| agreed(feed) < head.length());
        let ends = keeper.log.parts().filter_map(|part| Some((part.key, part.end?.1)));
        let looks = committed.into_iter().chain(certified).chain(ends).filter_map(|(key, head)| {
            let part = keeper.log.parts().rfind(|part| part.key == key)?;
            let length = part.feed.as_ref().map_or(self.feed.length(), |other| other.view.length());
            Some((key, head, length))
        });
        looks.collect()
    }

    /// Looks whether each feed of the room is here as a quorum voted for it.
    pub(super) async fn look_at_branches(&mut self, keeper: &mut RoomKeeper) {
        let looks = self.heads_that_count(keeper);
        if keeper.branches.looked == looks {
            return;
        }
        let before = std::mem::replace(&mut keeper.branches.looked, looks.clone());
        // What has agreed goes on to agree.
        let has_agreed = |(key, head, length): &Look| {
            let same = before.iter().find(|(other, at, _)| (other, at) == (key, head));
            same.is_some_and(|(.., before)| *before >= head.length() && *length >= *before)
        };
        let was_contradicted = keeper.branches.contradicted.take().is_some();
        let new: Vec<Look> = looks.into_iter().filter(|look| was_contradicted || !has_agreed(look)).collect();
        for look in new {
            let (key, head, length) = look;
            let part = keeper.log.parts().rfind(|part| part.key == key).cloned();
            let Some(part) = part.filter(|_| length >= head.length()) else { continue };
            let Some(roots) = self.log_roots_in(&part, head.length()).await else { continue };
            if roots.tree_hash(Flavour::Dat) == *head.tree_hash() {
                keeper.branches.agree(key, head.length());
            } else {
                keeper.branches.contradicted = Some((key, head));
                let _ = self.signal.try_send(());
                return;
            }
        }
    }

    /// Goes over to the history of a feed that a quorum voted for, when the copy here is another one and evidence shows
    /// both. False when the state of the room has to be made anew.
    pub(super) async fn leave_branch(&mut self, keeper: &mut RoomKeeper, checker: &mut Checker) -> bool {
        let Some((key, head)) = keeper.branches.contradicted else { return true };
        let place = keeper.log.parts().position(|part| part.key == key);
        let Some(place) = place else { return true };
        let part = keeper.log.part(place).clone();
        let forks = forks_of(keeper, &key);
        let trial = (key, head, forks.len());
        if keeper.branches.tried == Some(trial) {
            return true;
        }
        keeper.branches.tried = Some(trial);
        let before = checker.length();
        for fork in forks {
            if !self.holds_one(&part, &fork).await {
                continue;
            }
            // Block 0 of the first feed is what the room is named by.
            let agreed = keeper.branches.agreed.get(&key).copied().unwrap_or(0);
            let shared = fork.shared().max(part.entry.length()).max(agreed).max(1);
            let behind = (part.offset().saturating_add(shared), before);
            let said = self.said_between(keeper.id, &keeper.log, behind).await;
            let dropped = match self.take_branch_of(&part, fork, shared).await {
                Ok(Some(dropped)) => dropped,
                Ok(None) => continue,
                Err(why) => {
                    self.cannot_follow(keeper, &why);
                    return true;
                }
            };
            keeper.branches.looked.clear();
            keeper.branches.contradicted = None;
            keeper.branches.agreed.insert(key, agreed.min(dropped.start));
            if let Some(quorum) = &mut keeper.quorum {
                let switched = Input::Switched { feed: key, common: dropped.start };
                quorum.engine.handle(self.runtime.now(), switched);
            }
            if let Some(epochs) = &mut keeper.epochs {
                epochs.forget_behind(&key, dropped.start);
            }
            let common = part.offset().saturating_add(dropped.start);
            // A room begins behind its header, and so does a later feed.
            if common < part.start.max(1) {
                self.keep_said(keeper, &said).await;
                self.forget_room(keeper);
                return false;
            }
            return self.step_back(keeper, checker, (common, place), said).await;
        }
        tracing::warn!(
            stream = self.identity.name,
            feed = key.short(),
            length = head.length(),
            "the validators voted for another history than the one that is here; a peer that has it is waited for"
        );
        true
    }

    async fn take_branch_of(
        &mut self,
        part: &Part,
        fork: VerifiedForkProof,
        shared: u64,
    ) -> Result<Option<BlockRange>, String> {
        let taken = match &part.feed {
            None => self.take_branch(&fork, shared).await,
            Some(other) => other.stream.take_branch(fork, shared).await,
        };
        taken.map_err(|failure| failure.message)
    }

    /// Tells whether a feed is here with one of the histories of a fork.
    async fn holds_one(&mut self, part: &Part, fork: &VerifiedForkProof) -> bool {
        for side in [&fork.proof().a, &fork.proof().b] {
            let found = self.log_roots_in(part, side.roots.length()).await;
            if found.is_some_and(|roots| roots == side.roots) {
                return true;
            }
        }
        false
    }

    fn cannot_follow(&self, keeper: &mut RoomKeeper, why: &str) {
        if keeper.stopped.is_none() {
            let why =
                format!("the validators voted for another history than the one that is here, and {why}");
            tracing::error!(stream = self.identity.name, "{why}");
            keeper.stopped = Some(Stopped::Unable(why));
        }
    }
}

/// Forks of a feed that are proven.
fn forks_of(keeper: &RoomKeeper, key: &PublicKey) -> Vec<VerifiedForkProof> {
    let evidence = keeper.quorum.iter().flat_map(|quorum| quorum.engine.evidence());
    let forks = evidence.filter_map(|evidence| match &evidence.evidence().claim {
        Claim::WriterFork(fork) if fork.key == *key => fork.as_ref().clone().verify().ok(),
        _ => None,
    });
    let met = keeper.branches.met.iter().filter(|fork| fork.key() == key).cloned();
    forks.chain(met).collect()
}
