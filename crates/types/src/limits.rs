//! Limits on everything that a peer or a file can make us hold, with unit and origin.

use std::time::Duration;

/// Largest frame body on wires A and B2, bytes (hypercore-protocol 6 `index.js`,
/// simple-message-channels `maxSize`: both 8 MiB).
pub const MAX_FRAME_BYTES: usize = 8 * 1024 * 1024;

/// Largest block that is appended, bytes: a frame less room for the proof and the framing.
pub const MAX_BLOCK_BYTES: usize = MAX_FRAME_BYTES - 64 * 1024;

/// Largest block that is taken from a peer, bytes: stock writers append whatever their frames still carry.
pub const MAX_HELD_BLOCK_BYTES: usize = MAX_FRAME_BYTES;

/// Largest extension message that is sent or accepted, bytes.
pub const MAX_EXTENSION_BYTES: usize = 64 * 1024;

/// Largest block 0 that is read as a header, bytes: room for the names, keys and parameters of a room.
pub const MAX_HEADER_BYTES: usize = 64 * 1024;

/// Longest name of a room, bytes.
pub const MAX_ROOM_NAME_BYTES: usize = 256;

/// Validators that a room may have: a handover that all of them sign fits into one extension message.
pub const MAX_VALIDATORS: usize = 128;

/// Hosts that a header may name besides the first.
pub const MAX_HOSTS: usize = 64;

/// Rules that hold in a room at once.
pub const MAX_RULES: usize = 16;

/// Longest name of a rule, bytes.
pub const MAX_RULE_NAME_BYTES: usize = 32;

/// Largest parameters of a rule, bytes.
pub const MAX_PARAMS_BYTES: usize = 16 * 1024;

/// Largest payload of an action, bytes: the whole action fits into one extension message.
pub const MAX_PAYLOAD_BYTES: usize = MAX_EXTENSION_BYTES - 1024;

/// Largest WebAssembly module of a rule, bytes.
pub const MAX_MODULE_BYTES: usize = 512 * 1024;

/// Largest part of a module in one block, bytes.
pub const MAX_CHUNK_BYTES: usize = 64 * 1024;

/// Test vectors in one rule change.
pub const MAX_TEST_VECTORS: usize = 64;

/// Largest entry of a room, bytes: a rule change with its parameters and test vectors.
pub const MAX_ENTRY_BYTES: usize = 256 * 1024;

/// Largest body of a certificate, a proof of misbehaviour or a change of epoch, bytes.
pub const MAX_PROOF_BODY_BYTES: usize = 64 * 1024;

/// Largest certificate or evidence, bytes: it fits into a block and into one extension message.
pub const MAX_CERTIFICATE_BYTES: usize = 60 * 1024;

/// Largest block that evidence or a handover carries, bytes.
pub const MAX_PROVEN_BLOCK_BYTES: usize = 48 * 1024;

/// Evidence that is kept of one room: 8 pieces against each of 32 keys.
pub const MAX_EVIDENCE: usize = 256;

/// Longest reason of a refusal, bytes.
pub const MAX_REASON_BYTES: usize = 256;

/// Feeds on one connection, in each direction (hypercore-protocol 6 `maxFeeds`).
pub const MAX_CHANNELS: usize = 256;

/// Extension names that one side may list for one channel.
pub const MAX_EXTENSION_NAMES: usize = 64;

/// Longest extension name, bytes.
pub const MAX_EXTENSION_NAME_BYTES: usize = 256;

/// Longest user data in the handshake of wire A, bytes.
pub const MAX_USER_DATA_BYTES: usize = 16 * 1024;

/// Proof nodes in one data message: a sibling and a root for each of 64 levels.
pub const MAX_PROOF_NODES: usize = 128;

/// Messages kept for a feed that the other side opened and we have not yet
/// (hypercore-protocol 6 `feed.js`: 16).
pub const MAX_PENDING_MESSAGES: usize = 16;

/// Bytes of one connection that are kept because their feed is not open here yet: messages on
/// either wire, and on wire A the cipher text whose key is the feed key. A stock peer sends one want
/// and one bitfield, of 128 KiB at most, before it has an answer.
pub const MAX_PENDING_BYTES: usize = 1024 * 1024;

/// Largest Noise message in the handshake of wire B2, bytes, without its length prefix.
pub const MAX_HANDSHAKE_MESSAGE_BYTES: usize = 1024;

/// Largest feed length that is believed, in blocks: leaf indexes stay within 2^53, the
/// integers that a JavaScript peer can name.
pub const MAX_FEED_LENGTH: u64 = 1 << 52;

/// Blocks in one want window (hypercore 7 and 9 `lib/replicate.js`: 1024 * 1024).
pub const WANT_WINDOW_BLOCKS: u64 = 1 << 20;

/// Want windows start and end at multiples of this (hypercore 9 `lib/replicate.js`, `onwant`).
pub const WANT_ALIGNMENT_BLOCKS: u64 = 8192;

/// Largest bitfield that one run-length coded `have` may decode to, bytes: one want window.
pub const MAX_BITFIELD_BYTES: usize = (WANT_WINDOW_BLOCKS / 8) as usize;

