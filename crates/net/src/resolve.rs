//! From names to addresses.

use std::io;
use std::net::{SocketAddr, ToSocketAddrs};

/// Looks up `host:port` with the system's resolver, on a thread of its own; addresses need no look-up.
///
/// # Errors
///
/// What the system says, also when the name has no address.
pub async fn resolve(address: &str) -> io::Result<Vec<SocketAddr>> {
    if let Ok(address) = address.parse() {
        return Ok(vec![address]);
    }
    let name = address.to_owned();
    let found: Vec<SocketAddr> =
        blocking::unblock(move || name.to_socket_addrs().map(Iterator::collect)).await?;
    if found.is_empty() {
        return Err(io::Error::new(io::ErrorKind::NotFound, format!("{address} has no address")));
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_and_names_are_found() {
        futures_lite::future::block_on(async {
            assert_eq!(resolve("127.0.0.1:7").await.unwrap(), ["127.0.0.1:7".parse().unwrap()]);
            let found = resolve("localhost:7").await.unwrap();
            assert!(found.iter().all(|address| address.ip().is_loopback()), "{found:?}");
            assert!(resolve("no port").await.is_err());
        });
    }
}
