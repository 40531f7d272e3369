//! `smol` behind the seam, for the day `async-std`'s freeze hurts.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::os::unix::net::UnixListener as StdUnixListener;
use std::path::Path;
use std::time::Instant;

use async_trait::async_trait;
use smol::net::unix::{UnixListener, UnixStream};
use smol::net::{TcpListener, TcpStream, UdpSocket};
use smol::{Async, Timer};
use socket2::SockRef;

use super::{BoxFuture, BoxStream, Datagrams, Runtime, TcpAcceptor, UnixAcceptor, tune};

/// `smol` 2 with its global executor (one thread unless `SMOL_THREADS` says more).
#[derive(Debug, Clone, Copy, Default)]
pub struct Smol;

impl Smol {
    /// Runs `future` on this thread until it is done. For `main` and for tests.
    pub fn block_on<T>(future: impl Future<Output = T>) -> T {
        smol::block_on(future)
    }
}

#[async_trait]
impl Runtime for Smol {
    fn spawn(&self, task: BoxFuture<()>) {
        smol::spawn(task).detach();
    }

    fn now(&self) -> Instant {
        Instant::now()
    }

    fn sleep_until(&self, deadline: Instant) -> BoxFuture<()> {
        Box::pin(async move {
            Timer::at(deadline).await;
        })
    }

    async fn connect(&self, address: SocketAddr) -> io::Result<BoxStream> {
        let stream = TcpStream::connect(address).await?;
        tune(SockRef::from(&stream))?;
        Ok(Box::new(stream))
    }

    async fn listen(&self, address: SocketAddr) -> io::Result<Box<dyn TcpAcceptor>> {
        Ok(Box::new(TcpListener::bind(address).await?))
    }

    fn udp(&self, socket: std::net::UdpSocket) -> io::Result<Box<dyn Datagrams>> {
        Ok(Box::new(UdpSocket::from(Async::new(socket)?)))
    }

    async fn connect_unix(&self, path: &Path) -> io::Result<BoxStream> {
        Ok(Box::new(UnixStream::connect(path).await?))
    }

    fn listen_unix(&self, socket: StdUnixListener) -> io::Result<Box<dyn UnixAcceptor>> {
        Ok(Box::new(UnixListener::from(Async::new(socket)?)))
    }
}

#[async_trait]
impl TcpAcceptor for TcpListener {
    async fn accept(&self) -> io::Result<(BoxStream, SocketAddr)> {
        let (stream, remote) = TcpListener::accept(self).await?;
        tune(SockRef::from(&stream))?;
        Ok((Box::new(stream), remote))
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        TcpListener::local_addr(self)
    }
}

#[async_trait]
impl Datagrams for UdpSocket {
    async fn receive(&self, buffer: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        self.recv_from(buffer).await
    }

    async fn send(&self, bytes: &[u8], to: SocketAddr) -> io::Result<()> {
        self.send_to(bytes, to).await.map(|_| ())
    }

    fn socket(&self) -> SockRef<'_> {
        SockRef::from(self)
    }
}

#[async_trait]
impl UnixAcceptor for UnixListener {
    async fn accept(&self) -> io::Result<BoxStream> {
        let (stream, _) = UnixListener::accept(self).await?;
        Ok(Box::new(stream))
    }
}