/// Requests in flight towards a stock peer (hypercore 7 and 9 `maxRequests`).
pub const STOCK_REQUESTS_IN_FLIGHT: usize = 16;

/// Requests in flight towards a quorate peer.
pub const REQUESTS_IN_FLIGHT: usize = 1024;

/// Requests of one peer on one feed that wait for an answer from disk; more are not read.
pub const MAX_QUEUED_REQUESTS: usize = 2048;

/// Bytes of answers that wait to be written to one connection before no more requests are served.
pub const MAX_QUEUED_SEND_BYTES: usize = 4 * 1024 * 1024;

/// Connections that one node keeps open at once.
pub const MAX_CONNECTIONS: usize = 1024;

/// Bytes of one window of a remote bitfield, and windows kept for one peer and feed:
/// 16 Mi blocks at most, 2 MiB of memory.
pub const MAX_REMOTE_WINDOWS: usize = 16;

/// Time within which a handshake must be complete.
pub const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

/// Silence after which a connection of wire A is closed (hypercore-protocol 6: 5 s, counted in
/// ticks of a quarter, so between 5 and 6.25 s; ours is longer than a stock peer's ping interval
/// by more than that).
pub const WIRE_A_TIMEOUT: Duration = Duration::from_secs(20);

/// Silence of ours after which a ping goes out on wire A: a stock peer closes after 5 s.
pub const WIRE_A_KEEP_ALIVE: Duration = Duration::from_millis(1500);

/// Silence after which a connection of wire B2 is closed (hypercore-protocol 8: 20 s).
pub const WIRE_B2_TIMEOUT: Duration = Duration::from_secs(20);

/// Silence of ours after which a ping goes out on wire B2 (hypercore-protocol 8: 10 s).
pub const WIRE_B2_KEEP_ALIVE: Duration = Duration::from_secs(10);

/// Time without an answer after which a peer's requests go to another peer.
pub const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);

/// Default TCP port of Dat (dat-node `3282`).
pub const DEFAULT_PORT: u16 = 3282;

/// Longest path of a file in an archive, bytes (POSIX `PATH_MAX`).
pub const MAX_PATH_BYTES: usize = 4096;

/// Files and directories of an archive that are listed.
pub const MAX_ARCHIVE_FILES: usize = 1 << 20;

/// Largest multicast DNS message that is read, bytes (RFC 6762 section 17: 9000).
pub const MAX_DNS_BYTES: usize = 9000;

/// Questions and records in a DNS message that is read; what has more is no answer to us.
pub const MAX_DNS_RECORDS: usize = 128;

/// Addresses that one answer about a feed may name (dns-discovery 6 `_onquestion`: 100).
pub const MAX_DNS_PEERS: usize = 100;

/// Largest datagram of a DHT that is read, bytes: 20 nodes and 128 peers make about 1700 (@hyperswarm/dht 4 `index.js`).
pub const MAX_DHT_BYTES: usize = 4096;

/// Nodes that one answer of a DHT may name (dht-rpc 4: 20, BitTorrent: 8).
pub const MAX_DHT_NODES: usize = 20;

/// Peers that one answer of a DHT may name (@hyperswarm/dht 4: 128, bittorrent-dht 7: 100).
pub const MAX_DHT_PEERS: usize = 128;

/// Longest token of a DHT that is sent back, bytes (dht-rpc 4: 32, BitTorrent: 4 to 20).
pub const MAX_DHT_TOKEN_BYTES: usize = 64;

/// Nodes of a DHT that are remembered.
pub const MAX_DHT_TABLE: usize = 256;

/// Nodes at one IPv4 address that are remembered, and that one search asks: one host is not the whole network.
pub const MAX_DHT_NODES_PER_HOST: usize = 8;

/// Nodes that one search asks, however many closer ones it is told of.
pub const MAX_DHT_ASKED: usize = 128;

/// Searches of a DHT that run at once; the others wait.
pub const MAX_DHT_SEARCHES: usize = 8;

/// Questions to nodes of a DHT that wait for their answers at once.
pub const MAX_DHT_PENDING: usize = 64;

/// Questions of others that are answered in a second.
pub const MAX_DHT_ANSWERS_PER_SECOND: u32 = 32;

/// Feeds that are looked for on the local network at once.
pub const MAX_TOPICS: usize = 1024;

/// Addresses that discovery remembers at once.
pub const MAX_FOUND_PEERS: usize = 256;

/// Of these, addresses with the same IP: one host cannot crowd out the others.
pub const MAX_FOUND_PEERS_PER_HOST: usize = 32;

/// Feeds that one discovered address is remembered for.
pub const MAX_TOPICS_PER_PEER: usize = 64;

/// Discovered addresses that are dialled at once.
pub const MAX_DIALS: usize = 16;

const _: () = assert!(MAX_BLOCK_BYTES < MAX_FRAME_BYTES);
const _: () = assert!(WANT_WINDOW_BLOCKS.is_multiple_of(WANT_ALIGNMENT_BLOCKS));
