//! The verdict on a block.

use std::sync::Arc;

use bytes::Bytes;
use quorate_rules::abi::{Call, CallKind};
use quorate_rules::state::{Position, RoomStore, StateStore, WriteSet};
use quorate_rules::verdict::{Fault, Outcome};
use quorate_types::{Hash, PublicKey, RoomId, RuleId};

use super::authentic::AuthenticEntry;
use super::compiled::Compiled;
use super::effects::{Checked, Effects, RuleUse, Signed, Stop};
use super::engine::RuleEngine;
use super::host::RuleHost;
use super::overlay::Layered;
use super::part::RoomPart;
use super::prefix::{Lacking, Prefix};
use super::proof::{check_place, check_proof};
use super::{Prepared, Room, keys};
use crate::action::Action;
use crate::chunk::ModuleChunk;
use crate::entry::VerifiedEntry;
use crate::governance::{self, ActiveRule, Genesis, Registry, RuleFailure};
use crate::header::StreamHeader;
use crate::refusal::{Refusal, RoomCode};

/// Everything a verdict depends on besides the entry.
pub(crate) struct Context<'a, E: RuleEngine> {
    pub(crate) room: &'a RoomId,
    pub(crate) header: &'a StreamHeader,
    pub(crate) registry: &'a Registry,
    pub(crate) position: Position,
    pub(crate) state: &'a dyn StateStore,
    pub(crate) prefix: &'a dyn Prefix,
    pub(crate) rules: &'a mut Compiled<E>,
    /// Who commits, and in which feed; `None` in a room without validators.
    pub(crate) part: Option<&'a RoomPart>,
}

impl<E: RuleEngine> Context<'_, E> {
    /// Returns the index of the entry that is checked.
    pub(crate) const fn index(&self) -> u64 {
        self.position.length
    }

    /// Returns the tree hash at a length up to the present one.
    pub(crate) fn tree_hash(&self, length: u64) -> Result<Hash, Lacking> {
        if length == self.index() {
            return Ok(self.position.tree_hash);
        }
        self.prefix.tree_hash(length).ok_or(Lacking::TreeHash(length))
    }

    /// Asks a rule about something that somebody says at this index; what it writes is in the outcome alone.
    pub(crate) fn ask(
        &mut self,
        kind: CallKind,
        rule: &ActiveRule,
        author: PublicKey,
        payload: &[u8],
    ) -> Result<Outcome, Lacking> {
        let compiled = self.compiled(&rule.module)?;
        let call = Call {
            kind,
            flags: 0,
            index: self.index(),
            previous: self.position.tree_hash,
            author,
            params: &rule.params,
            payload,
            gas: governance::GAS,
        };
        let mut host = RuleHost::new(self.state, self.prefix, rule.id);
        Ok(self.rules.engine().check(&compiled, &call, &mut host))
    }

    /// Returns a rule's module, compiled.
    pub(crate) fn compiled(&mut self, module: &quorate_types::ModuleHash) -> Result<E::Rule, Lacking> {
        self.rules.get(module, |module| governance::assemble(self.state, self.prefix, module))
    }
}

/// What an entry does, besides what takes effect before it.
#[derive(Default)]
pub(super) struct Done {
    pub(super) writes: WriteSet,
    registry: Option<Registry>,
    signed: Option<Signed>,
    pub(super) uses: Vec<RuleUse>,
    pub(super) closes: bool,
}

impl<S: RoomStore, E: RuleEngine> Room<S, E> {
    /// Says what becomes of a block at the present position, where the feed has a tree hash. Nothing changes but caches.
    ///
    /// The tree hash makes sure that feed and room have one history; before block 0 it is not looked at.
    pub fn check(&mut self, block: Bytes, tree_hash: Hash, prefix: &dyn Prefix) -> Checked {
        if self.position().length == 0 {
            return self.check_header(&block);
        }
        match AuthenticEntry::read(&self.id, block) {
            Ok(entry) => self.check_authentic(&entry, tree_hash, prefix),
            Err(refusal) => match self.check_history(tree_hash) {
                Ok(()) => Checked::Refused(refusal),
                Err(why) => Checked::Unable(why),
            },
        }
    }

    /// Says what becomes of an entry whose encoding and signature have been checked, as [`check`](Self::check) does.
    pub fn check_authentic(
        &mut self,
        entry: &AuthenticEntry,
        tree_hash: Hash,
        prefix: &dyn Prefix,
    ) -> Checked {
        match self.try_check(entry, tree_hash, prefix) {
            Ok(effects) => Checked::Accepted(effects),
            Err(stop) => stop.into(),
        }
    }

