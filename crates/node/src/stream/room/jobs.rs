//! Work for which the checker leaves the task: blocks that came, and entries that are to be appended.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use quorate_stream::entry::VerifiedEntry;
use quorate_stream::refusal::{Refusal, RoomCode};
use quorate_stream::room::{AuthenticEntry, Lacking};
use quorate_stream::submit::{Answer, Input as RelayInput};
use quorate_types::{Hash, RoomId};

use super::super::task::StreamTask;
use super::tell::rules_of;
use super::validators::WantedChange;
use super::{RoomKeeper, RoomState, Stopped};
use crate::event::Event;
use crate::room::{Authentication, Checker, Known, Noted, Proposed, Replay, Signatures, Stop};

/// Entries that one job proposes, at most: all of them are appended, and synced, together.
const OFFERS_A_JOB: usize = 1024;

/// Time after which a job proposes no more: rules may take long, and what waits behind it with them.
const PROPOSING: Duration = Duration::from_millis(10);

pub(super) type Job = Pin<Box<dyn Future<Output = Done> + Send>>;

/// What a job came to; it gives the checker back.
pub(crate) struct Done {
    checker: Box<Checker>,
    /// What it was given of the history.
    known: Known,
    what: What,
}

enum What {
    /// With what was not accepted.
    Replayed(Replay, Batch),
    Proposed {
        /// Certificates and evidence, which go before the answers' blocks.
        proofs: Vec<Bytes>,
        /// What was looked at, in order, and at which heights.
        answers: Vec<(Hash, u64, Proposed)>,
        /// What was not, because something is missing.
        rest: VecDeque<Offer>,
        lacking: Option<Lacking>,
        kept: Result<(), Lacking>,
        /// A change of validators, which is the last block of its epoch.
        change: Option<Box<ProposedChange>>,
    },
}

/// A change of validators, and its block if it may be appended.
type ProposedChange = (WantedChange, Result<Bytes, Stop>);

/// An entry that the relay hands to the host.
pub(super) struct Offer {
    pub(super) digest: Hash,
    pub(super) entry: Box<VerifiedEntry>,
    pub(super) module: Option<Bytes>,
}

/// Blocks that follow one another, with their entries.
pub(super) struct Batch {
    pub(super) start: u64,
    blocks: Vec<Bytes>,
    entries: Entries,
}

/// Entries in the order of their blocks.
enum Entries {
    /// Their signatures are being verified.
    Coming(Authentication),
    Here(Vec<Result<AuthenticEntry, Refusal>>),
}

impl Batch {
    /// Begins with the signatures.
    pub(super) fn begin(signatures: &Arc<Signatures>, room: RoomId, start: u64, blocks: Vec<Bytes>) -> Self {
        let entries = Entries::Coming(signatures.begin(room, &blocks));
        Self { start, blocks, entries }
    }

    /// Returns where the blocks end.
    pub(super) fn end(&self) -> u64 {
        self.start.saturating_add(self.blocks.len() as u64)
    }
}

impl RoomKeeper {
    /// Tells whether an entry is one of this node's, and none of its author that comes before it waits here.
    fn waits_for_none(&self, digest: &Hash) -> bool {
        let number = self.own.get(digest);
        number.is_some_and(|(author, sequence)| !self.relay.waits_before(author, *sequence))
    }

    pub(super) fn start_replay(&mut self, signatures: &Arc<Signatures>, batch: Batch) {
        let Some(mut checker) = self.checker.take() else { return };
        let known = std::mem::take(&mut self.known);
        self.replayed_to = batch.end();
        let Batch { start, mut blocks, entries } = batch;
        let signatures = Arc::clone(signatures);
        let more = !self.ahead.is_empty();
        self.job = Some(Box::pin(async move {
            let mut entries = match entries {
                Entries::Coming(authentication) => authentication.finish().await,
                Entries::Here(entries) => entries,
            };
            blocking::unblock(move || {
                let _checking = signatures.checking();
                let replay = checker.replay(&blocks, &entries, &known, more);
                let taken = usize::try_from(checker.length().saturating_sub(start)).unwrap_or(usize::MAX);
                blocks.drain(..taken.min(blocks.len()));
                entries.drain(..taken.min(entries.len()));
                let rest = Batch { start: checker.length(), blocks, entries: Entries::Here(entries) };
                Done { checker, known, what: What::Replayed(replay, rest) }
            })
            .await
        }));
    }

