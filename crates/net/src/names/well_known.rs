//! `https://NAME/.well-known/dat`.

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use futures_rustls::TlsConnector;
use futures_rustls::rustls::pki_types::ServerName;
use futures_rustls::rustls::{ClientConfig, RootCertStore};
use http_body_util::{BodyExt, Empty, Limited};
use hyper::client::conn::http1;
use hyper::header::{CONNECTION, HOST};
use quorate_types::PublicKey;

use super::DatName;
use crate::http::HyperIo;
use crate::resolve::resolve;
use crate::runtime::Runtime;

/// Port of HTTPS.
const PORT: u16 = 443;

/// Longest file that is read, bytes: a line with a key, one with a time, and room for comments.
const MAX_WELL_KNOWN_BYTES: usize = 4096;

/// Addresses of a server that are tried.
const MAX_ADDRESSES: usize = 4;

/// Why a web server does not say which key its name stands for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WellKnownError {
    /// The server cannot be reached, or is not who it should be.
    #[error("not reached: {reason}")]
    Unreachable {
        /// What the system, or TLS, says.
        reason: String,
    },
    /// It took too long.
    #[error("no answer in time")]
    TimedOut,
    /// The server has no such file. Redirections are not followed (DEP-0005: anything but 200 is a failure).
    #[error("expected status 200, found {status}")]
    Status {
        /// The status.
        status: u16,
    },
    /// The file is longer than it is read.
    #[error("expected at most {MAX_WELL_KNOWN_BYTES} bytes, found more")]
    TooLong,
    /// The file does not begin with a link.
    #[error("expected dat:// and 64 hexadecimal digits in the first line, found something else")]
    NoKey,
}

/// Asks the web server of a name.
pub(super) async fn ask(runtime: &Arc<dyn Runtime>, name: &DatName) -> Result<PublicKey, WellKnownError> {
    let unreachable = |reason: String| WellKnownError::Unreachable { reason };
    let addresses =
        resolve(&format!("{name}:{PORT}")).await.map_err(|error| unreachable(error.to_string()))?;
    let config = blocking::unblock(trusted).await?;
    let mut failure = unreachable("no address".into());
    for address in addresses.into_iter().take(MAX_ADDRESSES) {
        match fetch(runtime, Arc::clone(&config), name, address).await {
            Err(error @ WellKnownError::Unreachable { .. }) => failure = error,
            answer => return answer,
        }
    }
    Err(failure)
}

/// Trusts whom this machine trusts; `SSL_CERT_FILE` and `SSL_CERT_DIR` say where that is written.
fn trusted() -> Result<Arc<ClientConfig>, WellKnownError> {
    let found = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    let (taken, _) = roots.add_parsable_certificates(found.certs);
    if taken == 0 {
        let reason = found.errors.first().map_or_else(|| "none".to_owned(), ToString::to_string);
        return Err(WellKnownError::Unreachable { reason: format!("no certificates to trust: {reason}") });
    }
    Ok(Arc::new(ClientConfig::builder().with_root_certificates(roots).with_no_client_auth()))
}

async fn fetch(
    runtime: &Arc<dyn Runtime>,
    config: Arc<ClientConfig>,
    name: &DatName,
    address: SocketAddr,
) -> Result<PublicKey, WellKnownError> {
    let unreachable = |reason: String| WellKnownError::Unreachable { reason };
    let server =
        ServerName::try_from(name.as_str().to_owned()).map_err(|error| unreachable(error.to_string()))?;
    let stream = runtime.connect(address).await.map_err(|error| unreachable(error.to_string()))?;
    let stream = TlsConnector::from(config)
        .connect(server, stream)
        .await
        .map_err(|error| unreachable(error.to_string()))?;
    let (mut sender, connection) = http1::handshake(HyperIo::new(Box::new(stream)))
        .await
        .map_err(|error| unreachable(error.to_string()))?;
    let request = hyper::Request::get("/.well-known/dat")
        .header(HOST, name.as_str())
        .header(CONNECTION, "close")
        .body(Empty::<Bytes>::new())
        .map_err(|error| unreachable(error.to_string()))?;
    let answer = async {
        let response = sender.send_request(request).await.map_err(|error| unreachable(error.to_string()))?;
        let status = response.status().as_u16();
        if status != 200 {
            return Err(WellKnownError::Status { status });
        }
        let body = Limited::new(response.into_body(), MAX_WELL_KNOWN_BYTES);
        let body = body.collect().await.map_err(|_| WellKnownError::TooLong)?;
        parse_well_known(&body.to_bytes())
    };
    // The connection moves bytes while the answer is waited for, and ends with it.
    let moving = async {
        match connection.await {
            Ok(()) => std::future::pending().await,
            Err(error) => Err(unreachable(error.to_string())),
        }
    };
    futures_lite::future::or(answer, moving).await
}

/// Reads the key in the file.
///
/// # Errors
///
/// It does not begin with `dat://` and a key.
pub fn parse_well_known(file: &[u8]) -> Result<PublicKey, WellKnownError> {
    let text = std::str::from_utf8(file).map_err(|_| WellKnownError::NoKey)?;
    let line = text.lines().next().unwrap_or_default().trim();
    let key = line.strip_prefix("dat://").map(|rest| rest.strip_suffix('/').unwrap_or(rest));
    key.and_then(|key| key.parse().ok()).ok_or(WellKnownError::NoKey)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_line_has_the_key() {
        let key = "ab".repeat(32);
        let read = |text: &str| parse_well_known(text.as_bytes()).map(|key| key.to_string());
        assert_eq!(read(&format!("dat://{key}/\nTTL=3600\n")), Ok(key.clone()));
        assert_eq!(read(&format!("dat://{}\r\n", key.to_uppercase())), Ok(key.clone()));
        for wrong in ["", "TTL=3600", &key, &format!("\ndat://{key}"), "dat://ab", "<html>"] {
            assert_eq!(read(wrong), Err(WellKnownError::NoKey), "{wrong}");
        }
        assert_eq!(parse_well_known(&[0xff, 0xfe]), Err(WellKnownError::NoKey));
    }
}
