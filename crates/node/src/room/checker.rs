//! The checks of one room, one block after another. Everything here blocks its thread.

use std::collections::BTreeMap;

use bytes::Bytes;
use quorate_feed::{Flavour, Roots};
use quorate_quorum::certificate::{Change, Inclusion};
use quorate_quorum::engine::Closes;
use quorate_quorum::head::Head;
use quorate_rules::engine::Engine;
use quorate_rules::engine::with_stack;
use quorate_rules::state::{Position, RoomStore};
use quorate_store::room_state::RedbStore;
use quorate_stream::chunk::split;
use quorate_stream::entry::{Entry, Proof, ProofKind, VerifiedEntry};
use quorate_stream::refusal::{Refusal, RoomCode};
use quorate_stream::room::{
    AuthenticEntry, Checked, Lacking, OpenRoomError, Prefix, ReconcileError, Room, RoomPart,
};
use quorate_stream::submit::Answer;
use quorate_types::{Hash, PublicKey, RulesHash};

/// Tree hashes of earlier lengths that are kept at hand: heads that authors have seen lately.
const RECENT_HASHES: usize = 65_536;

/// Blocks that are hashed side by side before they are checked.
const HASHED_TOGETHER: usize = 64;

/// Parts of the history that a check asked for.
#[derive(Debug, Default)]
pub(crate) struct Known {
    pub(crate) blocks: BTreeMap<u64, Bytes>,
    pub(crate) hashes: BTreeMap<u64, Hash>,
}

/// Why checking stopped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Stop {
    /// The rules of the room refuse the block.
    Refused(Refusal),
    /// A part of the history is needed, or no verdict can be given.
    Lacking(Lacking),
}

/// A signed entry that was accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Noted {
    pub(crate) index: u64,
    pub(crate) digest: Hash,
    pub(crate) author: PublicKey,
    pub(crate) sequence: u64,
}

/// What came of checking blocks.
#[derive(Debug, Default)]
pub(crate) struct Replay {
    /// Signed entries among those that were accepted.
    pub(crate) noted: Vec<Noted>,
    /// Why not all were.
    pub(crate) stop: Option<Stop>,
}

/// What came of one proposal.
#[derive(Debug)]
pub(crate) enum Proposed {
    /// These blocks are to be appended; the signed entry is the last of them.
    Blocks(Vec<Bytes>, Noted),
    /// The proposal is answered.
    Answer(Answer),
    /// Something is needed first.
    Lacking(Lacking),
}

/// A room, and the peaks of its feed where it stands.
#[derive(Debug)]
pub(crate) struct Checker<S: RoomStore = RedbStore> {
    pub(super) room: Room<S>,
    /// Of the feed whose blocks come next.
    roots: Roots,
    pub(super) recent: BTreeMap<u64, Hash>,
    /// Blocks that were taken in since the last commit: those that are proposed are nowhere else.
    pub(super) fresh: BTreeMap<u64, Bytes>,
    /// Where the room stood after each block since they were last taken; none in a room without validators.
    heads: Vec<CheckedHead>,
    /// Certificates and evidence among the blocks since they were last taken.
    proofs: Vec<Proof>,
    rules_hash: RulesHash,
    /// Length up to the last block that is no certificate.
    substance: u64,
    /// Length of the room with the newest change of validators that was taken in, and the change.
    closes: Option<(u64, Box<Closes>)>,
}

/// Where a room with validators stands after a block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CheckedHead {
    pub(crate) position: Position,
    /// Where the feed stands there; `None` before its first block.
    pub(crate) head: Option<Head>,
    pub(crate) rules_hash: RulesHash,
    /// In blocks of the feed.
    pub(crate) substance: u64,
    /// There when the last block is a change of validators.
    pub(crate) closes: Option<Box<Closes>>,
}

/// The history before a block, as far as it is at hand.
pub(super) struct History<'a> {
    pub(super) recent: &'a BTreeMap<u64, Hash>,
    pub(super) fresh: &'a BTreeMap<u64, Bytes>,
    pub(super) known: &'a Known,
}

