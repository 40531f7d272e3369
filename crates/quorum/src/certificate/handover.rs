//! Handovers and starts: how an epoch ends, and why the next one may begin.

use std::collections::BTreeMap;
use std::sync::Arc;

use blake2b_simd::Params;
use bytes::Bytes;
use quorate_proto::quorum::{self as proto, NodeContent};
use quorate_proto::stream::{Entry, Proof, ProofKind};
use quorate_types::{Hash, PublicKey, RoomId, Signature, VsetHash};

use super::build::{self, Table};
use super::change::{ChangeError, decode_change};
use super::epoch::{Epoch, HostSlot};
use super::error::CertificateError;
use super::inclusion::Inclusion;
use super::qc::{Certified, Qc, VerifiedQc};
use crate::head::Head;
use crate::key::VoteKey;
use crate::statement::{Accept, Common, Grant, QcRef, Seal, SealReason, Signed, Verified};
use crate::validators::ValidatorSet;

/// Seals of a quorum, and the highest QC that they report. They are not verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Handover {
    /// The epoch that ends.
    pub epoch: u64,
    /// Its validators.
    pub vset: VsetHash,
    /// Highest QC that a seal reports; `None` when none reports one.
    pub base: Option<Qc>,
    /// What each seal says, and its signature, by the place of the validator.
    pub seals: BTreeMap<u32, (SealReport, Signature)>,
    /// There when the base is of the epoch that ends, and its last block is a change of validators.
    pub change: Option<Change>,
}

/// What a seal says besides room, epoch, validators and signer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SealReport {
    /// Feed of the epoch.
    pub feed: Option<PublicKey>,
    /// Highest QC that is held.
    pub highest_qc: ReportedQc,
    /// Longest vote.
    pub highest_vote: Option<Head>,
    /// Why.
    pub reason: SealReason,
}

/// The highest QC of a seal, beside the base of its handover.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReportedQc {
    /// There is none.
    Nothing,
    /// It is the base.
    Base,
    /// It is below the base.
    Other(QcRef),
}

/// A change of validators at the end of the base.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The block.
    pub block: Bytes,
    /// What shows that it is the last one of the base.
    pub nodes: Vec<NodeContent>,
    /// Signatures of those who accept, by their places in the new set.
    pub accepts: BTreeMap<u32, Signature>,
}

/// A validator of the next epoch that accepts its base, verified.
pub type Accepted = Verified<Accept>;

/// A handover that holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifiedHandover {
    handover: Handover,
    base: Option<VerifiedQc>,
    next: Arc<ValidatorSet>,
}

/// A handover, and the feed of the epoch that begins. They are not verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Start {
    /// How the epoch before it ended.
    pub handover: Handover,
    /// Feed of the epoch and the host's signature under the grant; `None` when the feed goes on, and as long as the
    /// host has not shown up.
    pub grant: Option<(PublicKey, Signature)>,
}

/// A start that holds, and the epoch that it begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifiedStart {
    start: Start,
    base: Option<VerifiedQc>,
    epoch: Epoch,
}

impl Handover {
    /// Tells whether the same host goes on with the same feed: all seals give a change of validators as their reason.
    pub fn goes_on(&self) -> bool {
        self.seals.values().all(|(report, _)| report.reason == SealReason::Membership)
    }

    /// Verifies it in the epoch that ends.
    ///
    /// # Errors
    ///
    /// [`CertificateError`] says why it proves nothing.
    pub fn verify(self, epoch: &Epoch) -> Result<VerifiedHandover, CertificateError> {
        epoch.check(self.epoch, &self.vset)?;
        let room = epoch.room();
        build::check_signers(epoch.validators(), self.seals.keys(), epoch.validators().quorum())?;
        let base = self.base.clone().map(|base| verify_base(base, epoch)).transpose()?;
        self.check_reports(base.as_ref())?;
        for seal in self.statements(room, epoch.validators(), base.as_ref()) {
            seal.verify_in(room, self.epoch, epoch.validators()).map_err(build::signature)?;
        }
        let next = match (&self.change, &base) {
            (Some(change), Some(base)) if base.certified().epoch == self.epoch => {
                Arc::new(change.verify(epoch, base.certified())?)
            }
            (Some(_), _) => return Err(CertificateError::NoChange { epoch: self.epoch }),
            (None, _) if self.goes_on() => return Err(CertificateError::NoChange { epoch: self.epoch }),
            (None, _) => epoch.validators.clone(),
        };
        Ok(VerifiedHandover { handover: self, base, next })
    }

