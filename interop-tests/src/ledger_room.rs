//! Rooms with the ledger that comes with the program: what is offered to them, and what must become of it, known without running a rule.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use bytes::Bytes;
use quorate_rules::builtin;
use quorate_stream::action::UnsignedAction;
use quorate_stream::chunk;
use quorate_stream::entry::{Entry, VerifiedEntry};
use quorate_stream::header::{GenesisRule, StreamHeader};
use quorate_stream::identity::{Anchor, Author, room_id};
use quorate_stream::payload::PayloadEncoding;
use quorate_stream::refusal::RoomCode;
use quorate_types::{PublicKey, RoomId};

use crate::Chance;

/// Greatest supply of the ledger.
const MAX_SUPPLY: u64 = (1 << 53) - 1;

/// What every account gets first.
const ENDOWMENT: u64 = 1_000_000_000;

/// A block that is offered to a room.
#[derive(Debug, Clone)]
pub struct Offer {
    /// The block.
    pub block: Bytes,
    /// What must become of it: `None` when it is accepted, else the code of the refusal with what the rule returned.
    pub refused: Option<(RoomCode, Option<u32>)>,
}

/// Makes a room out of a seed, block by block. It keeps the accounts itself.
#[derive(Debug)]
pub struct LedgerRoom {
    header: StreamHeader,
    room: RoomId,
    chance: Chance,
    payload_bytes: usize,
    issuer: Author,
    accounts: Vec<Author>,
    /// Accounts that have their money.
    endowed: usize,
    supply: u64,
    balances: BTreeMap<PublicKey, u64>,
    nonces: BTreeMap<PublicKey, u64>,
    sequences: BTreeMap<PublicKey, u64>,
}

