//! The network: the port, multicast, discovery servers, distributed hash tables.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use quorate_node::{DhtKind, DhtStatus, Multicast, Network, NodeName, ServerAnswer};
use quorate_types::limits::DEFAULT_PORT;

use super::Finding;
use crate::args::DoctorArgs;
use crate::backend::{Backend, probe_dht, probe_multicast, probe_servers};
use crate::context::Context;

/// How long a connection of this machine with itself may take.
const CONNECT: Duration = Duration::from_secs(2);

/// How long multicast may take to come back.
const MULTICAST: Duration = Duration::from_secs(3);

/// How long a server may take to answer.
const SERVER: Duration = Duration::from_secs(5);

/// Looks at all of it; discovery only as far as `--announce` asks for it.
pub(super) async fn look(backend: &Backend, args: &DoctorArgs, context: &Context) -> Vec<Finding> {
    let discover = args.announce.discover(None);
    let mut findings = vec![port(backend).await];
    findings.push(match discover.lan {
        true => multicast(probe_multicast(MULTICAST).await),
        false => Finding::skipped("multicast", "not asked for: --announce lan"),
    });
    if discover.servers.is_empty() {
        findings.push(Finding::skipped("servers", "not asked for: --announce dns"));
    } else {
        let patience = SERVER.min(context.timeout);
        match probe_servers(discover.servers, patience).await {
            Ok(answers) => findings.extend(answers.iter().map(server)),
            Err(reason) => findings.push(Finding::bad("servers", reason, "allow UDP to this program")),
        }
    }
    if discover.bittorrent.is_empty() && discover.hyperswarm.is_empty() {
        findings.push(Finding::skipped("dht", "not asked for: --announce dht"));
    }
    for (kind, bootstrap) in
        [(DhtKind::BitTorrent, discover.bittorrent), (DhtKind::Hyperswarm, discover.hyperswarm)]
    {
        if !bootstrap.is_empty() {
            findings.push(dht(kind, bootstrap, SERVER.min(context.timeout)).await);
        }
    }
    findings
}

async fn dht(kind: DhtKind, bootstrap: Vec<NodeName>, patience: Duration) -> Finding {
    match probe_dht(kind, bootstrap, patience).await {
        Ok(status) => table(kind, &status),
        Err(reason) => Finding::bad("dht", reason, "allow UDP to this program"),
    }
}

fn table(kind: DhtKind, status: &DhtStatus) -> Finding {
    let (name, option) = match kind {
        DhtKind::BitTorrent => ("BitTorrent's", "--bittorrent-node"),
        DhtKind::Hyperswarm => ("hyperswarm's", "--hyperswarm-node"),
    };
    let next = format!("name another node to begin with: {option} HOST:PORT");
    match (status.resolved, status.counts.answers) {
        (_, true) => Finding::good("dht", format!("{name} answers")),
        (true, false) => Finding::bad("dht", format!("{name} does not answer"), next),
        (false, false) => {
            Finding::bad("dht", format!("no node to begin with in {name} has an address"), next)
        }
    }
}

/// Tells whether a port can be listened on, and reached over the addresses of this machine.
async fn port(backend: &Backend) -> Finding {
    let addresses: Vec<Ipv4Addr> = match Network::list() {
        Ok(networks) => networks.iter().map(|network| network.address).collect(),
        Err(error) => {
            let says = format!("the system does not tell the addresses of this machine: {error}");
            return Finding::skipped("port", says);
        }
    };
    if backend.is_remote() {
        let announced = match backend.discovery().await {
            Ok(services) => services.iter().find_map(|service| service.port),
            Err(failure) => return Finding::failed("port", failure),
        };
        return match announced {
            Some(port) => reach(port, &addresses, "the node on this home announces it"),
            None => Finding::skipped("port", "the node on this home announces none, so it is not known here"),
        };
    }
    match TcpListener::bind((Ipv4Addr::UNSPECIFIED, DEFAULT_PORT)) {
        Ok(_listening) => reach(DEFAULT_PORT, &addresses, "it is free"),
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => Finding::good(
            "port",
            format!("{DEFAULT_PORT} is taken by another program; share listens on the next free one"),
        ),
        Err(error) => Finding::bad(
            "port",
            format!("{DEFAULT_PORT} cannot be listened on: {error}"),
            "allow this program to listen, or name another port: quorate share --port N",
        ),
    }
}