    /// Checks that the base is the highest QC that is reported.
    fn check_reports(&self, base: Option<&VerifiedQc>) -> Result<(), CertificateError> {
        let rank = base.map(|base| rank(&base.reference()));
        let is_below = |(report, _): &(SealReport, Signature)| match report.highest_qc {
            ReportedQc::Nothing => true,
            ReportedQc::Base => rank.is_some(),
            ReportedQc::Other(qc) => rank.is_some_and(|base| self::rank(&qc) < base),
        };
        let is_base = |(report, _): &(SealReport, Signature)| report.highest_qc == ReportedQc::Base;
        if self.seals.values().all(is_below) && (rank.is_none() || self.seals.values().any(is_base)) {
            return Ok(());
        }
        Err(CertificateError::Base)
    }

    fn statements<'a>(
        &'a self,
        room: &'a RoomId,
        validators: &'a ValidatorSet,
        base: Option<&'a VerifiedQc>,
    ) -> impl Iterator<Item = Signed<Seal>> + 'a {
        self.seals.iter().filter_map(move |(signer, (report, signature))| {
            let signer = *validators.get(usize::try_from(*signer).ok()?)?.public();
            let common = Common { room: *room, epoch: self.epoch, vset: self.vset, signer };
            let statement = report.statement(common, base.map(VerifiedQc::reference));
            Some(Signed { statement, signature: *signature })
        })
    }

    /// Returns the seal of a validator, if it is one of those that make the handover. `epoch` is the one that ends.
    pub(crate) fn seal_of(&self, epoch: &Epoch, signer: &PublicKey) -> Option<Signed<Seal>> {
        let place = u32::try_from(epoch.validators().position(signer)?).ok()?;
        let (report, signature) = self.seals.get(&place)?;
        let base = self.base.as_ref().map(|base| base.certified.reference(epoch.room()));
        let statement = report.statement(epoch.common(*signer), base);
        Some(Signed { statement, signature: *signature })
    }

    fn from_proto(given: proto::Handover) -> Result<Self, CertificateError> {
        let reports = given.reports.iter().map(SealReport::from_proto).collect::<Result<Vec<_>, _>>()?;
        let mut seals = BTreeMap::new();
        for seal in &given.seals {
            let report = build::reference(&reports, seal.report.saturating_add(1), "handover")?;
            let report = *report.ok_or(CertificateError::NotCanonical { certificate: "handover" })?;
            build::insert(&mut seals, seal.signer, (report, seal.signature))?;
        }
        let handover = Self {
            epoch: given.epoch,
            vset: given.vset,
            base: given.base.clone().map(Qc::from_proto).transpose()?,
            seals,
            change: given.change.clone().map(Change::from_proto).transpose()?,
        };
        build::check_canonical(handover.to_proto() == given, "handover")?;
        Ok(handover)
    }

    fn to_proto(&self) -> proto::Handover {
        let mut reports = Table::default();
        let seals = self.seals.iter().map(|(signer, (report, signature))| proto::Sealed {
            signer: *signer,
            report: reports.place(Some(*report)).saturating_sub(1),
            signature: *signature,
        });
        let seals = seals.collect();
        proto::Handover {
            epoch: self.epoch,
            vset: self.vset,
            base: self.base.as_ref().map(Qc::to_proto),
            reports: reports.into_rows().into_iter().map(SealReport::to_proto).collect(),
            seals,
            change: self.change.as_ref().map(Change::to_proto),
        }
    }
}

/// QCs of a later epoch come first, then longer ones.
pub(crate) const fn rank(qc: &QcRef) -> (u64, u64) {
    (qc.epoch, qc.head.length())
}

/// The base may be of an earlier epoch, when the one that ends has no QC.
fn verify_base(base: Qc, epoch: &Epoch) -> Result<VerifiedQc, CertificateError> {
    let Certified { epoch: number, vset, .. } = base.certified;
    let unknown = CertificateError::UnknownEpoch { found: number };
    let validators = epoch.validators_of(number).ok_or(unknown)?;
    if vset != *validators.hash() {
        return Err(CertificateError::Vset { expected: *validators.hash(), found: vset });
    }
    base.verify_by(epoch.room(), validators)
}

