//! Contradictions that come to light while a stream is followed.

use std::collections::BTreeSet;

use quorate_node::evidence::{self, Proven};
use quorate_node::model::{EvidenceInfo, Policy, StreamInfo};
use quorate_types::Hash;
use serde::Serialize;

use crate::backend::Backend;
use crate::output::Output;
use crate::stop::Outcome;
use crate::text::{self, Paint};

/// Evidence of a stream, each told once.
#[derive(Default)]
pub(crate) struct Exposed {
    known: BTreeSet<Hash>,
    /// Whether what was decided before is known.
    begun: bool,
}

/// Who signed what, and what it does to the stream.
#[derive(Serialize)]
pub(crate) struct Exposure {
    schema: &'static str,
    stream: String,
    #[serde(flatten)]
    proven: ProvenFields,
    /// A peer that carries the other history, where one was met.
    #[serde(skip_serializing_if = "Option::is_none")]
    peer: Option<String>,
    /// Blocks that are here.
    length: u64,
    /// Blocks that are committed, in a room with validators.
    #[serde(skip_serializing_if = "Option::is_none")]
    committed: Option<u64>,
}

/// What the evidence itself says.
#[derive(Serialize)]
struct ProvenFields {
    id: Hash,
    kind: String,
    culprit: quorate_types::PublicKey,
    what: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    heads: Vec<evidence::SignedHead>,
    #[serde(skip_serializing_if = "Option::is_none")]
    height: Option<u64>,
}

impl Exposed {
    /// Returns what is new among the evidence of a stream. At first that is what waits for a decision; later everything
    /// that its user does not ignore.
    pub(crate) async fn news(
        &mut self,
        backend: &Backend,
        info: &StreamInfo,
        peer: Option<&str>,
    ) -> Outcome<Vec<Exposure>> {
        let begun = std::mem::replace(&mut self.begun, true);
        let tells = |one: &EvidenceInfo| match begun {
            false => one.policy == Policy::Warn && one.own_backup.is_none(),
            true => one.policy != Policy::Ignore,
        };
        let mut news = Vec::new();
        for one in &info.evidence {
            if !self.known.insert(one.id) || !tells(one) {
                continue;
            }
            let bytes = backend.evidence(&info.name, &one.id.to_string()).await?;
            news.push(Exposure::new(evidence::held(&bytes)?, info, peer.filter(|_| begun)));
        }
        Ok(news)
    }
}

impl Exposure {
    fn new(proven: Proven, info: &StreamInfo, peer: Option<&str>) -> Self {
        let Proven { id, kind, culprit, what, heads, height, .. } = proven;
        let peer = peer.filter(|_| !heads.is_empty()).map(str::to_owned);
        let quorum = info.room.as_ref().and_then(|room| room.quorum.as_ref());
        Self {
            schema: "quorate.fork/1",
            stream: info.name.clone(),
            proven: ProvenFields { id, kind, culprit, what, heads, height },
            peer,
            length: info.length,
            committed: quorum.map(|quorum| quorum.committed),
        }
    }

    /// Prints it where data goes.
    pub(crate) fn print(&self, output: &mut Output) -> Outcome {
        if output.json {
            return output.object(self);
        }
        self.lines(output.paint).iter().try_for_each(|line| output.line(&output.on_home(line)))
    }

    /// Says it beside the data.
    pub(crate) fn warn(&self, output: &Output) {
        output.warn(&output.on_home(&self.lines(output.error_paint).join("\n")));
    }

    fn lines(&self, paint: Paint) -> Vec<String> {
        let (stream, key, id) =
            (text::clean(&self.stream), self.proven.culprit.short(), self.proven.id.short());
        let mut lines = Vec::new();
        match (self.proven.heads.as_slice(), self.proven.height) {
            ([a, b], Some(height)) => {
                let at = if height + 1 == a.length.max(b.length) {
                    format!("at height {height}")
                } else {
                    format!("at height {height} or above it")
                };
                let lengths = if a.length == b.length {
                    format!("two different heads of length {}", a.length)
                } else {
                    format!(
                        "heads of lengths {} and {}, of which neither extends the other",
                        a.length, b.length
                    )
                };
                lines.push(format!("{} in {stream} {at}: key {key} signed {lengths}", paint.red("FORK")));
                let seen = match &self.peer {
                    Some(peer) => format!("    one of them seen at {}", text::clean(peer)),
                    None => String::new(),
                };
                lines.push(format!("  A {}    B {}{seen}", a.tree_hash.short(), b.tree_hash.short()));
            }
            _ => lines.push(format!(
                "{} in {stream}: key {key} signed a contradiction, {}: {}",
                paint.red("EVIDENCE"),
                text::clean(&self.proven.kind),
                text::clean(&self.proven.what)
            )),
        }
        lines.push(match self.committed {
            Some(0) => "  nothing is committed yet".into(),
            Some(committed) => format!("  heights 0-{} are committed and not touched", committed - 1),
            None => format!("  what is here is kept, {}", text::count(self.length, "block")),
        });
        let name = text::shell(&self.stream);
        let sent = match self.committed {
            Some(_) => "saved and sent to the peers",
            None => "saved",
        };
        lines.push(format!("  evidence {id} {sent}      next: quorate fork show {name} {id}"));
        lines.push("  usual cause: the same key on two machines, or a restored backup".into());
        lines
    }
}

#[cfg(test)]
mod tests {
    use quorate_types::PublicKey;

    use super::*;

    fn exposure(lengths: [u64; 2], height: u64, committed: Option<u64>) -> Exposure {
        let [a, b] = [(lengths[0], 0x5f), (lengths[1], 0xa9)]
            .map(|(length, byte)| evidence::SignedHead { length, tree_hash: Hash::new([byte; 32]) });
        Exposure {
            schema: "quorate.fork/1",
            stream: "chess".into(),
            proven: ProvenFields {
                id: Hash::new([0x7c; 32]),
                kind: "writer-fork".into(),
                culprit: PublicKey::new([0x5d; 32]),
                what: "two histories".into(),
                heads: vec![a, b],
                height: Some(height),
            },
            peer: Some("10.0.0.9:1".into()),
            length: 6,
            committed,
        }
    }

    #[test]
    fn a_fork_is_told_with_both_heads_and_what_stands() {
        assert_eq!(
            exposure([6, 6], 5, Some(5)).lines(Paint::plain()),
            [
                "FORK in chess at height 5: key 5d5d5d5d signed two different heads of length 6",
                "  A 5f5f5f5f    B a9a9a9a9    one of them seen at 10.0.0.9:1",
                "  heights 0-4 are committed and not touched",
                "  evidence 7c7c7c7c saved and sent to the peers      next: quorate fork show chess 7c7c7c7c",
                "  usual cause: the same key on two machines, or a restored backup",
            ]
        );
        let lines = exposure([7, 6], 4, None).lines(Paint::plain());
        assert_eq!(
            lines[0],
            "FORK in chess at height 4 or above it: key 5d5d5d5d signed heads of lengths 7 and 6, of which neither \
             extends the other"
        );
        assert_eq!(lines[2], "  what is here is kept, 6 blocks");
    }
}