    pub(super) fn start_proposal(&mut self) {
        let Some(mut checker) = self.checker.take() else { return };
        let known = std::mem::take(&mut self.known);
        let mut offers = std::mem::take(&mut self.offers);
        let wanted = std::mem::take(&mut self.proofs);
        let change = self.changes.pop_front();
        self.job = Some(Box::pin(blocking::unblock(move || {
            let (mut proofs, mut answers) = (Vec::new(), Vec::new());
            let mut lacking = None;
            for proof in wanted {
                match checker.propose_proof(proof, &known) {
                    Ok(block) => proofs.extend(block),
                    // It is made again when there is more to prove.
                    Err(why) => tracing::debug!("not appended: {why}"),
                }
            }
            let begun = Instant::now();
            while answers.len() < OFFERS_A_JOB
                && begun.elapsed() < PROPOSING
                && let Some(offer) = offers.pop_front()
            {
                let height = checker.length();
                match checker.propose(&offer.entry, offer.module.as_ref(), &known) {
                    Proposed::Lacking(what) => {
                        offers.push_front(offer);
                        lacking = Some(what);
                        break;
                    }
                    proposed => answers.push((offer.digest, height, proposed)),
                }
            }
            let change = change.map(|change| {
                let proposed = checker.propose_change(change.body.clone(), &known);
                Box::new((change, proposed))
            });
            let kept = checker.flush();
            Done {
                checker,
                known,
                what: What::Proposed { proofs, answers, rest: offers, lacking, kept, change },
            }
        })));
    }
}

impl StreamTask {
    /// Takes in what a job came to.
    pub(in crate::stream) async fn room_job_done(&mut self, done: Done) {
        let mut keeper = match std::mem::take(&mut self.rooms) {
            RoomState::Open(keeper) => keeper,
            other => {
                self.rooms = other;
                return;
            }
        };
        keeper.job = None;
        let mut checker = done.checker;
        match done.what {
            What::Replayed(replay, rest) => {
                self.note(&mut keeper, &checker, replay.noted);
                self.tell_heads(&mut keeper, &mut checker).await;
                match replay.stop {
                    None => {}
                    Some(Stop::Refused(refusal)) => self.stop_following(&mut keeper, &refusal),
                    Some(Stop::Lacking(lacking)) => {
                        keeper.known = done.known;
                        keeper.ahead.push_front(rest);
                        self.supply(&mut keeper, lacking).await;
                    }
                }
            }
            What::Proposed { proofs, answers, rest, mut lacking, kept, change } => {
                // Offers that came meanwhile stand behind those that were not looked at.
                let later = std::mem::replace(&mut keeper.offers, rest);
                keeper.offers.extend(later);
                let change = match change.map(|change| *change) {
                    Some((change, Err(Stop::Lacking(what)))) => {
                        lacking.get_or_insert(what);
                        keeper.changes.push_front(change);
                        None
                    }
                    change => change,
                };
                self.append_proposed(&mut keeper, &mut checker, proofs, answers, kept, change).await;
                if let Some(lacking) = lacking {
                    keeper.known = done.known;
                    self.supply(&mut keeper, lacking).await;
                }
            }
        }
        keeper.checker = Some(checker);
        self.rooms = RoomState::Open(keeper);
    }

