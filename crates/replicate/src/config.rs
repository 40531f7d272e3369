//! What a replicator is told once, and what it is asked to fetch.

use std::time::Duration;

use quorate_types::limits::{REQUEST_TIMEOUT, REQUESTS_IN_FLIGHT};
use quorate_types::{BlockRange, Wire};

/// How one feed is replicated with all of its peers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// Goes on when everything selected is here; a finite replication ends each channel then.
    pub live: bool,
    /// Answers wants and requests.
    pub upload: bool,
    /// Asks for blocks. A writer whose feed nobody else can extend turns it off, as stock writers do.
    pub download: bool,
    /// Lets go of a finite peer that says it is done when nothing more is wanted from it, also when `live`.
    ///
    /// A stock peer that replicates without `live` waits for this before its stream ends.
    pub let_go: bool,
    /// Asks every fresh peer once for the proof of its last block, with an empty digest, and has it compared
    /// with what is here: a fork shows on connecting and not only when a block is fetched.
    pub probe_heads: bool,
    /// Requests in flight towards one quorate peer; a stock peer gets 16.
    pub requests_in_flight: usize,
    /// Bytes of answers that one peer is asked for at once, as far as block sizes can be foreseen.
    pub bytes_in_flight: u64,
    /// Silence after which a peer's requests go to another peer.
    pub request_timeout: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            live: true,
            upload: true,
            download: true,
            let_go: true,
            probe_heads: true,
            requests_in_flight: REQUESTS_IN_FLIGHT,
            bytes_in_flight: 16 * 1024 * 1024,
            request_timeout: REQUEST_TIMEOUT,
        }
    }
}

/// Blocks that are fetched as soon as a peer has them, in ascending order.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Selection {
    /// Nothing but what [`Input::Want`](crate::Input::Want) names.
    #[default]
    Nothing,
    /// All blocks, those that are still to be appended too.
    Everything,
    /// These blocks.
    Ranges(Vec<BlockRange>),
}

/// What is known of a peer when its channel opens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PeerProfile {
    /// Wire of the connection.
    pub wire: Wire,
    /// Whether the peer's handshake of wire A says `live`; wire B2 does not tell.
    pub remote_live: Option<bool>,
    /// Block with which the connection must begin, with an empty digest: what
    /// [`Output::Disconnect`](crate::Output::Disconnect) said when the last connection to this peer ended.
    pub probe: Option<u64>,
}

impl PeerProfile {
    /// Describes a peer about which nothing is known but its wire.
    pub const fn new(wire: Wire) -> Self {
        Self { wire, remote_live: None, probe: None }
    }
}
