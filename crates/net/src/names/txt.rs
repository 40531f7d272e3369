//! The TXT record of a name, by the resolvers of this machine.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::Duration;

use data_encoding::HEXLOWER_PERMISSIVE;
use quorate_types::PublicKey;
use quorate_types::limits::MAX_DNS_BYTES;
use simple_dns::rdata::RData;
use simple_dns::{CLASS, Name, Packet, PacketFlag, QCLASS, QTYPE, Question, RCODE, TYPE};

use super::DatName;
use crate::discovery::check_counts;
use crate::runtime::{Runtime, before};

/// Where the resolvers of this machine are named (resolv.conf(5)).
const RESOLV_CONF: &str = "/etc/resolv.conf";

/// Resolvers that are asked (resolv.conf(5): 3).
const MAX_RESOLVERS: usize = 3;

/// How long one resolver may take.
const ANSWER: Duration = Duration::from_secs(2);

/// Times that each resolver is asked: a datagram can be lost.
const ROUNDS: usize = 2;

/// What stands before the key in a record (DEP-0005).
const MARK: &[u8] = b"datkey=";

/// Hexadecimal digits of a key.
const KEY_DIGITS: usize = 64;

/// Why no TXT record says which key a name stands for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TxtError {
    /// No resolver is named on this machine, or none can be reached.
    #[error("no resolver of this machine can be asked: {reason}")]
    NoResolver {
        /// What the system says.
        reason: String,
    },
    /// Nobody answered.
    #[error("no resolver answers in time")]
    TimedOut,
    /// The resolver has no such name, or fails.
    #[error("the resolver says {code}")]
    Refused {
        /// `NameError`, `ServerFailure` and so on.
        code: String,
    },
    /// The answer is no DNS, or does not answer what was asked.
    #[error("the answer is not understood: {reason}")]
    Malformed {
        /// What is wrong.
        reason: String,
    },
    /// No record has a key.
    #[error("no record has datkey=")]
    NoKey,
    /// Records have different keys.
    #[error("expected one key, found {first} and {second}")]
    Ambiguous {
        /// A key.
        first: PublicKey,
        /// Another one.
        second: PublicKey,
    },
}

/// Asks the resolvers of this machine, one after the other.
pub(super) async fn ask(runtime: &Arc<dyn Runtime>, name: &DatName) -> Result<PublicKey, TxtError> {
    let no_resolver = |error: std::io::Error| TxtError::NoResolver { reason: error.to_string() };
    let config = std::fs::read_to_string(RESOLV_CONF).map_err(no_resolver)?;
    let resolvers = resolvers(&config);
    let mut failure = TxtError::NoResolver { reason: format!("{RESOLV_CONF} names none") };
    for resolver in std::iter::repeat_n(&resolvers, ROUNDS).flatten() {
        let deadline = runtime.now() + ANSWER;
        let answer = before(&**runtime, deadline, ask_one(runtime, name, *resolver)).await;
        match answer.unwrap_or(Err(TxtError::TimedOut)) {
            Err(error @ (TxtError::TimedOut | TxtError::NoResolver { .. })) => failure = error,
            answer => return answer,
        }
    }
    Err(failure)
}

/// Reads the addresses behind `nameserver`.
fn resolvers(config: &str) -> Vec<SocketAddr> {
    let named = config.lines().filter_map(|line| {
        let mut words = line.split_whitespace();
        let is_one = words.next() == Some("nameserver");
        let address: IpAddr = words.next().filter(|_| is_one)?.parse().ok()?;
        Some(SocketAddr::new(address, 53))
    });
    named.take(MAX_RESOLVERS).collect()
}

