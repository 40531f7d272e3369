//! Epochs after the first: their feeds are opened, their headers checked, and the room goes on in them.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_channel::Receiver;
use bytes::Bytes;
use quorate_feed::fork::VerifiedForkProof;
use quorate_feed::{Flavour, Keys, Roots};
use quorate_quorum::certificate::{CertificateError, Epoch, VerifiedStart};
use quorate_quorum::engine::{Engine, Input};
use quorate_quorum::head::Head;
use quorate_stream::entry::{Entry, Proof, ProofKind, VerifiedEntry};
use quorate_stream::header::{StreamHeader, SuccessorHeader};
use quorate_stream::identity::Author;
use quorate_stream::room::RoomPart;
use quorate_types::PublicKey;

use super::super::handle::Stream;
use super::super::task::StreamTask;
use super::super::watch::{FeedView, Watch};
use super::log::{Log, OtherFeed, Part};
use super::{RoomKeeper, RoomState, Stopped};
use crate::event::Event;
use crate::room::{Checker, Known};
use crate::{Failure, Node};

/// Later feeds of a room, and what is known of it beyond the stream's own feed.
pub(super) struct Epochs {
    header: StreamHeader,
    /// Block 0 as a head: what a room without any certificate is continued from.
    genesis: Head,
    feeds: BTreeMap<PublicKey, Later>,
    /// Epochs in which a feed goes on with other validators, by their numbers.
    continued: BTreeMap<u64, Continued>,
    /// Blocks behind changes of validators that were read, by feed and index, and whether they begin an epoch.
    starts: BTreeMap<(PublicKey, u64), bool>,
    /// Feed whose host the relay takes for the present one, `None` while an epoch has no feed yet, and whether that is this
    /// node.
    relayed: Option<(Option<PublicKey>, bool)>,
    /// Feed of the last host that the relay was told of.
    last_host: Option<PublicKey>,
    /// Epoch, its feed and the number of starts when the log was last put together.
    known: Option<(u64, Option<PublicKey>, usize)>,
    /// Log in which the room goes on as soon as no job runs.
    next: Option<Log>,
}

/// An epoch in which the feed of the one before goes on.
struct Continued {
    start: Box<VerifiedStart>,
    /// Peaks of the feed where it begins.
    entry: Roots,
}

/// A feed of an epoch, as it comes in the line of the room's feeds.
struct Line {
    epoch: u64,
    feed: PublicKey,
    /// Where the epoch begins, if the feed is that of the epoch before.
    base: Option<Head>,
}

/// A later feed.
struct Later {
    /// Epoch in which it was granted.
    epoch: u64,
    /// The feed; `None` when it cannot be opened here.
    open: Option<Opened>,
    header: Header,
}

struct Opened {
    feed: OtherFeed,
    forks: Receiver<VerifiedForkProof>,
    /// Signs receipts, where this node writes the feed.
    author: Option<Author>,
}

/// What is known of block 0 of a later feed.
enum Header {
    Unknown,
    /// The feed follows, with the peaks of its header.
    Follows(Box<VerifiedStart>, Roots),
    /// It may not.
    Refused,
}

impl Epochs {
    /// Returns how many blocks of the later feeds are here, without gaps.
    pub(super) fn blocks_here(&self) -> u64 {
        self.feeds
            .values()
            .filter_map(|later| later.open.as_ref())
            .map(|open| open.feed.view.contiguous())
            .sum()
    }

    pub(super) fn new(header: StreamHeader, block: &Bytes) -> Option<Self> {
        let roots = peaks_of(block)?;
        let genesis = Head::new(1, roots.tree_hash(Flavour::Dat))?;
        Some(Self {
            header,
            genesis,
            feeds: BTreeMap::new(),
            continued: BTreeMap::new(),
            starts: BTreeMap::new(),
            relayed: None,
            last_host: None,
            known: None,
            next: None,
        })
    }

    /// Tells whether the room names others who may host it.
    pub(super) fn may_change(&self) -> bool {
        self.header.quorum.as_ref().is_some_and(|quorum| !quorum.hosts.is_empty())
    }

