//! Nodes on a network whose links are cut and healed, with stock peers that look on.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use quorate_interop_tests::{
    Chance, FeedOptions, Generation, Lan, PATIENCE, PeerOptions, StockPeer, checksum,
};
use serde_json::{Value, json};

use crate::bank::{Bank, MEMBERS, Outcome, ROOM};
use crate::history::History;
use crate::with_seed;

/// Times that links are cut where nothing else is said.
const ROUNDS: u64 = 5;

/// What everybody has at first.
const ENDOWMENT: u64 = 1000;

/// Time that a payment waits for its commit, seconds.
const WAIT: u64 = 6;

/// Time in which a commit gets to everybody when all links are there. A connection that was cut may have to be given up
/// first, and made again.
const HEALED: Duration = Duration::from_secs(120);

/// A payment, and what its client was told.
struct Payment {
    at: usize,
    payload: Value,
    outcome: Outcome,
}

#[test]
fn balances_are_those_of_one_history_whatever_links_are_cut() -> Result<()> {
    if let Some(reason) = std::env::var_os("QUORATE_WITHOUT_LAN") {
        eprintln!("skipped, no network of its own: {}", reason.to_string_lossy());
        return Ok(());
    }
    with_seed(ROUNDS, |seed, rounds| {
        let mut chance = Chance::new(seed);
        let mut world = World::open()?;
        let mut cuts = 0;
        for round in 0..rounds {
            let cut = world.cut_some(&mut chance)?;
            cuts += cut.len();
            world.pay(&mut chance).with_context(|| format!("round {round}, cut {cut:?}"))?;
            world.look(&mut chance).with_context(|| format!("round {round}, cut {cut:?}"))?;
            for (one, other) in &cut {
                world.bank.lan()?.set_link(host(*one), host(*other), false)?;
            }
            if chance.one_in(2) {
                world.everybody_agrees().with_context(|| format!("round {round}, healed {cut:?}"))?;
            }
        }
        world.everybody_agrees().context("at the end")?;
        let committed = world.pay_once(HEALED)?;
        world.everybody_agrees()?;
        world.stock_peers_see_what_is_committed(committed)?;
        world.the_host_dies()?;
        let told =
            world.payments.iter().filter(|one| matches!(one.outcome, Outcome::Committed { .. })).count();
        println!(
            "{rounds} rounds, {cuts} links cut; {} payments, {told} reported as committed, none lost, nobody has less \
             than nothing, the sum stays {}",
            world.payments.len(),
            world.supply
        );
        Ok(())
    })
}

/// Host of the network that a member is on.
fn host(member: usize) -> u8 {
    member as u8 + 1
}

struct World {
    bank: Bank,
    stock: Vec<StockPeer>,
    payments: Vec<Payment>,
    /// Blocks of the first feed that stock peers were shown while all links were there.
    shown: u64,
    /// The longest reading so far.
    longest: History,
    supply: u64,
    nonce: u64,
}

impl World {
    fn open() -> Result<Self> {
        let bank = Bank::open(Some(Lan::new(6)?))?;
        let mut stock = Vec::new();
        for (place, generation) in Generation::ALL.into_iter().enumerate() {
            let options = PeerOptions::new(FeedOptions::from_key(bank.key))
                .connect(bank.address(1 + place))
                .reconnect(Duration::from_millis(500));
            stock.push(StockPeer::start_on(bank.lan()?, 5 + place as u8, generation, &options)?);
        }
        let mut length = 0;
        for member in 0..MEMBERS {
            let mint = json!({ "mint": { "to": bank.members[member].key, "amount": ENDOWMENT } });
            let outcome = Bank::outcome(&mut bank.say(3, &mint, 30)?)?;
            let Outcome::Committed { length: at, .. } = outcome else {
                anyhow::bail!("expected the endowment to be committed, found {outcome:?}");
            };
            length = at;
        }
        for at in 0..MEMBERS {
            bank.until_committed(at, length, HEALED)?;
        }
        for peer in &mut stock {
            peer.wait_downloaded(length, PATIENCE).context("the endowments")?;
        }
        let longest = bank.read(0)?;
        let supply = ENDOWMENT * MEMBERS as u64;
        Ok(Self { bank, stock, payments: Vec::new(), shown: length, longest, supply, nonce: 0 })
    }

