//! What many signatures prove together.

use bytes::Bytes;
use prost::Message;
use quorate_types::limits::{MAX_PROVEN_BLOCK_BYTES, MAX_VALIDATORS};
use quorate_types::{Hash, PublicKey, QcHash, RulesHash, Signature, StateRoot, VsetHash};

use super::{NodeContent, copy, decode, nodes_bytes, nodes_from, schema};
use crate::fields::In;
use crate::{ProtoError, pb_quorum as pb};

/// What votes agree on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Certified {
    /// The epoch.
    pub epoch: u64,
    /// Its validators.
    pub vset: VsetHash,
    /// Its feed.
    pub feed: PublicKey,
    /// What they are for.
    pub target: Target,
}

/// A head, and what the rules make of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Target {
    /// Length, blocks; may be 0 here.
    pub length: u64,
    /// Tree hash at that length.
    pub tree_hash: Hash,
    /// What the rules wrote.
    pub state_root: StateRoot,
    /// Rules in force.
    pub rules_hash: RulesHash,
}

/// Votes for one head.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Qc {
    /// What they agree on.
    pub certified: Certified,
    /// What they acknowledge.
    pub acks: Vec<Ack>,
    /// Who votes.
    pub votes: Vec<QcVote>,
}

/// An acknowledged QC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ack {
    /// Its length; may be 0 here.
    pub length: u64,
    /// Its hash.
    pub qc: QcHash,
}

/// One vote of a QC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QcVote {
    /// Place of the validator.
    pub signer: u32,
    /// 0 for no acknowledgement, else one more than its place.
    pub ack: u32,
    /// By the validator.
    pub signature: Signature,
}

/// Votes that acknowledge one QC.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Final {
    /// What that QC certifies.
    pub certified: Certified,
    /// Other heads that the votes are for.
    pub targets: Vec<Target>,
    /// Who votes.
    pub votes: Vec<FinalVote>,
}

/// One vote of a Final.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FinalVote {
    /// Place of the validator.
    pub signer: u32,
    /// 0 for the certified head, else one more than the place of its target.
    pub target: u32,
    /// By the validator.
    pub signature: Signature,
}

/// Seals of one epoch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Handover {
    /// The epoch that ends.
    pub epoch: u64,
    /// Its validators.
    pub vset: VsetHash,
    /// Highest QC that a seal reports.
    pub base: Option<Qc>,
    /// What the seals report.
    pub reports: Vec<Report>,
    /// Who seals.
    pub seals: Vec<Sealed>,
    /// The change of validators that the base ends with.
    pub change: Option<Change>,
}

/// What seals say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Report {
    /// Feed of the epoch.
    pub feed: Option<PublicKey>,
    /// The highest QC is the base.
    pub base: bool,
    /// Another highest QC.
    pub qc: Option<QcRef>,
    /// Length of the longest vote, 0 for none.
    pub vote_length: u64,
    /// Its tree hash.
    pub vote_tree_hash: Option<Hash>,
    /// Number of the reason.
    pub reason: u8,
}

/// Names a QC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QcRef {
    /// Its epoch.
    pub epoch: u64,
    /// Its length; may be 0 here.
    pub length: u64,
    /// Its tree hash.
    pub tree_hash: Hash,
    /// Its hash.
    pub qc: QcHash,
}

/// One seal of a handover.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sealed {
    /// Place of the validator.
    pub signer: u32,
    /// Place of what it reports.
    pub report: u32,
    /// By the validator.
    pub signature: Signature,
}

/// A change of validators, shown to stand at the end of the base.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The block.
    pub block: Bytes,
    /// What shows that it stands there.
    pub nodes: Vec<NodeContent>,
    /// Who accepts.
    pub accepts: Vec<Accepted>,
}

/// One validator that comes, or stays.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Accepted {
    /// Place of the validator in the new set.
    pub signer: u32,
    /// By the validator.
    pub signature: Signature,
}

/// Why an epoch may begin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Start {
    /// How the one before it ended.
    pub handover: Handover,
    /// Its feed, and the host's signature under the grant of it; `None` when the feed goes on.
    pub grant: Option<(PublicKey, Signature)>,
}

