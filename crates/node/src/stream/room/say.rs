//! What local identities want to say: signed here, kept until it has come to an end, and told.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::time::{Duration, Instant};

use bytes::Bytes;
use quorate_rules::meter::METER_VERSION;
use quorate_stream::action::{UnsignableError, UnsignedAction, VerifiedAction};
use quorate_stream::entry::VerifiedEntry;
use quorate_stream::governance::RuleStatus;
use quorate_stream::identity::{Anchor, Author, RuleName};
use quorate_stream::rule_change::{Change, TestVector, UnsignedRuleChange};
use quorate_stream::submit::{SubmissionState, SubmitError};
use quorate_types::limits::{MAX_CHUNK_BYTES, MAX_FEED_LENGTH};
use quorate_types::{Hash, ModuleHash, PublicKey};

use super::super::command::Reply;
use super::super::task::StreamTask;
use super::kept::Kept;
use super::tell::said_state;
use super::{RoomKeeper, RoomState};
use crate::event::Event;
use crate::model::{Said, SaidState};
use crate::room::{Checker, sign_many};
use crate::{Code, Failure};

/// Time after which nobody waits any longer for a host to which no connection leads: dialling takes less.
const LONELY: Duration = Duration::from_secs(3);

/// Blocks that others may append before a change of rules that comes from elsewhere, until its activation is too early.
const ACTIVATION_MARGIN: u64 = 8;

/// What a local identity is to sign.
#[derive(Debug)]
pub(crate) struct Utterance {
    pub(crate) author: Author,
    pub(crate) wish: Wish,
    pub(crate) reply: Reply<Vec<Said>>,
    pub(crate) patience: Patience,
}

/// What it says.
#[derive(Debug)]
pub(crate) enum Wish {
    /// An action for each payload.
    Actions(Vec<Bytes>),
    /// A change of rules.
    Change {
        /// What is to be done.
        change: ChangeWish,
        /// First block that is checked by the changed rules; the earliest possible where absent.
        activation: Option<u64>,
        /// Calls and what they are expected to say.
        vectors: Vec<TestVector>,
    },
}

/// A change of rules, whose rule is given by name or by the first digits of its id.
#[derive(Debug)]
pub(crate) enum ChangeWish {
    Install { name: RuleName, module: Bytes, params: Bytes },
    Remove { rule: String },
    Replace { rule: String, module: Bytes, params: Option<Bytes> },
    Params { rule: String, params: Bytes },
}

/// How long somebody waits.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Patience {
    pub(crate) since: Instant,
    pub(crate) until: Instant,
    /// By which whoever waits may be told to stop waiting; 0 where nobody can.
    pub(crate) call: u64,
}

/// Somebody who waits to hear what became of entries.
pub(super) struct Waiting {
    pub(super) said: Vec<Said>,
    /// Where each stands among them: several wait at once, for thousands of entries.
    places: HashMap<Hash, usize>,
    /// Entries that are kept, and go to the host when those before them are appended: one that came without its
    /// predecessor, which was refused, would wait there and might be appended after all.
    rest: VecDeque<(VerifiedEntry, Option<Bytes>)>,
    pub(super) reply: Reply<Vec<Said>>,
    pub(super) patience: Patience,
}

impl Patience {
    fn end(&mut self, call: u64, now: Instant) {
        if call != 0 && self.call == call {
            self.until = self.until.min(now);
        }
    }

    pub(super) fn is_over(&self, now: Instant, lonely: bool) -> bool {
        now >= self.until || (lonely && now >= self.since + LONELY)
    }
}

impl Waiting {
    fn new(
        said: Vec<Said>,
        rest: VecDeque<(VerifiedEntry, Option<Bytes>)>,
        reply: Reply<Vec<Said>>,
        patience: Patience,
    ) -> Self {
        let places = said.iter().enumerate().map(|(place, said)| (said.digest, place)).collect();
        Self { said, places, rest, reply, patience }
    }

    fn is_for(&self, digest: &Hash) -> bool {
        self.places.contains_key(digest)
    }

