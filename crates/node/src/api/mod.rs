//! The local API: HTTP and JSON on a Unix socket in the home, for the command line and for dashboards.
//!
//! | method and path | answer |
//! |---|---|
//! | `GET /v1/streams` | array of streams |
//! | `POST /v1/streams` (new stream) | stream |
//! | `POST /v1/clones` (what to clone) | stream |
//! | `GET /v1/streams/S` | stream |
//! | `POST /v1/streams/S/blocks` (`{"blocks": [base64, ...]}`) | what was appended |
//! | `GET /v1/streams/S/blocks?start=N&end=N` | array of blocks, without their bytes |
//! | `GET /v1/streams/S/blocks/N` | the bytes |
//! | `GET /v1/streams/S/proofs/N` | proof |
//! | `POST /v1/streams/S/clear` (`{"start": N, "end": N}`) | `{"cleared": N}` |
//! | `POST /v1/streams/S/audit` | lines: `{"progress": [done, total]}`, then `{"audit": ...}` or `{"failure": ...}` |
//! | `GET /v1/peers?stream=S` | array of peers |
//! | `GET /v1/discovery` | array of discovery services |
//! | `GET /v1/events` | lines: events as they happen |
//!
//! S is a name, a short key or a key. A failure is a body with `code`, `kind`, `message` and `next`.

mod remote;
mod routes;
mod wire;

pub use remote::{RemoteEvents, RemoteNode};
pub(crate) use routes::serve;

/// Bytes of blocks that one append over the local API may carry.
pub const MAX_APPEND_BYTES: usize = 32 * 1024 * 1024;