/// All that a late joiner needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CatchUp {
    /// Starts of the epochs from 1 on.
    pub starts: Vec<Start>,
    /// Newest QC.
    pub qc: Option<Qc>,
    /// Newest Final.
    pub last_final: Option<Final>,
}

/// Body of a change of validators.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Validators {
    /// Keys of those who come and those who stay.
    pub keys: Vec<PublicKey>,
    /// Their quorum.
    pub quorum: u32,
    /// Signature of a key that is new, under itself.
    pub proof: Option<Signature>,
}

macro_rules! codec {
    ($($name:ident: $schema:ident;)*) => {
        $(impl $name {
            /// Decodes the canonical encoding, of at most `MAX_CERTIFICATE_BYTES`.
            ///
            /// # Errors
            ///
            /// [`ProtoError`] for another encoding, and for fields of a wrong length or beyond their limits.
            pub fn decode(body: Bytes) -> Result<Self, ProtoError> {
                Self::from_pb(decode(&schema::$schema, body)?)
            }

            /// Encodes the message.
            pub fn encode(&self) -> Bytes {
                self.to_pb().encode_to_vec().into()
            }
        })*
    };
}

codec! {
    Qc: QC;
    Final: FINAL;
    Handover: HANDOVER;
    Start: START;
    CatchUp: CATCH_UP;
    Validators: VALIDATORS;
}

const MISSING_CERTIFIED: ProtoError = ProtoError::Missing { message: "certificate", field: "certified" };

fn place(here: In, field: &'static str, value: u32) -> Result<u32, ProtoError> {
    here.number(field, MAX_VALIDATORS as u64, value)
}

fn each<P, T>(values: Vec<P>, from_pb: impl Fn(P) -> Result<T, ProtoError>) -> Result<Vec<T>, ProtoError> {
    values.into_iter().map(from_pb).collect()
}

impl Certified {
    fn from_pb(certified: Option<pb::Certified>) -> Result<Self, ProtoError> {
        let certified = certified.ok_or(MISSING_CERTIFIED)?;
        let here = In("certified head");
        Ok(Self {
            epoch: here.height("epoch", certified.epoch)?,
            vset: here.fixed("vset", &certified.vset)?,
            feed: here.fixed("feed", &certified.feed)?,
            target: Target {
                length: here.height("length", certified.length)?,
                tree_hash: here.fixed("tree_hash", &certified.tree_hash)?,
                state_root: here.fixed("state_root", &certified.state_root)?,
                rules_hash: here.fixed("rules_hash", &certified.rules_hash)?,
            },
        })
    }

    fn to_pb(self) -> Option<pb::Certified> {
        Some(pb::Certified {
            epoch: self.epoch,
            vset: copy(self.vset.as_bytes()),
            feed: copy(self.feed.as_bytes()),
            length: self.target.length,
            tree_hash: copy(self.target.tree_hash.as_bytes()),
            state_root: copy(self.target.state_root.as_bytes()),
            rules_hash: copy(self.target.rules_hash.as_bytes()),
        })
    }
}

impl Target {
    fn from_pb(target: pb::Target) -> Result<Self, ProtoError> {
        let here = In("target");
        Ok(Self {
            length: here.height("length", target.length)?,
            tree_hash: here.fixed("tree_hash", &target.tree_hash)?,
            state_root: here.fixed("state_root", &target.state_root)?,
            rules_hash: here.fixed("rules_hash", &target.rules_hash)?,
        })
    }

    fn to_pb(self) -> pb::Target {
        pb::Target {
            length: self.length,
            tree_hash: copy(self.tree_hash.as_bytes()),
            state_root: copy(self.state_root.as_bytes()),
            rules_hash: copy(self.rules_hash.as_bytes()),
        }
    }
}

impl Qc {
    fn from_pb(qc: pb::Qc) -> Result<Self, ProtoError> {
        let (ack, vote) = (In("ack"), In("vote"));
        Ok(Self {
            certified: Certified::from_pb(qc.certified)?,
            acks: each(qc.acks, |acked| {
                Ok(Ack { length: ack.height("length", acked.length)?, qc: ack.fixed("qc", &acked.qc)? })
            })?,
            votes: each(qc.votes, |voted| {
                Ok(QcVote {
                    signer: place(vote, "signer", voted.signer)?,
                    ack: place(vote, "ack", voted.ack)?,
                    signature: vote.fixed("signature", &voted.signature)?,
                })
            })?,
        })
    }