impl SealReport {
    /// Returns what the validator signed.
    fn statement(&self, common: Common, base: Option<QcRef>) -> Seal {
        let highest_qc = match self.highest_qc {
            ReportedQc::Nothing => None,
            ReportedQc::Base => base,
            ReportedQc::Other(qc) => Some(qc),
        };
        let Self { feed, highest_vote, reason, .. } = *self;
        Seal { common, feed, highest_qc, highest_vote, reason }
    }

    fn from_proto(given: &proto::Report) -> Result<Self, CertificateError> {
        let field = |expected| CertificateError::Field { certificate: "handover", expected };
        let head = |length, hash| Head::new(length, hash).ok_or(field("heads of at least one block"));
        let highest_qc = match (given.base, given.qc) {
            (false, None) => ReportedQc::Nothing,
            (true, None) => ReportedQc::Base,
            (false, Some(qc)) => {
                ReportedQc::Other(QcRef { epoch: qc.epoch, head: head(qc.length, qc.tree_hash)?, qc: qc.qc })
            }
            (true, Some(_)) => return Err(field("one highest QC in a report")),
        };
        let highest_vote = match given.vote_tree_hash {
            Some(hash) => Some(head(given.vote_length, hash)?),
            None if given.vote_length == 0 => None,
            None => return Err(field("a tree hash with a length")),
        };
        let reason = SealReason::from_number(given.reason).ok_or(field("known reasons of seals"))?;
        if highest_vote.is_some() && given.feed.is_none() {
            return Err(field("the feed that was voted for"));
        }
        Ok(Self { feed: given.feed, highest_qc, highest_vote, reason })
    }

    fn to_proto(self) -> proto::Report {
        proto::Report {
            feed: self.feed,
            base: self.highest_qc == ReportedQc::Base,
            qc: match self.highest_qc {
                ReportedQc::Other(qc) => Some(proto::QcRef {
                    epoch: qc.epoch,
                    length: qc.head.length(),
                    tree_hash: *qc.head.tree_hash(),
                    qc: qc.qc,
                }),
                ReportedQc::Nothing | ReportedQc::Base => None,
            },
            vote_length: self.highest_vote.map_or(0, |head| head.length()),
            vote_tree_hash: self.highest_vote.map(|head| *head.tree_hash()),
            reason: self.reason.number(),
        }
    }
}

impl Change {
    /// Reads the validators that the block names.
    ///
    /// # Errors
    ///
    /// [`ChangeError`] when it is another block, or the change may not be made.
    pub fn read(block: &Bytes, current: &ValidatorSet) -> Result<ValidatorSet, ChangeError> {
        match Entry::decode(block.clone())? {
            Entry::Proof(Proof { kind: ProofKind::ValidatorChange, body }) => decode_change(body, current),
            _ => Err(ChangeError::OtherEntry),
        }
    }

    fn verify(&self, epoch: &Epoch, base: &Certified) -> Result<ValidatorSet, CertificateError> {
        let length = base.head().length();
        let index = length.saturating_sub(1);
        Inclusion::of(index, &self.block, length, &self.nodes)?.check(base.head().tree_hash())?;
        let next = Self::read(&self.block, epoch.validators())?;
        build::check_signers(&next, self.accepts.keys(), next.quorum())?;
        for (signer, signature) in &self.accepts {
            let key = usize::try_from(*signer).ok().and_then(|signer| next.get(signer));
            let Some(key) = key else { continue };
            let statement = accept(epoch, *key.public(), *next.hash(), *base.head());
            Signed { statement, signature: *signature }.verify()?;
        }
        Ok(next)
    }

    fn from_proto(given: proto::Change) -> Result<Self, CertificateError> {
        let mut accepts = BTreeMap::new();
        for accepted in &given.accepts {
            build::insert(&mut accepts, accepted.signer, accepted.signature)?;
        }
        Ok(Self { block: given.block, nodes: given.nodes, accepts })
    }

    fn to_proto(&self) -> proto::Change {
        let accepts = self.accepts.iter();
        let accepts =
            accepts.map(|(signer, signature)| proto::Accepted { signer: *signer, signature: *signature });
        proto::Change { block: self.block.clone(), nodes: self.nodes.clone(), accepts: accepts.collect() }
    }
}