    /// Notes what became of an entry, if it is one of those waited for.
    fn note(&mut self, digest: &Hash, state: &SaidState) {
        if let Some(said) = self.places.get(digest).and_then(|place| self.said.get_mut(*place)) {
            said.state = state.clone();
        }
    }

    /// Says of entries that were never sent why they are not appended.
    fn give_up(&mut self, rest: &VecDeque<(VerifiedEntry, Option<Bytes>)>) {
        for (entry, _) in rest {
            if let Some(said) = self.places.get(entry.digest()).and_then(|place| self.said.get_mut(*place)) {
                said.state = SaidState::Refused {
                    code: Code::EntryNotAllowed.to_string(),
                    reason: "not sent: an action before it was refused".into(),
                    place: format!("sequence {}", said.sequence),
                    rule_code: None,
                };
            }
        }
    }
}

impl RoomKeeper {
    /// Ends the waiting of a call: what it says is signed and kept, and answered as it stands.
    fn hurry(&mut self, call: u64, now: Instant) {
        self.utterances.iter_mut().for_each(|utterance| utterance.patience.end(call, now));
        self.waiting.iter_mut().for_each(|waiting| waiting.patience.end(call, now));
    }

    /// Tells whether somebody waits to hear what becomes of an entry.
    fn is_waited_for(&self, digest: &Hash) -> bool {
        let awaits = |waiting: &Waiting| !waiting.reply.is_closed() && waiting.is_for(digest);
        self.waiting.iter().any(awaits) || self.is_settled_for(digest)
    }

    /// Times at which those who wait for a host that nobody leads to have waited long enough.
    pub(super) fn lonely_deadlines(&self) -> impl Iterator<Item = Instant> {
        let patiences = self.waiting.iter().map(|waiting| waiting.patience);
        let patiences = patiences.chain(self.utterances.iter().map(|utterance| utterance.patience));
        let lonely = self.lonely;
        patiences.filter(move |_| lonely).map(|patience| patience.since + LONELY)
    }

    /// Lets the next entries follow those that were appended, and answers those who have waited long enough. Returns
    /// the entries that need not be kept any longer.
    pub(super) fn advance_waiting(&mut self, now: Instant) -> Vec<Hash> {
        let mut ended = Vec::new();
        let lonely = self.lonely;
        for mut waiting in std::mem::take(&mut self.waiting) {
            let is_over = waiting.patience.is_over(now, lonely);
            let is_refused = waiting.said.iter().any(|said| !said.state.is_on_its_way());
            if is_refused {
                let rest = std::mem::take(&mut waiting.rest);
                waiting.give_up(&rest);
                for (entry, _) in &rest {
                    let digest = *entry.digest();
                    let number = self.own.remove(&digest);
                    let told = waiting.said.iter().find(|said| said.digest == digest);
                    if let (Some(number), Some(told)) = (number, told.filter(|_| waiting.reply.is_closed())) {
                        self.unheard.note(digest, number, told.state.clone());
                    }
                    ended.push(digest);
                }
            }
            // What the host says it appended is told when the block is here, too.
            let is_promised = |said: &Said| self.promised.iter().any(|kept| kept.digest == said.digest);
            let is_awaited = waiting.said.iter().any(is_promised);
            let is_open = |said: &Said| said.state == SaidState::Submitted;
            let others = waiting.said.len() - waiting.rest.len();
            let is_next = !waiting.said.iter().take(others).any(is_open);
            while (is_next || is_over)
                && let Some((entry, module)) = waiting.rest.pop_front()
            {
                let digest = *entry.digest();
                if let Err(error) = self.relay.submit(now, entry, module, None) {
                    // It is kept, and goes out after the next start.
                    tracing::warn!("an entry waits: {error}");
                    self.own.remove(&digest);
                }
                if !is_over {
                    break;
                }
            }
            if (is_awaited || waiting.said.iter().any(is_open)) && !is_over {
                self.waiting.push(waiting);
            } else {
                let _ = waiting.reply.try_send(Ok(waiting.said));
            }
        }
        ended
    }

    /// Tells whether this node is the host, and nothing keeps it from appending what it says.
    pub(super) fn appends_at_once(&self) -> bool {
        self.is_host && self.closed.is_none() && self.stopped.is_none()
    }

