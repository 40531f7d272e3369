//! Peers that find each other with no address typed, in a network of their own.

mod archives;
mod dht;
mod feeds;
mod hostile;
mod late;
mod names;
mod support;