    /// Identity keys of those who may host after the first host.
    pub(super) fn hosts(&self) -> &[PublicKey] {
        self.header.quorum.as_ref().map_or(&[], |quorum| &quorum.hosts)
    }

    /// Tells whether the block behind a change of validators is known to begin no epoch.
    pub(super) fn has_bad_start(&self, feed: &PublicKey, head: &Head) -> bool {
        self.starts.get(&(*feed, head.length())) == Some(&false)
    }

    /// Forgets what was read in a feed behind a length.
    pub(super) fn forget_behind(&mut self, feed: &PublicKey, length: u64) {
        self.starts.retain(|(key, index), _| key != feed || *index < length);
        self.known = None;
    }

    /// Finds how an epoch begins by what its feed holds, and the peaks of the feed there.
    fn start_of(&self, epoch: u64, feed: &PublicKey) -> Option<(&VerifiedStart, &Roots)> {
        let continued = self.continued.get(&epoch).filter(|found| found.start.epoch().feed() == Some(feed));
        if let Some(Continued { start, entry }) = continued {
            return Some((start, entry));
        }
        match self.feeds.get(feed).filter(|later| later.epoch == epoch).map(|later| &later.header) {
            Some(Header::Follows(start, roots)) => Some((start, roots)),
            Some(Header::Unknown | Header::Refused) | None => None,
        }
    }

    /// Puts the log together that ends with an epoch, if all of it is known.
    fn log_to(&self, last: (u64, PublicKey), first: &Part) -> Option<Log> {
        let genesis = first.key;
        let mut chain: Vec<(&VerifiedStart, &Roots)> = Vec::new();
        let mut at = last;
        // Each base is of an earlier epoch than the one that begins with it.
        while at != (0, genesis) {
            let (start, roots) = self.start_of(at.0, &at.1)?;
            at = start.epoch().base().map_or((0, genesis), |base| (base.epoch, base.feed));
            chain.push((start, roots));
        }
        let mut first = Part { end: None, ..first.clone() };
        let mut later: Vec<Part> = Vec::new();
        for (start, roots) in chain.into_iter().rev() {
            let epoch = start.epoch();
            let base = epoch.base().map_or(self.genesis, |base| *base.head());
            let before = later.last_mut().unwrap_or(&mut first);
            let height = before.offset().saturating_add(base.length());
            before.end = Some((height, base));
            let key = *epoch.feed()?;
            let (feed, checked_as) = if key == before.key {
                let start_hash = start.hash();
                let part = RoomPart::continued(epoch.clone(), before.offset(), height, start_hash);
                (before.feed.clone(), part)
            } else {
                let feed = self.feeds.get(&key)?.open.as_ref()?.feed.clone();
                let tree_hash = roots.tree_hash(Flavour::Dat);
                (Some(feed), RoomPart::later(epoch.clone(), height, tree_hash))
            };
            later.push(Part {
                epoch: epoch.number(),
                key,
                feed,
                checked_as: Some(checked_as),
                entry: roots.clone(),
                start: height,
                end: None,
            });
        }
        Some(Log::with(first, later))
    }
}

fn peaks_of(block: &Bytes) -> Option<Roots> {
    let mut roots = Roots::default();
    roots.push_block(Flavour::Dat, block).ok()?;
    Some(roots)
}

/// Feeds that the room may consist of, the newest epoch first, as far as the starts that are known lead back.
fn line_of(engine: &Engine, epochs: &Epochs) -> Vec<Line> {
    let mut line = Vec::new();
    let mut at: Option<&Epoch> = Some(engine.epoch());
    while let Some(epoch) = at.filter(|epoch| epoch.number() > 0) {
        let mut base = epoch.base();
        if let Some(feed) = epoch.feed().copied() {
            let goes_on = base.filter(|base| base.feed == feed).map(|base| *base.head());
            line.push(Line { epoch: epoch.number(), feed, base: goes_on });
            if let Some((start, _)) = epochs.start_of(epoch.number(), &feed) {
                base = start.epoch().base();
            }
        }
        at = base.and_then(|base| engine.epoch_at(base.epoch));
    }
    line
}

