//! The first blocks of a new room.

use bytes::Bytes;
use quorate_quorum::key::VoteKey;
use quorate_quorum::validators::ValidatorSet;
use quorate_rules::state::MemoryStore;
use quorate_store::Encoding;
use quorate_stream::chunk::split;
use quorate_stream::entry::Entry;
use quorate_stream::header::{GenesisRule, RoomQuorum, StreamHeader};
use quorate_stream::payload::PayloadEncoding;
use quorate_stream::refusal::Refusal;
use quorate_stream::room::{Prefix, Room, Stopped};
use quorate_types::{Hash, ModuleHash, PublicKey};

use super::RuleHost;
use super::wishes::base64;
use crate::model::{NewQuorum, NewRoom, NewRule};
use crate::{Code, Failure};

/// Version of the meter that new rules are counted by.
const METER: u32 = quorate_rules::meter::METER_VERSION;

/// Makes the header and the chunks of the modules, and has them checked as every member will check them.
pub(crate) async fn blocks(
    feed: &PublicKey,
    name: &str,
    encoding: Encoding,
    room: &NewRoom,
    rules: &RuleHost,
) -> Result<Vec<Bytes>, Failure> {
    let engine = rules.engine()?;
    let mut header = StreamHeader::new(name, payload_encoding(encoding));
    header.rule_delay = room.rule_delay;
    if let Some(quorum) = &room.quorum {
        let validators = validators_of(feed, quorum)?;
        header.quorum = Some(RoomQuorum { validators, hosts: quorum.hosts.clone() });
    }
    let mut modules: Vec<Bytes> = Vec::new();
    for rule in &room.rules {
        let (rule, module) = genesis_rule(rule)?;
        if !header.modules().contains(&rule.module) {
            modules.push(module);
        }
        header.rules.push(rule);
    }
    let mut blocks = vec![header.encode().map_err(|error| refused(&error.into()))?];
    for module in &modules {
        let chunks = split(module)
            .map_err(|error| Failure::new(Code::GateRefuses, format!("{error}; nothing was made")))?;
        blocks.extend(chunks.into_iter().map(|chunk| Entry::Chunk(chunk).encode()));
    }
    let feed = *feed;
    blocking::unblock(move || {
        let failed = |error: String| Failure::new(Code::BadHeader, format!("{error}; nothing was made"));
        let store = MemoryStore::default();
        let prefix = Own(&blocks);
        let mut trial = Room::open(&feed, &blocks[0], store, &engine, &prefix)
            .map_err(|error| failed(error.to_string()))?;
        for block in &blocks {
            trial.advance(block, &prefix).map_err(|stopped| match stopped {
                Stopped::Refused(refusal) => refused(&refusal),
                Stopped::Unable(why) => Failure::new(Code::Unable, format!("{why}; nothing was made")),
            })?;
        }
        Ok(blocks)
    })
    .await
}

/// Returns the validators to begin with. A vote key is for votes alone: signed with for something else, too, it could be made
/// to say what its holder never meant.
fn validators_of(feed: &PublicKey, quorum: &NewQuorum) -> Result<ValidatorSet, Failure> {
    let failed =
        |error: &dyn std::fmt::Display| Failure::new(Code::BadQuorum, format!("{error}; nothing was made"));
    for offer in &quorum.offers {
        VoteKey::admit(offer.key, &offer.proof).map_err(|error| failed(&error))?;
    }
    let keys = quorum.offers.iter().map(|offer| offer.key).chain(quorum.validators.iter().copied());
    let keys: Vec<PublicKey> = keys.collect();
    if let Some(key) = keys.iter().find(|key| *key == feed || quorum.hosts.contains(key)) {
        return Err(failed(&format_args!(
            "expected vote keys, as `quorate validator key` prints them, found {key}, which is to host the room as well"
        )));
    }
    let asked = usize::try_from(quorum.quorum).unwrap_or(usize::MAX);
    ValidatorSet::new(keys, asked).map_err(|error| failed(&error))
}

/// The blocks themselves. Nothing in them depends on tree hashes, which the feed will have and this does not.
struct Own<'a>(&'a [Bytes]);

impl Prefix for Own<'_> {
    fn block(&self, index: u64) -> Option<Bytes> {
        usize::try_from(index).ok().and_then(|index| self.0.get(index)).cloned()
    }

    fn tree_hash(&self, _: u64) -> Option<Hash> {
        Some(Hash::new([0; Hash::LEN]))
    }
}

fn genesis_rule(rule: &NewRule) -> Result<(GenesisRule, Bytes), Failure> {
    let name = rule.name.parse().map_err(|error: quorate_stream::identity::RuleNameError| {
        Failure::new(Code::BadRuleName, format!("{error}; nothing was made"))
    })?;
    let module = base64(&rule.name, &rule.module)?;
    let params = base64(&rule.name, &rule.params)?;
    let hash = ModuleHash::of(&module);
    Ok((GenesisRule { name, module: hash, meter: METER, params, locked: rule.locked }, module))
}

fn payload_encoding(encoding: Encoding) -> PayloadEncoding {
    match encoding {
        Encoding::Json => PayloadEncoding::Json,
        Encoding::Utf8 => PayloadEncoding::Utf8,
        Encoding::Binary => PayloadEncoding::Binary,
    }
}

fn refused(refusal: &Refusal) -> Failure {
    let code = Code::parse(&refusal.code.to_string()).unwrap_or(Code::BadHeader);
    Failure::new(code, format!("{}; nothing was made", refusal.headline()))
}
