//! The seam to the async runtime: the one place of the workspace that names one.
//!
//! Everything else takes an `Arc<dyn Runtime>` and speaks `futures-io`. Nothing here depends on
//! which runtime polls it: streams and timers of both implementations stand on `async-io`.

use std::fmt;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use futures_io::{AsyncRead, AsyncWrite};
pub use futures_lite::future::Boxed as BoxFuture;
use socket2::{SockRef, TcpKeepalive};

mod async_std_runtime;
#[cfg(feature = "smol")]
mod smol_runtime;

pub use async_std_runtime::AsyncStd;
#[cfg(feature = "smol")]
pub use smol_runtime::Smol;

/// Idle time after which the kernel probes a TCP peer: it finds hosts that vanished while our own
/// keep-alive waits behind a full send buffer.
pub const TCP_KEEPALIVE_IDLE: Duration = Duration::from_secs(30);

/// Time between two of the kernel's probes.
pub const TCP_KEEPALIVE_INTERVAL: Duration = Duration::from_secs(10);

/// A bidirectional byte stream: a TCP or Unix socket, or a test's pipe. Closing it flushes, then
/// sends the end of stream in our direction; the other direction stays readable.
pub trait ByteStream: AsyncRead + AsyncWrite + fmt::Debug + Send + Unpin + 'static {}

impl<S: AsyncRead + AsyncWrite + fmt::Debug + Send + Unpin + 'static> ByteStream for S {}

/// A boxed [`ByteStream`].
pub type BoxStream = Box<dyn ByteStream>;

/// A socket that accepts TCP connections.
#[async_trait]
pub trait TcpAcceptor: fmt::Debug + Send + Sync + 'static {
    /// Waits for the next connection. Cancel-safe.
    async fn accept(&self) -> io::Result<(BoxStream, SocketAddr)>;

    /// The address that is bound.
    fn local_addr(&self) -> io::Result<SocketAddr>;
}

/// A socket that accepts connections of this machine.
#[async_trait]
pub trait UnixAcceptor: fmt::Debug + Send + Sync + 'static {
    /// Waits for the next connection. Cancel-safe.
    async fn accept(&self) -> io::Result<BoxStream>;
}

/// A UDP socket that is bound.
#[async_trait]
pub trait Datagrams: fmt::Debug + Send + Sync + 'static {
    /// Waits for the next datagram; what does not fit into `buffer` is lost. Cancel-safe.
    async fn receive(&self, buffer: &mut [u8]) -> io::Result<(usize, SocketAddr)>;

    /// Sends a datagram.
    async fn send(&self, bytes: &[u8], to: SocketAddr) -> io::Result<()>;

    /// The socket, for its options.
    fn socket(&self) -> SockRef<'_>;
}

/// An async runtime: tasks, time and sockets.
#[async_trait]
pub trait Runtime: fmt::Debug + Send + Sync + 'static {
    /// Starts a task and lets it run to its end.
    fn spawn(&self, task: BoxFuture<()>);

    /// The time that deadlines are measured against.
    fn now(&self) -> Instant;

    /// Completes at `deadline`, at once when it has passed.
    fn sleep_until(&self, deadline: Instant) -> BoxFuture<()>;

    /// Opens a TCP connection with `TCP_NODELAY` and kernel keep-alive. Dropping the future gives up.
    async fn connect(&self, address: SocketAddr) -> io::Result<BoxStream>;

    /// Binds a TCP socket that accepts connections, with `TCP_NODELAY` and kernel keep-alive on each.
    /// `[::]` takes IPv4 as well.
    async fn listen(&self, address: SocketAddr) -> io::Result<Box<dyn TcpAcceptor>>;

    /// Takes a UDP socket that is bound.
    fn udp(&self, socket: std::net::UdpSocket) -> io::Result<Box<dyn Datagrams>>;

    /// Opens a connection to a Unix socket.
    async fn connect_unix(&self, path: &Path) -> io::Result<BoxStream>;

    /// Accepts connections on a Unix socket that is bound and listens.
    fn listen_unix(&self, socket: std::os::unix::net::UnixListener) -> io::Result<Box<dyn UnixAcceptor>>;
}