    /// Tells whether the room is checked as far as it is known to reach.
    fn is_current(&self, here: u64, remote: u64) -> bool {
        let promised = self.promised.iter().map(|kept| kept.index.saturating_add(1)).max().unwrap_or(0);
        self.checked == here && self.checked >= remote.max(promised)
    }

    /// Returns the numbers of an author's next entries. The number of an entry that was refused is free again: those
    /// that were signed after it wait for another entry with that number, and would wait in vain.
    fn free_sequences(
        &self,
        checker: &Checker,
        author: &PublicKey,
    ) -> Result<impl Iterator<Item = u64> + use<>, Failure> {
        let stands = checker
            .room()
            .next_sequence(author)
            .map_err(|error| Failure::new(Code::Io, format!("the state of the room: {error}")))?;
        let submitted = self.relay.submitted().map(|(entry, _)| (entry.author(), entry.sequence()));
        let own = self.own.values().map(|(author, sequence)| (author, *sequence));
        let promised = self.promised.iter().map(|kept| (&kept.author, kept.sequence));
        let taken = submitted.chain(own).chain(promised).filter(|(of, _)| *of == author);
        let taken: BTreeSet<u64> = taken.map(|(_, sequence)| sequence).collect();
        Ok((stands..).filter(move |sequence| !taken.contains(sequence)))
    }

    /// Names the newest committed head, which is part of every history that can come after this one; where nobody
    /// commits, the newest head.
    fn anchor(&self, checker: &Checker) -> Anchor {
        let committed = self.committed().filter(|length| (1..checker.length()).contains(length));
        let position = committed.and_then(|length| checker.position_at(length));
        position.map_or_else(
            || Anchor::new(checker.length(), checker.tree_hash()),
            |position| Anchor::new(position.length, position.tree_hash),
        )
    }

    /// Says what is to be signed for what somebody wants to say.
    fn unsigned(
        &self,
        checker: &Checker,
        author: &Author,
        wish: &Wish,
        is_host: bool,
    ) -> Result<Unsigned, Failure> {
        let mut sequences = self.free_sequences(checker, &author.public())?;
        let mut next = || {
            let none = || Failure::new(Code::EntryNotAllowed, "expected a number that is free, found none");
            sequences.next().ok_or_else(none)
        };
        let anchor = self.anchor(checker);
        match wish {
            Wish::Actions(payloads) => {
                let action = |payload: &Bytes| {
                    let (sequence, payload) = (next()?, payload.clone());
                    Ok(UnsignedAction { sequence, anchor, valid_until: 0, payload })
                };
                payloads.iter().map(action).collect::<Result<_, Failure>>().map(Unsigned::Actions)
            }
            Wish::Change { change, activation, vectors } => {
                let (change, module) = resolve(change, &checker.room().rules())?;
                // What stands in the blocks already does not come again.
                let is_there =
                    |module: &Bytes| checker.room().has_module(&ModuleHash::of(module)) == Ok(true);
                let chunks = module.as_ref().filter(|module| !is_there(module));
                let chunks = chunks.map_or(0, |module| module.len().div_ceil(MAX_CHUNK_BYTES) as u64);
                let before = if is_host { self.offers.len() as u64 } else { ACTIVATION_MARGIN };
                let earliest = self.checked + chunks + before + self.rule_delay.max(1);
                let change = UnsignedRuleChange {
                    sequence: next()?,
                    anchor,
                    valid_until: 0,
                    change,
                    activation: activation.unwrap_or(earliest),
                    vectors: vectors.clone(),
                };
                Ok(Unsigned::Change(Box::new(change), module))
            }
        }
    }

    /// Returns an action that was not refused. What was refused may be right by now, and is another action then: the one
    /// before stays refused, whoever shows it again.
    fn unrefused(
        &self,
        mut action: VerifiedAction,
        author: &Author,
        now: Instant,
    ) -> Result<VerifiedAction, UnsignableError> {
        while self.relay.has_refused(now, action.digest()) {
            let (sequence, anchor, payload) = (action.sequence, action.anchor, action.payload.clone());
            let valid_until = match action.valid_until {
                0 => MAX_FEED_LENGTH,
                until => until.saturating_sub(1),
            };
            action = UnsignedAction { sequence, anchor, valid_until, payload }.sign(&self.id, author)?;
        }
        Ok(action)
    }
}