    /// Takes in that blocks were accepted.
    pub(super) fn note(&mut self, keeper: &mut RoomKeeper, checker: &Checker, noted: Vec<Noted>) {
        let now = self.runtime.now();
        let position = checker.room().position();
        keeper.checked = checker.length();
        keeper.state_root = position.state_root;
        keeper.tree_hash = checker.tree_hash();
        keeper.rules = rules_of(checker);
        keeper.closed = checker.room().is_closed().then(|| checker.head().head).flatten();
        for noted in noted {
            keeper.recall.note(&noted);
            let Noted { index, digest, author, sequence } = noted;
            if keeper.may_change_host() {
                keeper.pending.appended(now, &digest, index.saturating_add(1));
            }
            keeper.relay.handle(now, RelayInput::Appeared { digest, author, sequence, index });
        }
        let (length, tree_hash) = (keeper.checked, keeper.tree_hash);
        keeper.relay.handle(now, RelayInput::Head { length, tree_hash });
        if keeper.checked == self.log_length(&keeper.log) {
            self.emit(Event::Checked {
                stream: self.identity.name.clone(),
                length,
                state_root: keeper.state_root,
            });
        }
    }

    /// Appends what passed, in one batch, and answers every offer.
    async fn append_proposed(
        &mut self,
        keeper: &mut RoomKeeper,
        checker: &mut Checker,
        proofs: Vec<Bytes>,
        answers: Vec<(Hash, u64, Proposed)>,
        kept: Result<(), Lacking>,
        change: Option<ProposedChange>,
    ) {
        let mut blocks = proofs;
        for (_, _, proposed) in &answers {
            if let Proposed::Blocks(more, _) = proposed {
                blocks.extend(more.iter().cloned());
            }
        }
        if let Some((_, Ok(block))) = &change {
            blocks.push(block.clone());
        }
        let mut appended = kept.map_err(|error| error.to_string());
        if appended.is_ok() && !blocks.is_empty() {
            appended = self.log_extend(&keeper.log, blocks).await;
        }
        if let Err(why) = &appended {
            tracing::error!(stream = self.identity.name, "nothing was appended: {why}");
            let rewound = match self.log_roots(&keeper.log, self.log_length(&keeper.log)).await {
                Some(roots) => checker.rewind(roots).map_err(|lacking| lacking.to_string()),
                None => Err("where the feed ends is not known".to_owned()),
            };
            if let Err(why) = rewound {
                keeper.stopped = Some(Stopped::Unable(why));
            }
        }
        let now = self.runtime.now();
        let mut noted = Vec::new();
        for (digest, height, proposed) in answers {
            if matches!(&proposed, Proposed::Answer(Answer::Refused(_))) && keeper.own.contains_key(&digest) {
                keeper.refused_at.insert(digest, height);
            }
            let answer = match proposed {
                Proposed::Blocks(_, note) if appended.is_ok() => {
                    noted.push(note);
                    Answer::Appended { index: note.index }
                }
                Proposed::Answer(Answer::Refused(refusal))
                    if refusal.code == RoomCode::SequenceSkipped && keeper.waits_for_none(&digest) =>
                {
                    // Own entries come in their order: the one before was refused, and will not come again.
                    let reason = "an action before it was refused";
                    Answer::Refused(Refusal::new(RoomCode::NotAllowed, reason))
                }
                // It may be the very entry that has its number.
                Proposed::Answer(Answer::Refused(refusal)) if refusal.code == RoomCode::Replayed => {
                    keeper.recall.ask(digest, refusal);
                    continue;
                }
                Proposed::Answer(answer) => answer,
                Proposed::Blocks(..) | Proposed::Lacking(_) => Answer::Later,
            };
            keeper.relay.handle(now, RelayInput::Answered { digest, answer });
        }
        self.note(keeper, checker, noted);
        self.tell_heads(keeper, checker).await;
        if let Some((change, proposed)) = change {
            change.answer(checker.length(), proposed, &appended);
        }
    }
}
