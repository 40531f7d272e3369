//! Messages of rooms with validators. Statements, certificates and evidence are opaque here.

use bytes::Bytes;
use prost::Message as _;
use quorate_types::limits::{MAX_CERTIFICATE_BYTES, MAX_EVIDENCE};
use quorate_types::{Hash, QcHash};

use super::{copy, kind, parse};
use crate::fields::In;
use crate::quorum::MAX_STATEMENT_BYTES;
use crate::{ProtoError, pb_quorate1 as pb};

/// Lengths that a host may ask votes for at once.
pub const MAX_PROPOSALS: usize = 4;

/// Starts in one message: at the smallest size they fill it.
const MAX_STARTS: usize = 256;

/// A message of rooms with validators, by the type of its frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum QuorumMessage {
    /// Where the sender is.
    Status(QuorumStatus),
    /// A signed `VOTE` or `REJECT`.
    Vote(Bytes),
    /// Asks for a QC by its hash, or for the newest one, and for the newest Final.
    GetQc(Option<QcHash>),
    /// A QC and a Final, encoded; at least one.
    Qc {
        /// The QC.
        qc: Option<Bytes>,
        /// The Final.
        last_final: Option<Bytes>,
    },
    /// Asks for the starts of this epoch and of those after it.
    GetHandover(u64),
    /// Starts of consecutive epochs, encoded.
    Handover(Vec<Bytes>),
    /// A signed `SEAL` or `ACCEPT`.
    Seal(Bytes),
    /// Evidence, encoded.
    Evidence(Bytes),
    /// Asks for all evidence but that with these ids.
    WantEvidence(Vec<Hash>),
    /// A signed `HAVE`.
    Have(Bytes),
    /// A signed `CHALLENGE`.
    Challenge(Bytes),
    /// A signed `RESPONSE`.
    Response(Bytes),
}

/// Where a node is with the quorum of a room. Nobody vouches for it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct QuorumStatus {
    /// The epoch.
    pub epoch: u64,
    /// Length of the newest Final of the epoch, 0 for none.
    pub last_final: u64,
    /// Length of the newest QC of the epoch, 0 for none.
    pub qc: u64,
    /// Blocks of the epoch's feed that are checked.
    pub tip: u64,
    /// Lengths at which the host asks for votes, ascending.
    pub proposals: Vec<u64>,
    /// Hash of the ids of all evidence, `None` for no evidence.
    pub evidence: Option<Hash>,
    /// Hash of the start of the epoch, `None` in epoch 0.
    pub start: Option<Hash>,
}

impl QuorumMessage {
    /// Returns the type of the frame, one of [`kind`].
    pub const fn kind(&self) -> u8 {
        match self {
            Self::Status(_) => kind::QUORUM_STATUS,
            Self::Vote(_) => kind::VOTE,
            Self::GetQc(_) => kind::GET_QC,
            Self::Qc { .. } => kind::QC,
            Self::GetHandover(_) => kind::GET_HANDOVER,
            Self::Handover(_) => kind::HANDOVER,
            Self::Seal(_) => kind::SEAL,
            Self::Evidence(_) => kind::EVIDENCE,
            Self::WantEvidence(_) => kind::WANT_EVIDENCE,
            Self::Have(_) => kind::HAVE,
            Self::Challenge(_) => kind::CHALLENGE,
            Self::Response(_) => kind::RESPONSE,
        }
    }

