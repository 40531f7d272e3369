//! Where peers are looked for, and how a name in a link becomes a key.

use clap::{Args, ValueEnum};
use quorate_node::{AskNames, Discover, NodeName, ServerName};

/// Where to look for peers and to be found.
#[derive(Debug, Clone, Args)]
pub(crate) struct AnnounceArgs {
    /// Where to find peers and be found: lan, the local network; dns, discovery servers; dht, the distributed hash tables
    /// of BitTorrent and of hyperswarm; none; may be repeated
    #[arg(
        long,
        value_name = "WHERE",
        env = "QUORATE_ANNOUNCE",
        hide_env_values = true,
        value_delimiter = ',',
        default_value = "lan",
        hide_possible_values = true
    )]
    announce: Vec<Announce>,
    /// Discovery server of --announce dns; may be repeated [default: those of dat]
    #[arg(
        long = "dns-server",
        value_name = "HOST[:PORT]",
        env = "QUORATE_DNS_SERVERS",
        value_delimiter = ' ',
        hide_env_values = true
    )]
    dns_servers: Vec<ServerName>,
    /// Bootstrap node of BitTorrent's table for --announce dht, HOST or HOST:PORT; none leaves that table out; may be
    /// repeated [default: those of dat and of BitTorrent]
    #[arg(
        long = "bittorrent-node",
        value_name = "NODE",
        env = "QUORATE_BITTORRENT_NODES",
        value_delimiter = ' ',
        hide_env_values = true
    )]
    bittorrent_nodes: Vec<Bootstrap>,
    /// Bootstrap node of hyperswarm's table for --announce dht, HOST or HOST:PORT; none leaves that table out; may be
    /// repeated [default: those of hyperswarm]
    #[arg(
        long = "hyperswarm-node",
        value_name = "NODE",
        env = "QUORATE_HYPERSWARM_NODES",
        value_delimiter = ' ',
        hide_env_values = true
    )]
    hyperswarm_nodes: Vec<Bootstrap>,
}

/// Servers that dat 13 uses (dat-swarm-defaults).
const DNS_SERVERS: [&str; 2] = ["discovery1.datprotocol.com", "discovery2.datprotocol.com"];

/// Nodes that dat 13 begins with (dat-swarm-defaults), and those of the library that it uses (k-rpc).
const BITTORRENT_NODES: [&str; 7] = [
    "bootstrap1.datprotocol.com",
    "bootstrap2.datprotocol.com",
    "bootstrap3.datprotocol.com",
    "bootstrap4.datprotocol.com",
    "router.bittorrent.com",
    "router.utorrent.com",
    "dht.transmissionbt.com",
];

/// Nodes that hyperswarm 2 begins with (@hyperswarm/dht 4).
const HYPERSWARM_NODES: [&str; 3] =
    ["bootstrap1.hyperdht.org", "bootstrap2.hyperdht.org", "bootstrap3.hyperdht.org"];

/// A node to begin with, or the word that there shall be none.
#[derive(Debug, Clone)]
enum Bootstrap {
    Node(NodeName),
    None,
}

impl std::str::FromStr for Bootstrap {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "none" { Ok(Self::None) } else { text.parse().map(Self::Node) }
    }
}

/// One place to look for peers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Announce {
    /// The local network
    Lan,
    /// DNS-discovery servers
    Dns,
    /// Distributed hash tables
    Dht,
    /// Nowhere
    None,
}

impl AnnounceArgs {
    /// What was asked for; `none` is none whatever else is said.
    pub(crate) fn discover(&self, port: Option<u16>) -> Discover {
        if self.announce.contains(&Announce::None) {
            return Discover::default();
        }
        let servers = match (self.announce.contains(&Announce::Dns), self.dns_servers.as_slice()) {
            (false, _) => Vec::new(),
            (true, []) => DNS_SERVERS.iter().filter_map(|name| name.parse().ok()).collect(),
            (true, named) => named.to_vec(),
        };
        let dht = self.announce.contains(&Announce::Dht);
        Discover {
            lan: self.announce.contains(&Announce::Lan),
            servers,
            bittorrent: bootstrap(dht, &self.bittorrent_nodes, &BITTORRENT_NODES),
            hyperswarm: bootstrap(dht, &self.hyperswarm_nodes, &HYPERSWARM_NODES),
            port,
        }
    }
}