impl StreamTask {
    /// Follows the room from host to host.
    pub(super) async fn follow_epochs(&mut self, keeper: &mut RoomKeeper) {
        if keeper.quorum.is_none() || keeper.epochs.is_none() {
            return;
        }
        self.take_forks(keeper);
        self.look_at_branches(keeper).await;
        let log = self.learn_epochs(keeper).await;
        if let Some(epochs) = &mut keeper.epochs
            && log.is_some()
        {
            epochs.next = log;
        }
        // What the host before said of entries is forgotten before its blocks are dropped and the entries in them go out
        // again, also while nobody hosts the room yet.
        self.change_host(keeper);
        if keeper.job.is_none()
            && let Some(mut checker) = keeper.checker.take()
        {
            let next = keeper.epochs.as_mut().and_then(|epochs| epochs.next.take());
            let is_kept = match next {
                Some(log) => self.change_log(keeper, &mut checker, log).await,
                None => true,
            };
            if is_kept && self.leave_branch(keeper, &mut checker).await {
                keeper.checker = Some(checker);
                // The base may be what evidence is about.
                self.judge(keeper).await;
                if let Some(mut checker) = keeper.checker.take() {
                    self.cross(keeper, &mut checker).await;
                    keeper.checker = Some(checker);
                }
            }
        }
        self.change_host(keeper);
    }

    fn take_forks(&self, keeper: &mut RoomKeeper) {
        let Some(epochs) = &keeper.epochs else { return };
        let open = epochs.feeds.values().filter_map(|later| later.open.as_ref());
        let forks: Vec<VerifiedForkProof> = open.filter_map(|open| open.forks.try_recv().ok()).collect();
        for proof in forks {
            self.accuse(keeper, &proof);
        }
    }

    /// Opens the feeds of the epochs that are known, and checks their headers. Returns the log of the room when it is
    /// another one than before.
    pub(super) async fn learn_epochs(&mut self, keeper: &mut RoomKeeper) -> Option<Log> {
        let (Some(mut quorum), Some(mut epochs)) = (keeper.quorum.take(), keeper.epochs.take()) else {
            return None;
        };
        // A header that becomes known may show which feed comes before it.
        loop {
            let mut is_new = false;
            for Line { epoch, feed, base } in line_of(&quorum.engine, &epochs) {
                if let Some(base) = base {
                    is_new |= self.read_start(&mut quorum.engine, &mut epochs, feed, base).await;
                    continue;
                }
                if !epochs.feeds.contains_key(&feed) {
                    let keys = Keys { public: feed, secret: None };
                    self.open_later(&mut epochs, epoch, keys).await;
                    is_new = true;
                }
                is_new |= self.read_header(&mut quorum.engine, &mut epochs, feed).await;
            }
            if let Some(closed) = keeper.closed {
                // The block behind a change of validators shows the epoch that begins, to those who are told by nobody.
                let feed = keeper.log.part(keeper.place).key;
                is_new |= self.read_start(&mut quorum.engine, &mut epochs, feed, closed).await;
            }
            if !is_new {
                break;
            }
        }
        let epoch = quorum.engine.epoch();
        let is_header = |later: &&Later| matches!(later.header, Header::Follows(..));
        let headers = epochs.feeds.values().filter(is_header).count();
        let known = (epoch.number(), epoch.feed().copied(), headers.saturating_add(epochs.continued.len()));
        if epochs.known.replace(known) == Some(known) {
            (keeper.quorum, keeper.epochs) = (Some(quorum), Some(epochs));
            return None;
        }
        let line = line_of(&quorum.engine, &epochs);
        let log = line.iter().find_map(|line| epochs.log_to((line.epoch, line.feed), keeper.log.first()));
        let shape = |log: &Log| {
            log.parts().map(|part| (part.epoch, part.key, part.start, part.end)).collect::<Vec<_>>()
        };
        let is_other = log.as_ref().is_some_and(|log| shape(log) != shape(&keeper.log));
        epochs.next = None;
        (keeper.quorum, keeper.epochs) = (Some(quorum), Some(epochs));
        log.filter(|_| is_other)
    }

