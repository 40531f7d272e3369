//! Branches of the room's feeds. Where a host signs two histories, the one counts that a quorum voted for.

use std::collections::{BTreeMap, VecDeque};

use quorate_feed::fork::VerifiedForkProof;
use quorate_feed::{Flavour, Roots};
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
    /// What was looked at last, and how many forks were known then.
    looked: (Vec<Look>, usize),
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
    /// Keeps a fork that this node has met.
    pub(super) fn meet(&mut self, fork: VerifiedForkProof) {
        if !self.met.contains(&fork) {
            self.met.push_back(fork);
            self.tried = None;
            self.looked = Default::default();
        }
        while self.met.len() > MAX_MET {
            self.met.pop_front();
        }
    }

    /// Tells whether a feed of the room is here with other blocks than the validators voted for.
    pub(super) const fn is_contradicted(&self) -> bool {
        self.contradicted.is_some()
    }

    /// Returns the length up to which a feed is here as a quorum voted for it.
    pub(super) fn agreed(&self, feed: &PublicKey) -> u64 {
        self.agreed.get(feed).copied().unwrap_or(0)
    }

    /// Notes that a feed is here as a quorum voted for it, up to a length.
    pub(super) fn agree(&mut self, feed: PublicKey, length: u64) {
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
        let committed = quorum.engine.committed().map(|committed| (committed.feed, *committed.head()));
        let committed = committed.filter(|(feed, head)| keeper.branches.agreed(feed) < head.length());
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
        let looked = (self.heads_that_count(keeper), count_forks(keeper));
        if keeper.branches.looked == looked {
            return;
        }
        let looks = looked.0.clone();
        let (before, forks_before) = std::mem::replace(&mut keeper.branches.looked, looked);
        let has_new_forks = keeper.branches.looked.1 != forks_before;
        // What has agreed goes on to agree.
        let has_agreed = |(key, head, length): &Look| {
            let same = before.iter().find(|(other, at, _)| (other, at) == (key, head));
            same.is_some_and(|(.., before)| *before >= head.length() && *length >= *before)
        };
        let was_contradicted = keeper.branches.contradicted.take().is_some();
        let is_new = |look: &Look| was_contradicted || has_new_forks || !has_agreed(look);
        let new: Vec<Look> = looks.into_iter().filter(is_new).collect();
        let mut is_unknown = false;
        for look in new {
            let (key, head, length) = look;
            let Some(part) = keeper.log.parts().rfind(|part| part.key == key).cloned() else { continue };
            let is_another = if length < head.length() {
                let forks = forks_of(keeper, &key);
                let beside = self.is_beside(&part, forks, &head).await;
                // What both have in common is what was voted for.
                beside.inspect(|common| keeper.branches.agree(key, *common)).is_some()
            } else if let Some(roots) = self.log_roots_in(&part, head.length()).await {
                let is_another = roots.tree_hash(Flavour::Dat) != *head.tree_hash();
                if !is_another {
                    keeper.branches.agree(key, head.length());
                }
                is_another
            } else {
                // The nodes come with the blocks.
                is_unknown = true;
                false
            };
            if is_another {
                keeper.branches.contradicted = Some((key, head));
                let _ = self.signal.try_send(());
                return;
            }
        }
        if is_unknown {
            keeper.branches.looked = Default::default();
        }
    }

    /// Tells whether a copy that is shorter than a head which counts is of another history: evidence shows the one that is
    /// here and one that leads to the head. Returns how many blocks are shown to be of both, then.
    async fn is_beside(&mut self, part: &Part, forks: Vec<VerifiedForkProof>, head: &Head) -> Option<u64> {
        for fork in forks {
            if let Some(other) = self.other_side(part, &fork).await
                && may_lead_to(&other, head)
            {
                let is_shown = other.first(head.length()).is_some();
                return Some(if is_shown { fork.shared().min(head.length()) } else { 0 });
            }
        }
        None
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
            if !self.other_side(&part, &fork).await.is_some_and(|other| may_lead_to(&other, &head)) {
                continue;
            }
            // Block 0 of the first feed is what the room is named by.
            let agreed = keeper.branches.agreed(&key);
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
            keeper.branches.looked = Default::default();
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

    /// Returns the history of a fork that is not here, where the other one is.
    async fn other_side(&mut self, part: &Part, fork: &VerifiedForkProof) -> Option<Roots> {
        let (a, b) = (&fork.proof().a.roots, &fork.proof().b.roots);
        for (here, other) in [(a, b), (b, a)] {
            if self.log_roots_in(part, here.length()).await.as_ref() == Some(here) {
                return Some(other.clone());
            }
        }
        None
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

/// Tells whether a history may be the one that a head is of, as far as its peaks show. Longer ones are taken for it, since
/// whoever holds what was voted for goes on behind it: another fork shows it when that is wrong.
fn may_lead_to(roots: &Roots, head: &Head) -> bool {
    match roots.first(head.length()) {
        Some(roots) => roots.tree_hash(Flavour::Dat) == *head.tree_hash(),
        None => roots.length() > head.length(),
    }
}

/// Counts the forks of the room's feeds that are known.
pub(super) fn count_forks(keeper: &RoomKeeper) -> usize {
    let evidence = keeper.quorum.iter().flat_map(|quorum| quorum.engine.evidence());
    let forks = evidence.filter(|evidence| matches!(evidence.evidence().claim, Claim::WriterFork(_)));
    forks.count().saturating_add(keeper.branches.met.len())
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