    /// Cuts no link, those of one member, those between two halves, or any.
    fn cut_some(&mut self, chance: &mut Chance) -> Result<Vec<(usize, usize)>> {
        let pairs = (0..MEMBERS).flat_map(|one| (one + 1..MEMBERS).map(move |other| (one, other)));
        let alone = chance.within(0..MEMBERS as u64) as usize;
        let friend = chance.within(1..MEMBERS as u64) as usize;
        let manner = chance.within(0..4);
        let cut: Vec<(usize, usize)> = pairs
            .filter(|(one, other)| match manner {
                0 => *one == alone || *other == alone,
                1 => [0, friend].contains(one) != [0, friend].contains(other),
                2 => chance.one_in(2),
                _ => false,
            })
            .collect();
        for (one, other) in &cut {
            self.bank.lan()?.set_link(host(*one), host(*other), true)?;
        }
        Ok(cut)
    }

    /// Everybody pays somebody at once; now and then more than they have.
    fn pay(&mut self, chance: &mut Chance) -> Result<()> {
        let mut under_way = Vec::new();
        for at in 0..MEMBERS {
            let to = (at + chance.within(1..MEMBERS as u64) as usize) % MEMBERS;
            let amount = if chance.one_in(6) { 10 * self.supply } else { chance.within(1..400) };
            self.nonce += 1;
            let transfer = json!({ "to": self.bank.members[to].key, "amount": amount, "nonce": self.nonce });
            let payload = json!({ "transfer": transfer });
            under_way.push((at, payload.clone(), self.bank.say(at, &payload, WAIT)?));
        }
        for (at, payload, mut process) in under_way {
            let outcome = Bank::outcome(&mut process)?;
            let is_too_much = payload["transfer"]["amount"].as_u64() > Some(self.supply);
            let is_committed = matches!(outcome, Outcome::Committed { .. });
            ensure!(!(is_too_much && is_committed), "more is paid than there is: {payload}");
            // Who was told so reads so.
            if let Outcome::Committed { index, .. } = outcome {
                let read = self.bank.read(at)?;
                let entry = read.at(index).with_context(|| format!("{payload} at {at}"))?;
                ensure!(entry.payload == payload, "expected {payload}, found {entry:?}");
                self.take(at, read)?;
            }
            self.payments.push(Payment { at, payload, outcome });
        }
        Ok(())
    }

    /// Somebody reads, wherever they are.
    fn look(&mut self, chance: &mut Chance) -> Result<()> {
        for _ in 0..2 {
            let at = chance.within(0..MEMBERS as u64) as usize;
            let read = self.bank.read(at)?;
            self.take(at, read)?;
            self.bank.check_votes(at)?;
        }
        Ok(())
    }

    /// Compares a reading with all before it.
    fn take(&mut self, at: usize, read: History) -> Result<()> {
        read.agrees_with(&self.longest).with_context(|| format!("member {at}"))?;
        let sum: u64 = read.balances()?.values().sum();
        ensure!(sum == self.supply, "member {at} counts {sum}, and there is {}", self.supply);
        if read.entries().len() > self.longest.entries().len() {
            self.longest = read;
        }
        Ok(())
    }

    /// When all links are there, every member comes to hold what anybody was told.
    fn everybody_agrees(&mut self) -> Result<()> {
        let told = self.payments.iter().filter_map(|payment| match payment.outcome {
            Outcome::Committed { length, .. } => Some(length),
            Outcome::Refused | Outcome::Open => None,
        });
        let length = told.max().unwrap_or(0);
        for at in 0..MEMBERS {
            if self.bank.members[at].process.is_none() {
                continue;
            }
            self.bank.until_committed(at, length, HEALED)?;
            self.bank.check_votes(at)?;
            let read = self.bank.read(at)?;
            for payment in &self.payments {
                let count = read.entries().iter().filter(|entry| entry.payload == payment.payload).count();
                let what = || format!("{} of member {}, as member {at} reads", payment.payload, payment.at);
                match &payment.outcome {
                    Outcome::Committed { index, .. } => {
                        let entry = read.at(*index).with_context(what)?;
                        ensure!(entry.payload == payment.payload && count == 1, "{}: {count}", what());
                    }
                    Outcome::Refused => ensure!(count == 0, "it was refused: {}", what()),
                    Outcome::Open => ensure!(count <= 1, "it stands there {count} times: {}", what()),
                }
            }
            self.take(at, read)?;
        }
        Ok(())
    }

