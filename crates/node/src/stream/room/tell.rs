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
            rule_delay: keeper.rule_delay.max(1),
            waiting: keeper.relay.submitted().count(),
            not_appended: keeper.unheard.told(),
            quorum: keeper.quorum_info(self.evidence_infos()),
            refused,
            unable,
            behind: self.behind(keeper),
        })
    }

    /// Says why the blocks of a room get no verdict here.
    pub(in crate::stream) fn unchecked(&self) -> Option<String> {
        match &self.rooms {
            RoomState::Unchecked(failure) => Some(failure.message.clone()),
            RoomState::Unknown if !self.identity.is_writable() => Some(if self.feed.length() == 0 {
                "nothing of it is here yet, so that it is not known whether it is a room".to_owned()
            } else {
                "block 0, which says whether it is a room, is not here".to_owned()
            }),
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
                (keeper.checked, refused, keeper.committed_as_shown())
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

/// Says what became of an entry in the words of the command line. `height` is where a refused one would have stood, as far
/// as that is known: a receipt does not tell.
pub(super) fn said_state(state: &SubmissionState, height: Option<u64>) -> SaidState {
    match state {
        SubmissionState::Appended { index } => SaidState::Appended { index: *index },
        SubmissionState::Refused(refusal) => said_refused(refusal, height),
        SubmissionState::Expired => SaidState::Expired,
    }
}

fn said_refused(refusal: &Refusal, height: Option<u64>) -> SaidState {
    let at = height.map_or_else(|| "at the host".to_owned(), |height| format!("height {height}"));
    let place = match &refusal.rule {
        Some(rule) => format!("rule {}, {at}", rule.id.short()),
        None => at,
    };
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

#[cfg(test)]
mod tests {
    use quorate_stream::refusal::{RoomCode, RuleRef};
    use quorate_types::RuleId;

    use super::*;

    #[test]
    fn a_refusal_names_the_height_only_where_it_is_known() {
        let place = |refusal: &Refusal, height| match said_refused(refusal, height) {
            SaidState::Refused { place, .. } => place,
            other => panic!("{other:?}"),
        };
        let rule = RuleRef { id: RuleId::new([0xab; 32]), name: "chess".into() };
        let by_rule = Refusal::by_rule(RoomCode::RuleRejected, rule, 1, "no");
        let id = RuleId::new([0xab; 32]).short();
        assert_eq!(place(&by_rule, Some(3)), format!("rule {id}, height 3"));
        assert_eq!(place(&by_rule, None), format!("rule {id}, at the host"));
        let replayed = Refusal::new(RoomCode::Replayed, "no");
        assert_eq!(place(&replayed, Some(3)), "height 3");
        assert_eq!(place(&replayed, None), "at the host");
    }
}
