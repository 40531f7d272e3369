//! What is committed of each feed of a room.

use std::collections::BTreeMap;

use quorate_quorum::head::Head;
use quorate_types::PublicKey;

use super::super::handle::Stream;
use super::super::task::StreamTask;
use super::RoomState;
use super::log::Part;

impl StreamTask {
    /// Heads that are committed, by feed; the stream's own feed has no handle. Of a feed that another one follows, it is
    /// the head that the validators go on from: what was dropped is never committed.
    pub(in crate::stream) fn committed_heads(&self) -> Vec<(PublicKey, Option<Stream>, Head)> {
        let RoomState::Open(keeper) = &self.rooms else { return Vec::new() };
        let certified = keeper.quorum.as_ref().and_then(|quorum| quorum.engine.committed());
        // While the feed of the newest commit is not known, nobody can tell where the others end.
        let Some(certified) = certified else { return Vec::new() };
        let is_newest = |part: &&Part| part.key == certified.feed && part.epoch <= certified.epoch;
        let parts: Vec<&Part> = keeper.log.parts().collect();
        let Some(place) = parts.iter().rposition(is_newest) else { return Vec::new() };
        let before = parts.iter().take(place).filter_map(|part| Some((*part, part.end?.1)));
        let newest = parts.get(place).map(|part| (*part, *certified.head()));
        // A feed may hold several epochs: the last one of them counts.
        let heads: BTreeMap<PublicKey, (&Part, Head)> =
            before.chain(newest).map(|(part, head)| (part.key, (part, head))).collect();
        heads
            .into_iter()
            .map(|(key, (part, head))| (key, part.feed.as_ref().map(|other| other.stream.clone()), head))
            .collect()
    }
}
