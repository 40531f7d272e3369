//! The node: supervisor, streams, peers, events, the one API.
