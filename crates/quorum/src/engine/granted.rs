//! Feeds that hosts have granted, those of epochs that were entered before their hosts showed up among them.

use std::collections::BTreeMap;
use std::time::Instant;

use quorate_types::PublicKey;

use super::disk::After;
use super::event::Slot;
use super::limits::{MAX_GRANTS_OF_EPOCH, MAX_STRAYS};
use super::{Engine, Step};
use crate::certificate::{Start, VerifiedStart};
use crate::evidence::{Claim, VerifiedEvidence};
use crate::statement::{Grant, Signed};

/// Grants that were verified, whichever start they came with.
#[derive(Debug, Default)]
pub(super) struct Granted {
    of_epoch: BTreeMap<u64, Vec<Signed<Grant>>>,
    /// Evidence that this node found against a feed that nobody granted yet.
    strays: Vec<VerifiedEvidence>,
}

impl Granted {
    /// Notes a grant. Returns what it contradicts; `None` for one that is known, or that there is no room for.
    pub(super) fn learn(&mut self, grant: Option<Signed<Grant>>) -> Option<Vec<Claim>> {
        let grant = grant?;
        let Grant { common, feed } = grant.statement;
        let known = self.of_epoch.entry(common.epoch).or_default();
        if known.iter().any(|known| known.statement == grant.statement) || known.len() >= MAX_GRANTS_OF_EPOCH
        {
            return None;
        }
        let others = known.iter().filter(|known| known.statement.common.signer == common.signer);
        let others = others.filter(|known| known.statement.feed != feed);
        let claims = others.map(|known| Claim::double_grant(*known, grant)).collect();
        known.push(grant);
        Some(claims)
    }

    /// Tells whether a key granted a feed, or is the feed.
    pub(super) fn names(&self, key: &PublicKey) -> bool {
        let mut all = self.of_epoch.values().flatten().map(|grant| &grant.statement);
        all.any(|grant| grant.feed == *key || grant.common.signer == *key)
    }

    /// Keeps evidence of this node's own until its culprit is known.
    pub(super) fn keep(&mut self, evidence: VerifiedEvidence) {
        if self.strays.len() < MAX_STRAYS {
            self.strays.push(evidence);
        }
    }
}

impl Engine {
    /// Notes the grants of starts, and reads evidence that waits for a feed to be known. Two grants of one host for one
    /// epoch are a contradiction.
    pub(super) fn learn_grants(&mut self, now: Instant, starts: &[VerifiedStart]) {
        let mut is_new = false;
        for start in starts {
            if let Some(claims) = self.granted.learn(start.grant()) {
                is_new = true;
                self.claim_all(claims);
                self.complete(start.epoch().number());
            }
        }
        if is_new {
            for evidence in std::mem::take(&mut self.granted.strays) {
                self.expose(evidence);
            }
            self.read_strays(now);
        }
    }

    /// Adds the grant to the start of an epoch that is over and was entered without it, so that peers get it as well.
    pub(super) fn complete(&mut self, number: u64) {
        let Some(place) = usize::try_from(number).ok().filter(|place| *place < self.past.len()) else {
            return;
        };
        let parent = place.checked_sub(1).and_then(|place| self.past.get(place));
        let step = self.past.get(place).filter(|step| step.epoch.feed().is_none());
        let (Some(parent), Some((start, _, _))) = (parent, step.and_then(|step| step.start.as_ref())) else {
            return;
        };
        let mut grants: Vec<_> = self.granted.of_epoch.get(&number).into_iter().flatten().collect();
        // Of several the one counts that a quorum voted for.
        let voted = self.longest.get(&number).map(|qc| qc.certified().feed);
        grants.sort_by_key(|grant| Some(grant.statement.feed) != voted);
        let found = grants.into_iter().find_map(|grant| {
            let grant = Some((grant.statement.feed, grant.signature));
            Start { grant, ..start.clone() }.verify(&parent.epoch).ok()
        });
        if let (Some(start), Some(step)) = (found, self.past.get_mut(place)) {
            *step = Step::new(&start);
            self.write(Slot::Start { epoch: number }, start.start().encode(), After::Nothing);
        }
    }
}