/// What is to be signed.
enum Unsigned {
    Actions(Vec<UnsignedAction>),
    /// With the module that it brings.
    Change(Box<UnsignedRuleChange>, Option<Bytes>),
}

/// Entries, each with the module that it brings.
type Signed = Vec<(VerifiedEntry, Option<Bytes>)>;

/// Says that an entry is too large to be signed.
fn not_signed(error: &UnsignableError) -> Failure {
    Failure::new(Code::EntryTooLarge, format!("{error}; nothing was appended"))
}

/// Finds the rules and the modules that a change names.
fn resolve(wish: &ChangeWish, rules: &[RuleStatus]) -> Result<(Change, Option<Bytes>), Failure> {
    Ok(match wish {
        ChangeWish::Install { name, module, params } => {
            let (name, params, hash) = (name.clone(), params.clone(), ModuleHash::of(module));
            (Change::Install { name, module: hash, meter: METER_VERSION, params }, Some(module.clone()))
        }
        ChangeWish::Remove { rule } => (Change::Remove { rule: find(rule, rules)?.id }, None),
        ChangeWish::Replace { rule, module, params } => {
            let there = find(rule, rules)?;
            let params = params.as_ref().unwrap_or(&there.params).clone();
            let (rule, hash) = (there.id, ModuleHash::of(module));
            (Change::Replace { rule, module: hash, meter: METER_VERSION, params }, Some(module.clone()))
        }
        ChangeWish::Params { rule, params } => {
            (Change::Params { rule: find(rule, rules)?.id, params: params.clone() }, None)
        }
    })
}

/// Finds a rule by its name, or by the first digits of its id.
fn find<'a>(rule: &str, rules: &'a [RuleStatus]) -> Result<&'a RuleStatus, Failure> {
    let digits = rule.to_ascii_lowercase();
    let has_id = |there: &&RuleStatus| digits.len() >= 4 && there.id.to_string().starts_with(&digits);
    let named = rules.iter().find(|there| there.name.as_str() == rule);
    named.or_else(|| rules.iter().find(has_id)).ok_or_else(|| {
        let waits = |there: &&RuleStatus| matches!(there.pending, Some(("install", _)));
        let names: Vec<&str> =
            rules.iter().filter(|there| !waits(there)).map(|there| there.name.as_str()).collect();
        let found = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
        let message =
            format!("expected one of the rules that hold ({found}), found {rule:?}; nothing was appended");
        Failure::new(Code::NoSuchRule, message)
    })
}

/// Says why an entry is not brought to the host.
fn not_taken(error: &SubmitError, before: usize) -> Failure {
    let appended = match before {
        0 => "nothing was appended".to_owned(),
        count => format!("it was not appended, {count} before it were submitted"),
    };
    match error {
        SubmitError::TooLarge { .. } => {
            let message = format!(
                "{error}: so much goes to the host in one message, and only the host itself can append more; {appended}"
            );
            Failure::new(Code::EntryTooLarge, message)
                .next("append it on the home of the host, or make it smaller: fewer or shorter vectors, shorter params")
        }
        _ => Failure::new(Code::EntryNotAllowed, format!("{error}; {appended}"))
            .next("wait for the host, or ask it"),
    }
}

impl StreamTask {
    /// Ends the waiting of a call.
    pub(in crate::stream) fn hurry(&mut self, call: u64) {
        let now = self.runtime.now();
        if let RoomState::Open(keeper) = &mut self.rooms {
            keeper.hurry(call, now);
        }
    }

    /// Takes what a local identity wants to say.
    pub(in crate::stream) fn take_utterance(&mut self, utterance: Utterance) {
        match &mut self.rooms {
            RoomState::Open(keeper) => keeper.utterances.push_back(utterance),
            RoomState::Unchecked(Failure { code, message: why, .. }) => {
                let failure = Failure::new(
                    *code,
                    format!("expected a room that is checked here, found that {why}; nothing was appended"),
                );
                let _ = utterance.reply.try_send(Err(failure));
            }
            RoomState::Unknown | RoomState::Plain => {
                let name = &self.identity.name;
                let failure = Failure::new(
                    Code::NotARoom,
                    format!(
                        "expected a room, found that {name} is a plain feed, or empty; nothing was appended"
                    ),
                )
                .next(format!("quorate info {name}"));
                let _ = utterance.reply.try_send(Err(failure));
            }
        }
    }