    fn to_pb(&self) -> pb::Qc {
        let ack = |ack: &Ack| pb::Ack { length: ack.length, qc: copy(ack.qc.as_bytes()) };
        let vote = |vote: &QcVote| pb::QcVote {
            signer: vote.signer,
            ack: vote.ack,
            signature: copy(vote.signature.as_bytes()),
        };
        pb::Qc {
            certified: self.certified.to_pb(),
            acks: self.acks.iter().map(ack).collect(),
            votes: self.votes.iter().map(vote).collect(),
        }
    }
}

impl Final {
    fn from_pb(last: pb::Final) -> Result<Self, ProtoError> {
        let vote = In("vote");
        Ok(Self {
            certified: Certified::from_pb(last.certified)?,
            targets: each(last.targets, Target::from_pb)?,
            votes: each(last.votes, |voted| {
                Ok(FinalVote {
                    signer: place(vote, "signer", voted.signer)?,
                    target: place(vote, "target", voted.target)?,
                    signature: vote.fixed("signature", &voted.signature)?,
                })
            })?,
        })
    }

    fn to_pb(&self) -> pb::Final {
        let vote = |vote: &FinalVote| pb::FinalVote {
            signer: vote.signer,
            target: vote.target,
            signature: copy(vote.signature.as_bytes()),
        };
        pb::Final {
            certified: self.certified.to_pb(),
            targets: self.targets.iter().map(|target| target.to_pb()).collect(),
            votes: self.votes.iter().map(vote).collect(),
        }
    }
}

impl Handover {
    fn from_pb(handover: pb::Handover) -> Result<Self, ProtoError> {
        let (here, seal) = (In("handover"), In("seal"));
        Ok(Self {
            epoch: here.height("epoch", handover.epoch)?,
            vset: here.fixed("vset", &handover.vset)?,
            base: handover.base.map(Qc::from_pb).transpose()?,
            reports: each(handover.reports, Report::from_pb)?,
            seals: each(handover.seals, |sealed| {
                Ok(Sealed {
                    signer: place(seal, "signer", sealed.signer)?,
                    report: place(seal, "report", sealed.report)?,
                    signature: seal.fixed("signature", &sealed.signature)?,
                })
            })?,
            change: handover.change.map(Change::from_pb).transpose()?,
        })
    }

    fn to_pb(&self) -> pb::Handover {
        let seal = |seal: &Sealed| pb::Sealed {
            signer: seal.signer,
            report: seal.report,
            signature: copy(seal.signature.as_bytes()),
        };
        pb::Handover {
            epoch: self.epoch,
            vset: copy(self.vset.as_bytes()),
            base: self.base.as_ref().map(Qc::to_pb),
            reports: self.reports.iter().map(|report| report.to_pb()).collect(),
            seals: self.seals.iter().map(seal).collect(),
            change: self.change.as_ref().map(Change::to_pb),
        }
    }
}

impl Report {
    fn from_pb(report: pb::Report) -> Result<Self, ProtoError> {
        let here = In("report");
        let qc = In("reported QC");
        let reason = here.number("reason", u8::MAX.into(), report.reason)?;
        Ok(Self {
            feed: here.fixed_or_none("feed", &report.feed)?,
            base: report.base,
            qc: report
                .qc
                .map(|named| {
                    Ok(QcRef {
                        epoch: qc.height("epoch", named.epoch)?,
                        length: qc.height("length", named.length)?,
                        tree_hash: qc.fixed("tree_hash", &named.tree_hash)?,
                        qc: qc.fixed("qc", &named.qc)?,
                    })
                })
                .transpose()?,
            vote_length: here.height("vote_length", report.vote_length)?,
            vote_tree_hash: here.fixed_or_none("vote_tree_hash", &report.vote_tree_hash)?,
            reason: u8::try_from(reason).unwrap_or(u8::MAX),
        })
    }