    /// What stock peers have of the first feed is what is committed of it, byte for byte; `wanted` of it at least. Of a
    /// feed that another one follows, a node may lack the signature of the last head that counts, if it fetched that and
    /// what was dropped together: stock peers get as much then as the node can prove (docs/cli.md, the gate).
    fn stock_peers_see_what_is_committed(&mut self, wanted: u64) -> Result<()> {
        for (place, peer) in self.stock.iter_mut().enumerate() {
            let at = 1 + place;
            if self.bank.members[at].process.is_some() {
                let has_ended = self.bank.quorum(at)?["feeds"][0]["end"].as_u64().is_some();
                let due = if has_ended { self.bank.shown(at)?.max(self.shown) } else { wanted };
                peer.wait_downloaded(due, PATIENCE)
                    .with_context(|| format!("stock peer {place}, which should have {due} of {wanted}"))?;
            }
            let (length, found) = loop {
                let (length, found) = (peer.length()?, peer.checksum()?);
                if peer.length()? == length {
                    break (length, found);
                }
            };
            // Asked for later: what the peer was shown is committed by then.
            let quorum = self.bank.quorum(at)?;
            let committed = quorum["committed"].as_u64().context("a length")?;
            let end = quorum["feeds"][0]["end"].as_u64().unwrap_or(u64::MAX);
            ensure!(
                length <= committed.min(end),
                "a stock peer has {length} of {committed} committed blocks"
            );
            let mut blocks = Vec::new();
            for index in 0..length {
                let output = self.bank.command(at, &["get", ROOM, &index.to_string()]).output()?;
                let object: Value = serde_json::from_slice(&output.stdout)?;
                let bytes = object["base64"].as_str().context("a block")?;
                blocks.push(data_encoding::BASE64.decode(bytes.as_bytes())?);
            }
            ensure!(
                found == checksum(&blocks),
                "a stock peer has other blocks than the {length} that are committed"
            );
        }
        Ok(())
    }

    /// Pays once more, again and again until it is committed; returns how many blocks are committed then.
    fn pay_once(&mut self, patience: Duration) -> Result<u64> {
        let until = Instant::now() + patience;
        loop {
            self.nonce += 1;
            let transfer = json!({ "to": self.bank.members[0].key, "amount": 1, "nonce": self.nonce });
            let payload = json!({ "transfer": transfer });
            let outcome = Bank::outcome(&mut self.bank.say(3, &payload, 20)?)?;
            self.payments.push(Payment { at: 3, payload, outcome: outcome.clone() });
            if let Outcome::Committed { index, .. } = outcome {
                return Ok(index + 1);
            }
            ensure!(
                Instant::now() < until,
                "expected a commit within {patience:?}, found {outcome:?}; members are at {:#?}",
                self.standing()
            );
        }
    }

    /// Where each member is, for whoever has to find out why nothing goes on.
    fn standing(&self) -> Vec<String> {
        let one = |at: usize| {
            let output = self.bank.command(at, &["info", ROOM]).output();
            let info = output.ok().and_then(|output| serde_json::from_slice::<Value>(&output.stdout).ok());
            let room = info.unwrap_or_default()["room"].take();
            let votes = self.bank.command(at, &["votes", ROOM]).output();
            let votes = votes.map(|output| String::from_utf8_lossy(&output.stdout).into_owned());
            format!("{at}: {room} {}", votes.unwrap_or_default())
        };
        (0..MEMBERS).filter(|at| self.bank.members[*at].process.is_some()).map(one).collect()
    }

    /// The host dies: another one follows, all that was committed stands, and stock peers are shown nothing of what was
    /// not.
    fn the_host_dies(&mut self) -> Result<()> {
        let epoch = self.bank.quorum(3)?["epoch"].as_u64();
        let hosts: BTreeSet<usize> = (0..MEMBERS)
            .filter(|at| {
                let output = self.bank.command(*at, &["info", ROOM]).output();
                output.is_ok_and(|output| {
                    serde_json::from_slice::<Value>(&output.stdout)
                        .is_ok_and(|info| info["room"]["host"] == json!(true))
                })
            })
            .collect();
        // Where links were cut for long another one may have followed already; the last member never hosts.
        let host = *hosts.iter().next_back().context("somebody hosts the room")?;
        self.bank.members[host].process.as_mut().context("it runs")?.kill()?;
        self.bank.members[host].process = None;
        self.pay_once(HEALED).context("nobody follows the host")?;
        self.everybody_agrees().context("after the death of the host")?;
        let quorum = self.bank.quorum(3)?;
        ensure!(quorum["epoch"].as_u64() > epoch, "the epoch is {} still", quorum["epoch"]);
        self.stock_peers_see_what_is_committed(0)
    }
}