    /// Opens a later feed, to be replicated or written. One that cannot be opened is left alone until the next start.
    async fn open_later(&mut self, epochs: &mut Epochs, epoch: u64, keys: Keys) {
        let key = keys.public;
        // A node that is gone ends its tasks, and opens nothing any more.
        let mut open = None;
        if let Some(inner) = self.node.upgrade() {
            let opened = match (Node { inner }).room_feed(&self.identity, epoch, keys).await {
                Ok(stream) => self.watch_later(stream).await,
                Err(failure) => Err(failure),
            };
            if let Err(failure) = &opened {
                let stream = &self.identity.name;
                tracing::error!(stream, epoch, "the feed of a host is not followed: {failure}");
            }
            open = opened.ok();
        }
        epochs.feeds.insert(key, Later { epoch, open, header: Header::Unknown });
    }

    async fn watch_later(&mut self, stream: Stream) -> Result<Opened, Failure> {
        let (view, (forks, found)) = (Arc::new(FeedView::default()), async_channel::bounded(1));
        let watch = Watch { view: Arc::clone(&view), signal: self.signal.clone(), forks };
        let author = stream.watch(watch).await?;
        Ok(Opened { feed: OtherFeed { stream, view }, forks: found, author })
    }

    /// Reads and checks block 0 of a later feed when it has come; tells whether it is now known to follow.
    async fn read_header(&mut self, engine: &mut Engine, epochs: &mut Epochs, feed: PublicKey) -> bool {
        let Some(later) = epochs.feeds.get_mut(&feed) else { return false };
        let Some(open) = later.open.as_ref().filter(|_| matches!(later.header, Header::Unknown)) else {
            return false;
        };
        if open.feed.view.contiguous() == 0 {
            return false;
        }
        let Ok(block) = open.feed.stream.get(0).await else { return false };
        let read = SuccessorHeader::parse(&block).map_err(|error| error.to_string());
        let checked = read.and_then(|header| {
            let start = match engine.check_start(header.start.clone()) {
                Ok(start) => start,
                // The epochs before it are on their way.
                Err(CertificateError::UnknownEpoch { .. }) => return Ok(None),
                Err(error) => return Err(format!("block 0: {error}")),
            };
            let roots = peaks_of(&block).ok_or("block 0 is no first block of a feed")?;
            match header.check(&feed, &start, &epochs.header, epochs.genesis) {
                Ok(()) => Ok(Some((start, roots))),
                Err(error) => Err(error.to_string()),
            }
        });
        match checked {
            Ok(None) => false,
            Ok(Some((start, roots))) => {
                engine.handle(self.runtime.now(), Input::Started(Box::new(start.clone())));
                later.header = Header::Follows(Box::new(start), roots);
                true
            }
            Err(reason) => {
                let stream = open.feed.stream.name().to_owned();
                tracing::error!(stream, "the feed of a host does not continue the room: {reason}");
                let code = quorate_stream::refusal::RoomCode::BadHeader.to_string();
                self.emit(Event::Refused { stream, index: 0, code, reason });
                later.header = Header::Refused;
                false
            }
        }
    }