/// Nodes to begin with: those that are named, or the usual ones.
fn bootstrap(is_used: bool, named: &[Bootstrap], usual: &[&str]) -> Vec<NodeName> {
    match (is_used, named) {
        (false, _) => Vec::new(),
        (true, []) => usual.iter().filter_map(|name| name.parse().ok()).collect(),
        (true, named) => {
            let mut nodes = Vec::new();
            for node in named {
                match node {
                    Bootstrap::Node(name) => nodes.push(name.clone()),
                    Bootstrap::None => return Vec::new(),
                }
            }
            nodes
        }
    }
}

/// How a name in a link becomes a key.
#[derive(Debug, Clone, Args)]
pub(crate) struct ResolveArgs {
    /// Whom to ask for the key of dat://NAME: https, the web server of the name; dns, a TXT record, which nothing
    /// authenticates; none; may be repeated [default: https, then dns]
    #[arg(
        long,
        value_name = "HOW",
        env = "QUORATE_RESOLVE",
        hide_env_values = true,
        value_delimiter = ',',
        hide_possible_values = true
    )]
    resolve: Vec<Resolve>,
}

/// One way from a name to a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Resolve {
    /// `https://NAME/.well-known/dat`
    Https,
    /// TXT records
    Dns,
    /// No way
    None,
}

impl ResolveArgs {
    /// What was asked for; `none` is none whatever else is said.
    pub(crate) fn ask(&self) -> AskNames {
        let has = |how| self.resolve.contains(&how);
        match (self.resolve.is_empty(), has(Resolve::None)) {
            (true, _) => AskNames { well_known: true, txt: true },
            (false, true) => AskNames::default(),
            (false, false) => AskNames { well_known: has(Resolve::Https), txt: has(Resolve::Dns) },
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::super::{Cli, Command};
    use super::*;

    #[test]
    fn discovery_is_as_it_is_asked_for() {
        let discover = |words: &[&str]| {
            let words = ["quorate", "share"].iter().chain(words);
            match Cli::try_parse_from(words).unwrap().command {
                Command::Share(args) => args.announce.discover(Some(1)),
                other => panic!("{other:?}"),
            }
        };
        let lan = discover(&["--announce", "lan", "--announce", "lan"]);
        assert_eq!((lan.lan, lan.servers.len(), lan.port), (true, 0, Some(1)));
        assert_eq!(discover(&["--announce", "none"]), Discover::default());
        assert_eq!(discover(&["--announce", "lan,none"]), Discover::default());
        let dns = discover(&["--announce", "dns"]);
        assert_eq!((dns.lan, dns.servers.len()), (false, DNS_SERVERS.len()));
        let named = discover(&["--announce", "dns", "--dns-server", "10.0.0.1:53"]);
        assert_eq!(named.servers, ["10.0.0.1:53".parse().unwrap()]);
        assert!(lan.bittorrent.is_empty() && dns.hyperswarm.is_empty());
        let dht = discover(&["--announce", "dht"]);
        assert_eq!((dht.lan, dht.servers.len()), (false, 0));
        assert_eq!(dht.bittorrent.len(), BITTORRENT_NODES.len());
        assert_eq!(dht.hyperswarm.len(), HYPERSWARM_NODES.len());
        let own = ["--bittorrent-node", "none", "--hyperswarm-node", "10.0.0.1"];
        let one = discover(&[&["--announce", "dht"], &own[..]].concat());
        assert_eq!((one.bittorrent, one.hyperswarm), (Vec::new(), vec!["10.0.0.1".parse().unwrap()]));
        assert_eq!(discover(&own).hyperswarm, Vec::new(), "only where dht is asked for");
    }

    #[test]
    fn names_are_resolved_as_it_is_asked_for() {
        let ask = |words: &[&str]| {
            let words = ["quorate", "clone", "dat://a.b"].iter().chain(words);
            match Cli::try_parse_from(words).unwrap().command {
                Command::Clone(args) => args.resolve.ask(),
                other => panic!("{other:?}"),
            }
        };
        assert_eq!(ask(&["--resolve", "dns"]), AskNames { well_known: false, txt: true });
        assert_eq!(ask(&["--resolve", "https,dns"]), AskNames { well_known: true, txt: true });
        assert_eq!(ask(&["--resolve", "dns", "--resolve", "none"]), AskNames::default());
    }
}
