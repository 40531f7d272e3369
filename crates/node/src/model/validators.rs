//! Changes of the validators of a room: what is asked for, and what was appended.

use std::fmt;
use std::str::FromStr;

use quorate_types::{PublicKey, Signature};
use serde::{Deserialize, Serialize};

/// What is to become of the validators of a room: one key comes, or goes, or another number of votes commits.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ValidatorWish {
    /// The vote key that comes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub add: Option<ValidatorOffer>,
    /// The vote key that goes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remove: Option<PublicKey>,
    /// Votes that commit. Where absent the least, or where the room asks for more than the least, as many as now, as far as
    /// there are as many validators.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quorum: Option<usize>,
}

/// A vote key whose holder is ready to vote: `KEY.PROOF` in text, 64 and 128 hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ValidatorOffer {
    /// Vote key.
    pub key: PublicKey,
    /// Its holder's proof of possession.
    pub proof: Signature,
}

impl fmt::Display for ValidatorOffer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.key, self.proof)
    }
}

impl FromStr for ValidatorOffer {
    type Err = OfferError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parts = text.trim().split_once('.');
        let found = || OfferError { found: text.chars().take(80).collect() };
        let (key, proof) = parts.ok_or_else(found)?;
        let key = key.parse().map_err(|_| found())?;
        Ok(Self { key, proof: proof.parse().map_err(|_| found())? })
    }
}

impl TryFrom<String> for ValidatorOffer {
    type Error = OfferError;

    fn try_from(text: String) -> Result<Self, OfferError> {
        text.parse()
    }
}

impl From<ValidatorOffer> for String {
    fn from(offer: ValidatorOffer) -> Self {
        offer.to_string()
    }
}

/// The text is no offer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected KEY.PROOF as `quorate validator key --offer` prints it, found {found:?}")]
pub struct OfferError {
    found: String,
}

/// A change of validators that was appended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ValidatorsChanged {
    /// `quorate.validators/1`.
    pub schema: String,
    /// Block of the room in which it stands.
    pub index: u64,
    /// Epoch from which on it holds.
    pub epoch: u64,
    /// Those who validate then.
    pub validators: Vec<PublicKey>,
    /// Votes that commit then, and validators that must have accepted before.
    pub needed: usize,
}

impl ValidatorsChanged {
    /// Name of the schema.
    pub const SCHEMA: &'static str = "quorate.validators/1";
}