async fn ask_one(
    runtime: &Arc<dyn Runtime>,
    name: &DatName,
    resolver: SocketAddr,
) -> Result<PublicKey, TxtError> {
    let no_resolver = |error: std::io::Error| TxtError::NoResolver { reason: error.to_string() };
    let own: IpAddr = match resolver {
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    // A port of the system's choosing and a random id: whoever forges an answer has to guess both.
    let socket = runtime.udp(UdpSocket::bind((own, 0)).map_err(no_resolver)?).map_err(no_resolver)?;
    let id = getrandom::u32().map_err(|error| TxtError::NoResolver { reason: error.to_string() })?;
    let id = u16::try_from(id & 0xffff).unwrap_or_default();
    socket.send(&question(id, name)?, resolver).await.map_err(no_resolver)?;
    let mut buffer = vec![0; MAX_DNS_BYTES + 1];
    loop {
        let (count, from) = socket.receive(&mut buffer).await.map_err(no_resolver)?;
        let bytes = buffer.get(..count).unwrap_or_default();
        // What somebody else sends, or sends late, is no answer.
        if from == resolver && bytes.get(..2) == Some(&id.to_be_bytes()[..]) {
            return parse_txt(bytes, name);
        }
    }
}

fn question(id: u16, name: &DatName) -> Result<Vec<u8>, TxtError> {
    let malformed = |error: simple_dns::SimpleDnsError| TxtError::Malformed { reason: error.to_string() };
    let mut packet = Packet::new_query(id);
    packet.set_flags(PacketFlag::RECURSION_DESIRED);
    let asked = Name::new(name.as_str()).map_err(malformed)?;
    packet.questions.push(Question::new(asked, QTYPE::TYPE(TYPE::TXT), QCLASS::CLASS(CLASS::IN), false));
    packet.build_bytes_vec_compressed().map_err(malformed)
}

/// Reads the key in an answer about the TXT records of a name.
///
/// # Errors
///
/// The answer is none to this question, or its records have no key, or more than one.
pub fn parse_txt(bytes: &[u8], name: &DatName) -> Result<PublicKey, TxtError> {
    let malformed = |reason: String| TxtError::Malformed { reason };
    if bytes.len() > MAX_DNS_BYTES {
        return Err(malformed(format!("{} bytes", bytes.len())));
    }
    check_counts(bytes).map_err(|error| malformed(error.to_string()))?;
    let packet = Packet::parse(bytes).map_err(|error| malformed(error.to_string()))?;
    if !packet.has_flags(PacketFlag::RESPONSE) {
        return Err(malformed("it is a question".into()));
    }
    if packet.rcode() != RCODE::NoError {
        return Err(TxtError::Refused { code: format!("{:?}", packet.rcode()) });
    }
    let is_asked = |question: &Question<'_>| question.qname.to_string().eq_ignore_ascii_case(name.as_str());
    if !packet.questions.first().is_some_and(is_asked) {
        return Err(malformed("it is about another name".into()));
    }
    if packet.has_flags(PacketFlag::TRUNCATION) {
        return Err(malformed("it is cut off: too many records".into()));
    }
    let mut found: Option<PublicKey> = None;
    for record in &packet.answers {
        let RData::TXT(text) = &record.rdata else { continue };
        // The strings of a record are one text; the key may stand anywhere in it.
        let text = String::try_from(text.clone()).unwrap_or_default();
        match (found, key_in(text.as_bytes())) {
            (Some(first), Some(second)) if first != second => {
                return Err(TxtError::Ambiguous { first, second });
            }
            (_, Some(key)) => found = Some(key),
            (_, None) => {}
        }
    }
    found.ok_or(TxtError::NoKey)
}

fn key_in(text: &[u8]) -> Option<PublicKey> {
    let at = text.windows(MARK.len()).position(|window| window == MARK)?;
    let digits = text.get(at + MARK.len()..)?.get(..KEY_DIGITS)?;
    PublicKey::from_slice(&HEXLOWER_PERMISSIVE.decode(digits).ok()?)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use simple_dns::ResourceRecord;
    use simple_dns::rdata::TXT;

    use super::*;

    const ID: u16 = 7;

    fn name() -> DatName {
        "example.org".parse().unwrap()
    }

    fn key(byte: u8) -> PublicKey {
        PublicKey::from_slice(&[byte; 32]).unwrap()
    }

    fn answer(records: &[&str], change: impl FnOnce(&mut Packet<'_>)) -> Vec<u8> {
        let mut packet = Packet::new_reply(ID);
        let about = Name::new("EXAMPLE.org").unwrap();
        packet.questions.push(Question::new(
            about.clone(),
            QTYPE::TYPE(TYPE::TXT),
            QCLASS::CLASS(CLASS::IN),
            false,
        ));
        for record in records {
            let text = TXT::try_from(*record).unwrap().into_owned();
            packet.answers.push(ResourceRecord::new(about.clone(), CLASS::IN, 0, RData::TXT(text)));
        }
        change(&mut packet);
        packet.build_bytes_vec_compressed().unwrap()
    }

    #[test]
    fn a_record_has_its_key_anywhere() {
        let record = format!("v=1 \"datkey={}\"", key(0xab));
        assert_eq!(parse_txt(&answer(&["v=spf1", &record], |_| {}), &name()), Ok(key(0xab)));
        let long = format!("{}datkey={}", "x".repeat(240), key(1));
        assert_eq!(parse_txt(&answer(&[&long], |_| {}), &name()), Ok(key(1)), "across two strings");
        assert_eq!(parse_txt(&answer(&["datkey=ab"], |_| {}), &name()), Err(TxtError::NoKey));
    }

    #[test]
    fn two_keys_are_none() {
        let records = [format!("datkey={}", key(1)), format!("datkey={}", key(2))];
        let same = answer(&[&records[0], &records[0]], |_| {});
        assert_eq!(parse_txt(&same, &name()), Ok(key(1)));
        let two = answer(&[&records[0], &records[1]], |_| {});
        assert_eq!(parse_txt(&two, &name()), Err(TxtError::Ambiguous { first: key(1), second: key(2) }));
    }

    #[test]
    fn what_answers_something_else_is_refused() {
        let record = format!("datkey={}", key(1));
        let of = |change: fn(&mut Packet<'_>)| parse_txt(&answer(&[&record], change), &name());
        let refused = of(|packet| *packet.rcode_mut() = RCODE::NameError);
        assert_eq!(refused, Err(TxtError::Refused { code: "NameError".into() }));
        let cut = of(|packet| packet.set_flags(PacketFlag::TRUNCATION));
        assert!(matches!(cut, Err(TxtError::Malformed { .. })), "{cut:?}");
        let none = of(|packet| packet.questions.clear());
        assert!(matches!(none, Err(TxtError::Malformed { .. })), "{none:?}");
        let other: DatName = "other.org".parse().unwrap();
        assert!(parse_txt(&answer(&[&record], |_| {}), &other).is_err());
        assert!(parse_txt(&question(ID, &name()).unwrap(), &name()).is_err());
        assert!(parse_txt(&vec![0; MAX_DNS_BYTES + 1], &name()).is_err());
    }

    #[test]
    fn resolvers_are_read_as_the_system_reads_them() {
        let config = "# x\nsearch a.b\nnameserver 10.0.0.1\nnameserver ::1\nnameserver x\noptions ndots:5\n";
        let read = resolvers(config);
        assert_eq!(read, ["10.0.0.1:53".parse().unwrap(), "[::1]:53".parse().unwrap()]);
    }

    proptest! {
        #[test]
        fn bytes_of_a_stranger_do_no_harm(bytes: Vec<u8>) {
            let _ = parse_txt(&bytes, &name());
        }
    }
}
