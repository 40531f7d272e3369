//! What peers send: verified, stored, and where it does not fit, looked into.

use bytes::Bytes;
use quorate_feed::{HashedData, Investigation};
use quorate_proto::dat::Data;
use quorate_replicate::{Input, InvestigationResult, Peer};

use super::failures::{put_refusal, read_failure, verify_refusal};
use super::task::{FLUSH_INTERVAL, StreamTask};
use crate::event::Event;
use crate::model::Policy;

impl StreamTask {
    pub(super) async fn verify_all(&mut self, received: &mut Vec<(Peer, Data)>) {
        let (peers, messages): (Vec<Peer>, Vec<Data>) = received.drain(..).unzip();
        for (peer, data) in peers.into_iter().zip(HashedData::all(messages)) {
            self.verify(peer, data).await;
        }
    }

    async fn verify(&mut self, peer: Peer, hashed: HashedData) {
        let data = hashed.data();
        let index = data.index;
        let bytes = data.value.as_ref().map(Bytes::len);
        let value = if self.fetching.contains_key(&index) { data.value.clone() } else { None };
        let before = self.feed.length();
        let refusal = match self.feed.verify(hashed).await {
            Ok(block) => match self.feed.put(block).await {
                Ok(stored) => {
                    let now = self.runtime.now();
                    self.flush_by(now + FLUSH_INTERVAL);
                    self.end_branch();
                    if stored.new {
                        self.progress.downloaded(now, bytes.unwrap_or(0));
                    }
                    if let Some(value) = value {
                        self.answer_fetches(index, &value);
                    }
                    let upgraded = self.feed.length() > before;
                    self.handle(Input::Stored { peer, index, new: stored.new, upgraded });
                    return;
                }
                Err(error) => put_refusal(&error, &mut |failure| self.storage_failed(failure)),
            },
            Err(error) => verify_refusal(&error, &mut |failure| self.storage_failed(failure)),
        };
        self.handle(Input::Refused { peer, index, refusal });
    }

    pub(super) async fn investigate(&mut self, peer: Peer, data: Data) {
        let result = match self.feed.investigate(&data).await {
            Ok(Investigation::Consistent) => InvestigationResult::Consistent,
            Ok(Investigation::Incomplete) => InvestigationResult::Incomplete,
            Ok(Investigation::Ask(indexes)) => {
                InvestigationResult::Ask(indexes.into_iter().map(|index| index.get()).collect())
            }
            Ok(Investigation::Fork(proof)) => {
                self.report_fork(peer, &proof).await;
                InvestigationResult::Fork
            }
            Ok(Investigation::Corrupt(corruption)) => {
                self.corruption = Some((peer, corruption.to_string()));
                InvestigationResult::Corrupt
            }
            Err(error) => {
                self.storage_failed(read_failure(&self.identity, &error).message);
                InvestigationResult::Consistent
            }
        };
        self.handle(Input::Investigated { peer, result });
    }

    async fn report_fork(&mut self, peer: Peer, verified: &quorate_feed::fork::VerifiedForkProof) {
        self.take_fork(verified).await;
        self.show_fork(verified);
        let proof = verified.proof();
        // Either history of the proof may be the longer one; what does not stand here is the peer's.
        let here = self.feed.roots_at(proof.a.roots.length()).await.ok().flatten();
        let a_is_ours = here.is_some_and(|roots| roots == proof.a.roots);
        let theirs = if a_is_ours { proof.b.roots.length() } else { proof.a.roots.length() };
        let ours = self.feed.length();
        self.fork = Some(format!(
            "key {} signed two different histories, of lengths {ours} and {theirs}",
            self.identity.key.short(),
        ));
        if self.policy(&self.identity.key) == Policy::Ignore || !self.forks.tells(verified) {
            return;
        }
        let address = self.address(peer);
        tracing::warn!(stream = self.identity.name, peer = address, ours, theirs, "fork");
        self.emit(Event::Fork {
            stream: self.identity.name.clone(),
            key: self.identity.key,
            peer: address,
            ours,
            theirs,
            evidence: data_encoding::HEXLOWER.encode(&proof.encode()),
        });
    }
}