    fn to_pb(self) -> pb::Report {
        pb::Report {
            feed: self.feed.map_or_else(Bytes::new, |feed| copy(feed.as_bytes())),
            base: self.base,
            qc: self.qc.map(|qc| pb::QcRef {
                epoch: qc.epoch,
                length: qc.length,
                tree_hash: copy(qc.tree_hash.as_bytes()),
                qc: copy(qc.qc.as_bytes()),
            }),
            vote_length: self.vote_length,
            vote_tree_hash: self.vote_tree_hash.map_or_else(Bytes::new, |hash| copy(hash.as_bytes())),
            reason: self.reason.into(),
        }
    }
}

impl Change {
    fn from_pb(change: pb::Change) -> Result<Self, ProtoError> {
        let (here, accept) = (In("change"), In("accept"));
        Ok(Self {
            block: here.some_bytes("block", MAX_PROVEN_BLOCK_BYTES, change.block)?,
            nodes: nodes_from(here, "nodes", &change.nodes)?,
            accepts: each(change.accepts, |accepted| {
                Ok(Accepted {
                    signer: place(accept, "signer", accepted.signer)?,
                    signature: accept.fixed("signature", &accepted.signature)?,
                })
            })?,
        })
    }

    fn to_pb(&self) -> pb::Change {
        let accept = |accept: &Accepted| pb::Accepted {
            signer: accept.signer,
            signature: copy(accept.signature.as_bytes()),
        };
        pb::Change {
            block: self.block.clone(),
            nodes: nodes_bytes(&self.nodes),
            accepts: self.accepts.iter().map(accept).collect(),
        }
    }
}

impl Start {
    fn from_pb(start: pb::Start) -> Result<Self, ProtoError> {
        let here = In("start");
        let missing = ProtoError::Missing { message: "start", field: "handover" };
        let feed = here.fixed_or_none("feed", &start.feed)?;
        let grant = here.fixed_or_none("grant", &start.grant)?;
        Ok(Self {
            handover: Handover::from_pb(start.handover.ok_or(missing)?)?,
            grant: match (feed, grant) {
                (Some(feed), Some(grant)) => Some((feed, grant)),
                (None, None) => None,
                (Some(_), None) => return Err(ProtoError::Missing { message: "start", field: "grant" }),
                (None, Some(_)) => return Err(ProtoError::Missing { message: "start", field: "feed" }),
            },
        })
    }

    fn to_pb(&self) -> pb::Start {
        let (feed, grant) = match &self.grant {
            Some((feed, grant)) => (copy(feed.as_bytes()), copy(grant.as_bytes())),
            None => Default::default(),
        };
        pb::Start { handover: Some(self.handover.to_pb()), feed, grant }
    }
}

impl CatchUp {
    fn from_pb(catch_up: pb::CatchUp) -> Result<Self, ProtoError> {
        Ok(Self {
            starts: each(catch_up.starts, Start::from_pb)?,
            qc: catch_up.qc.map(Qc::from_pb).transpose()?,
            last_final: catch_up.r#final.map(Final::from_pb).transpose()?,
        })
    }

    fn to_pb(&self) -> pb::CatchUp {
        pb::CatchUp {
            starts: self.starts.iter().map(Start::to_pb).collect(),
            qc: self.qc.as_ref().map(Qc::to_pb),
            r#final: self.last_final.as_ref().map(Final::to_pb),
        }
    }
}

impl Validators {
    fn from_pb(validators: pb::Validators) -> Result<Self, ProtoError> {
        let here = In("validators");
        Ok(Self {
            keys: validators.keys.iter().map(|key| here.fixed("keys", key)).collect::<Result<_, _>>()?,
            quorum: place(here, "quorum", validators.quorum)?,
            proof: here.fixed_or_none("proof", &validators.proof)?,
        })
    }

    fn to_pb(&self) -> pb::Validators {
        pb::Validators {
            keys: self.keys.iter().map(|key| copy(key.as_bytes())).collect(),
            quorum: self.quorum,
            proof: self.proof.map_or_else(Bytes::new, |proof| copy(proof.as_bytes())),
        }
    }
}