    /// Asks a rule that holds a question of an interface; it is outside consensus. `None` when no rule has the id.
    ///
    /// The answer is what the rule logs. Blocks and state are those at the present position.
    ///
    /// # Errors
    ///
    /// [`Lacking`] when the rule's module is not here.
    pub fn query(
        &mut self,
        rule: &RuleId,
        question: &[u8],
        prefix: &dyn Prefix,
    ) -> Result<Option<Outcome>, Lacking> {
        let registry = Arc::clone(&self.registry);
        let Some(rule) = registry.rule(rule) else { return Ok(None) };
        let position = self.position();
        let compiled =
            self.rules.get(&rule.module, |module| governance::assemble(&self.store, prefix, module))?;
        let call = Call {
            kind: CallKind::Query,
            flags: 0,
            index: position.length,
            previous: position.tree_hash,
            author: quorate_types::PublicKey::new([0; 32]),
            params: &rule.params,
            payload: question,
            gas: governance::GAS,
        };
        let mut host = RuleHost::new(&self.store, prefix, rule.id);
        Ok(Some(self.rules.engine().check(&compiled, &call, &mut host)))
    }

    fn check_history(&self, found: Hash) -> Result<(), Lacking> {
        let Position { length, tree_hash: expected, .. } = self.position();
        if found == expected {
            return Ok(());
        }
        Err(Lacking::Other(format!(
            "expected a feed whose first {length} blocks have tree hash {expected}, found {found}"
        )))
    }

    fn check_header(&self, block: &Bytes) -> Checked {
        if *block != self.block_0 {
            let reason = "expected the block 0 by which the room is known, found another";
            return Checked::Refused(Refusal::new(RoomCode::BadHeader, reason));
        }
        let mut writes = WriteSet::new();
        keys::put(&mut writes, keys::ROOM.to_vec(), keys::room_value(&self.id));
        Checked::Accepted(Effects {
            room: self.id,
            before: self.position(),
            writes,
            registry: None,
            signed: None,
            activations: Vec::new(),
            uses: Vec::new(),
            closes: false,
        })
    }

    fn try_check(
        &mut self,
        entry: &AuthenticEntry,
        tree_hash: Hash,
        prefix: &dyn Prefix,
    ) -> Result<Effects, Stop> {
        let before = self.position();
        if before.length == 0 {
            return Err(
                Refusal::new(RoomCode::BadHeader, "expected the header of the room, found an entry").into()
            );
        }
        self.check_history(tree_hash)?;
        self.prepare(prefix)?;
        let prepared = self.prepared.as_ref().ok_or_else(|| Stop::damaged("rules"))?;
        let state = Layered { writes: &prepared.writes, below: &self.store };
        let mut context = Context {
            room: &self.id,
            header: &self.header,
            registry: prepared.registry.as_deref().unwrap_or(&self.registry),
            position: before,
            state: &state,
            prefix,
            rules: &mut self.rules,
            part: self.part.as_ref(),
        };
        check_place(&context, self.closes, entry)?;
        let done = check_entry(&mut context, entry)?;
        let mut writes = done.writes;
        for (key, value) in &prepared.writes {
            // What the entry wrote came later.
            writes.entry(key.clone()).or_insert_with(|| value.clone());
        }
        Ok(Effects {
            room: self.id,
            before,
            writes,
            registry: done.registry.map(Arc::new).or_else(|| prepared.registry.clone()),
            signed: done.signed,
            activations: prepared.activations.clone(),
            uses: done.uses,
            closes: done.closes,
        })
    }

    /// Finds what takes effect before the entry at the present position, once for all that are checked there.
    fn prepare(&mut self, prefix: &dyn Prefix) -> Result<(), Stop> {
        if self.prepared.is_some() {
            return Ok(());
        }
        let position = self.position();
        let index = position.length;
        let begins = self.registry.genesis() == Genesis::From(index);
        if !begins && self.registry.pending().first().is_none_or(|change| change.activation > index) {
            self.prepared = Some(Prepared::default());
            return Ok(());
        }
        let mut registry = Registry::clone(&self.registry);
        let mut writes = WriteSet::new();
        let mut context = Context {
            room: &self.id,
            header: &self.header,
            registry: &self.registry,
            position,
            state: &self.store,
            prefix,
            rules: &mut self.rules,
            part: self.part.as_ref(),
        };
        if begins {
            governance::activate_genesis(&mut context, &mut registry, &mut writes)?;
        }
        let activations = governance::activate(&mut context, &mut registry, &mut writes)?;
        self.prepared = Some(Prepared { writes, registry: Some(Arc::new(registry)), activations });
        Ok(())
    }
}

