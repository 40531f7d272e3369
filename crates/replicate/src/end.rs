//! When a replication is complete, stuck, or over.

use quorate_proto::dat::{FeedMessage, Status};

use crate::machine::View;
use crate::peer::PeerState;
use crate::{Output, Peer, ReplicationEvent, Replicator};

pub(crate) fn status(uploading: bool, downloading: bool) -> FeedMessage {
    FeedMessage::Status(Status { uploading: Some(uploading), downloading: Some(downloading) })
}

impl Replicator {
    /// Sees whether everything is here, whether the rest can be had, and which peers can go.
    pub(crate) fn end_check(&mut self, view: View<'_>) {
        self.check_end = false;
        let is_open = |peer: &PeerState| peer.open() > 0 || !peer.investigating.is_empty();
        if !self.peers.values().any(is_open) {
            self.idle_check(view);
        }
        let ids: Vec<Peer> = self.peers.keys().copied().collect();
        for id in ids {
            self.end_peer(view, id);
        }
    }

    fn idle_check(&mut self, view: View<'_>) {
        self.announce_fresh();
        let timeout = self.config.request_timeout;
        // A peer that says nothing for long is not waited for.
        let is_pending = |peer: &PeerState| {
            peer.remote_uploading
                && (!peer.answered || peer.remote.unanswered() > 0)
                && view.now < peer.opened + timeout
        };
        // What a peer with another history has is of no use.
        let sources = || self.peers.values().filter(|peer| peer.parting.is_none());
        let heard = sources().any(|peer| peer.answered);
        let all_heard = heard && !sources().any(is_pending);
        let uploading = sources().filter(|peer| peer.remote_uploading);
        let longest = uploading.map(|peer| peer.remote.length()).max().unwrap_or(0);

        let target = match self.work.selection_end() {
            Some(end) => end,
            None => longest.max(view.local.length()),
        };
        let needed = self.work.first_needed(view.local, target).or(self.work.urgent.first().copied());
        if needed.is_some() {
            self.synced = false;
        } else if !self.synced
            && !self.work.selects_nothing()
            && (all_heard || !self.work.selects_everything())
        {
            self.synced = true;
            self.out.event(ReplicationEvent::Synced { length: view.local.length() });
        }
        match needed {
            Some(first) if all_heard => {
                if !self.starved {
                    self.out.event(ReplicationEvent::Starved { first });
                }
                self.starved = true;
            }
            _ => self.starved = false,
        }
        if self.update && all_heard && longest <= view.local.length() {
            self.update = false;
            self.out.event(ReplicationEvent::Updated { length: view.local.length() });
        }
    }

    fn end_peer(&mut self, view: View<'_>, id: Peer) {
        let Some(peer) = self.peers.get_mut(&id) else { return };
        let is_idle = peer.open() == 0 && peer.investigating.is_empty() && peer.to_ask.is_empty();
        if !is_idle || peer.parting.is_some() {
            return;
        }
        // A finite replication of nothing has no end of its own: somebody may still want single blocks.
        let has_end = !self.config.download || !self.work.selects_nothing();
        let is_finite = !self.config.live && has_end;
        let is_complete = self.synced && (peer.answered || !peer.remote_uploading);
        if is_finite && peer.downloading && is_complete {
            peer.downloading = false;
            self.out.send(id, status(self.config.upload, false));
        }
        let wants_more = peer.downloading
            && (peer.remote.length() > view.local.length() || !(self.synced || self.work.selects_nothing()));
        let may_go = self.config.let_go
            && peer.remote_is_done
            && !wants_more
            && peer.profile.remote_live != Some(true);
        let may_close = if is_finite { !peer.downloading } else { may_go };
        if may_close && !peer.remote_downloading {
            self.out.send(id, status(false, false));
            self.drop_peer(id);
            self.out.push(Output::CloseChannel { peer: id });
        }
    }
}
