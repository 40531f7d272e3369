//! What there is to tell about the quorum of a room.

use quorate_quorum::certificate::VerifiedQc;
use quorate_quorum::evidence::Claim;
use quorate_quorum::statement::Vote;
use quorate_types::PublicKey;

use super::super::RoomKeeper;
use super::super::branch::count_forks;
use super::Quorum;
use crate::model::{EvidenceInfo, QuorumInfo, RejectInfo, ValidatorInfo, VoteInfo};

impl RoomKeeper {
    /// Blocks that are committed and known to be here; `None` in a room without validators.
    pub(in crate::stream::room) fn committed(&self) -> Option<u64> {
        self.quorum.as_ref().map(Quorum::committed)
    }

    /// Blocks that are shown as committed; `None` in a room without validators.
    ///
    /// After a start the blocks may end before the length that would show that they are of the history which was voted for.
    /// Those that were known to be are shown at once, unless somebody is known to have signed two histories.
    pub(in crate::stream::room) fn committed_as_shown(&self) -> Option<u64> {
        let quorum = self.quorum.as_ref()?;
        let is_disputed = self.branches.is_contradicted() || count_forks(self) > 0;
        let recorded = if is_disputed { 0 } else { quorum.recorded };
        Some(quorum.committed.max(recorded))
    }

    /// Says how the quorum stands.
    pub(in crate::stream::room) fn quorum_info(&self, evidence: Vec<EvidenceInfo>) -> Option<QuorumInfo> {
        let quorum = self.quorum.as_ref()?;
        let engine = &quorum.engine;
        let validators = engine.epoch().validators();
        // Of the room, as far as it is known where the feed stands in it.
        let height = |epoch, feed: &PublicKey, length| self.log.height(epoch, feed, length).unwrap_or(length);
        let said = |vote: &Vote| VoteInfo {
            validator: vote.common.signer,
            length: height(vote.common.epoch, &vote.feed, vote.target.head.length()),
            tree_hash: *vote.target.head.tree_hash(),
            acknowledged: vote.ack.map_or(0, |ack| height(vote.common.epoch, &vote.feed, ack.length)),
        };
        let votes: Vec<VoteInfo> = engine.votes().map(|vote| said(vote)).collect();
        let sealed: Vec<_> = engine.seals().map(|seal| *seal.signer()).collect();
        let newest = |key: &PublicKey| {
            votes.iter().filter(|vote| vote.validator == *key).max_by_key(|vote| vote.length).cloned()
        };
        let infos = validators
            .keys()
            .map(|key| ValidatorInfo {
                key: *key,
                voted: newest(key).map_or(0, |vote| vote.length),
                acknowledged: newest(key).map_or(0, |vote| vote.acknowledged),
                sealed: sealed.contains(key),
            })
            .collect();
        // Votes that contradict others may be known by the evidence alone.
        let contradicting = engine.evidence().flat_map(|evidence| match &evidence.evidence().claim {
            Claim::DoubleVote { first, second, .. } => vec![&first.statement, &second.statement],
            _ => Vec::new(),
        });
        let contradicting: Vec<VoteInfo> = contradicting
            .filter(|vote| vote.common.epoch == engine.epoch().number())
            .map(said)
            .filter(|vote| !votes.contains(vote))
            .collect();
        let votes = votes.into_iter().chain(contradicting).collect();
        Some(QuorumInfo {
            epoch: engine.epoch().number(),
            needed: validators.quorum(),
            validators: infos,
            committed: self.committed_as_shown().unwrap_or(0),
            known: quorum.known,
            certified: engine
                .last_qc()
                .map(VerifiedQc::certified)
                .map_or(0, |qc| height(qc.epoch, &qc.feed, qc.head().length())),
            votes,
            silent: quorum.silent().map(str::to_owned),
            evidence,
            rejects: quorum
                .docket
                .rejects()
                .filter(|reject| reject.common.epoch == engine.epoch().number())
                .map(|reject| RejectInfo {
                    validator: *reject.signer(),
                    length: height(reject.common.epoch, &reject.feed, reject.head.length()),
                    code: format!("E{:04}", reject.rule),
                    rule_code: (reject.code != 0).then_some(reject.code),
                })
                .collect(),
            hosts: self.epochs.as_ref().map_or_else(Vec::new, |epochs| epochs.hosts().to_vec()),
            feeds: self.log.infos(),
            heard: engine.newest_epoch_heard().is_some(),
        })
    }
}
