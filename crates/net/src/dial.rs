//! Connects to peers: tries wire B2, falls back to wire A, and remembers what an address speaks.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::BytesMut;
use futures_lite::{AsyncReadExt, AsyncWriteExt};
use quorate_types::Wire;
use quorate_types::limits::HANDSHAKE_TIMEOUT;
use quorate_wire::{Session, SessionError, Sniff, sniff};

use crate::connection::Connection;
use crate::runtime::{BoxStream, Runtime, before};

mod backoff;

pub use backoff::{Attempt, Backoff, FIRST_DELAY, GOOD_AFTER, LONGEST_DELAY, persist};

/// Time within which a TCP connection must be there.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Time within which a peer must answer the first message of wire B2 before wire A is tried: a
/// peer of wire A may take the message for the beginning of a frame and wait for the rest.
pub const B2_ANSWER_TIMEOUT: Duration = Duration::from_secs(3);

/// Addresses of which the wire is remembered.
pub const MAX_KNOWN_ADDRESSES: usize = 1024;

/// Largest read during the handshake, bytes.
const READ_BYTES: usize = 4096;

/// Why a peer was not reached.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DialError {
    /// Nobody listens there.
    #[error("expected a peer at {address}, found nobody: connection refused")]
    Refused {
        /// The address.
        address: SocketAddr,
    },
    /// Nothing came back in time.
    #[error("expected a connection to {address} within {limit:?}, found none")]
    TimedOut {
        /// The address.
        address: SocketAddr,
        /// The time.
        limit: Duration,
    },
    /// The network or the system failed.
    #[error("cannot connect to {address}: {kind}")]
    Network {
        /// The address.
        address: SocketAddr,
        /// What the system says.
        kind: io::ErrorKind,
    },
    /// Somebody answers in something that is neither wire A nor wire B2.
    #[error("expected a peer of wire A or B2 at {address}, found one that speaks another wire: {error}")]
    OtherWire {
        /// The address.
        address: SocketAddr,
        /// What is wrong with the answer.
        error: SessionError,
    },
    /// The peer speaks wire B2, and the connection cannot be.
    #[error("no connection with {address}: {error}")]
    Session {
        /// The address.
        address: SocketAddr,
        /// Why not.
        error: SessionError,
    },
}

/// A connection that was made.
#[derive(Debug)]
pub struct Dialled {
    /// The connection.
    pub connection: Connection,
    /// The session: on wire B2 connected, on wire A without a feed yet.
    pub session: Session,
}

/// Makes connections.
#[derive(Debug)]
pub struct Dialer {
    runtime: Arc<dyn Runtime>,
    known: Mutex<Known>,
}

/// What addresses speak; the one that was used longest ago is forgotten first.
#[derive(Debug, Default)]
struct Known {
    wires: BTreeMap<SocketAddr, (Wire, u64)>,
    uses: u64,
}

/// How an attempt with wire B2 went.
enum Answer {
    Connected(Box<Dialled>),
    /// What a peer of wire A does: it ends the connection, waits, or speaks its own wire.
    NotB2 {
        /// Its own words were heard.
        certain: bool,
        why: DialError,
    },
}

impl Dialer {
    /// Begins with no memory.
    pub fn new(runtime: Arc<dyn Runtime>) -> Self {
        Self { runtime, known: Mutex::default() }
    }

    /// Connects to `address`. `session` makes a session for a wire, of the initiator, with
    /// randomness of its own: it is called once or twice.
    ///
    /// On wire B2 the handshake is complete when this returns. On wire A nothing has been said: the
    /// first feed is to be opened, and when `Connected` comes, [`remember`](Self::remember) saves
    /// the next call the attempt with B2. Dropping the future gives up.
    pub async fn dial(
        &self,
        address: SocketAddr,
        mut session: impl FnMut(Wire, Instant) -> Result<Session, SessionError>,
    ) -> Result<Dialled, DialError> {
        let known = self.known_wire(address);
        if known != Some(Wire::A) {
            let stream = self.connect(address).await?;
            let b2 = session(Wire::B2, self.runtime.now())
                .map_err(|error| DialError::Session { address, error })?;
            match self.shake_hands(address, stream, b2).await? {
                Answer::Connected(dialled) => {
                    self.remember(address, Wire::B2);
                    return Ok(*dialled);
                }
                Answer::NotB2 { certain, why } => {
                    tracing::debug!(%address, %why, "no answer in wire B2");
                    if certain {
                        self.remember(address, Wire::A);
                    } else if known == Some(Wire::B2) {
                        // It spoke B2 before, so it is most likely overloaded or restarting; the
                        // next attempt assumes nothing.
                        self.forget(address);
                        return Err(why);
                    }
                }
            }
        }
        let stream = self.connect(address).await?;
        let session =
            session(Wire::A, self.runtime.now()).map_err(|error| DialError::Session { address, error })?;
        Ok(Dialled { connection: connection(stream, address), session })
    }