impl LedgerRoom {
    /// Describes a room that is hosted with a feed key. Transfers have payloads of `payload_bytes`, at least 200.
    ///
    /// # Errors
    ///
    /// The program has no rule of the name.
    pub fn new(feed: &PublicKey, accounts: usize, payload_bytes: usize, seed: u64) -> Result<Self> {
        let mut chance = Chance::new(seed);
        let mut author = || -> Result<Author> {
            let seed = <[u8; 32]>::try_from(chance.bytes(32).as_slice())?;
            Ok(Author::from_seed(&seed))
        };
        let issuer = author()?;
        let accounts = (0..accounts).map(|_| author()).collect::<Result<Vec<_>>>()?;
        let mut header = StreamHeader::new("accounts", PayloadEncoding::Json);
        header.rules = vec![GenesisRule {
            name: "ledger".parse()?,
            module: ledger()?.hash(),
            meter: 1,
            params: format!(r#"{{"issuer":"{}"}}"#, issuer.public()).into(),
            locked: false,
        }];
        let room = room_id(feed, &header.encode()?);
        Ok(Self {
            header,
            room,
            chance,
            payload_bytes: payload_bytes.max(200),
            issuer,
            accounts,
            endowed: 0,
            supply: 0,
            balances: BTreeMap::new(),
            nonces: BTreeMap::new(),
            sequences: BTreeMap::new(),
        })
    }

    /// Returns the blocks that the room begins with: its header, and the module of its rule.
    ///
    /// # Errors
    ///
    /// None for the rule that comes with the program.
    pub fn beginning(&self) -> Result<Vec<Bytes>> {
        let mut blocks = vec![self.header.encode()?];
        let chunks = chunk::split(&Bytes::from_static(ledger()?.module))?;
        blocks.extend(chunks.into_iter().map(|chunk| Entry::Chunk(chunk).encode()));
        Ok(blocks)
    }

    /// Returns the sum of all balances.
    pub const fn supply(&self) -> u64 {
        self.supply
    }

    /// Returns the accounts with what they have.
    pub fn balances(&self) -> impl Iterator<Item = (&PublicKey, u64)> {
        self.balances.iter().map(|(key, balance)| (key, *balance))
    }

    /// Makes the next block, which the room accepts: first everybody is given money, then it goes around.
    ///
    /// # Errors
    ///
    /// None: every field is small.
    pub fn accepted(&mut self) -> Result<Bytes> {
        if let Some(account) = self.accounts.get(self.endowed) {
            let to = account.public();
            let payload = format!(r#"{{"mint":{{"to":"{to}","amount":{ENDOWMENT}}}}}"#);
            self.endowed += 1;
            self.supply += ENDOWMENT;
            *self.balances.entry(to).or_default() += ENDOWMENT;
            let issuer = self.issuer.clone();
            return self.take(&issuer, payload);
        }
        let (from, to) = self.two_accounts();
        let amount = self.chance.within(1..1000).min(self.balance(&from)).max(1);
        let mut transfer = format!(r#"{{"transfer":{{"to":"{to}","amount":{amount}"#);
        if self.chance.one_in(4) {
            let nonce = self.nonce(&from) + self.chance.within(0..3);
            transfer.push_str(&format!(r#","nonce":{nonce}"#));
            self.nonces.insert(from.public(), nonce + 1);
        }
        let payload = self.with_memo(transfer);
        *self.balances.entry(from.public()).or_default() -= amount;
        *self.balances.entry(to).or_default() += amount;
        self.take(&from, payload)
    }

    /// Makes a block that the room must refuse where it stands now, once everybody has money.
    ///
    /// # Errors
    ///
    /// None: every field is small.
    pub fn refused(&mut self) -> Result<Offer> {
        let (from, to) = self.two_accounts();
        let (own, has, nonce) = (from.public(), self.balance(&from), self.nonce(&from));
        let transfer =
            |to: PublicKey, amount: u64| format!(r#"{{"transfer":{{"to":"{to}","amount":{amount}"#);
        let rule = |code| Some((RoomCode::RuleRejected, Some(code)));
        let sequence = self.sequence(&own);
        let which = self.chance.within(0..13);
        let (author, payload, refused) = match which {
            0 => (from, self.with_memo(transfer(to, has + 1)), rule(6)),
            1 => (from, format!(r#"{{"mint":{{"to":"{to}","amount":5}}}}"#), rule(3)),
            2 => (from, r#"{"transfer":{"to":"#.to_owned(), rule(1)),
            3 => (from, r#"{"say":"hello"}"#.to_owned(), rule(2)),
            4 => (from, self.with_memo(transfer(to, 0)), rule(4)),
            5 => (from, self.with_memo(transfer(own, 1)), rule(5)),
            6 => {
                let more = MAX_SUPPLY - self.supply + 1;
                let issuer = self.issuer.clone();
                (issuer, format!(r#"{{"mint":{{"to":"{to}","amount":{more}}}}}"#), rule(7))
            }
            7 if nonce > 0 => {
                let again = format!(r#"{},"nonce":{}"#, transfer(to, 1), nonce - 1);
                (from, self.with_memo(again), rule(8))
            }
            8 => return self.out_of_turn(&from, to, sequence + 1, RoomCode::SequenceSkipped),
            9 if sequence > 0 => return self.out_of_turn(&from, to, sequence - 1, RoomCode::Replayed),
            10 => {
                // The signature is the last field.
                let mut block = self.sign(&from, sequence, self.with_memo(transfer(to, 1)))?.to_vec();
                let last = block.len() - 1 - self.chance.within(0..64) as usize;
                block[last] ^= 1 << self.chance.within(0..8);
                return Ok(Offer { block: block.into(), refused: Some((RoomCode::Forged, None)) });
            }
            11 => {
                let block = self.sign(&from, sequence, self.with_memo(transfer(to, 1)))?;
                let block = block.slice(..block.len() - 1);
                return Ok(Offer { block, refused: Some((RoomCode::NotCanonical, None)) });
            }
            _ => return self.out_of_turn(&from, to, sequence + 7, RoomCode::SequenceSkipped),
        };
        let block = self.sign(&author, self.sequence(&author.public()), payload)?;
        Ok(Offer { block, refused })
    }

    fn out_of_turn(&mut self, from: &Author, to: PublicKey, sequence: u64, code: RoomCode) -> Result<Offer> {
        let payload = self.with_memo(format!(r#"{{"transfer":{{"to":"{to}","amount":1"#));
        let block = self.sign(from, sequence, payload)?;
        Ok(Offer { block, refused: Some((code, None)) })
    }

    fn two_accounts(&mut self) -> (Author, PublicKey) {
        let accounts = self.accounts.len() as u64;
        let from = self.chance.within(0..accounts);
        let to = (from + self.chance.within(1..accounts)) % accounts;
        (self.accounts[from as usize].clone(), self.accounts[to as usize].public())
    }

    fn balance(&self, of: &Author) -> u64 {
        self.balances.get(&of.public()).copied().unwrap_or(0)
    }

    fn nonce(&self, of: &Author) -> u64 {
        self.nonces.get(&of.public()).copied().unwrap_or(0)
    }

    fn sequence(&self, of: &PublicKey) -> u64 {
        self.sequences.get(of).copied().unwrap_or(0)
    }

    /// Ends a transfer with a memo that gives the payload its size.
    fn with_memo(&self, transfer: String) -> String {
        let (memo, end) = (r#","memo":""#, r#""}}"#);
        let words = "what it is for, in plain words. ";
        let room = self.payload_bytes.saturating_sub(transfer.len() + memo.len() + end.len());
        let text: String = words.chars().cycle().take(room).collect();
        format!("{transfer}{memo}{text}{end}")
    }

    fn take(&mut self, author: &Author, payload: String) -> Result<Bytes> {
        let key = author.public();
        let sequence = self.sequence(&key);
        self.sequences.insert(key, sequence + 1);
        self.sign(author, sequence, payload)
    }

    fn sign(&self, author: &Author, sequence: u64, payload: String) -> Result<Bytes> {
        let (anchor, valid_until) = (Anchor::NONE, 0);
        let action = UnsignedAction { sequence, anchor, valid_until, payload: payload.into() };
        Ok(VerifiedEntry::from(action.sign(&self.room, author)?).encode())
    }
}

fn ledger() -> Result<builtin::Builtin> {
    builtin::named("ledger").context("expected a rule ledger that comes with the program")
}
