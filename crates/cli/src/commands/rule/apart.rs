//! Work that waits for files, programs and rules, on a thread of its own: Ctrl-C does not wait for it.

use async_channel::{Receiver, Sender};

use crate::stop::{Outcome, Stop};

/// Things that are handed over before the thread waits.
const AHEAD: usize = 64;

/// Takes what the work finds, one thing after the other.
pub(super) struct Findings<T>(Receiver<Outcome<T>>);

/// Hands over what the work finds.
pub(super) struct Hand<T>(Sender<Outcome<T>>);

/// Starts work that finds things.
pub(super) fn start<T: Send + 'static>(
    work: impl FnOnce(&Hand<T>) -> Outcome + Send + 'static,
) -> Outcome<Findings<T>> {
    let (sender, receiver) = async_channel::bounded(AHEAD);
    std::thread::Builder::new()
        .name("rule".into())
        .spawn(move || {
            let hand = Hand(sender);
            if let Err(stop) = work(&hand) {
                // Where nobody listens any more, nobody wants to know.
                let _ = hand.0.send_blocking(Err(stop));
            }
        })
        .map_err(|error| Stop::io("starting a thread", &error))?;
    Ok(Findings(receiver))
}

/// Does work that comes to one thing.
pub(super) async fn once<T: Send + 'static>(
    work: impl FnOnce() -> Outcome<T> + Send + 'static,
) -> Outcome<T> {
    let findings = start(move |hand| hand.give(work()?))?;
    // Only a panic, which has been told, ends the thread with nothing.
    findings.next().await?.ok_or(Stop::Interrupted)
}

impl<T> Hand<T> {
    /// Hands one over; an end when nobody takes it.
    pub(super) fn give(&self, found: T) -> Outcome {
        self.0.send_blocking(Ok(found)).map_err(|_| Stop::Interrupted)
    }
}

impl<T> Findings<T> {
    /// Waits for the next; `None` after the last. Cancel-safe.
    pub(super) async fn next(&self) -> Outcome<Option<T>> {
        self.0.recv().await.ok().transpose()
    }

    /// Tells whether the next would have to be waited for.
    pub(super) fn is_behind(&self) -> bool {
        self.0.is_empty()
    }
}
