//! Limits of the relay, each with its unit and why it is that much.

use std::time::Duration;

/// Messages of one peer that are handled in a second, each at most one signature check. A core verifies about 30 000.
pub const MESSAGES_PER_SECOND: u32 = 500;

/// Messages of all peers of a room that are handled in a second: an eighth of what a core verifies.
pub const MESSAGES_PER_SECOND_IN_ALL: u32 = 4000;

/// Messages of one peer that wait to be handled; more are dropped, and tried again by who sent them.
pub const MAX_QUEUED_MESSAGES: usize = 512;

/// Bytes of the messages of one peer that wait to be handled: two modules.
pub const MAX_QUEUED_BYTES: usize = 1024 * 1024;

/// Bytes of the messages of all peers that wait to be handled.
pub const MAX_QUEUED_BYTES_IN_ALL: usize = 16 * 1024 * 1024;

/// Entries that are known to be on their way, with where they came from; the oldest is forgotten first.
pub const MAX_ROUTES: usize = 64 * 1024;

/// Such entries that came from one peer first: 16 s of all that it may send.
pub const MAX_ROUTES_OF_PEER: usize = 8 * 1024;

/// Submissions of one peer, one after the other, that are no entries of the room and are refused by the host with their
/// code; one more ends the connection.
pub const MAX_BAD_SUBMISSIONS: u32 = 16;

/// Time after which the host refuses one more of them.
pub const BAD_SUBMISSION_PERIOD: Duration = Duration::from_secs(10);

/// Peers that a receipt goes back to.
pub const MAX_SOURCES: usize = 8;

/// Outcomes that are remembered, to answer repeats in the same way: about 3 MiB.
pub const MAX_OUTCOMES: usize = 8 * 1024;

/// Time for which a refusal is remembered: longer than any retry waits.
pub const REFUSAL_MEMORY: Duration = Duration::from_secs(600);

/// Entries of this node that wait for an outcome.
pub const MAX_OWN: usize = 4096;

/// Bytes of the entries of this node, and their modules, that wait for an outcome.
pub const MAX_OWN_BYTES: usize = 64 * 1024 * 1024;

/// Entries of this node that are on their way at once: less than a peer handles at once.
pub const MAX_IN_FLIGHT: usize = 256;

/// Tries after which an entry no longer keeps others from being sent.
pub const PATIENT_TRIES: u32 = 3;

/// Time after which an entry is sent again; each further time twice as long.
pub const RETRY: Duration = Duration::from_secs(15);

/// Longest time between two tries.
pub const MAX_RETRY: Duration = Duration::from_secs(120);

/// Time within which the same entry is not passed on twice. It ends loops, and is shorter than any retry.
pub const PASS_ON_ONCE: Duration = Duration::from_secs(10);

/// Time for which a host's word that an entry is there already may wait for the block that shows which one it is.
pub const REPLAY_PATIENCE: Duration = Duration::from_secs(30);

/// Peers to which an entry goes at first, of those that are nearest to the host.
pub const NEAREST: usize = 2;

/// Peers to which an entry goes when nothing is known of the host, or it was tried before.
pub const MAX_TARGETS: usize = 16;

/// Entries that the host is asked about at once.
pub const MAX_OFFERS: usize = 1024;

/// Bytes of the entries that the host is asked about, or that wait for their predecessors.
pub const MAX_OFFERED_BYTES: usize = 32 * 1024 * 1024;

/// Entries that wait at the host for their predecessors.
pub const MAX_PARKED: usize = 1024;

/// Entries of one author that wait at the host for their predecessors: as many as a participant sends at once.
pub const MAX_PARKED_OF_AUTHOR: usize = MAX_IN_FLIGHT;

/// Time for which an entry waits for its predecessors: two tries of the participant.
pub const PARKED_FOR: Duration = Duration::from_secs(35);

/// Modules of rule changes on their way that are kept whole: 8 MiB.
pub const MAX_MODULES: usize = 16;

/// Modules that are fetched at once: 8 MiB.
pub const MAX_FETCHES: usize = 16;

/// Modules of which it is known who submitted a change that needs them.
pub const MAX_HOLDERS: usize = 256;

/// Time without a further part after which a module is asked for again.
pub const FETCH_TIMEOUT: Duration = Duration::from_secs(5);

/// Times that a module is asked for until a part of it comes.
pub const MAX_FETCH_TRIES: u32 = 6;

/// Bytes of modules that one peer gets in a second.
pub const MODULE_BYTES_PER_SECOND: u32 = 256 * 1024;

/// Bytes of modules that one peer gets at once: two modules.
pub const MODULE_BYTES_AT_ONCE: u32 = 1024 * 1024;

/// Shortest time between two announcements of what changed.
pub const STATUS_CHANGE: Duration = Duration::from_secs(1);

/// Time between two announcements.
pub const STATUS_PERIOD: Duration = Duration::from_secs(10);