    /// Signs what local identities want to say, as soon as the room is checked as far as it is known.
    pub(super) async fn utter(&mut self, keeper: &mut RoomKeeper) {
        let is_host = keeper.is_host;
        keeper.lonely = !is_host && !self.peers.values().any(|peer| peer.is_quorate);
        let Some(checker) = keeper.checker.take() else { return };
        let now = self.runtime.now();
        let (here, remote) = (self.log_length(&keeper.log), self.log_remote(&keeper.log));
        let mut later = VecDeque::new();
        while let Some(utterance) = keeper.utterances.pop_front() {
            // A host that is found out is replaced where the room names others.
            let is_left = keeper.may_change_host() && !utterance.patience.is_over(now, keeper.lonely);
            if keeper.stopped.is_some() && is_left {
                later.push_back(utterance);
                continue;
            }
            if let Some(stopped) = &keeper.stopped {
                let mut failure = stopped.failure(&self.identity.name);
                failure.message.push_str("; nothing was appended");
                let _ = utterance.reply.try_send(Err(failure));
                continue;
            }
            let is_ready = !keeper.lonely && keeper.is_current(here, remote);
            if !is_host && !is_ready && !utterance.patience.is_over(now, keeper.lonely) {
                later.push_back(utterance);
                continue;
            }
            let Utterance { author, wish, .. } = &utterance;
            let said = match keeper.unsigned(&checker, author, wish, is_host) {
                Ok(unsigned) => self.sign_and_submit(keeper, unsigned, author).await,
                Err(failure) => Err(failure),
            };
            match said {
                Ok((said, rest)) => {
                    let (reply, patience) = (utterance.reply, utterance.patience);
                    keeper.waiting.push(Waiting::new(said, rest, reply, patience));
                }
                Err(failure) => {
                    let _ = utterance.reply.try_send(Err(failure));
                }
            }
        }
        keeper.utterances = later;
        keeper.checker = Some(checker);
    }

    /// Signs what somebody wants to say, and submits it.
    async fn sign_and_submit(
        &mut self,
        keeper: &mut RoomKeeper,
        unsigned: Unsigned,
        author: &Author,
    ) -> Result<(Vec<Said>, VecDeque<(VerifiedEntry, Option<Bytes>)>), Failure> {
        let entries: Signed = match unsigned {
            Unsigned::Actions(actions) => {
                let smaller = "put large data into a stream of its own, and its link into the room";
                let too_large = |error| not_signed(&error).next(smaller);
                let actions = sign_many(keeper.id, author, actions).await.map_err(too_large)?;
                let now = self.runtime.now();
                let unrefused = |action| Ok((keeper.unrefused(action, author, now)?.into(), None));
                actions.into_iter().map(unrefused).collect::<Result<_, _>>().map_err(too_large)?
            }
            Unsigned::Change(change, module) => {
                let change = change.sign(&keeper.id, author).map_err(|error| not_signed(&error))?;
                vec![(change.into(), module)]
            }
        };
        self.submit(keeper, entries).await
    }

