//! The command line's side of the local API.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::{Buf, Bytes, BytesMut};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper::header::{CONTENT_TYPE, HOST};

use super::io::HyperIo;
use super::{JSON, MAX_BODY_BYTES, MAX_LINE_BYTES};
use crate::runtime::Runtime;

/// Why a call has no answer.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// No process serves the socket.
    #[error("expected a running node at {path}, found nobody who answers")]
    NotRunning {
        /// Socket file.
        path: PathBuf,
    },
    /// The socket cannot be opened.
    #[error("cannot open {path}: {source}")]
    Connect {
        /// Socket file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The target is no path of HTTP.
    #[error("expected a path such as /streams, found `{target}`")]
    Target {
        /// What was given.
        target: String,
    },
    /// The node broke off, or answers in something that is not HTTP.
    #[error("the node's answer broke off: {0}")]
    Http(#[from] hyper::Error),
    /// The body of the answer is longer than is accepted.
    #[error("expected an answer of at most {limit} bytes, found a longer one")]
    TooLong {
        /// Longest body, or longest line, bytes.
        limit: usize,
    },
}

/// An answer that is complete.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// Status code.
    pub status: u16,
    /// The body, at most [`MAX_BODY_BYTES`].
    pub body: Bytes,
}

/// An answer that comes line by line.
pub struct Lines {
    status: u16,
    body: Incoming,
    received: BytesMut,
    /// Bytes at the beginning of `received` that hold no newline.
    searched: usize,
}

/// Sends a request with a body in JSON (empty for none) and waits for the whole answer.
pub async fn call(
    runtime: &Arc<dyn Runtime>,
    socket: &Path,
    method: &str,
    target: &str,
    body: Bytes,
) -> Result<Answer, CallError> {
    let response = send(runtime, socket, method, target, body).await?;
    let status = response.status().as_u16();
    match Limited::new(response.into_body(), MAX_BODY_BYTES).collect().await {
        Ok(body) => Ok(Answer { status, body: body.to_bytes() }),
        Err(error) => Err(match error.downcast::<hyper::Error>() {
            Ok(error) => CallError::Http(*error),
            Err(other) => {
                debug_assert!(other.is::<LengthLimitError>());
                CallError::TooLong { limit: MAX_BODY_BYTES }
            }
        }),
    }
}

/// Sends a request and returns as soon as the answer begins.
pub async fn call_streaming(
    runtime: &Arc<dyn Runtime>,
    socket: &Path,
    method: &str,
    target: &str,
    body: Bytes,
) -> Result<Lines, CallError> {
    let response = send(runtime, socket, method, target, body).await?;
    Ok(Lines {
        status: response.status().as_u16(),
        body: response.into_body(),
        received: BytesMut::new(),
        searched: 0,
    })
}

impl Lines {
    /// Status code. Unless it is 200 the lines are an error's.
    pub fn status(&self) -> u16 {
        self.status
    }

    /// Waits for the next line, without its newline; `None` at the end. Cancel-safe.
    pub async fn next(&mut self) -> Result<Option<Bytes>, CallError> {
        loop {
            let unseen = self.received.get(self.searched..).unwrap_or_default();
            if let Some(at) = unseen.iter().position(|byte| *byte == b'\n') {
                let line = self.received.split_to(self.searched + at).freeze();
                self.received.advance(1);
                self.searched = 0;
                return Ok(Some(line));
            }
            self.searched = self.received.len();
            if self.searched > MAX_LINE_BYTES {
                return Err(CallError::TooLong { limit: MAX_LINE_BYTES });
            }
            match self.body.frame().await {
                Some(frame) => {
                    if let Ok(piece) = frame?.into_data() {
                        self.received.extend_from_slice(&piece);
                    }
                }
                None if self.received.is_empty() => return Ok(None),
                None => {
                    self.searched = 0;
                    return Ok(Some(self.received.split().freeze()));
                }
            }
        }
    }
}

impl fmt::Debug for Lines {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lines").field("status", &self.status).finish_non_exhaustive()
    }
}

async fn send(
    runtime: &Arc<dyn Runtime>,
    socket: &Path,
    method: &str,
    target: &str,
    body: Bytes,
) -> Result<hyper::Response<Incoming>, CallError> {
    let request = hyper::Request::builder()
        .method(method)
        .uri(target)
        .header(HOST, "localhost")
        .header(CONTENT_TYPE, JSON)
        .body(Full::new(body))
        .map_err(|_| CallError::Target { target: target.to_owned() })?;
    let stream = runtime.connect_unix(socket).await.map_err(|source| match source.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => {
            CallError::NotRunning { path: socket.to_owned() }
        }
        _ => CallError::Connect { path: socket.to_owned(), source },
    })?;
    let (mut sender, connection) = http1::handshake(HyperIo::new(stream)).await?;
    // Ends with the answer's body: hyper closes when sender and body are gone.
    runtime.spawn(Box::pin(async move {
        if let Err(error) = connection.await {
            tracing::debug!(%error, "connection to the local API");
        }
    }));
    Ok(sender.send_request(request).await?)
}