    /// Reads the block of a feed behind a base, which begins the next epoch there when it is a start that holds; tells whether
    /// it is now known to do so.
    async fn read_start(
        &mut self,
        engine: &mut Engine,
        epochs: &mut Epochs,
        feed: PublicKey,
        base: Head,
    ) -> bool {
        let place = (feed, base.length());
        if epochs.starts.contains_key(&place) {
            return false;
        }
        let Some((block, entry)) = self.block_behind(epochs, &feed, base.length()).await else {
            return false;
        };
        let body = match Entry::decode(block) {
            Ok(Entry::Proof(Proof { kind: ProofKind::EpochStart, body })) => Ok(body),
            Ok(_) => Err("expected the start of an epoch, found another entry".to_owned()),
            Err(error) => Err(error.to_string()),
        };
        let checked = body.and_then(|body| match engine.check_start(body) {
            Ok(start) => Ok(Some(start)),
            // The epochs before it are on their way.
            Err(CertificateError::UnknownEpoch { .. }) => Ok(None),
            Err(error) => Err(error.to_string()),
        });
        let before = Head::new(base.length(), entry.tree_hash(Flavour::Dat));
        match checked {
            Ok(None) => false,
            Ok(Some(start)) if start.may_stand(&feed, before.as_ref()) => {
                engine.handle(self.runtime.now(), Input::Started(Box::new(start.clone())));
                epochs.starts.insert(place, true);
                epochs.continued.insert(start.epoch().number(), Continued { start: Box::new(start), entry });
                true
            }
            checked => {
                let why = checked.err().unwrap_or_else(|| "it is the start of another feed".to_owned());
                let stream = &self.identity.name;
                tracing::error!(stream, "what follows a change of validators begins no epoch: {why}");
                epochs.starts.insert(place, false);
                false
            }
        }
    }

    /// Returns the block of a feed behind its first `length` blocks, and the peaks of these, when they are here.
    async fn block_behind(
        &mut self,
        epochs: &Epochs,
        feed: &PublicKey,
        length: u64,
    ) -> Option<(Bytes, Roots)> {
        if *feed == self.identity.key {
            let block = self.feed.get(length).await.ok().flatten()?;
            return Some((block, self.feed.roots_at(length).await.ok().flatten()?));
        }
        let open = epochs.feeds.get(feed)?.open.as_ref()?;
        if open.feed.view.contiguous() <= length {
            return None;
        }
        let block = open.feed.stream.get(length).await.ok()?;
        Some((block, open.feed.stream.roots(length).await.ok().flatten()?))
    }

    /// Goes on in another log: what is not in it is taken back. False when the state of the room has to be made anew.
    async fn change_log(&mut self, keeper: &mut RoomKeeper, checker: &mut Checker, log: Log) -> bool {
        let (common, place) = keeper.log.common(&log);
        let before = checker.length();
        let old = std::mem::replace(&mut keeper.log, log);
        let said = self.said_between(keeper.id, &old, (common, before)).await;
        self.step_back(keeper, checker, (common, place), said).await
    }

    /// Lets the room go on from a length, in the feed at a place: what stands behind is taken back. `said` is what this home
    /// said in blocks behind it; it is submitted again. False when the state of the room has to be made anew.
    pub(super) async fn step_back(
        &mut self,
        keeper: &mut RoomKeeper,
        checker: &mut Checker,
        (common, place): (u64, usize),
        said: Vec<(VerifiedEntry, Option<Bytes>)>,
    ) -> bool {
        let before = checker.length();
        keeper.known = Known::default();
        keeper.ahead.clear();
        // What is offered stays: the relay has handed it over, and waits for an answer to each.
        keeper.proofs.retain(|proof| proof.kind == ProofKind::Evidence);
        keeper.wanted = None;
        if before > common || keeper.place > place {
            let part = keeper.log.part(place).clone();
            let roots = self.log_roots(&keeper.log, common).await;
            let rewound = match (roots, part.checked_as) {
                (Some(roots), Some(as_part)) => {
                    checker.enter(as_part, roots.clone());
                    checker.rewind(roots).map_err(|lacking| lacking.to_string())
                }
                _ => Err("the head that the room is continued from is not known here".to_owned()),
            };
            if let Err(why) = rewound {
                tracing::warn!(stream = self.identity.name, "the state of the room is made anew: {why}");
                self.keep_said(keeper, &said).await;
                self.forget_room(keeper);
                return false;
            }
            keeper.place = place;
        }
        let dropped = before.saturating_sub(common);
        if dropped > 0 {
            keeper.has_dropped = true;
            tracing::warn!(
                stream = self.identity.name,
                common,
                dropped,
                "blocks that do not count are dropped"
            );
        }
        let is_past = |stopped: &Stopped| match stopped {
            Stopped::Refused(block) => block.index >= common,
            Stopped::Unable(_) => true,
        };
        if keeper.stopped.as_ref().is_some_and(is_past) {
            keeper.stopped = None;
        }
        self.note(keeper, checker, Vec::new());
        keeper.pending.dropped(common);
        keeper.relay.dropped(common);
        keeper.recall.forget();
        self.submit_dropped(keeper, checker, common, said).await;
        true
    }

