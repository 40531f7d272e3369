//! Random rooms: everything that is offered to them, with what became of it.

use std::collections::BTreeMap;

use bytes::Bytes;
use quorate_rules::state::Position;
use quorate_stream::chunk::split;
use quorate_stream::entry::Entry;
use quorate_stream::header::StreamHeader;
use quorate_stream::identity::Anchor;
use quorate_stream::refusal::{Refusal, RoomCode};
use quorate_stream::rule_change::Change;
use quorate_types::{PublicKey, RuleId};

use crate::rules;
use crate::world::{Chain, World, author, genesis, header, install, params, replace};

/// Numbers that look random and are the same for a seed.
pub(crate) struct Numbers(u64);

impl Numbers {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// A number below `bound` (splitmix64).
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % bound
    }
}

/// Something that was offered to a room.
pub(crate) struct Offer {
    pub(crate) block: Bytes,
    /// Why it was refused; accepted offers are the blocks of the feed.
    pub(crate) refusal: Option<Refusal>,
}

/// A random room, with everything that was offered to it.
pub(crate) struct RandomRoom {
    pub(crate) header: StreamHeader,
    /// From block 1 on.
    pub(crate) offers: Vec<Offer>,
    /// At every length.
    pub(crate) positions: Vec<Position>,
    pub(crate) chain: Chain,
}

const AUTHORS: u64 = 12;

/// Place of the rule that has opinions among the modules.
const OBJECTOR: usize = 3;

/// Makes a room of `length` blocks. The balances of its ledger are checked against a model.
pub(crate) fn random_room(seed: u64, length: u64) -> RandomRoom {
    let mut numbers = Numbers::new(seed);
    let (ledger, picky) = (rules::ledger(), rules::picky());
    let mut balances: BTreeMap<PublicKey, u64> = BTreeMap::new();
    let mut coins = Vec::new();
    for number in 0..AUTHORS / 2 {
        let (key, amount) = (author(number as u8).public(), 100 + numbers.below(1000));
        coins.extend(key.as_bytes().iter().chain(&amount.to_le_bytes()));
        balances.insert(key, amount);
    }
    let mut rules = vec![genesis("ledger", &ledger, &coins), genesis("picky", &picky, b"!")];
    rules[0].locked = numbers.below(2) == 0;
    let mut header = header(rules);
    header.rule_delay = numbers.below(4);
    let mut maker = Maker {
        world: World::begin(&header),
        numbers,
        offers: Vec::new(),
        positions: vec![Position::START],
        balances,
        modules: vec![
            rules::counter(1),
            rules::counter(3),
            rules::historian(),
            rules::objector(),
            rules::beginner(),
            rules::accepting(1),
            rules::broken(),
            rules::large(),
        ],
        queue: Vec::new(),
        refused: 0,
    };
    maker.positions.push(maker.world.position());
    for module in [&ledger, &picky] {
        for chunk in split(module).unwrap() {
            maker.offer(Entry::Chunk(chunk).encode());
        }
    }
    let (mut reached, mut since) = (0, 0);
    while maker.world.next() < length {
        maker.step();
        if maker.world.next() > reached {
            (reached, since) = (maker.world.next(), maker.offers.len());
        }
        let rules = maker.world.room.registry().rules();
        let last = maker.offers.last().map(|offered| &offered.refusal);
        assert!(
            maker.offers.len() < since + 2000,
            "nothing passes at {reached}, with {rules:?}; the last was {last:?}"
        );
    }
    RandomRoom { header, offers: maker.offers, positions: maker.positions, chain: maker.world.chain }
}

struct Maker {
    world: World,
    numbers: Numbers,
    offers: Vec<Offer>,
    positions: Vec<Position>,
    balances: BTreeMap<PublicKey, u64>,
    modules: Vec<Bytes>,
    /// Chunks that are still to come.
    queue: Vec<Bytes>,
    /// Offers since the last one that was accepted.
    refused: u32,
}

impl Maker {
    fn offer(&mut self, block: Bytes) -> Option<Refusal> {
        let refusal = self.world.append(block.clone()).err();
        self.refused += 1;
        if refusal.is_none() {
            self.refused = 0;
            self.positions.push(self.world.position());
        }
        self.offers.push(Offer { block, refusal: refusal.clone() });
        refusal
    }

    fn step(&mut self) {
        if self.refused > 12 {
            // Perhaps some rules let nothing pass any more; none objects to removals. Or there is none of them, and
            // it was chance: then the other steps go on.
            self.remove_a_rule();
            self.refused = 0;
            return;
        }
        match self.numbers.below(40) {
            0 => self.begin_module(),
            1..=3 => self.next_chunk(),
            4 | 5 => self.change_rules(),
            6..=9 => self.misbehave(),
            _ => self.pay(),
        }
    }

    fn author(&mut self) -> u8 {
        self.numbers.below(AUTHORS) as u8
    }