fn reach(port: u16, addresses: &[Ipv4Addr], why: &str) -> Finding {
    for address in addresses {
        let at = SocketAddr::new(IpAddr::V4(*address), port);
        if let Err(error) = TcpStream::connect_timeout(&at, CONNECT) {
            return Finding::bad(
                "port",
                format!("{port}: {why}, but this machine does not reach itself at {at}: {error}"),
                format!("let TCP port {port} through the firewall of this machine"),
            );
        }
    }
    let shown: Vec<String> = addresses.iter().map(ToString::to_string).collect();
    Finding::good(
        "port",
        format!(
            "{port}: {why}, and this machine reaches it at {}; whether others do, `quorate doctor LINK` tells there",
            shown.join(", ")
        ),
    )
}

fn multicast(probed: Result<Vec<Multicast>, String>) -> Finding {
    let next = "let UDP port 5353 through the firewall of this machine, or name peers: --peer HOST:PORT";
    let networks = match probed {
        Ok(networks) => networks,
        Err(reason) => return Finding::bad("multicast", reason, next),
    };
    let named = |heard: bool| -> String {
        let those = networks.iter().filter(|network| network.heard == heard);
        those
            .map(|network| format!("{} {}", network.interface, network.address))
            .collect::<Vec<_>>()
            .join(", ")
    };
    let (heard, silent) = (named(true), named(false));
    match (heard.is_empty(), silent.is_empty()) {
        (false, true) => Finding::good("multicast", format!("works on {heard}")),
        (false, false) => {
            Finding::good("multicast", format!("works on {heard}; nothing comes back on {silent}"))
        }
        (true, false) => Finding::bad("multicast", format!("nothing comes back on {silent}"), next),
        (true, true) => Finding::bad("multicast", "no network interface with an IPv4 address is up", next),
    }
}

fn server(answer: &ServerAnswer) -> Finding {
    let ServerAnswer { name, resolved, answers } = answer;
    let next = "name another one: --dns-server HOST:PORT";
    match (resolved, answers) {
        (_, true) => Finding::good("servers", format!("{name} answers")),
        (true, false) => Finding::bad("servers", format!("{name} does not answer"), next),
        (false, false) => Finding::bad("servers", format!("{name} has no address"), next),
    }
}

#[cfg(test)]
mod tests {
    use super::super::State;
    use super::*;

    fn interface(name: &str, heard: bool) -> Multicast {
        Multicast { interface: name.into(), address: [10, 0, 0, 1].into(), heard }
    }

    #[test]
    fn one_interface_that_works_is_enough() {
        let state = |probed| multicast(probed).state;
        assert_eq!(state(Ok(vec![interface("a", true), interface("b", false)])), State::Good);
        assert_eq!(state(Ok(vec![interface("b", false)])), State::Bad);
        assert_eq!(state(Ok(Vec::new())), State::Bad);
        assert_eq!(state(Err("no".into())), State::Bad);
    }

    #[test]
    fn a_table_answers_or_does_not() {
        let with = |resolved, answers| {
            let mut status = DhtStatus { resolved, ..DhtStatus::default() };
            status.counts.answers = answers;
            let finding = table(DhtKind::Hyperswarm, &status);
            (finding.state, finding.says)
        };
        assert_eq!(with(true, true), (State::Good, "hyperswarm's answers".into()));
        assert_eq!(with(true, false), (State::Bad, "hyperswarm's does not answer".into()));
        let nowhere = "no node to begin with in hyperswarm's has an address";
        assert_eq!(with(false, false), (State::Bad, nowhere.into()));
    }

    #[test]
    fn a_port_is_reached_where_somebody_listens() {
        let listening = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listening.local_addr().unwrap().port();
        assert_eq!(reach(port, &[Ipv4Addr::LOCALHOST], "it is free").state, State::Good);
        drop(listening);
        assert_eq!(reach(port, &[Ipv4Addr::LOCALHOST], "it is free").state, State::Bad);
    }
}