fn check_entry<E: RuleEngine>(context: &mut Context<'_, E>, entry: &AuthenticEntry) -> Result<Done, Stop> {
    let entry = match entry {
        AuthenticEntry::Chunk(chunk) => return check_chunk(context, chunk),
        AuthenticEntry::Proof(proof) => {
            check_begun(context)?;
            let mut done = Done::default();
            check_proof(context, proof, &mut done)?;
            return Ok(done);
        }
        AuthenticEntry::Signed(entry) => entry,
    };
    check_begun(context)?;
    let mut done = Done::default();
    check_signed(context, entry, &mut done)?;
    match entry {
        VerifiedEntry::Action(action) => check_action(context, action, &mut done)?,
        VerifiedEntry::RuleChange(change) => {
            let registry = governance::check_change(context, change, &mut done.uses, &mut done.writes)?;
            done.registry = Some(registry);
        }
    }
    Ok(done)
}

fn check_begun<E: RuleEngine>(context: &Context<'_, E>) -> Result<(), Stop> {
    if context.registry.genesis() == Genesis::Coming {
        let reason = "expected the modules of the rules that the room begins with, found another entry";
        return Err(Refusal::new(RoomCode::NotAllowed, reason).into());
    }
    Ok(())
}

fn check_chunk<E: RuleEngine>(context: &mut Context<'_, E>, chunk: &ModuleChunk) -> Result<Done, Stop> {
    let mut done = Done::default();
    if context.registry.genesis() == Genesis::Coming {
        done.registry = governance::check_genesis_chunk(context, chunk, &mut done.writes)?;
    } else {
        governance::check_chunk(context.state, context.prefix, context.index(), chunk, &mut done.writes)?;
    }
    Ok(done)
}

/// Checks what all signed entries have in common.
fn check_signed<E: RuleEngine>(
    context: &Context<'_, E>,
    entry: &VerifiedEntry,
    done: &mut Done,
) -> Result<(), Stop> {
    let refuse = |code, reason: String| Err(Refusal::new(code, reason).into());
    if entry.room() != context.room {
        let reason =
            format!("expected a signature for room {}, found one for {}", context.room, entry.room());
        return refuse(RoomCode::Forged, reason);
    }
    let key = keys::sequence(entry.author());
    let (expected, found) = (keys::get_u64(context.state, &key)?.unwrap_or(0), entry.sequence());
    if found != expected {
        let code = if found < expected { RoomCode::Replayed } else { RoomCode::SequenceSkipped };
        return refuse(
            code,
            format!("expected sequence {expected} of {}, found {found}", entry.author().short()),
        );
    }
    check_anchor(context, entry)?;
    let (index, until) = (context.index(), entry.valid_until());
    if until != 0 && index > until {
        return refuse(RoomCode::Expired, format!("expected a height of at most {until}, found {index}"));
    }
    keys::put(&mut done.writes, key, expected.saturating_add(1).to_le_bytes().to_vec());
    done.signed =
        Some(Signed { author: *entry.author(), sequence: entry.sequence(), digest: *entry.digest() });
    Ok(())
}

fn check_anchor<E: RuleEngine>(context: &Context<'_, E>, entry: &VerifiedEntry) -> Result<(), Stop> {
    let (length, found) = (entry.anchor().length(), entry.anchor().hash());
    if length == 0 {
        return Ok(());
    }
    let index = context.index();
    if length > index {
        let reason = format!("expected an anchor of at most {index} blocks, found {length}");
        return Err(Refusal::new(RoomCode::Anchor, reason).into());
    }
    let expected = context.tree_hash(length)?;
    if expected != *found {
        let reason = format!("expected the tree hash {expected} of the first {length} blocks, found {found}");
        return Err(Refusal::new(RoomCode::Anchor, reason).into());
    }
    Ok(())
}

/// Asks the rules, by id; all see the state before the entry, and the first that does not accept decides.
fn check_action<E: RuleEngine>(
    context: &mut Context<'_, E>,
    action: &Action,
    done: &mut Done,
) -> Result<(), Stop> {
    for rule in context.registry.rules() {
        let outcome = context.ask(CallKind::Check, rule, action.author, &action.payload)?;
        match governance::decided(outcome)? {
            Ok(mut outcome) => {
                done.uses.push(RuleUse::of(rule, &mut outcome));
                governance::write(&rule.id, outcome, &mut done.writes);
            }
            Err(failure) => return Err(failure.refusal(code_of(&failure), rule.reference()).into()),
        }
    }
    Ok(())
}

fn code_of(failure: &RuleFailure) -> RoomCode {
    if failure.code >= Fault::LEAST_CODE { RoomCode::RuleTrapped } else { RoomCode::RuleRejected }
}
