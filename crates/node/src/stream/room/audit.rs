//! A room checked again from its first block, beside the state that it has.

use quorate_feed::Roots;
use quorate_rules::state::MemoryStore;
use quorate_stream::room::Lacking;

use super::super::task::StreamTask;
use super::RoomState;
use super::tell::refused_block;
use crate::model::RoomAudit;
use crate::room::{Checker, Known, Replay, Stop};
use crate::{Code, Failure};

impl StreamTask {
    /// Runs the rules again on every block that is here without a gap; `None` for a feed that gets no verdicts. Adds to
    /// the faults what is not as it was.
    pub(in crate::stream) async fn audit_room(
        &mut self,
        faults: &mut Vec<String>,
    ) -> Result<Option<RoomAudit>, Failure> {
        let RoomState::Open(keeper) = &self.rooms else { return Ok(None) };
        let (room, checked, known_root) = (keeper.id, keeper.checked, keeper.state_root);
        let (log, mut place) = (keeper.log.clone(), 0);
        let unable = |error: String| Failure::new(Code::Unable, error);
        let Ok(Some(header)) = self.feed.get(0).await else { return Ok(None) };
        let engine = self.rules.engine()?;
        let opened =
            Checker::open(&self.identity.key, &header, MemoryStore::default(), &engine, &Known::default());
        let mut checker = Box::new(opened.map_err(|error| unable(error.to_string()))?);
        checker.stand_on(Roots::default(), 0);
        let mut stop = checker.begin(&header, &Known::default()).stop;
        let mut known = Known::default();
        let mut at_checked = None;
        while stop.is_none() {
            // The state that the room has is compared where it stands.
            if checker.length() == checked {
                at_checked = Some(checker.room().position().state_root);
            }
            if let Some((end, base)) = log.part(place).end
                && checker.length() == end
            {
                let next = log.part(place + 1);
                let (Some(part), true) = (next.checked_as.clone(), checker.head().head == Some(base)) else {
                    let why = format!("another history goes on from block {end}");
                    stop = Some(Stop::Lacking(Lacking::Other(why)));
                    break;
                };
                checker.enter(part, next.entry.clone());
                place += 1;
                continue;
            }
            let start = checker.length();
            let end = if start < checked { checked } else { self.log_length(&log) };
            let blocks = self.log_read(&log, start, end).await;
            if blocks.is_empty() {
                break;
            }
            let entries = self.rules.signatures().begin(room, &blocks).finish().await;
            let (given, replay) = blocking::unblock(move || {
                let replay = checker.replay(&blocks, &entries, &known, false);
                ((checker, known), replay)
            })
            .await;
            (checker, known) = given;
            let Replay { stop: stopped, .. } = replay;
            match stopped {
                Some(Stop::Lacking(lacking)) if self.look_up(&log, &lacking, &mut known).await => {}
                Some(other) => stop = Some(other),
                None => known = Known::default(),
            }
        }
        let state_root = checker.room().position().state_root;
        if checker.length() >= checked && at_checked.unwrap_or(state_root) != known_root {
            faults.push(format!(
                "the state of the room at length {checked} has digest {}, made again it has {}",
                known_root.short(),
                at_checked.unwrap_or(state_root).short()
            ));
        }
        let (refused, unable) = match stop {
            None => (None, None),
            Some(Stop::Refused(refusal)) => (Some(refused_block(checker.length(), &refusal)), None),
            Some(Stop::Lacking(lacking)) => (None, Some(lacking.to_string())),
        };
        Ok(Some(RoomAudit { checked: checker.length(), state_root, refused, unable }))
    }
}