    /// Has the room met again, with an empty state.
    pub(super) fn forget_room(&self, keeper: &mut RoomKeeper) {
        keeper.is_lost = true;
    }

    /// Goes on in the next feed where the one before it ends.
    async fn cross(&mut self, keeper: &mut RoomKeeper, checker: &mut Checker) {
        let mut has_crossed = false;
        while keeper.stopped.is_none()
            && keeper.place < keeper.log.last_place()
            && let Some((end, base)) = keeper.log.part(keeper.place).end
            && checker.length() == end
        {
            let found = checker.head().head;
            if found != Some(base) {
                let why = format!(
                    "the validators go on from tree hash {} at length {} of feed {}, and its blocks here have {}",
                    base.tree_hash(),
                    base.length(),
                    keeper.log.part(keeper.place).key.short(),
                    found.map_or_else(|| "none".to_owned(), |head| head.tree_hash().to_string()),
                );
                tracing::error!(stream = self.identity.name, "{why}");
                keeper.stopped = Some(Stopped::Unable(why));
                return;
            }
            let before = keeper.log.part(keeper.place).key;
            let next = keeper.log.part(keeper.place.saturating_add(1));
            let Some(part) = next.checked_as.clone() else { return };
            checker.enter(part, next.entry.clone());
            keeper.place = keeper.place.saturating_add(1);
            has_crossed = true;
            let (epoch, feed, start) = (next.epoch, next.key, next.start);
            let same_host = feed == before;
            self.emit(Event::Epoch { stream: self.identity.name.clone(), epoch, feed, start, same_host });
        }
        if has_crossed {
            checker.report_head();
            self.note(keeper, checker, Vec::new());
            self.tell_heads(keeper, checker).await;
            if keeper.place == keeper.log.last_place() {
                keeper.relay.send_again(self.runtime.now());
            }
        }
    }

    /// Tells whether the room goes on in feeds that are not all here. After `has_heard`, it is no longer waited for what
    /// peers say of epochs.
    pub(in crate::stream) fn lacks_later_feeds(&self, has_heard: bool) -> bool {
        let RoomState::Open(keeper) = &self.rooms else { return false };
        let (Some(quorum), true) = (&keeper.quorum, keeper.may_change_host()) else { return false };
        let engine = &quorum.engine;
        let last = keeper.log.last();
        let is_known = match (engine.newest_epoch_heard(), engine.epoch().feed()) {
            (None, _) => !self.peers.values().any(|peer| peer.is_quorate),
            (Some(heard), Some(feed)) => heard <= engine.epoch().number() && last.key == *feed,
            (Some(heard), None) => heard <= engine.epoch().number(),
        };
        let is_here = last.feed.as_ref().is_none_or(|other| {
            other.view.contiguous() >= other.view.length() && other.view.length() >= other.view.remote()
        });
        !(is_known || has_heard) || !is_here
    }

    /// Tells whether the room goes on in another feed than the stream's own.
    pub(in crate::stream) fn is_led_elsewhere(&self) -> bool {
        matches!(&self.rooms, RoomState::Open(keeper) if keeper.log.last().feed.is_some())
    }