    fn pay(&mut self) {
        let (from, to) = (self.author(), author(self.author()).public());
        // Mostly what is there, for payments go to nobody now and then, and the money gets less.
        let has = self.balances.get(&author(from).public()).copied().unwrap_or(0);
        let amount = self.numbers.below(300).min(if self.numbers.below(4) == 0 { u64::MAX } else { has });
        let mut payload = [to.as_bytes().as_slice(), &amount.to_le_bytes()].concat();
        payload.resize(40 + self.numbers.below(200) as usize, b'.');
        if self.numbers.below(20) == 0 {
            payload[0] = *[b'!', 0xff, 0xfe].get(self.numbers.below(50) as usize).unwrap_or(&b'!');
        }
        let to = PublicKey::from_slice(&payload[..32]).unwrap();
        let from = author(from);
        let anchored = self.numbers.below(3) == 0;
        let length = self.numbers.below(self.world.next() + 1);
        let anchor = if anchored { Anchor::new(length, self.world.chain.hash(length)) } else { Anchor::NONE };
        let until = if self.numbers.below(4) == 0 { self.world.next() + self.numbers.below(3) } else { 0 };
        let block = self.world.action_with(&from, |action| {
            action.payload = payload.into();
            action.anchor = anchor;
            action.valid_until = until;
        });
        let refusal = self.offer(block);
        if self.world.room.registry().named("ledger").is_none() {
            return;
        }
        match refusal {
            None => {
                assert!(amount <= has, "more was paid than was there");
                *self.balances.entry(from.public()).or_default() -= amount;
                *self.balances.entry(to).or_default() += amount;
                self.check_balance(&from.public());
                self.check_balance(&to);
            }
            Some(refusal) if refusal.rule_code == Some(1) => assert!(amount > has, "{refusal}"),
            Some(_) => {}
        }
    }

    fn check_balance(&self, key: &PublicKey) {
        let Some(ledger) = self.world.room.registry().named("ledger") else { return };
        let found = self.world.room.value(&ledger.id, key.as_bytes()).unwrap();
        let found = found.map_or(0, |value| u64::from_le_bytes(value.try_into().unwrap()));
        assert_eq!(Some(&found), self.balances.get(key), "balance of {key}");
    }

    fn begin_module(&mut self) {
        if self.queue.is_empty() {
            let which = self.numbers.below(self.modules.len() as u64) as usize;
            let chunks = split(&self.modules[which]).unwrap().into_iter().rev();
            self.queue = chunks.map(|chunk| Entry::Chunk(chunk).encode()).collect();
        }
    }

    fn next_chunk(&mut self) {
        if let Some(block) = self.queue.pop() {
            self.offer(block);
        }
    }

    /// Most changes are refused for one reason or another.
    fn change_rules(&mut self) {
        let which = self.numbers.below(self.modules.len() as u64) as usize;
        let module = self.modules[which].clone();
        let mut parameters = [self.numbers.below(256) as u8, self.numbers.below(2) as u8];
        parameters[0] &= if which == OBJECTOR { 0b1_1010 } else { 0xff };
        let target = self.some_rule();
        let change = match self.numbers.below(8) {
            0..=3 => install(&format!("rule-{}", self.numbers.below(6)), &module, &parameters),
            4 | 5 => Change::Remove { rule: target },
            6 => replace(target, &module, &parameters),
            // Whatever rule it is: no objector may come to object to removals.
            _ => params(target, &[parameters[0] & 0b1_1010, parameters[1]]),
        };
        let activation = self.world.next() + self.numbers.below(8);
        let block = self.world.change(change, activation, Vec::new());
        self.offer(block);
    }

    fn some_rule(&mut self) -> RuleId {
        let rules = self.world.room.registry().rules();
        let ids: Vec<RuleId> =
            rules.iter().filter(|rule| rule.name.as_str() != "ledger").map(|rule| rule.id).collect();
        let some = self.numbers.below(ids.len().max(1) as u64) as usize;
        ids.get(some).copied().unwrap_or(RuleId::new([5; 32]))
    }

    fn remove_a_rule(&mut self) {
        let activation = self.world.next() + self.world.room.header().rule_delay.max(1);
        let rule = self.some_rule();
        let block = self.world.change(Change::Remove { rule }, activation, Vec::new());
        self.offer(block);
    }

    fn misbehave(&mut self) {
        let from = author(self.author());
        let good = self.world.action(&from, &[b'.'; 40]);
        let wrong = 1 + self.numbers.below(3);
        let sequence = self.world.sequence(&from);
        let head = self.world.chain.head();
        let (block, expected) = match self.numbers.below(6) {
            0 => {
                let mut block = good.to_vec();
                let last = block.len() - 1 - self.numbers.below(60) as usize;
                block[last] ^= 1 << self.numbers.below(8);
                (block.into(), RoomCode::Forged)
            }
            1 => (
                self.world.action_with(&from, |action| action.sequence = sequence + wrong),
                RoomCode::SequenceSkipped,
            ),
            2 if sequence > 0 => {
                (self.world.action_with(&from, |action| action.sequence = sequence - 1), RoomCode::Replayed)
            }
            3 => {
                let anchor = Anchor::new(self.world.next() - 1, head);
                (self.world.action_with(&from, |action| action.anchor = anchor), RoomCode::Anchor)
            }
            4 => {
                let until = self.world.next() - 1;
                (self.world.action_with(&from, |action| action.valid_until = until), RoomCode::Expired)
            }
            _ => (good.slice(..good.len() - 1), RoomCode::NotCanonical),
        };
        let refusal = self.offer(block).expect("it is accepted");
        assert_eq!(refusal.code, expected, "{refusal}");
    }
}