    /// Keeps entries and hands them to the relay: all of them on the host, else the first; returns the rest.
    async fn submit(
        &mut self,
        keeper: &mut RoomKeeper,
        entries: Signed,
    ) -> Result<(Vec<Said>, VecDeque<(VerifiedEntry, Option<Bytes>)>), Failure> {
        if keeper.appends_at_once() {
            keeper.unkept.extend(entries.iter().map(|(entry, _)| *entry.digest()));
        } else {
            self.keep(keeper, &entries).await?;
        }
        let is_host = keeper.is_host;
        let now = self.runtime.now();
        let mut said: Vec<Said> = Vec::with_capacity(entries.len());
        let mut rest = VecDeque::new();
        let digests: Vec<Hash> = entries.iter().map(|(entry, _)| *entry.digest()).collect();
        for (entry, module) in entries {
            let (author, sequence) = (*entry.author(), entry.sequence());
            let digest = *entry.digest();
            keeper.own.insert(digest, (author, sequence));
            if keeper.may_change_host() {
                keeper.pending.hear(now, &entry);
            }
            let state = SaidState::Submitted;
            let before = said.len();
            said.push(Said { schema: Said::SCHEMA.into(), state, digest, author, sequence });
            if !is_host && before > 0 {
                rest.push_back((entry, module));
            } else if let Err(error) = keeper.relay.submit(now, entry, module, None) {
                keeper.own.remove(&digest);
                // Nor are those behind it.
                let not_taken_up = digests.into_iter().skip(before).collect();
                self.forget_kept(keeper, not_taken_up).await;
                return Err(not_taken(&error, before));
            }
        }
        Ok((said, rest))
    }

    /// Notes what became of an entry of this node; returns it when it need not be kept any longer.
    pub(super) fn concluded(
        &self,
        keeper: &mut RoomKeeper,
        digest: Hash,
        state: &SubmissionState,
    ) -> Option<Hash> {
        if !matches!(state, SubmissionState::Appended { .. }) {
            keeper.pending.settled(&digest);
        }
        let said = said_state(state, keeper.refused_at.remove(&digest));
        let kept = keeper.own.remove(&digest);
        keeper.waiting.iter_mut().for_each(|waiting| waiting.note(&digest, &said));
        if !matches!(state, SubmissionState::Appended { .. }) {
            if let Some(number) = kept
                && !keeper.is_waited_for(&digest)
            {
                keeper.unheard.note(digest, number, said.clone());
            }
            keeper.settle(&digest, &said);
        }
        self.emit(Event::Submission { stream: self.identity.name.clone(), digest, state: said });
        match (state, kept) {
            (SubmissionState::Appended { index }, Some((author, sequence))) if *index >= keeper.checked => {
                keeper.promised.push(Kept { digest, index: *index, author, sequence });
                None
            }
            (SubmissionState::Appended { index }, _) => keeper.stood(*index, digest),
            _ => Some(digest),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_noted_in_any_order() {
        let digest = |number: u64| Hash::new([u8::try_from(number).unwrap(); 32]);
        let said = |number| Said {
            schema: Said::SCHEMA.into(),
            state: SaidState::Submitted,
            digest: digest(number),
            author: PublicKey::new([1; 32]),
            sequence: number,
        };
        let (reply, _) = async_channel::bounded(1);
        let now = Instant::now();
        let patience = Patience { since: now, until: now, call: 0 };
        let said = (0..6).map(said).collect();
        let mut waiting = Waiting::new(said, VecDeque::new(), reply, patience);
        // The host's word, then the block; somebody else's entry in between; and one twice.
        let heard =
            [(0, 10), (1, 11), (2, 12), (9, 99), (5, 15), (0, 20), (1, 21), (4, 14), (3, 13), (3, 23)];
        for (number, index) in heard {
            waiting.note(&digest(number), &SaidState::Appended { index });
        }
        let states: Vec<SaidState> = waiting.said.into_iter().map(|said| said.state).collect();
        assert_eq!(states, [20, 21, 12, 23, 14, 15].map(|index| SaidState::Appended { index }));
    }

    #[test]
    fn what_is_too_large_to_be_sent_is_told_with_a_way() {
        let failure = not_taken(&SubmitError::TooLarge { limit: 65_472, found: 193_868 }, 0);
        assert_eq!(failure.code, Code::EntryTooLarge);
        assert!(failure.message.starts_with("expected an entry of at most 65472 bytes, found 193868: "));
        assert!(failure.message.ends_with("; nothing was appended"), "{}", failure.message);
        assert!(failure.next.unwrap().starts_with("append it on the home of the host, or make it smaller"));
        let failure = not_taken(&SubmitError::TooMany { limit: 3 }, 2);
        assert_eq!(failure.code, Code::EntryNotAllowed);
        assert!(failure.message.ends_with("it was not appended, 2 before it were submitted"));
    }
}
