//! What a late joiner needs.

use bytes::Bytes;
use quorate_proto::quorum as proto;

use super::epoch::Epoch;
use super::error::CertificateError;
use super::handover::Start;
use super::last_final::{Final, VerifiedFinal};
use super::qc::{Qc, VerifiedQc};

/// The starts of all epochs, the newest QC and the newest Final. They are not verified.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CatchUp {
    /// Starts of the epochs from 1 on.
    pub starts: Vec<Start>,
    /// Newest QC.
    pub qc: Option<Qc>,
    /// Newest Final.
    pub last_final: Option<Final>,
}

/// A catch-up that holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifiedCatchUp {
    /// The newest epoch.
    pub epoch: Epoch,
    /// Newest QC.
    pub qc: Option<VerifiedQc>,
    /// Newest Final.
    pub last_final: Option<VerifiedFinal>,
}

impl CatchUp {
    /// Decodes a catch-up, which is not verified by that.
    ///
    /// # Errors
    ///
    /// [`CertificateError`] for bytes that no catch-up encodes to.
    pub fn decode(bytes: Bytes) -> Result<Self, CertificateError> {
        let given = proto::CatchUp::decode(bytes)?;
        Ok(Self {
            starts: given.starts.into_iter().map(Start::from_proto).collect::<Result<_, _>>()?,
            qc: given.qc.map(Qc::from_proto).transpose()?,
            last_final: given.last_final.map(Final::from_proto).transpose()?,
        })
    }

    /// Encodes the catch-up.
    pub fn encode(&self) -> Bytes {
        let catch_up = proto::CatchUp {
            starts: self.starts.iter().map(Start::to_proto).collect(),
            qc: self.qc.as_ref().map(Qc::to_proto),
            last_final: self.last_final.as_ref().map(Final::to_proto),
        };
        catch_up.encode()
    }

    /// Verifies it from epoch 0 on.
    ///
    /// # Errors
    ///
    /// [`CertificateError`] of the first part that proves nothing.
    pub fn verify(self, genesis: &Epoch) -> Result<VerifiedCatchUp, CertificateError> {
        let mut epochs = vec![genesis.clone()];
        for start in self.starts {
            let Some(epoch) = epochs.last() else { break };
            epochs.push(start.verify(epoch)?.epoch().clone());
        }
        let of = |number: u64| {
            let epoch = epochs.iter().find(|epoch| epoch.number() == number);
            epoch.ok_or(CertificateError::UnknownEpoch { found: number })
        };
        let qc = self.qc.map(|qc| of(qc.certified.epoch).and_then(|epoch| qc.verify(epoch))).transpose()?;
        let last_final = self
            .last_final
            .map(|last| of(last.certified.epoch).and_then(|epoch| last.verify(epoch)))
            .transpose()?;
        Ok(VerifiedCatchUp { epoch: epochs.pop().unwrap_or_else(|| genesis.clone()), qc, last_final })
    }
}