impl Prefix for History<'_> {
    fn block(&self, index: u64) -> Option<Bytes> {
        self.fresh.get(&index).or_else(|| self.known.blocks.get(&index)).cloned()
    }

    fn tree_hash(&self, length: u64) -> Option<Hash> {
        self.recent.get(&length).or_else(|| self.known.hashes.get(&length)).copied()
    }
}

impl<S: RoomStore> Checker<S> {
    /// Opens a room over its state. [`reconcile`](Self::reconcile) comes before anything else.
    pub(crate) fn open(
        feed: &PublicKey,
        header: &Bytes,
        store: S,
        engine: &Engine,
        known: &Known,
    ) -> Result<Self, OpenRoomError> {
        let (recent, fresh) = (BTreeMap::new(), BTreeMap::new());
        let history = History { recent: &recent, fresh: &fresh, known };
        let room = Room::open(feed, header, store, engine, &history)?;
        let rules_hash = room.rules_hash();
        Ok(Self {
            room,
            roots: Roots::default(),
            recent,
            fresh,
            heads: Vec::new(),
            proofs: Vec::new(),
            rules_hash,
            substance: 0,
            closes: None,
        })
    }

    /// Takes back what the feed does not contain; returns the length at which it stands then.
    pub(crate) fn reconcile(&mut self, length: u64, known: &Known) -> Result<u64, ReconcileError> {
        self.room.reconcile(length, &History { recent: &self.recent, fresh: &self.fresh, known })
    }

    /// Says which peaks the feed has where the room stands, behind certificates from the length `substance` on.
    pub(crate) fn stand_on(&mut self, roots: Roots, substance: u64) {
        let position = self.room.position();
        self.recent = BTreeMap::from([(position.length, position.tree_hash)]);
        self.rules_hash = self.room.rules_hash();
        self.substance = substance.min(roots.length());
        self.roots = roots;
    }

    /// Goes on with the blocks of another feed of the room, which has these peaks where the room stands, or is going to
    /// stand when [`rewind`](Self::rewind) follows.
    pub(crate) fn enter(&mut self, part: RoomPart, roots: Roots) {
        self.room.enter(part);
        self.heads.clear();
        self.substance = roots.length();
        self.roots = roots;
    }

    /// Has the head where the room stands reported among the next ones.
    pub(crate) fn report_head(&mut self) {
        self.heads.push(self.head());
    }

    pub(crate) const fn room(&self) -> &Room<S> {
        &self.room
    }

    /// Returns by how much the room is longer than the feed whose blocks come next.
    fn offset(&self) -> u64 {
        self.room.part().map_or(0, RoomPart::offset)
    }

    /// Returns the tree hash at the length that was checked.
    pub(crate) fn tree_hash(&self) -> Hash {
        match self.room.position() {
            position if position.length > 0 => position.tree_hash,
            _ => self.roots.tree_hash(Flavour::Dat),
        }
    }

    /// Returns what the room calls the tree hash of nothing, or that of the blocks before.
    fn hash_before(&self) -> Hash {
        self.room.position().tree_hash
    }

    /// Returns the blocks of the room that were checked.
    pub(crate) fn length(&self) -> u64 {
        self.offset().saturating_add(self.roots.length())
    }

    /// Tells whether the room would take an entry now. Nothing changes.
    pub(crate) fn would_take(&mut self, entry: &VerifiedEntry) -> Checked {
        let known = Known::default();
        let history = History { recent: &self.recent, fresh: &self.fresh, known: &known };
        self.room.check_authentic(&AuthenticEntry::from(entry.clone()), self.hash_before(), &history)
    }

    /// Tells what the rules say of a block that would come next. Nothing changes.
    pub(crate) fn would_accept(&mut self, block: Bytes) -> Checked {
        let known = Known::default();
        let history = History { recent: &self.recent, fresh: &self.fresh, known: &known };
        let before = self.hash_before();
        self.room.check(block, before, &history)
    }