    pub(super) fn decode(kind: u8, body: Bytes) -> Result<Option<Self>, ProtoError> {
        let statement = |message| In(message).some_bytes("statement", MAX_STATEMENT_BYTES, body.clone());
        Ok(Some(match kind {
            kind::QUORUM_STATUS => Self::Status(QuorumStatus::from_pb(parse("quorum status", body)?)?),
            kind::VOTE => Self::Vote(statement("vote")?),
            kind::GET_QC => {
                let get: pb::GetQc = parse("get QC", body)?;
                Self::GetQc(In("get QC").fixed_or_none("qc", &get.qc)?)
            }
            kind::QC => {
                let here = In("QC");
                let news: pb::Qc = parse("QC", body)?;
                let part = |field, bytes: Bytes| -> Result<Option<Bytes>, ProtoError> {
                    let bytes = here.bytes(field, MAX_CERTIFICATE_BYTES, bytes)?;
                    Ok(Some(bytes).filter(|bytes| !bytes.is_empty()))
                };
                let (qc, last_final) = (part("qc", news.qc)?, part("final", news.r#final)?);
                if qc.is_none() && last_final.is_none() {
                    return Err(ProtoError::Missing { message: "QC", field: "qc" });
                }
                Self::Qc { qc, last_final }
            }
            kind::GET_HANDOVER => {
                let get: pb::GetHandover = parse("get handover", body)?;
                Self::GetHandover(In("get handover").height("epoch", get.epoch)?)
            }
            kind::HANDOVER => {
                let here = In("handover");
                let handover: pb::Handover = parse("handover", body)?;
                let found = handover.starts.len();
                if found > MAX_STARTS {
                    let (message, field, limit) = ("handover", "starts", MAX_STARTS);
                    return Err(ProtoError::TooLong { message, field, limit, found });
                }
                let start = |start| here.some_bytes("starts", MAX_CERTIFICATE_BYTES, start);
                Self::Handover(handover.starts.into_iter().map(start).collect::<Result<_, _>>()?)
            }
            kind::SEAL => Self::Seal(statement("seal")?),
            kind::EVIDENCE => {
                let evidence: pb::Evidence = parse("evidence", body)?;
                let here = In("evidence");
                Self::Evidence(here.some_bytes("evidence", MAX_CERTIFICATE_BYTES, evidence.evidence)?)
            }
            kind::WANT_EVIDENCE => {
                let want: pb::WantEvidence = parse("want evidence", body)?;
                let (here, found) = (In("want evidence"), want.known.len());
                if found > MAX_EVIDENCE {
                    let (message, field, limit) = ("want evidence", "known", MAX_EVIDENCE);
                    return Err(ProtoError::TooLong { message, field, limit, found });
                }
                let known = want.known.iter().map(|id| here.fixed("known", id));
                Self::WantEvidence(known.collect::<Result<_, _>>()?)
            }
            kind::HAVE => Self::Have(statement("have")?),
            kind::CHALLENGE => Self::Challenge(statement("challenge")?),
            kind::RESPONSE => Self::Response(statement("response")?),
            _ => return Ok(None),
        }))
    }

    pub(super) fn encode_body(&self) -> Vec<u8> {
        let hash = |hash: &Hash| copy(hash.as_bytes());
        match self {
            Self::Status(status) => status.to_pb().encode_to_vec(),
            Self::Vote(bytes) | Self::Seal(bytes) | Self::Have(bytes) => bytes.to_vec(),
            Self::Challenge(bytes) | Self::Response(bytes) => bytes.to_vec(),
            Self::GetQc(qc) => {
                pb::GetQc { qc: qc.map_or_else(Bytes::new, |qc| copy(qc.as_bytes())) }.encode_to_vec()
            }
            Self::Qc { qc, last_final } => {
                let part = |part: &Option<Bytes>| part.clone().unwrap_or_default();
                pb::Qc { qc: part(qc), r#final: part(last_final) }.encode_to_vec()
            }
            Self::GetHandover(epoch) => pb::GetHandover { epoch: *epoch }.encode_to_vec(),
            Self::Handover(starts) => pb::Handover { starts: starts.clone() }.encode_to_vec(),
            Self::Evidence(evidence) => pb::Evidence { evidence: evidence.clone() }.encode_to_vec(),
            Self::WantEvidence(known) => {
                pb::WantEvidence { known: known.iter().map(hash).collect() }.encode_to_vec()
            }
        }
    }
}

impl QuorumStatus {
    fn from_pb(status: pb::QuorumStatus) -> Result<Self, ProtoError> {
        let here = In("quorum status");
        let found = status.proposals.len();
        if found > MAX_PROPOSALS {
            let (message, field, limit) = (here.0, "proposals", MAX_PROPOSALS);
            return Err(ProtoError::TooLong { message, field, limit, found });
        }
        let proposals = status.proposals.into_iter().map(|length| here.height("proposals", length));
        Ok(Self {
            epoch: here.height("epoch", status.epoch)?,
            last_final: here.height("final", status.r#final)?,
            qc: here.height("qc", status.qc)?,
            tip: here.height("tip", status.tip)?,
            proposals: proposals.collect::<Result<_, _>>()?,
            evidence: here.fixed_or_none("evidence", &status.evidence)?,
            start: here.fixed_or_none("start", &status.start)?,
        })
    }

    fn to_pb(&self) -> pb::QuorumStatus {
        let hash = |hash: Option<Hash>| hash.map_or_else(Bytes::new, |hash| copy(hash.as_bytes()));
        pb::QuorumStatus {
            epoch: self.epoch,
            r#final: self.last_final,
            qc: self.qc,
            tip: self.tip,
            proposals: self.proposals.clone(),
            evidence: hash(self.evidence),
            start: hash(self.start),
        }
    }
}
