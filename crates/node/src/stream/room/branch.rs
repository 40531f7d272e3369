//! Branches of the room's feeds. Where a host signs two histories, the one counts that a quorum voted for.

use quorate_feed::Flavour;
use quorate_feed::fork::VerifiedForkProof;
use quorate_quorum::certificate::Certified;
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

/// Whether the feeds of the room are here as the validators voted for them.
#[derive(Debug, Default)]
pub(super) struct Branches {
    /// What was looked at last.
    looked: Vec<Look>,
    /// A feed that is not, with the head that it would contain.
    contradicted: Option<(PublicKey, Head)>,
    /// It was said that it cannot be mended.
    is_told: bool,
}

impl Branches {
    /// Tells whether a feed of the room is here with other blocks than the validators voted for.
    pub(super) const fn is_contradicted(&self) -> bool {
        self.contradicted.is_some()
    }
}

impl StreamTask {
    /// Returns the heads that feeds of the room contain if they are those that a quorum voted for, as far as the engine does
    /// not know that they do.
    fn heads_that_count(&self, keeper: &RoomKeeper) -> Vec<Look> {
        let Some(quorum) = &keeper.quorum else { return Vec::new() };
        let certified = quorum.engine.certified().filter(|_| !quorum.engine.has_checked_certified());
        let certified = certified.map(|certified| (certified.feed, *certified.head()));
        let ends = keeper.log.parts().filter_map(|part| Some((part.key, part.end?.1)));
        let looks = certified.into_iter().chain(ends).filter_map(|(key, head)| {
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
            let found = self.log_roots_in(&part, head.length()).await;
            if found.is_some_and(|roots| roots.tree_hash(Flavour::Dat) != *head.tree_hash()) {
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
        let quorum = keeper.quorum.as_ref().map(|quorum| &quorum.engine);
        let counts = quorum.into_iter().flat_map(|engine| [engine.committed(), engine.epoch().base()]);
        let counts: Vec<Certified> = counts.flatten().copied().collect();
        // What was looked at as committed was not contradicted.
        let committed = keeper.committed().unwrap_or(0).saturating_sub(part.offset());
        let before = checker.length();
        for fork in forks {
            let shared = self.shared_at_least(&counts, &part, &fork).await.max(committed);
            let said = self.said_between(keeper.id, &keeper.log, (part.offset() + shared, before)).await;
            let dropped = match self.take_branch_of(&part, fork, shared).await {
                Ok(Some(dropped)) => dropped,
                Ok(None) => continue,
                Err(why) => {
                    self.cannot_follow(keeper, &why);
                    return true;
                }
            };
            keeper.branches = Branches::default();
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
        if !std::mem::replace(&mut keeper.branches.is_told, true) {
            tracing::warn!(
                stream = self.identity.name,
                feed = key.short(),
                length = head.length(),
                "the validators voted for another history than the one that is here; a peer that has it is waited for"
            );
        }
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

    /// Finds how many first blocks of a feed both histories of a fork have at least: by the proof, and by what counts and is
    /// here.
    async fn shared_at_least(&mut self, counts: &[Certified], part: &Part, fork: &VerifiedForkProof) -> u64 {
        // Block 0 of the first feed is what the room is named by.
        let mut shared = fork.shared().max(part.entry.length()).max(1);
        for Certified { feed, target, .. } in counts {
            if *feed == part.key && target.head.length() > shared {
                let roots = self.log_roots_in(part, target.head.length()).await;
                if roots.is_some_and(|roots| roots.tree_hash(Flavour::Dat) == *target.head.tree_hash()) {
                    shared = target.head.length();
                }
            }
        }
        shared
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
    forks.collect()
}
