//! What there is to tell about a room and its blocks.

use quorate_stream::entry::{Entry, ProofKind};
use quorate_stream::refusal::Refusal;
use quorate_stream::submit::SubmissionState;

use super::super::task::StreamTask;
use super::{RoomState, Stopped};
use crate::model::{EntryInfo, RefusedBlock, RoomInfo, RuleInfo, SaidState, Verdict};
use crate::room::Checker;

impl StreamTask {
    /// Says how the room stands; `None` for a plain feed, and for a room that is not checked.
    pub(in crate::stream) fn room_info(&self) -> Option<RoomInfo> {
        let RoomState::Open(keeper) = &self.rooms else { return None };
        let (refused, unable) = match &keeper.stopped {
            None => (None, keeper.wanted.map(|index| format!("block {index} is needed, and is fetched"))),
            Some(Stopped::Refused(block)) => (Some(block.clone()), None),
            Some(Stopped::Unable(why)) => (None, Some(why.clone())),
        };
        Some(RoomInfo {
            id: keeper.id,
            title: keeper.title.clone(),
            host: keeper.is_host,
            checked: keeper.checked,
            state_root: keeper.state_root,
            rules: keeper.rules.clone(),
            rule_delay: keeper.rule_delay,
            waiting: keeper.relay.submitted().count(),
            quorum: keeper.quorum_info(self.evidence_infos()),
            refused,
            unable,
        })
    }

    /// Says why the blocks of a room get no verdict here.
    pub(in crate::stream) fn unchecked(&self) -> Option<String> {
        match &self.rooms {
            RoomState::Unchecked(failure) => Some(failure.message.clone()),
            _ => None,
        }
    }

    /// Says what stands in a block, where the stream is a room.
    pub(in crate::stream) async fn entry_info(&mut self, index: u64) -> Option<EntryInfo> {
        let (checked, refused, committed) = match &self.rooms {
            RoomState::Open(keeper) => {
                let refused = match &keeper.stopped {
                    Some(Stopped::Refused(block)) => Some(block.clone()),
                    _ => None,
                };
                (keeper.checked, refused, keeper.committed())
            }
            RoomState::Unchecked(_) => (0, None, None),
            RoomState::Unknown | RoomState::Plain => return None,
        };
        let log = match &self.rooms {
            RoomState::Open(keeper) => Some(keeper.log.clone()),
            _ => None,
        };
        let block = match log {
            Some(log) if self.log_has(&log, index) => self.log_get(&log, index).await?,
            None if self.feed.has(index) => self.feed.get(index).await.ok().flatten()?,
            _ => return None,
        };
        let refused = refused.filter(|refused| refused.index == index);
        let verdict = match &refused {
            _ if index < checked => Verdict::Accepted,
            Some(_) => Verdict::Refused,
            None => Verdict::Unchecked,
        };
        let (kind, signed) = match Entry::decode(block) {
            _ if index == 0 => ("header", None),
            Ok(Entry::Action(action)) => ("action", Some((action.author, action.sequence))),
            Ok(Entry::RuleChange(change)) => ("rule-change", Some((change.author, change.sequence))),
            Ok(Entry::Chunk(_)) => ("module", None),
            Ok(Entry::Proof(proof)) => (proof_word(proof.kind), None),
            Err(_) => ("unreadable", None),
        };
        let (author, sequence) = signed.unzip();
        let (code, reason) = refused.map(|refused| (refused.code, refused.reason)).unzip();
        let committed = committed.map(|length| index < length);
        Some(EntryInfo { kind: kind.into(), author, sequence, verdict, committed, code, reason })
    }
}

/// Names what no participant signs.
const fn proof_word(kind: ProofKind) -> &'static str {
    match kind {
        ProofKind::Certificate => "certificate",
        ProofKind::Evidence => "evidence",
        ProofKind::ValidatorChange => "validators",
        ProofKind::EpochStart => "epoch",
    }
}

pub(super) fn refused_block(index: u64, refusal: &Refusal) -> RefusedBlock {
    RefusedBlock { index, code: refusal.code.to_string(), reason: refusal.headline() }
}

/// Says what became of an entry in the words of the command line.
pub(super) fn said_state(state: &SubmissionState, height: u64) -> SaidState {
    match state {
        SubmissionState::Appended { index } => SaidState::Appended { index: *index },
        SubmissionState::Refused(refusal) => said_refused(refusal, height),
        SubmissionState::Expired => SaidState::Expired,
    }
}

fn said_refused(refusal: &Refusal, height: u64) -> SaidState {
    let place = refusal.rule.as_ref().map_or_else(
        || format!("height {height}"),
        |rule| format!("rule {}, height {height}", rule.id.short()),
    );
    SaidState::Refused {
        code: refusal.code.to_string(),
        reason: refusal.headline(),
        place,
        rule_code: refusal.rule_code,
    }
}

pub(super) fn rules_of(checker: &Checker) -> Vec<RuleInfo> {
    checker
        .room()
        .rules()
        .into_iter()
        .map(|rule| RuleInfo {
            id: rule.id,
            name: rule.name.to_string(),
            module: rule.module,
            meter: rule.meter,
            params: text_or_base64(&rule.params),
            locked: rule.locked,
            since: rule.since,
            pending: rule.pending.map(|(verb, at)| format!("{verb} at height {at}")),
        })
        .collect()
}

fn text_or_base64(bytes: &[u8]) -> String {
    match std::str::from_utf8(bytes) {
        Ok(text) => text.to_owned(),
        Err(_) => data_encoding::BASE64.encode(bytes),
    }
}
