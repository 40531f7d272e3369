//! Certificates and evidence in blocks: valid when they prove what they say, of this history, and not twice.

use quorate_quorum::certificate::{CertificateError, Final};
use quorate_quorum::evidence::{Evidence, EvidenceError, NoOracle};
use quorate_rules::state::WriteSet;

use super::check::Context;
use super::effects::Stop;
use super::engine::RuleEngine;
use super::keys;
use super::part::RoomPart;
use crate::entry::{Proof, ProofKind};
use crate::refusal::{Refusal, RoomCode};

pub(super) fn check_proof<E: RuleEngine>(context: &Context<'_, E>, proof: &Proof) -> Result<WriteSet, Stop> {
    let Some(part) = context.part else {
        let reason = "expected a room with validators for certificates and evidence, found one without";
        return refuse(RoomCode::NotAllowed, reason);
    };
    match proof.kind {
        ProofKind::Certificate => check_certificate(context, part, proof),
        ProofKind::Evidence => check_evidence(context, proof),
        ProofKind::ValidatorChange | ProofKind::EpochStart => refuse(
            RoomCode::NotAllowed,
            "expected an entry that this version can judge, found one of a handover",
        ),
    }
}

/// A Final of this history, and a longer one than those before.
fn check_certificate<E: RuleEngine>(
    context: &Context<'_, E>,
    part: &RoomPart,
    proof: &Proof,
) -> Result<WriteSet, Stop> {
    let unproven = |error: CertificateError| Refusal::new(RoomCode::BadProof, error.to_string());
    let last =
        Final::decode(proof.body.clone()).and_then(|last| last.verify(part.epoch())).map_err(unproven)?;
    let head = last.certified().head();
    let (length, index) = (part.height(head.length()), context.index());
    if length > index {
        let reason = format!("expected a certificate of at most {index} blocks, found one of {length}");
        return refuse(RoomCode::BadProof, reason);
    }
    let found = *head.tree_hash();
    let expected = match part.header_at(head.length()) {
        Some(header) => header,
        None => context.tree_hash(length)?,
    };
    if found != expected {
        let reason =
            format!("expected a certificate of tree hash {expected} at length {length}, found {found}");
        return refuse(RoomCode::BadProof, reason);
    }
    let before = keys::get_u64(context.state, keys::FINAL)?.unwrap_or(0);
    if length <= before {
        let reason = format!("expected a certificate of more than {before} blocks, found one of {length}");
        return refuse(RoomCode::NotAllowed, reason);
    }
    let mut writes = WriteSet::new();
    keys::put(&mut writes, keys::FINAL.to_vec(), length.to_le_bytes().to_vec());
    Ok(writes)
}

/// Evidence that anyone can check from its bytes. What takes the history to check travels between nodes only.
fn check_evidence<E: RuleEngine>(context: &Context<'_, E>, proof: &Proof) -> Result<WriteSet, Stop> {
    let unproven = |error: EvidenceError| Refusal::new(RoomCode::BadProof, error.to_string());
    let evidence = Evidence::decode(proof.body.clone())
        .and_then(|evidence| evidence.verify(context.room, &NoOracle))
        .map_err(unproven)?;
    let key = keys::evidence(evidence.id());
    if let Some(at) = keys::get_u64(context.state, &key)? {
        return refuse(
            RoomCode::NotAllowed,
            format!("expected evidence that is new, found what stands at {at}"),
        );
    }
    let mut writes = WriteSet::new();
    keys::put(&mut writes, key, context.index().to_le_bytes().to_vec());
    Ok(writes)
}

fn refuse(code: RoomCode, reason: impl Into<String>) -> Result<WriteSet, Stop> {
    Err(Refusal::new(code, reason).into())
}
