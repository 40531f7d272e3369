//! Finds peers that carry a feed, with no address typed.
//!
//! [`LocalDiscovery`] speaks multicast DNS in the two dialects of stock Dat clients, [`ServerDiscovery`] talks to a
//! DNS-discovery server, [`dht::DhtDiscovery`] to a distributed hash table, [`PeerTable`] decides who is dialled and when.
//! All are machines without sockets and clocks; [`local::start`] runs the first on the network interfaces of this machine,
//! [`servers::start`] the second, [`dht::start`] the third.

pub mod dht;
pub mod local;
mod message;
mod network;
mod peer_table;
mod responder;
mod server;
mod server_message;
pub mod servers;
mod topic;

pub(crate) use message::check_counts;
pub use message::{Announcement, Dialect, Heard, MessageError, Question, answers, parse, questions};
pub use network::Network;
pub use peer_table::{DialEnd, PeerTable, TableInput, TableOutput};
pub use responder::{Found, LocalConfig, LocalCounts, LocalDiscovery, LocalInput, LocalOutput};
pub use server::{ServerConfig, ServerCounts, ServerDiscovery, ServerInput, ServerOutput};
pub use server_message::{ServerHeard, parse_from_server};
pub use topic::Topic;
