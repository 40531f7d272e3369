//! A slow line between two peers.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

use anyhow::Result;

/// Passes on what comes in on a port, no faster than it is told to.
pub(crate) struct Relay {
    address: String,
}

impl Relay {
    /// Begins to pass on to an address.
    pub(crate) fn start(to: &str, bytes_per_second: usize) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?.to_string();
        let to = to.to_owned();
        thread::spawn(move || {
            for near in listener.incoming().map_while(Result::ok) {
                let Ok(far) = TcpStream::connect(&to) else { continue };
                for (from, into) in [(near.try_clone(), far.try_clone()), (Ok(far), Ok(near))] {
                    if let (Ok(from), Ok(into)) = (from, into) {
                        thread::spawn(move || pass_on(from, into, bytes_per_second));
                    }
                }
            }
        });
        Ok(Self { address })
    }

    /// Returns `host:port` on which it listens.
    pub(crate) fn address(&self) -> &str {
        &self.address
    }
}

fn pass_on(mut from: TcpStream, mut into: TcpStream, bytes_per_second: usize) {
    let mut buffer = vec![0; (bytes_per_second / 50).max(1)];
    while let Ok(count @ 1..) = from.read(&mut buffer) {
        if into.write_all(&buffer[..count]).is_err() {
            break;
        }
        thread::sleep(Duration::from_secs(1).mul_f64(count as f64 / bytes_per_second as f64));
    }
    // The other direction ends as well.
    let _ = (from.shutdown(Shutdown::Both), into.shutdown(Shutdown::Both));
}
