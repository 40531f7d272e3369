//! What all certificates have in common.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use quorate_proto::quorum as proto;

use super::error::CertificateError;
use crate::head::Head;
use crate::statement::{StatementError, Target};
use crate::validators::ValidatorSet;

/// What several signers say alike, each once, in the order of first use.
#[derive(Debug)]
pub(super) struct Table<T> {
    rows: Vec<T>,
}

impl<T> Default for Table<T> {
    fn default() -> Self {
        Self { rows: Vec::new() }
    }
}

impl<T: PartialEq> Table<T> {
    /// Returns one more than the place of a row, 0 for none.
    pub(super) fn place(&mut self, row: Option<T>) -> u32 {
        let Some(row) = row else { return 0 };
        let place = self.rows.iter().position(|other| *other == row).unwrap_or_else(|| {
            self.rows.push(row);
            self.rows.len().saturating_sub(1)
        });
        u32::try_from(place).unwrap_or(u32::MAX).saturating_add(1)
    }

    pub(super) fn into_rows(self) -> Vec<T> {
        self.rows
    }
}

/// Finds the row that [`Table::place`] names.
pub(super) fn reference<'a, T>(
    rows: &'a [T],
    place: u32,
    certificate: &'static str,
) -> Result<Option<&'a T>, CertificateError> {
    let Some(place) = place.checked_sub(1) else { return Ok(None) };
    let row = usize::try_from(place).ok().and_then(|place| rows.get(place));
    row.map(Some).ok_or(CertificateError::Field { certificate, expected: "references to rows there are" })
}

/// Adds a signer, who must not be there.
pub(super) fn insert<T>(
    signers: &mut BTreeMap<u32, T>,
    signer: u32,
    value: T,
) -> Result<(), CertificateError> {
    match signers.entry(signer) {
        Entry::Vacant(entry) => {
            entry.insert(value);
            Ok(())
        }
        Entry::Occupied(_) => Err(CertificateError::Twice { signer }),
    }
}

/// Checks that signers are validators, and enough of them.
pub(super) fn check_signers<'a>(
    validators: &ValidatorSet,
    signers: impl ExactSizeIterator<Item = &'a u32>,
    expected: usize,
) -> Result<(), CertificateError> {
    let (n, found) = (validators.n(), signers.len());
    for signer in signers {
        if usize::try_from(*signer).is_ok_and(|signer| signer < n) {
            continue;
        }
        return Err(CertificateError::Signer { n, signer: *signer });
    }
    if found < expected {
        return Err(CertificateError::TooFew { expected, found });
    }
    Ok(())
}

pub(super) fn check_canonical(is: bool, certificate: &'static str) -> Result<(), CertificateError> {
    if is { Ok(()) } else { Err(CertificateError::NotCanonical { certificate }) }
}

/// Of a statement that was put together here nothing but the signature can be wrong.
pub(super) fn signature(error: StatementError) -> CertificateError {
    match error {
        StatementError::Key(error) => error.into(),
        _ => CertificateError::Field { certificate: "statement", expected: "statements of this epoch" },
    }
}

pub(super) fn target_from(
    target: proto::Target,
    certificate: &'static str,
) -> Result<Target, CertificateError> {
    let proto::Target { length, tree_hash, state_root, rules_hash } = target;
    let head = Head::new(length, tree_hash)
        .ok_or(CertificateError::Field { certificate, expected: "a length of at least 1" })?;
    Ok(Target { head, state_root, rules_hash })
}

pub(super) fn target_to(target: &Target) -> proto::Target {
    proto::Target {
        length: target.head.length(),
        tree_hash: *target.head.tree_hash(),
        state_root: target.state_root,
        rules_hash: target.rules_hash,
    }
}