/// What a validator of the next epoch signs to accept its base. `epoch` is the one that ends.
pub(crate) fn accept(epoch: &Epoch, signer: PublicKey, next: VsetHash, base: Head) -> Accept {
    let common = Common { epoch: epoch.number().saturating_add(1), ..epoch.common(signer) };
    Accept { common, next, base }
}

impl VerifiedHandover {
    /// Makes a handover of seals, if there are enough of them. `qcs` finds a QC that a seal reports; seals whose QC is
    /// not there and may be the highest are left out, and so is more than a quorum. `change` shows that a base ends with
    /// a change of validators, with all who accept; it is asked for with the base.
    ///
    /// # Errors
    ///
    /// [`CertificateError`] when what was put together does not hold: seals are missing, or acceptances.
    pub fn of_seals<'a>(
        epoch: &Epoch,
        seals: impl IntoIterator<Item = &'a Verified<Seal>>,
        qcs: impl Fn(&QcRef) -> Option<VerifiedQc>,
        change: impl FnOnce(&Certified) -> Option<Change>,
    ) -> Result<Self, CertificateError> {
        let mut taken = BTreeMap::new();
        let mut base: Option<VerifiedQc> = None;
        let mut without_qc = Vec::new();
        for seal in seals {
            let place =
                epoch.validators().position(seal.signer()).and_then(|place| u32::try_from(place).ok());
            let Some(place) = place.filter(|_| taken.len() < epoch.validators().quorum()) else { continue };
            if let Some(named) = seal.highest_qc {
                let Some(qc) = qcs(&named).filter(|qc| qc.reference() == named) else {
                    without_qc.push((place, seal, rank(&named)));
                    continue;
                };
                let is_higher = base.as_ref().is_none_or(|base| rank(&base.reference()) < rank(&named));
                let contradicts = base.as_ref().map(VerifiedQc::reference);
                if contradicts.is_some_and(|base| rank(&base) == rank(&named) && base != named) {
                    continue;
                }
                if is_higher {
                    base = Some(qc);
                }
            }
            taken.entry(place).or_insert(*seal);
        }
        // A QC below the base decides nothing, and perhaps nobody has it any more.
        let rank_of_base = base.as_ref().map(|base| rank(&base.reference()));
        for (place, seal, rank) in without_qc {
            if taken.len() < epoch.validators().quorum() && rank_of_base.is_some_and(|base| rank < base) {
                taken.entry(place).or_insert(*seal);
            }
        }
        let highest = base.as_ref().map(VerifiedQc::reference);
        let report = |seal: &Verified<Seal>| SealReport {
            feed: seal.feed,
            highest_qc: match seal.highest_qc {
                None => ReportedQc::Nothing,
                qc if qc == highest => ReportedQc::Base,
                Some(qc) => ReportedQc::Other(qc),
            },
            highest_vote: seal.highest_vote,
            reason: seal.reason,
        };
        let seals = taken.iter().map(|(place, seal)| (*place, (report(seal), *seal.signature())));
        let of_this = base.as_ref().map(VerifiedQc::certified).filter(|base| base.epoch == epoch.number());
        let change = of_this.and_then(change);
        let handover = Handover {
            epoch: epoch.number(),
            vset: *epoch.validators().hash(),
            seals: seals.collect(),
            change,
            base: base.as_ref().map(|base| base.qc().clone()),
        };
        handover.verify(epoch)
    }

    /// Returns the handover.
    pub const fn handover(&self) -> &Handover {
        &self.handover
    }

    /// Returns the QC from which the next epoch begins.
    pub const fn base(&self) -> Option<&VerifiedQc> {
        self.base.as_ref()
    }

    /// Returns the validators of the next epoch.
    pub fn next(&self) -> &ValidatorSet {
        &self.next
    }
}

impl Start {
    /// Decodes a start, which is not verified by that.
    ///
    /// # Errors
    ///
    /// [`CertificateError`] for bytes that no start encodes to.
    pub fn decode(bytes: Bytes) -> Result<Self, CertificateError> {
        Self::from_proto(proto::Start::decode(bytes)?)
    }

    /// Encodes the start: the body of an epoch start, the certificate of a header's `previous`.
    pub fn encode(&self) -> Bytes {
        self.to_proto().encode()
    }

