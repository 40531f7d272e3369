//! The local identities of a home, which sign actions in rooms.

use std::path::Path;

use quorate_quorum::key::Signer;
use quorate_store::{DEFAULT_IDENTITY, Home, HomeError, Identity};
use quorate_stream::identity::Author;
use quorate_types::PublicKey;

use crate::model::{IdentityInfo, ValidatorOffer};
use crate::node::random;
use crate::open::parse_name;
use crate::secrets;
use crate::store_failures::home_failure;
use crate::{Code, Failure};

/// The local identities of a home. They are files: no running node is needed, and none minds.
#[derive(Debug, Clone)]
pub struct Identities {
    home: Home,
}

impl Identities {
    /// Opens a home for its identities.
    ///
    /// # Errors
    ///
    /// [`Code::Io`] when the home cannot be made.
    pub fn open(home: &Path) -> Result<Self, Failure> {
        Ok(Self { home: Home::open(home).map_err(|error| home_failure(&error))? })
    }

    /// Makes an identity of fresh randomness.
    ///
    /// # Errors
    ///
    /// [`Code::BadName`], [`Code::IdentityTaken`].
    pub fn create(&self, name: &str) -> Result<IdentityInfo, Failure> {
        let identity = self
            .home
            .create_identity(&parse_name(name)?, &random()?)
            .map_err(|error| home_failure(&error))?;
        Ok(self.describe(&identity))
    }

    /// Writes the secret key of an identity into a new file.
    ///
    /// # Errors
    ///
    /// [`Code::NoIdentity`], [`Code::DestinationExists`].
    pub fn export(&self, name: &str, to: &Path) -> Result<IdentityInfo, Failure> {
        let identity = self.home.identity(&parse_name(name)?).map_err(|error| home_failure(&error))?;
        secrets::write(to, &identity.secret)?;
        Ok(self.describe(&identity))
    }

    /// Makes an identity of the secret key in a file.
    ///
    /// # Errors
    ///
    /// [`Code::BadRequest`] for a file that holds none, [`Code::BadName`], [`Code::IdentityTaken`].
    pub fn import(&self, from: &Path, name: &str) -> Result<IdentityInfo, Failure> {
        let name = parse_name(name)?;
        let (_, secret) = secrets::read(from)?;
        let identity = self.home.keep_identity(&name, secret).map_err(|error| home_failure(&error))?;
        Ok(self.describe(&identity))
    }

    /// Lists the identities, by name.
    ///
    /// # Errors
    ///
    /// [`Code::Damaged`] when a key file holds no key.
    pub fn list(&self) -> Result<Vec<IdentityInfo>, Failure> {
        let identities = self.home.identities().map_err(|error| home_failure(&error))?;
        Ok(identities.iter().map(|identity| self.describe(identity)).collect())
    }

    /// Returns the public vote key of the home, made of fresh randomness when there is none.
    ///
    /// # Errors
    ///
    /// [`Code::Damaged`] when its file holds no key.
    pub fn vote_key(&self) -> Result<PublicKey, Failure> {
        Ok(self.home.make_vote_key(&random()?).map_err(|error| home_failure(&error))?.key)
    }

    /// Returns the vote key of this home, `None` when it was never asked for.
    ///
    /// # Errors
    ///
    /// [`Code::Damaged`] when its file holds no key.
    pub fn known_vote_key(&self) -> Result<Option<PublicKey>, Failure> {
        let stored = self.home.vote_key().map_err(|error| home_failure(&error))?;
        Ok(stored.map(|stored| stored.key))
    }

    /// Returns the vote key of this home, made when there is none, with the proof that this home has its secret key.
    ///
    /// # Errors
    ///
    /// [`Code::Damaged`] when its file holds no key.
    pub fn vote_offer(&self) -> Result<ValidatorOffer, Failure> {
        let stored = self.home.make_vote_key(&random()?).map_err(|error| home_failure(&error))?;
        let signer = Signer::from_secret(&stored.secret)
            .map_err(|error| Failure::new(Code::Damaged, error.to_string()))?;
        Ok(ValidatorOffer { key: signer.public(), proof: signer.prove_possession() })
    }

    /// Returns the key pair that signs actions.
    pub(crate) fn author(&self, name: Option<&str>) -> Result<Author, Failure> {
        let identity = self.signing(name)?;
        Author::from_secret(&identity.secret).map_err(|error| Failure::new(Code::Damaged, error.to_string()))
    }

    /// Finds the identity that signs: the named one, or `default`, which is made when it is first needed.
    fn signing(&self, name: Option<&str>) -> Result<Identity, Failure> {
        let asked = parse_name(name.unwrap_or(DEFAULT_IDENTITY))?;
        match self.home.identity(&asked) {
            Err(HomeError::NoIdentity { .. }) if asked.as_str() == DEFAULT_IDENTITY => {
                match self.home.create_identity(&asked, &random()?) {
                    // Another process was faster.
                    Err(HomeError::IdentityTaken { .. }) => self.home.identity(&asked),
                    made => made,
                }
            }
            found => found,
        }
        .map_err(|error| home_failure(&error))
    }

    fn describe(&self, identity: &Identity) -> IdentityInfo {
        let file = self.home.root().join("identities").join(identity.name.as_str());
        IdentityInfo {
            name: identity.name.to_string(),
            key: identity.key,
            secret: file.display().to_string(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_identity_is_made_when_it_is_needed_and_no_other() {
        let directory = tempfile::tempdir().unwrap();
        let identities = Identities::open(directory.path()).unwrap();
        assert_eq!(identities.signing(Some("alice")).unwrap_err().code, Code::NoIdentity);
        let first = identities.signing(None).unwrap();
        assert_eq!(identities.signing(Some("default")).unwrap().key, first.key);
        let alice = identities.create("alice").unwrap();
        assert_eq!(identities.signing(Some("alice")).unwrap().key, alice.key);
        assert_eq!(identities.create("alice").unwrap_err().code, Code::IdentityTaken);
        assert_eq!(identities.list().unwrap().len(), 2);
    }
}