    /// Returns where the feed would stand with a block that came next.
    pub(crate) fn head_with(&self, block: &Bytes) -> Option<Head> {
        let mut roots = self.roots.clone();
        roots.push_block(Flavour::Dat, block).ok()?;
        Head::new(roots.length(), roots.tree_hash(Flavour::Dat))
    }

    /// Checks block 0.
    pub(crate) fn begin(&mut self, header: &Bytes, known: &Known) -> Replay {
        let history = History { recent: &self.recent, fresh: &self.fresh, known };
        let checked = self.room.check(header.clone(), self.hash_before(), &history);
        let stop = self.finish(checked, header, None).err();
        // A room that nobody has said anything in is one, and is committed as such.
        self.substance = self.roots.length();
        self.end_replay(Replay { noted: Vec::new(), stop })
    }

    /// Checks blocks that follow one another and whose signatures were verified, until one is not accepted. Where `more` follow, the
    /// state is written down with theirs, or when there is enough of it.
    pub(crate) fn replay(
        &mut self,
        blocks: &[Bytes],
        entries: &[Result<AuthenticEntry, Refusal>],
        known: &Known,
        more: bool,
    ) -> Replay {
        let mut replay = Replay::default();
        with_stack(|| {
            for (blocks, entries) in blocks.chunks(HASHED_TOGETHER).zip(entries.chunks(HASHED_TOGETHER)) {
                // Where they would leave the limits of a feed, the block that does it is found below.
                let mut grown = self.roots.grown(Flavour::Dat, blocks).unwrap_or_default().into_iter();
                for (block, entry) in blocks.iter().zip(entries) {
                    match self.take_grown(block, grown.next(), entry.as_ref(), known) {
                        Ok(noted) => replay.noted.extend(noted),
                        Err(stop) => {
                            replay.stop = Some(stop);
                            return;
                        }
                    }
                    // What follows is of another epoch, whose validators are to be known first.
                    if self.room.is_closed() {
                        return;
                    }
                }
            }
        });
        if more && replay.stop.is_none() && !self.room.is_closed() {
            self.fresh.clear();
            return replay;
        }
        self.end_replay(replay)
    }

    fn end_replay(&mut self, mut replay: Replay) -> Replay {
        self.fresh.clear();
        if let Err(error) = self.room.commit() {
            replay.stop = Some(Stop::Lacking(error.into()));
        }
        replay
    }

    /// Checks an entry that is to be appended, with the module that it may need. What is accepted is taken as
    /// appended; [`rewind`](Self::rewind) takes it back.
    pub(crate) fn propose(
        &mut self,
        entry: &VerifiedEntry,
        module: Option<&Bytes>,
        known: &Known,
    ) -> Proposed {
        let block = entry.encode();
        let signed = AuthenticEntry::from(entry.clone());
        let incomplete = match self.take(&block, Ok(&signed), known) {
            Ok(Some(noted)) => return Proposed::Blocks(vec![block], noted),
            Ok(None) => return Proposed::Answer(Answer::Later),
            Err(Stop::Refused(refusal)) if refusal.code == RoomCode::ModuleIncomplete => refusal,
            Err(stop) => return not_appended(stop),
        };
        let Some(module) = module else {
            return Proposed::Answer(Answer::NeedsModule);
        };
        let Ok(chunks) = split(module) else {
            return Proposed::Answer(Answer::Refused(incomplete));
        };
        let start = self.roots.clone();
        let mut blocks = Vec::new();
        for chunk in chunks {
            let block = Entry::Chunk(chunk.clone()).encode();
            match self.take(&block, Ok(&AuthenticEntry::Chunk(chunk)), known) {
                Ok(_) => blocks.push(block),
                Err(stop) => return self.without_chunks(start, stop),
            }
        }
        match self.take(&block, Ok(&signed), known) {
            Ok(Some(noted)) => {
                blocks.push(block);
                Proposed::Blocks(blocks, noted)
            }
            Ok(None) => Proposed::Answer(Answer::Later),
            Err(stop) => self.without_chunks(start, stop),
        }
    }

