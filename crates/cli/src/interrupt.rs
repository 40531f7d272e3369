//! Ctrl-C and termination: the first one is a request, the second one ends the process.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_channel::{Receiver, Sender};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use crate::stop::INTERRUPTED;

/// Tells, to whoever waits, that the user wants an end.
#[derive(Debug, Clone)]
pub(crate) struct Interrupt {
    came: Receiver<()>,
    set: Arc<AtomicBool>,
}

impl Interrupt {
    /// Listens for SIGINT, SIGTERM and SIGHUP from now on.
    pub(crate) fn install() -> io::Result<Self> {
        let mut signals = Signals::new([SIGINT, SIGTERM, SIGHUP])?;
        let (interrupt, sender) = Self::new();
        let set = Arc::clone(&interrupt.set);
        std::thread::Builder::new().name("signals".into()).spawn(move || {
            let mut sender = Some(sender);
            for _ in signals.forever() {
                set.store(true, Ordering::SeqCst);
                if sender.take().is_none() {
                    std::process::exit(i32::from(INTERRUPTED));
                }
            }
        })?;
        Ok(interrupt)
    }

    fn new() -> (Self, Sender<()>) {
        let (sender, came) = async_channel::bounded(1);
        (Self { came, set: Arc::new(AtomicBool::new(false)) }, sender)
    }

    /// Waits for the request; returns at once when it has come. Cancel-safe.
    pub(crate) async fn wait(&self) {
        // The sender is dropped when the request comes.
        while self.came.recv().await.is_ok() {}
    }

    /// Tells whether the request has come.
    pub(crate) fn is_set(&self) -> bool {
        self.set.load(Ordering::SeqCst)
    }
}

#[cfg(test)]
mod tests {
    use futures_lite::future;

    use super::*;

    #[test]
    fn everyone_who_waits_learns_of_it() {
        let (interrupt, sender) = Interrupt::new();
        let other = interrupt.clone();
        assert!(future::block_on(future::poll_once(interrupt.wait())).is_none());
        drop(sender);
        future::block_on(interrupt.wait());
        future::block_on(other.wait());
        future::block_on(other.wait());
    }
}
