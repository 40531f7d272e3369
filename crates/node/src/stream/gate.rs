//! The gate of a stream: peers that are not quorate nodes are shown only what the validators of its room have committed.
//!
//! It opens no further than to a head that was signed, that is committed, and that is the history which is here. It
//! starts closed, and nothing opens it in a stream that nobody commits. It keeps nothing secret: whoever says that it is a
//! quorate node is shown everything.

use std::collections::BTreeMap;

use quorate_quorum::head::Head;
use quorate_replicate::Input;
use quorate_types::PublicKey;

use super::command::Command;
use super::failures::read_failure;
use super::task::StreamTask;
use crate::model::GateInfo;

/// How far the gate of one feed is open.
#[derive(Debug, Default)]
pub(super) struct Gate {
    /// What is committed of the feed.
    target: Option<Head>,
    /// The target, and the length of the feed, that were looked at last.
    looked: Option<(Head, u64)>,
    /// Blocks that stock peers are shown.
    shown: u64,
    /// What the tasks of the room's later feeds were told.
    told: BTreeMap<PublicKey, Head>,
}

impl StreamTask {
    /// Opens the gate as far as what is committed reaches; those of the room's later feeds, too.
    pub(super) async fn tend_gate(&mut self) {
        if !self.identity.gate {
            return;
        }
        for (key, later, head) in self.committed_heads() {
            match later {
                None => self.gate.target = Some(head),
                Some(stream) if self.gate.told.get(&key) != Some(&head) => {
                    // A feed that is closed shows nothing any more.
                    let _ = stream.tell(Command::Gate { head }).await;
                    self.gate.told.insert(key, head);
                }
                Some(_) => {}
            }
        }
        self.open_gate().await;
    }

    /// Takes what the task of the room says is committed of this feed.
    pub(super) fn take_gate(&mut self, head: Head) {
        self.gate.target = Some(head);
    }

    async fn open_gate(&mut self) {
        let Some(target) = self.gate.target else { return };
        let look = (target, self.feed.length());
        // What is not here yet may turn out to be another history.
        if self.gate.looked.replace(look) == Some(look) || target.length() > self.feed.length() {
            return;
        }
        let shown = match self.feed.roots_at(target.length()).await {
            Ok(Some(roots)) if roots.tree_hash(quorate_feed::Flavour::Dat) == *target.tree_hash() => {
                self.feed.signed_at_most(target.length()).await
            }
            Ok(_) => {
                let stream = &self.identity.name;
                tracing::warn!(
                    stream,
                    "what is committed is not the history that is here: stock peers get no more"
                );
                return;
            }
            Err(error) => Err(error),
        };
        match shown {
            Ok(shown) if shown > self.gate.shown => {
                self.gate.shown = shown;
                self.handle(Input::Gate { length: Some(shown) });
            }
            Ok(_) => {}
            Err(error) => self.storage_failed(read_failure(&self.identity, &error).message),
        }
    }

    /// Says how far the gate is open, where there is one.
    pub(super) fn gate_info(&self) -> Option<GateInfo> {
        self.identity.gate.then_some(GateInfo { shown: self.gate.shown })
    }
}
