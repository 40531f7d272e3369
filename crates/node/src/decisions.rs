//! What the user of the node has decided about keys that signed contradictions: kept in the home, looked up by every
//! stream. It blames keys, never the peers that brought what they signed, and binds nobody else.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use quorate_feed::Roots;
use quorate_quorum::evidence::{Claim, Evidence};
use quorate_types::PublicKey;

use crate::model::{Decision, KeptBranch, Policy, Publish, Published, Resolve};
use crate::open::now_unix_s;
use crate::room::wishes;
use crate::store_failures::home_failure;
use crate::stream::{Command, Stream};
use crate::{Code, Failure, Node};

/// Decisions by key, as they lie in the home.
#[derive(Debug, Default)]
pub(crate) struct Decisions(Mutex<BTreeMap<PublicKey, Decision>>);

impl Decisions {
    pub(crate) fn new(decisions: Vec<Decision>) -> Self {
        Self(Mutex::new(decisions.into_iter().map(|decision| (decision.key, decision)).collect()))
    }

    /// What was decided about a key.
    pub(crate) fn of(&self, key: &PublicKey) -> Option<Decision> {
        self.lock().get(key).cloned()
    }

    /// What is done about a key.
    pub(crate) fn policy(&self, key: &PublicKey) -> Policy {
        self.lock().get(key).map_or_else(Policy::default, |decision| decision.policy)
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<PublicKey, Decision>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Node {
    /// Lists what was decided about keys that signed contradictions, by key.
    pub fn decisions(&self) -> Vec<Decision> {
        self.inner.decisions.lock().values().cloned().collect()
    }

    /// Decides what is done about the key that evidence in a stream is against; it holds for every stream of this home, and
    /// from the next start on as well.
    ///
    /// # Errors
    ///
    /// [`Code::NoSuchEvidence`]; [`Code::PolicyUnfit`] where a replication is to stop and the key writes no feed here, or a
    /// backup is said to have been put back and the evidence is of another kind; [`Code::NotWritable`] where the secret key of
    /// the feed is not here.
    pub async fn resolve(&self, stream: &str, resolve: Resolve) -> Result<Decision, Failure> {
        let stream = self.open_stream(stream).await?;
        let bytes = stream.evidence(&resolve.evidence).await?;
        let id = quorate_quorum::evidence::id_of(&bytes);
        let evidence = Evidence::decode(bytes)
            .map_err(|error| Failure::new(Code::Internal, format!("evidence that is held: {error}")))?;
        let key = *evidence.claim.culprit();
        let before = self.inner.decisions.of(&key);
        let own_backup = match resolve.own_backup {
            true => Some(self.own_backup(&stream, &evidence.claim).await?),
            false => None,
        };
        let inherited = before.map_or_else(Policy::default, |before| before.policy);
        let policy = resolve.policy.unwrap_or(if own_backup.is_some() { Policy::Ignore } else { inherited });
        if policy == Policy::StopReplicating && self.inner.stream(&key.discovery_key()).is_none() {
            let message = format!(
                "expected a key that writes a feed here, found {}, which only signs {}; nothing was changed",
                key.short(),
                if evidence.claim.kind().is_of_validator() { "votes" } else { "statements" },
            );
            return Err(
                Failure::new(Code::PolicyUnfit, message).next("choose another policy: ignore, warn or mute")
            );
        }
        let decision = Decision { key, policy, evidence: id, decided_unix_s: now_unix_s(), own_backup };
        let (home, kept) = (self.inner.home.clone(), decision.clone());
        blocking::unblock(move || home.decide(&kept)).await.map_err(|error| home_failure(&error))?;
        self.inner.decisions.lock().insert(key, decision.clone());
        self.apply(&key).await;
        Ok(decision)
    }

    /// Finds the branch that is here, of a fork whose writer this home is.
    async fn own_backup(&self, stream: &Stream, claim: &Claim) -> Result<KeptBranch, Failure> {
        let Claim::WriterFork(proof) = claim else {
            let message = format!(
                "expected two histories of one feed, found {}: a backup explains no such thing; nothing was changed",
                claim.kind().name()
            );
            return Err(Failure::new(Code::PolicyUnfit, message).next("choose a policy: --policy POLICY"));
        };
        let feed = match self.inner.stream(&proof.key.discovery_key()) {
            Some(feed) => feed,
            None => stream.clone(),
        };
        if *feed.key() != proof.key || !feed.info().await?.has_secret_key() {
            let message = format!(
                "expected the secret key of {}, found only its public key: whose backup it was is for its writer to say; \
                 nothing was changed",
                proof.key.short()
            );
            return Err(Failure::new(Code::NotWritable, message));
        }
        for branch in [&proof.a.roots, &proof.b.roots] {
            if feed.roots(branch.length()).await?.as_ref().map(Roots::nodes) == Some(branch.nodes()) {
                let tree_hash = branch.tree_hash(proof.flavour);
                return Ok(KeptBranch { length: branch.length(), tree_hash });
            }
        }
        let message = format!(
            "expected one of the two histories to be here, found neither; nothing was changed: {} is of length {}",
            feed.name(),
            feed.info().await?.length
        );
        Err(Failure::new(Code::PolicyUnfit, message).next("choose a policy: --policy POLICY"))
    }

    /// Lets go of the feed of a key, and of those that go with it in a room, or takes them up again.
    async fn apply(&self, key: &PublicKey) {
        let Some(stream) = self.inner.stream(&key.discovery_key()) else { return };
        let beside = self.inner.room_feeds.beside(stream.discovery_key());
        let later: Vec<Stream> =
            beside.iter().filter_map(|key| self.inner.stream(&key.discovery_key())).collect();
        for stream in [&stream].into_iter().chain(&later) {
            // A stream that ends has let go of its peers.
            let _ = stream.tell(Command::PolicyChanged).await;
        }
        if !self.inner.stops(key) {
            self.offer(&stream);
            for stream in &later {
                self.offer(stream);
            }
            self.add_remembered_peers(&stream);
        }
        self.inner.discovery.wake();
    }

    /// Sends evidence to every connected quorate node that carries the stream; a host puts it into its room.
    ///
    /// # Errors
    ///
    /// [`Code::NoSuchEvidence`], or [`Code::NoEvidence`] for bytes that prove nothing about this stream.
    pub async fn publish(&self, stream: &str, publish: Publish) -> Result<Published, Failure> {
        let stream = self.open_stream(stream).await?;
        match publish.bytes {
            Some(bytes) => {
                let bytes: Bytes = wishes::base64("bytes", &bytes)?;
                stream.publish(String::new(), Some(bytes)).await
            }
            None => stream.publish(publish.evidence, None).await,
        }
    }
}

/// Says that a feed is not replicated.
pub(crate) fn stopped(name: &str, key: &PublicKey) -> Failure {
    let message = format!(
        "expected a stream that is replicated, found that its user stopped that: key {} signed a contradiction",
        key.short()
    );
    Failure::new(Code::NotReplicated, message).next(format!(
        "see why: quorate fork ls {name}; take it up again: quorate fork resolve {name} ID --policy warn"
    ))
}