    /// Lets submissions go to the host of the epoch that is on.
    pub(super) fn change_host(&self, keeper: &mut RoomKeeper) {
        let Some(quorum) = &keeper.quorum else { return };
        let epoch = quorum.engine.epoch();
        let Some(epochs) = &mut keeper.epochs else { return };
        // Where nobody may follow, the first host goes on: nothing that it appends is committed.
        if epoch.number() == 0 || epoch.host_key().is_none() {
            return;
        }
        let last = keeper.log.last();
        let author = epochs.feeds.get(&last.key).and_then(|later| later.open.as_ref()?.author.clone());
        let author = author.filter(|_| epoch.feed() == Some(&last.key));
        let feed = epoch.feed().copied();
        if epochs.relayed == Some((feed, author.is_some())) {
            return;
        }
        epochs.relayed = Some((feed, author.is_some()));
        let key = feed.or(epochs.last_host).unwrap_or(self.identity.key);
        epochs.last_host = Some(key);
        keeper.is_host = author.is_some();
        keeper.come_to_host(author.is_some());
        if let Err(error) = keeper.relay.set_host(self.runtime.now(), key, author) {
            tracing::error!(stream = self.identity.name, "nothing can be submitted to the host: {error}");
        }
    }

    /// Makes the feed of an epoch that this node hosts.
    pub(super) async fn create_feed(&mut self, engine: &mut Engine, keeper: &mut RoomKeeper, epoch: u64) {
        let made = match self.node.upgrade() {
            Some(inner) => (Node { inner }).make_room_feed(&self.identity, epoch).await,
            None => return,
        };
        let opened = match made {
            Ok(stream) => {
                let key = *stream.key();
                self.watch_later(stream).await.map(|opened| (key, opened))
            }
            Err(failure) => Err(failure),
        };
        match (opened, &mut keeper.epochs) {
            (Ok((key, opened)), Some(epochs)) => {
                epochs.feeds.insert(key, Later { epoch, open: Some(opened), header: Header::Unknown });
                engine.handle(self.runtime.now(), Input::FeedCreated { epoch, feed: key });
            }
            (Ok(_), None) => {}
            (Err(failure), _) => {
                tracing::error!(
                    stream = self.identity.name,
                    epoch,
                    "this node does not host the room: {failure}"
                );
            }
        }
    }

    /// Writes block 0 of the feed of an epoch that this node hosts, if it is not there.
    pub(super) async fn open_feed(
        &mut self,
        engine: &Engine,
        keeper: &mut RoomKeeper,
        (epoch, feed): (u64, PublicKey),
        start: Bytes,
    ) {
        let Some(epochs) = &mut keeper.epochs else { return };
        if !epochs.feeds.contains_key(&feed) {
            self.open_later(epochs, epoch, Keys { public: feed, secret: None }).await;
        }
        let open = epochs.feeds.get(&feed).and_then(|later| later.open.as_ref());
        let Some(open) = open.filter(|open| open.feed.view.length() == 0) else { return };
        let written = match (open.author.is_some(), engine.check_start(start)) {
            (false, _) => Err("the secret key of its feed is gone".to_owned()),
            (true, Err(error)) => Err(error.to_string()),
            (true, Ok(start)) => {
                let header = SuccessorHeader::of(&epochs.header, &start, epochs.genesis);
                match header.encode() {
                    Err(error) => Err(error.to_string()),
                    Ok(block) => {
                        let mut blocks = vec![block];
                        if start.epoch().base().is_none() {
                            blocks.extend(self.genesis_chunks(&epochs.header).await);
                        }
                        let extended = open.feed.stream.extend(blocks).await;
                        extended.map(|_| ()).map_err(|failure| failure.message)
                    }
                }
            }
        };
        if let Err(why) = written {
            tracing::error!(stream = self.identity.name, epoch, "this node does not host the room: {why}");
        }
    }

    /// The modules of a room of which nothing but block 0 counts stand in blocks that do not.
    async fn genesis_chunks(&mut self, header: &StreamHeader) -> Vec<Bytes> {
        let modules = header.modules();
        let mut chunks = Vec::new();
        let mut index = 1;
        while let Ok(Some(block)) = self.feed.get(index).await
            && let Ok(Entry::Chunk(chunk)) = Entry::decode(block.clone())
            && modules.contains(&chunk.module)
        {
            chunks.push(block);
            index += 1;
        }
        chunks
    }
}