    /// Notes what an address speaks.
    pub fn remember(&self, address: SocketAddr, wire: Wire) {
        let mut known = self.known();
        known.uses += 1;
        let now = known.uses;
        known.wires.insert(address, (wire, now));
        if known.wires.len() > MAX_KNOWN_ADDRESSES {
            let oldest = known.wires.iter().min_by_key(|(_, (_, used))| *used);
            if let Some(oldest) = oldest.map(|(address, _)| *address) {
                known.wires.remove(&oldest);
            }
        }
    }

    /// Forgets what an address speaks: for a connection of wire A that ended before `Connected`.
    pub fn forget(&self, address: SocketAddr) {
        self.known().wires.remove(&address);
    }

    /// What an address speaks, as far as is known.
    pub fn known_wire(&self, address: SocketAddr) -> Option<Wire> {
        let mut known = self.known();
        known.uses += 1;
        let now = known.uses;
        let (wire, used) = known.wires.get_mut(&address)?;
        *used = now;
        Some(*wire)
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        // Nothing panics while it holds the lock.
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn connect(&self, address: SocketAddr) -> Result<BoxStream, DialError> {
        let deadline = self.runtime.now() + CONNECT_TIMEOUT;
        match before(&*self.runtime, deadline, self.runtime.connect(address)).await {
            Some(Ok(stream)) => Ok(stream),
            Some(Err(error)) => Err(match error.kind() {
                io::ErrorKind::ConnectionRefused => DialError::Refused { address },
                io::ErrorKind::TimedOut => DialError::TimedOut { address, limit: CONNECT_TIMEOUT },
                kind => DialError::Network { address, kind },
            }),
            None => Err(DialError::TimedOut { address, limit: CONNECT_TIMEOUT }),
        }
    }

    async fn shake_hands(
        &self,
        address: SocketAddr,
        mut stream: BoxStream,
        mut session: Session,
    ) -> Result<Answer, DialError> {
        let started = self.runtime.now();
        let mut buffer = vec![0; READ_BYTES];
        let mut first = BytesMut::new();
        loop {
            if let Some(bytes) = session.take_transmit()
                && let Err(error) = stream.write_all(&bytes).await
            {
                return lost(address, error.kind(), &first);
            }
            if session.is_connected() {
                let connection = connection(stream, address);
                let dialled = Dialled { connection, session };
                return Ok(Answer::Connected(Box::new(dialled)));
            }
            let limit = if first.is_empty() { B2_ANSWER_TIMEOUT } else { HANDSHAKE_TIMEOUT };
            let read = before(&*self.runtime, started + limit, stream.read(&mut buffer)).await;
            let count = match read {
                None => return no_answer(address, DialError::TimedOut { address, limit }, &first),
                Some(Err(error)) => return lost(address, error.kind(), &first),
                Some(Ok(0)) => {
                    return lost(address, io::ErrorKind::UnexpectedEof, &first);
                }
                Some(Ok(count)) => count,
            };
            let bytes = buffer.get(..count).unwrap_or_default();
            if first.len() < bytes.len().min(5) {
                first.extend_from_slice(bytes);
            }
            // A responder's first message on wire B2 looks as an initiator's does, and longer.
            if sniff(&first) == Sniff::Wire(Wire::A) {
                let error = SessionError::HandshakeEnded { received: first.len() as u64 };
                let why = DialError::Session { address, error };
                return Ok(Answer::NotB2 { certain: true, why });
            }
            if let Err(error) = session.receive(self.runtime.now(), bytes) {
                return Err(match error {
                    SessionError::Handshake { .. }
                    | SessionError::HandshakeTooLarge { .. }
                    | SessionError::Varint { .. } => DialError::OtherWire { address, error },
                    error => DialError::Session { address, error },
                });
            }
        }
    }
}

/// Judges the end of a connection during the handshake of wire B2.
fn lost(address: SocketAddr, kind: io::ErrorKind, first: &[u8]) -> Result<Answer, DialError> {
    no_answer(address, DialError::Network { address, kind }, first)
}

fn no_answer(address: SocketAddr, why: DialError, first: &[u8]) -> Result<Answer, DialError> {
    if first.is_empty() {
        let certain = false;
        return Ok(Answer::NotB2 { certain, why });
    }
    // Words of another program may begin like the length of a message that then does not come.
    if is_text(first) || sniff(first) == Sniff::Unknown {
        let error = match why {
            DialError::TimedOut { limit, .. } => SessionError::HandshakeTimeout { limit },
            _ => SessionError::HandshakeEnded { received: first.len() as u64 },
        };
        return Err(DialError::OtherWire { address, error });
    }
    Err(why)
}

/// Tells whether an answer begins with text, as those of web, mail and shell servers do. The key that a message of wire
/// B2 begins with is none: 16 bytes of it are text once in some million times.
fn is_text(first: &[u8]) -> bool {
    let begin = first.get(..first.len().min(16)).unwrap_or_default();
    begin.len() >= 4 && begin.iter().all(|byte| matches!(byte, b' '..=b'~' | b'\t' | b'\r' | b'\n'))
}

fn connection(stream: BoxStream, address: SocketAddr) -> Connection {
    Connection { remote: Some(address), ..Connection::new(stream) }
}