/// Runs `future` and returns its output, or `None` when `deadline` comes first.
pub async fn before<T>(
    runtime: &dyn Runtime,
    deadline: Instant,
    future: impl Future<Output = T>,
) -> Option<T> {
    let timer = runtime.sleep_until(deadline);
    futures_lite::future::or(async { Some(future.await) }, async {
        timer.await;
        None
    })
    .await
}

/// Sets what every TCP connection of ours has.
fn tune(socket: SockRef<'_>) -> io::Result<()> {
    socket.set_tcp_nodelay(true)?;
    socket.set_tcp_keepalive(
        &TcpKeepalive::new().with_time(TCP_KEEPALIVE_IDLE).with_interval(TCP_KEEPALIVE_INTERVAL),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_lite::{AsyncReadExt, AsyncWriteExt};
    use std::sync::Arc;

    fn runtimes() -> Vec<Arc<dyn Runtime>> {
        vec![
            Arc::new(AsyncStd),
            #[cfg(feature = "smol")]
            Arc::new(Smol),
        ]
    }

    #[test]
    fn tcp_carries_bytes_and_half_closes() {
        for runtime in runtimes() {
            AsyncStd::block_on(async {
                for address in ["127.0.0.1:0", "[::1]:0"] {
                    let acceptor = runtime.listen(address.parse().unwrap()).await.unwrap();
                    let bound = acceptor.local_addr().unwrap();
                    let mut ours = runtime.connect(bound).await.unwrap();
                    let (mut theirs, remote) = acceptor.accept().await.unwrap();
                    assert_eq!(remote.ip(), bound.ip());
                    ours.write_all(b"ping").await.unwrap();
                    ours.close().await.unwrap();
                    let mut received = Vec::new();
                    theirs.read_to_end(&mut received).await.unwrap();
                    assert_eq!(received, b"ping");
                    theirs.write_all(b"pong").await.unwrap();
                    drop(theirs);
                    received.clear();
                    ours.read_to_end(&mut received).await.unwrap();
                    assert_eq!(received, b"pong");
                }
            });
        }
    }

    #[test]
    fn udp_carries_datagrams() {
        for runtime in runtimes() {
            AsyncStd::block_on(async {
                let bind = || {
                    let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
                    let address = socket.local_addr().unwrap();
                    (runtime.udp(socket).unwrap(), address)
                };
                let ((ours, our_address), (theirs, their_address)) = (bind(), bind());
                ours.send(b"ping", their_address).await.unwrap();
                let mut buffer = [0; 16];
                let (count, from) = theirs.receive(&mut buffer).await.unwrap();
                assert_eq!((&buffer[..count], from), (&b"ping"[..], our_address));
                assert!(ours.socket().reuse_address().is_ok());
            });
        }
    }

    #[test]
    fn any_ipv6_address_takes_ipv4_too() {
        for runtime in runtimes() {
            AsyncStd::block_on(async {
                let acceptor = runtime.listen("[::]:0".parse().unwrap()).await.unwrap();
                let port = acceptor.local_addr().unwrap().port();
                let bound_v4: std::net::IpAddr = [127, 0, 0, 1].into();
                let _ours = runtime.connect(([127, 0, 0, 1], port).into()).await.unwrap();
                let (_theirs, remote) = acceptor.accept().await.unwrap();
                assert_eq!(remote.ip().to_canonical(), bound_v4);
            });
        }
    }

    #[test]
    fn timers_and_tasks_run() {
        for runtime in runtimes() {
            AsyncStd::block_on(async {
                let (done, wait) = async_channel::bounded(1);
                let inner = Arc::clone(&runtime);
                runtime.spawn(Box::pin(async move {
                    inner.sleep_until(inner.now() + Duration::from_millis(5)).await;
                    done.send(inner.now()).await.unwrap();
                }));
                let started = runtime.now();
                let soon = started + Duration::from_secs(10);
                let ended = before(&*runtime, soon, wait.recv()).await.unwrap().unwrap();
                assert!(ended >= started + Duration::from_millis(5));
                let never = before(&*runtime, started, futures_lite::future::pending::<()>());
                assert_eq!(never.await, None);
            });
        }
    }
}