    /// Verifies it in the epoch that ends, and gives the one that begins.
    ///
    /// # Errors
    ///
    /// [`CertificateError`] says why it proves nothing.
    pub fn verify(self, epoch: &Epoch) -> Result<VerifiedStart, CertificateError> {
        let verified = self.handover.clone().verify(epoch)?;
        Self::with_grant(verified, self.grant, epoch)
    }

    /// Goes on from a handover that was verified.
    pub(crate) fn with_grant(
        verified: VerifiedHandover,
        grant: Option<(PublicKey, Signature)>,
        epoch: &Epoch,
    ) -> Result<VerifiedStart, CertificateError> {
        let VerifiedHandover { handover, base, next } = verified;
        let goes_on = handover.goes_on();
        let number = epoch.number.saturating_add(1);
        let mut history = epoch.history.clone();
        history.insert(number, next.clone());
        let mut begins = Epoch {
            room: epoch.room,
            number,
            validators: next,
            feed: None,
            host: epoch.host,
            base: base.as_ref().map(|base| *base.certified()),
            genesis: epoch.genesis,
            hosts: epoch.hosts.clone(),
            history,
        };
        match (goes_on, &grant) {
            (true, Some(_)) => return Err(CertificateError::StrayGrant),
            (true, None) => {
                // The host is that of the feed. Who took another start of the epoch that ends counts another one.
                let feed = base.as_ref().map(|base| base.certified().feed);
                if let Some(found) = feed.filter(|_| feed != epoch.feed) {
                    return Err(CertificateError::UnknownFeed { found });
                }
                begins.feed = feed;
            }
            (false, grant) => {
                begins.host = HostSlot(u32::try_from(number).unwrap_or(u32::MAX));
                if let Some((feed, signature)) = grant {
                    check_grant(&begins, epoch, *feed, *signature)?;
                    begins.feed = Some(*feed);
                }
            }
        }
        Ok(VerifiedStart { start: Self { handover, grant }, base, epoch: begins })
    }

    pub(super) fn from_proto(given: proto::Start) -> Result<Self, CertificateError> {
        Ok(Self { handover: Handover::from_proto(given.handover)?, grant: given.grant })
    }

    pub(super) fn to_proto(&self) -> proto::Start {
        proto::Start { handover: self.handover.to_proto(), grant: self.grant }
    }
}

fn check_grant(
    begins: &Epoch,
    ends: &Epoch,
    feed: PublicKey,
    signature: Signature,
) -> Result<(), CertificateError> {
    let host = *begins.host_key().ok_or(CertificateError::NoHost)?;
    let used = [ends.feed, begins.base.map(|base| base.feed), Some(begins.genesis)];
    if used.contains(&Some(feed)) || begins.validators().contains(&feed) {
        return Err(CertificateError::UsedFeed { found: feed });
    }
    VoteKey::new(host)?;
    let statement = Grant { common: begins.common(host), feed };
    Signed { statement, signature }.verify()?;
    Ok(())
}

impl VerifiedStart {
    /// Returns the start.
    pub const fn start(&self) -> &Start {
        &self.start
    }

    /// Returns the host's grant of its feed, which was verified.
    pub(crate) fn grant(&self) -> Option<Signed<Grant>> {
        let (feed, signature) = self.start.grant?;
        let common = self.epoch.common(*self.epoch.host_key()?);
        Some(Signed { statement: Grant { common, feed }, signature })
    }

    /// Returns the epoch that begins.
    pub const fn epoch(&self) -> &Epoch {
        &self.epoch
    }

    /// Returns the QC that it begins from; whoever enters holds it.
    pub const fn base(&self) -> Option<&VerifiedQc> {
        self.base.as_ref()
    }

    /// Tells whether it may stand in the block of a feed: in block 0 of the feed that is granted, or behind the base of
    /// the feed that goes on. `before` is the head that ends before the block.
    pub fn may_stand(&self, feed: &PublicKey, before: Option<&Head>) -> bool {
        let base = self.base.as_ref().map(|base| base.certified().head());
        let before_it = if self.start.grant.is_some() { None } else { base };
        self.epoch.feed() == Some(feed) && before == before_it
    }

    /// Returns the hash of its bytes.
    pub fn hash(&self) -> Hash {
        let mut params = Params::new();
        let hash = params.hash_length(Hash::LEN).hash(&self.start.encode());
        Hash::from_slice(hash.as_bytes()).expect("the digest length is set to 32 bytes")
    }
}