    /// Checks a certificate, or evidence, that is to be appended. One that is of no use any more is dropped.
    pub(crate) fn propose_proof(&mut self, proof: Proof, known: &Known) -> Result<Option<Bytes>, Lacking> {
        let block = Entry::Proof(proof.clone()).encode();
        match self.take(&block, Ok(&AuthenticEntry::Proof(proof)), known) {
            Ok(_) => Ok(Some(block)),
            Err(Stop::Refused(refusal)) => {
                tracing::debug!("not appended: {refusal}");
                Ok(None)
            }
            Err(Stop::Lacking(lacking)) => Err(lacking),
        }
    }

    /// Checks a change of validators that is to be appended. What is accepted is taken as appended.
    pub(crate) fn propose_change(&mut self, body: Bytes, known: &Known) -> Result<Bytes, Stop> {
        let proof = Proof { kind: ProofKind::ValidatorChange, body };
        let block = Entry::Proof(proof.clone()).encode();
        self.take(&block, Ok(&AuthenticEntry::Proof(proof)), known)?;
        Ok(block)
    }

    /// The chunks alone are of no use.
    fn without_chunks(&mut self, start: Roots, stop: Stop) -> Proposed {
        match self.rewind(start) {
            Ok(()) => not_appended(stop),
            Err(error) => Proposed::Lacking(error),
        }
    }

    /// Writes down what was taken in.
    pub(crate) fn flush(&mut self) -> Result<(), Lacking> {
        self.fresh.clear();
        self.room.commit().map_err(Lacking::from)
    }

    /// Goes back to where the feed has these peaks.
    pub(crate) fn rewind(&mut self, roots: Roots) -> Result<(), Lacking> {
        let length = self.offset().saturating_add(roots.length());
        self.room.step_back(length).map_err(Lacking::from)?;
        let _ = self.recent.split_off(&length.saturating_add(1));
        let _ = self.fresh.split_off(&length);
        self.heads.retain(|head| head.position.length <= length);
        self.rules_hash = self.room.rules_hash();
        self.substance = self.substance.min(roots.length());
        self.roots = roots;
        Ok(())
    }

    fn take(
        &mut self,
        block: &Bytes,
        entry: Result<&AuthenticEntry, &Refusal>,
        known: &Known,
    ) -> Result<Option<Noted>, Stop> {
        self.take_grown(block, None, entry, known)
    }

    /// Takes a block, of which the peaks with it and their hash may have been computed before.
    fn take_grown(
        &mut self,
        block: &Bytes,
        grown: Option<(Roots, Hash)>,
        entry: Result<&AuthenticEntry, &Refusal>,
        known: &Known,
    ) -> Result<Option<Noted>, Stop> {
        let entry = entry.map_err(|refusal| Stop::Refused(refusal.clone()))?;
        let history = History { recent: &self.recent, fresh: &self.fresh, known };
        let is_substance =
            !matches!(entry, AuthenticEntry::Proof(proof) if proof.kind == ProofKind::Certificate);
        let checked = self.room.check_authentic(entry, self.hash_before(), &history);
        let is_change =
            matches!(entry, AuthenticEntry::Proof(proof) if proof.kind == ProofKind::ValidatorChange);
        let before = is_change.then(|| self.roots.clone());
        let noted = self.finish(checked, block, grown)?;
        if let Some(before) = before {
            self.note_change(block, &before);
        }
        self.note_head(is_substance);
        if let AuthenticEntry::Proof(proof) = entry {
            self.proofs.push(proof.clone());
        }
        Ok(noted)
    }

    /// Tells whether the room stands behind a change of validators that is not at hand.
    pub(crate) fn lacks_change(&self) -> bool {
        let length = self.length();
        self.room.is_closed() && self.closes.as_ref().is_none_or(|(closed, _)| *closed != length)
    }

