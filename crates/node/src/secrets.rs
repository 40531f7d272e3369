//! Secret keys that leave a home, or come from elsewhere.

use std::io;
use std::path::Path;

use quorate_feed::Keys;
use quorate_store::secret_file::{self, SecretFileError};
use quorate_store::{HomeError, Origin, StreamInfo as StoredInfo, read_keys};
use quorate_types::{PublicKey, SecretKey};

use crate::model::Encoding;
use crate::open::{now_unix_s, parse_name};
use crate::store_failures::{directory_failure, home_failure};
use crate::stream::Stream;
use crate::{Code, Failure, Node};

impl Node {
    /// Writes the secret key of a stream into a new file, as stock clients keep it; returns the public one.
    ///
    /// # Errors
    ///
    /// [`Code::NotWritable`] where it is not here, [`Code::DestinationExists`].
    pub fn export_key(&self, stream: &str, to: &Path) -> Result<PublicKey, Failure> {
        let stored = self.inner.home.find(stream).map_err(|error| home_failure(&error))?;
        let keys = read_keys(&stored.files).map_err(|error| directory_failure(&error))?;
        let secret = keys.secret.as_ref().ok_or_else(|| {
            let name = &stored.name;
            Failure::new(
                Code::NotWritable,
                format!("expected the secret key of {name}, found only its public key; nothing was written"),
            )
        })?;
        write(to, secret)?;
        Ok(keys.public)
    }

    /// Takes the secret key of a stream from a file. The stream is made here when it is not, and is *recovering* until its
    /// newest head is known: whoever has the key elsewhere may have written on.
    ///
    /// # Errors
    ///
    /// [`Code::BadRequest`] for a file that holds none, [`Code::NameTaken`], also where the key is here already.
    pub async fn import_key(&self, from: &Path, name: &str) -> Result<Stream, Failure> {
        let name = parse_name(name)?;
        let (public, secret) = read(from)?;
        let stored = match self.inner.home.find(&public.to_string()) {
            Err(HomeError::NotFound { .. }) => {
                let info = StoredInfo::new(now_unix_s(), Encoding::default(), Origin::Imported);
                self.make(&name, Keys { public, secret: None }, info).await?;
                self.inner.home.find(&public.to_string())
            }
            found => found,
        };
        let stored = stored.map_err(|error| home_failure(&error))?;
        if stored.is_writable {
            let message = format!(
                "expected a stream without its secret key, found {}, which has it; nothing was changed",
                stored.name
            );
            return Err(Failure::new(Code::NameTaken, message).next(format!("quorate info {}", stored.name)));
        }
        // Not under a node that has it open.
        self.open_stream(&public.to_string()).await?;
        self.close_stream(&public).await?;
        self.inner.home.add_secret_key(&stored, &secret).map_err(|error| home_failure(&error))?;
        self.open_stream(&public.to_string()).await
    }
}

/// Writes a secret key into a new file.
pub(crate) fn write(to: &Path, secret: &SecretKey) -> Result<(), Failure> {
    let shown = to.display();
    secret_file::write(to, secret).map_err(|error| match error {
        SecretFileError::Exists => {
            Failure::new(Code::DestinationExists, format!("expected no file at {shown}, found one"))
                .next("name a new file")
        }
        error => Failure::new(Code::Io, format!("cannot write {shown}: {error}"))
            .next("check permissions and space"),
    })
}

/// Reads a secret key, and the public one that belongs to it.
pub(crate) fn read(from: &Path) -> Result<(PublicKey, SecretKey), Failure> {
    let shown = from.display();
    secret_file::read(from).map_err(|error| match error {
        SecretFileError::Io(error) if error.kind() != io::ErrorKind::NotFound => {
            Failure::new(Code::Io, format!("cannot read {shown}: {error}"))
        }
        SecretFileError::Io(error) => Failure::new(
            Code::BadRequest,
            format!("expected a file with a secret key, found {shown}: {error}"),
        ),
        error => Failure::new(Code::BadRequest, format!("{shown}: {error}")),
    })
}
