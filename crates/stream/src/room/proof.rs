//! What validators and hosts put into blocks: certificates and evidence are valid when they prove what they say, of this
//! history, and not twice; changes of validators and starts of epochs, where they stand in their places.

use quorate_quorum::certificate::{CertificateError, Final, decode_change};
use quorate_quorum::evidence::{Evidence, EvidenceError, NoOracle};
use quorate_rules::state::WriteSet;

use super::authentic::AuthenticEntry;
use super::check::{Context, Done};
use super::effects::Stop;
use super::engine::RuleEngine;
use super::is_closed;
use super::keys;
use super::part::RoomPart;
use crate::entry::{Proof, ProofKind};
use crate::governance;
use crate::identity::b2b256;
use crate::refusal::{Refusal, RoomCode};

/// Checks that an entry may come next where epochs end and begin: nothing stands behind a change of validators, and the
/// start of an epoch where the feed goes on in it.
pub(super) fn check_place<E: RuleEngine>(
    context: &Context<'_, E>,
    closes: Option<u64>,
    entry: &AuthenticEntry,
) -> Result<(), Stop> {
    let begins = context.part.is_some_and(|part| part.starts_with(context.index()).is_some());
    if !begins && !is_closed(context.index(), closes, context.part) {
        return Ok(());
    }
    match entry {
        AuthenticEntry::Proof(Proof { kind: ProofKind::EpochStart, .. }) => Ok(()),
        _ => refuse(
            RoomCode::NotAllowed,
            "expected the start of an epoch behind a change of validators, found another entry",
        ),
    }
}

/// Checks what participants do not sign, and adds what it does.
pub(super) fn check_proof<E: RuleEngine>(
    context: &mut Context<'_, E>,
    proof: &Proof,
    done: &mut Done,
) -> Result<(), Stop> {
    let Some(part) = context.part else {
        let reason = "expected a room with validators for what validators do, found one without";
        return refuse(RoomCode::NotAllowed, reason);
    };
    match proof.kind {
        ProofKind::Certificate => done.writes = check_certificate(context, part, proof)?,
        ProofKind::Evidence => done.writes = check_evidence(context, proof)?,
        ProofKind::ValidatorChange => check_change(context, part, proof, done)?,
        ProofKind::EpochStart => check_start(context, part, proof)?,
    }
    Ok(())
}

/// A change that may follow the validators of the epoch, and to which no rule objects. It ends the epoch.
fn check_change<E: RuleEngine>(
    context: &mut Context<'_, E>,
    part: &RoomPart,
    proof: &Proof,
    done: &mut Done,
) -> Result<(), Stop> {
    let epoch = part.epoch();
    let next = decode_change(proof.body.clone(), epoch.validators())
        .map_err(|error| Refusal::new(RoomCode::BadProof, error.to_string()))?;
    let host = epoch.host_key().or(epoch.feed()).copied();
    let host = host.ok_or_else(|| Refusal::new(RoomCode::NotAllowed, "the epoch has no host"))?;
    done.uses = governance::ask_about_validators(context, host, &next)?;
    keys::put(&mut done.writes, keys::CLOSES.to_vec(), context.index().to_le_bytes().to_vec());
    done.closes = true;
    Ok(())
}

/// The start with which the feed was entered. Whoever enters has verified it.
fn check_start<E: RuleEngine>(context: &Context<'_, E>, part: &RoomPart, proof: &Proof) -> Result<(), Stop> {
    match part.starts_with(context.index()) {
        Some(expected) if *expected == b2b256(&proof.body) => Ok(()),
        Some(expected) => refuse(
            RoomCode::BadProof,
            format!("expected the start {expected} of epoch {}, found another", part.epoch().number()),
        ),
        None => refuse(
            RoomCode::NotAllowed,
            "expected the start of an epoch behind the change of validators that it follows, found it elsewhere",
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

fn refuse<T>(code: RoomCode, reason: impl Into<String>) -> Result<T, Stop> {
    Err(Refusal::new(code, reason).into())
}