    /// Notes the change of validators behind which the room stands, with the peaks of the feed before it: of a last
    /// block these are all that its place takes to be shown.
    pub(crate) fn note_change(&mut self, block: &Bytes, before: &Roots) {
        let Some(epoch) = self.room.epoch() else { return };
        let peak = |index| before.nodes().iter().find(|node| node.index.get() == index).copied();
        let index = before.length();
        let nodes = Inclusion::nodes(index, index.saturating_add(1), peak);
        let next = Change::read(block, epoch.validators()).ok();
        self.closes = nodes
            .zip(next)
            .map(|(nodes, next)| (self.length(), Box::new(Closes { next, block: block.clone(), nodes })));
    }

    /// Notes where the room stands, for those who vote.
    fn note_head(&mut self, is_substance: bool) {
        if self.room.epoch().is_none() {
            return;
        }
        if is_substance {
            self.substance = self.roots.length();
        }
        self.heads.push(self.head());
    }

    /// Returns where the room stands.
    pub(crate) fn head(&self) -> CheckedHead {
        self.head_of(self.room.position())
    }

    /// Returns where the room stood at an earlier length, if that is still known. Rules are taken to be the present ones.
    pub(crate) fn head_at(&self, length: u64) -> Option<CheckedHead> {
        self.position_at(length).map(|position| self.head_of(position))
    }

    /// Returns where the room stood at a length, if that is still known.
    pub(crate) fn position_at(&self, length: u64) -> Option<Position> {
        match self.room.position() {
            position if position.length == length => Some(position),
            _ => self.room.store().position_at(length).ok().flatten(),
        }
    }

    fn head_of(&self, position: Position) -> CheckedHead {
        let head = match self.room.part() {
            Some(part) => part.head(position.length, position.tree_hash),
            None => Head::new(position.length, position.tree_hash),
        };
        let closes = self.closes.as_ref().filter(|(closed, _)| *closed == position.length);
        let closes = closes.filter(|_| self.room.is_closed()).map(|(_, closes)| closes.clone());
        CheckedHead { position, head, rules_hash: self.rules_hash, substance: self.substance, closes }
    }

    /// Takes the certificates and evidence that were accepted since the last time.
    pub(crate) fn take_proofs(&mut self) -> Vec<Proof> {
        std::mem::take(&mut self.proofs)
    }

    /// Takes what was noted since the last time.
    pub(crate) fn take_heads(&mut self) -> Vec<CheckedHead> {
        std::mem::take(&mut self.heads)
    }

    fn finish(
        &mut self,
        checked: Checked,
        block: &Bytes,
        grown: Option<(Roots, Hash)>,
    ) -> Result<Option<Noted>, Stop> {
        let effects = match checked {
            Checked::Accepted(effects) => effects,
            Checked::Refused(refusal) => return Err(Stop::Refused(refusal)),
            Checked::Unable(why) => return Err(Stop::Lacking(why)),
        };
        let other = |why: String| Stop::Lacking(Lacking::Other(why));
        let index = effects.index();
        let other_rules = effects.rules().is_some();
        let noted =
            effects.entry().map(|(digest, author, sequence)| Noted { index, digest, author, sequence });
        let (roots, tree_hash) = match grown {
            Some(grown) => grown,
            None => {
                let mut roots = self.roots.clone();
                roots.push_block(Flavour::Dat, block).map_err(|error| other(error.to_string()))?;
                let tree_hash = roots.tree_hash(Flavour::Dat);
                (roots, tree_hash)
            }
        };
        self.room.apply(effects, tree_hash).map_err(|error| other(error.to_string()))?;
        self.roots = roots;
        if other_rules {
            self.rules_hash = self.room.rules_hash();
        }
        self.fresh.insert(index, block.clone());
        self.recent.insert(index.saturating_add(1), tree_hash);
        if self.recent.len() > RECENT_HASHES {
            self.recent.pop_first();
        }
        Ok(noted)
    }
}

fn not_appended(stop: Stop) -> Proposed {
    match stop {
        Stop::Refused(refusal) => Proposed::Answer(Answer::Refused(refusal)),
        Stop::Lacking(lacking) => Proposed::Lacking(lacking),
    }
}
