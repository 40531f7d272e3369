//! Verification of the signatures of many blocks: most of the time of a check is theirs.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_channel::{Receiver, Sender, bounded};
use bytes::Bytes;
use quorate_stream::identity::KnownKeys;
use quorate_stream::refusal::Refusal;
use quorate_stream::room::{AuthenticEntry, authenticate_many};
use quorate_types::RoomId;

/// Blocks that one thread takes at a time, at least: below, the change of threads is what costs.
const LEAST_SHARE: usize = 16;

/// Shares in which a batch is taken, for each core: a core that does something else besides takes fewer.
const SHARES_A_CORE: usize = 4;

type Entries = Vec<Result<AuthenticEntry, Refusal>>;

/// Verifies the signatures of all rooms of a node, on as many threads as there are cores for.
///
/// The rules of a room run one after the other, on one thread. Beside any number of others it would have next to no time until
/// all signatures are verified, and one core alone would be busy afterwards: so it has a core of its own.
#[derive(Debug)]
pub(crate) struct Signatures {
    keys: Arc<KnownKeys>,
    threads: usize,
    queue: Mutex<Queue>,
}

#[derive(Debug, Default)]
struct Queue {
    shares: VecDeque<Share>,
    /// Threads that take shares.
    busy: usize,
    /// Threads on which rules run.
    checking: usize,
}

#[derive(Debug)]
struct Share {
    room: RoomId,
    blocks: Vec<Bytes>,
    reply: Sender<Entries>,
}

/// Blocks whose signatures are being verified; what is dropped before its end goes no further than the shares that are
/// under way.
#[derive(Debug)]
pub(crate) struct Authentication(Vec<Receiver<Entries>>);

/// Rules run on this thread.
#[derive(Debug)]
pub(crate) struct Checking<'a>(&'a Arc<Signatures>);

impl Default for Signatures {
    fn default() -> Self {
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        Self { keys: Arc::default(), threads, queue: Mutex::default() }
    }
}

impl Signatures {
    /// Begins to verify the blocks of a room. Few of them do not wait for others.
    pub(crate) fn begin(self: &Arc<Self>, room: RoomId, blocks: &[Bytes]) -> Authentication {
        let size = blocks.len().div_ceil(SHARES_A_CORE * self.threads).max(LEAST_SHARE);
        let (shares, replies): (Vec<Share>, Vec<Receiver<Entries>>) = blocks
            .chunks(size)
            .map(|blocks| {
                let (reply, answer) = bounded(1);
                (Share { room, blocks: blocks.to_vec(), reply }, answer)
            })
            .unzip();
        if blocks.len() <= LEAST_SHARE {
            for share in shares {
                let this = Arc::clone(self);
                blocking::unblock(move || this.verify(share)).detach();
            }
        } else {
            self.enqueue(shares);
        }
        Authentication(replies)
    }

    /// Leaves a core to the thread that calls it, on which rules run.
    pub(crate) fn checking(self: &Arc<Self>) -> Checking<'_> {
        self.queue().checking += 1;
        Checking(self)
    }

    fn enqueue(self: &Arc<Self>, shares: impl IntoIterator<Item = Share>) {
        let mut queue = self.queue();
        queue.shares.extend(shares);
        let more = self.allowed(&queue).saturating_sub(queue.busy).min(queue.shares.len());
        queue.busy += more;
        drop(queue);
        for _ in 0..more {
            let this = Arc::clone(self);
            blocking::unblock(move || this.work()).detach();
        }
    }

    /// Returns how many threads may take shares.
    fn allowed(&self, queue: &Queue) -> usize {
        self.threads.saturating_sub(queue.checking).max(1)
    }

    fn work(&self) {
        let _leaving = OnPanic(self);
        while let Some(share) = self.next() {
            self.verify(share);
        }
    }

    /// Takes the next share; a thread that gets none takes no more.
    fn next(&self) -> Option<Share> {
        let mut queue = self.queue();
        let share = if queue.busy > self.allowed(&queue) { None } else { queue.shares.pop_front() };
        if share.is_none() {
            queue.busy = queue.busy.saturating_sub(1);
        }
        share
    }

    fn verify(&self, share: Share) {
        if !share.reply.is_closed() {
            let entries = authenticate_many(&self.keys, &share.room, share.blocks);
            // Whoever asked may be gone by now.
            let _ = share.reply.try_send(entries);
        }
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Checking<'_> {
    fn drop(&mut self) {
        let mut queue = self.0.queue();
        queue.checking = queue.checking.saturating_sub(1);
        drop(queue);
        self.0.enqueue([]);
    }
}

/// Counts a thread out that ends otherwise than by finding nothing to do.
struct OnPanic<'a>(&'a Signatures);

impl Drop for OnPanic<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let mut queue = self.0.queue();
            queue.busy = queue.busy.saturating_sub(1);
        }
    }
}

impl Authentication {
    /// Waits for the entries, which are in the order of their blocks.
    pub(crate) async fn finish(self) -> Entries {
        let mut entries = Vec::new();
        for share in self.0 {
            entries.extend(share.recv().await.expect("a share is answered unless its verification panics"));
        }
        entries
    }
}

#[cfg(test)]
mod tests {
    use futures_lite::future::block_on;
    use quorate_types::RoomId;

    use super::*;

    const ROOM: RoomId = RoomId::new([7; 32]);

    fn blocks(count: usize) -> Vec<Bytes> {
        (0..count).map(|number| Bytes::from(format!("no entry {number}"))).collect()
    }

    #[test]
    fn every_block_has_its_answer_whatever_else_is_under_way() {
        let signatures = Arc::new(Signatures::default());
        let begun: Vec<_> = [0, 1, LEAST_SHARE, LEAST_SHARE + 1, 1000, 5000]
            .map(|count| (count, signatures.begin(ROOM, &blocks(count))))
            .into();
        drop(signatures.begin(ROOM, &blocks(5000)));
        for (count, authentication) in begun.into_iter().rev() {
            let entries = block_on(authentication.finish());
            assert_eq!(entries.len(), count);
            assert!(entries.iter().all(Result::is_err));
        }
    }

    #[test]
    fn no_more_threads_are_busy_than_there_are_cores_for_and_none_at_the_end() {
        let signatures = Arc::new(Signatures { threads: 3, ..Signatures::default() });
        let mut begun = Vec::new();
        for checking in [0, 1, 5] {
            let guards: Vec<_> = (0..checking).map(|_| signatures.checking()).collect();
            for _ in 0..8 {
                begun.push(signatures.begin(ROOM, &blocks(400)));
                let queue = signatures.queue();
                assert!((1..=3).contains(&queue.busy) || queue.shares.is_empty(), "{queue:?}");
                assert_eq!(signatures.allowed(&queue), [3, 2, 1][checking.min(2)]);
            }
            drop(guards);
        }
        for authentication in begun {
            block_on(authentication.finish());
        }
        // The last answer comes before its thread has looked for more.
        let until = std::time::Instant::now() + std::time::Duration::from_secs(20);
        while signatures.queue().busy > 0 {
            assert!(std::time::Instant::now() < until, "{:?}", signatures.queue());
            std::thread::yield_now();
        }
        let queue = signatures.queue();
        assert!(queue.shares.is_empty() && queue.checking == 0, "{queue:?}");
    }
}
