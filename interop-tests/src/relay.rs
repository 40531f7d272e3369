//! A relay that breaks connections, for tests of what happens in the middle.

use std::collections::VecDeque;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use anyhow::{Context, Result};

/// Passes connections on from a port of its own to an address, and breaks some of them.
///
/// Its threads end with the process.
#[derive(Debug)]
pub struct Relay {
    address: String,
    breaks: Breaks,
}

/// Bytes, in both directions, after which a connection breaks; the first is for the next one that gets so far.
type Breaks = Arc<Mutex<VecDeque<usize>>>;

impl Relay {
    /// Listens on loopback for connections to `to`, `host:port`, of which the first that passes `breaks[0]` bytes
    /// breaks there, then the first that passes `breaks[1]`, and so on. The others last.
    pub fn start(to: &str, breaks: impl IntoIterator<Item = usize>) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").context("cannot listen on loopback")?;
        let address = listener.local_addr()?.to_string();
        let breaks: Breaks = Arc::new(Mutex::new(breaks.into_iter().collect()));
        let (to, queue) = (to.to_owned(), Arc::clone(&breaks));
        thread::spawn(move || {
            for near in listener.incoming().map_while(Result::ok) {
                // A target that is gone is a connection that ends.
                if let Ok(far) = TcpStream::connect(&to) {
                    pass(near, far, &queue);
                }
            }
        });
        Ok(Self { address, breaks })
    }

    /// Returns the address to dial.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Returns how many breaks are still to come.
    pub fn breaks_left(&self) -> usize {
        self.breaks.lock().unwrap_or_else(PoisonError::into_inner).len()
    }
}

fn pass(near: TcpStream, far: TcpStream, breaks: &Breaks) {
    let passed = Arc::new(Mutex::new(0));
    let (Ok(near_again), Ok(far_again)) = (near.try_clone(), far.try_clone()) else { return };
    for (from, to) in [(near, far), (far_again, near_again)] {
        let (passed, breaks) = (Arc::clone(&passed), Arc::clone(breaks));
        thread::spawn(move || copy(from, to, &passed, &breaks));
    }
}

fn copy(mut from: TcpStream, mut to: TcpStream, passed: &Mutex<usize>, breaks: &Breaks) {
    let mut buffer = [0; 4096];
    while let Ok(read) = from.read(&mut buffer) {
        let mut whole = buffer.get(..read).unwrap_or_default();
        let mut passed = passed.lock().unwrap_or_else(PoisonError::into_inner);
        let mut breaks = breaks.lock().unwrap_or_else(PoisonError::into_inner);
        let is_break = breaks.front().is_some_and(|limit| *passed + read >= *limit);
        if is_break {
            // In the middle of whatever was being said.
            whole = whole.get(..read / 2).unwrap_or_default();
            breaks.pop_front();
        }
        *passed += read;
        drop((passed, breaks));
        if to.write_all(whole).is_err() || is_break {
            break;
        }
        if read == 0 {
            // One direction may end before the other.
            drop(to.shutdown(Shutdown::Write));
            return;
        }
    }
    drop(from.shutdown(Shutdown::Both));
    drop(to.shutdown(Shutdown::Both));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_break_where_they_are_told_to() {
        let target = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let relay = Relay::start(&target.local_addr().unwrap().to_string(), [10]).unwrap();
        let mut lengths = Vec::new();
        for _ in 0..2 {
            let mut near = TcpStream::connect(relay.address()).unwrap();
            let (mut far, _) = target.accept().unwrap();
            near.write_all(&[7; 20]).unwrap();
            near.shutdown(Shutdown::Write).unwrap();
            let mut received = Vec::new();
            far.read_to_end(&mut received).unwrap();
            lengths.push(received.len());
        }
        assert_eq!((lengths, relay.breaks_left()), (vec![10, 20], 0));
    }
}
