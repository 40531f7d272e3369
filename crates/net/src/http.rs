//! The local API's transport: HTTP/1.1 over a Unix socket that only the owner may open.
//!
//! Bodies are whole and bounded; an answer may also be a stream of lines (NDJSON) that lasts as
//! long as both sides want. Routes are somebody else's concern.

use std::future::Future;

use bytes::Bytes;

mod client;
mod io;
mod server;
mod socket;

pub(crate) use io::HyperIo;

pub use client::{Answer, CallError, Lines, call, call_streaming};
pub use server::serve;
pub use socket::{LocalSocket, MAX_SOCKET_PATH_BYTES, SocketError};

/// Largest body of a request, and of an answer that is not a stream, bytes: several blocks of the
/// largest size, and a bound on what one request makes the node hold.
pub const MAX_BODY_BYTES: usize = 64 * 1024 * 1024;

/// Longest line of a streamed answer, bytes.
pub const MAX_LINE_BYTES: usize = 16 * 1024 * 1024;

/// Local connections that are served at once; more wait in the socket's backlog.
pub const MAX_LOCAL_CONNECTIONS: usize = 64;

/// Media type of JSON.
pub const JSON: &str = "application/json";

/// Media type of lines of JSON.
pub const NDJSON: &str = "application/x-ndjson";

/// Media type of bytes without further meaning.
pub const OCTETS: &str = "application/octet-stream";

/// A request of the local API.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// Method, upper case.
    pub method: String,
    /// Path as it came, percent-encoded.
    pub path: String,
    /// What follows the question mark, percent-encoded; empty when there is none.
    pub query: String,
    /// Media type of the body; empty when there is none.
    pub content_type: String,
    /// The body, at most [`MAX_BODY_BYTES`].
    pub body: Bytes,
}

/// The answer to a [`Request`].
#[derive(Debug)]
pub struct Response {
    /// Status code, 200 to 599.
    pub status: u16,
    /// Media type of the body.
    pub content_type: &'static str,
    /// The body.
    pub body: ResponseBody,
}

/// The body of a [`Response`].
#[derive(Debug)]
pub enum ResponseBody {
    /// All of it.
    Whole(Bytes),
    /// Pieces that come over time, each ended by its own newline; the answer ends when the
    /// sender is dropped. When the client goes away the channel closes.
    Stream(async_channel::Receiver<Bytes>),
}

impl Response {
    /// An answer in JSON.
    pub fn json(status: u16, body: impl Into<Bytes>) -> Self {
        Self { status, content_type: JSON, body: ResponseBody::Whole(body.into()) }
    }

    /// An answer in bytes.
    pub fn octets(body: impl Into<Bytes>) -> Self {
        Self { status: 200, content_type: OCTETS, body: ResponseBody::Whole(body.into()) }
    }

    /// A successful answer in lines of JSON.
    pub fn lines(lines: async_channel::Receiver<Bytes>) -> Self {
        Self { status: 200, content_type: NDJSON, body: ResponseBody::Stream(lines) }
    }
}

/// What answers the requests.
pub trait Service: Send + Sync + 'static {
    /// Answers one request. Dropped when the client goes away first.
    fn answer(&self, request: Request) -> impl Future<Output = Response> + Send;
}

impl<F, R> Service for F
where
    F: Fn(Request) -> R + Send + Sync + 'static,
    R: Future<Output = Response> + Send,
{
    fn answer(&self, request: Request) -> impl Future<Output = Response> + Send {
        self(request)
    }
}

#[cfg(test)]
mod tests;
