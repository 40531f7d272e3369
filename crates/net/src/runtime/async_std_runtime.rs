//! `async-std` behind the seam: its executor, its sockets and its timers, nothing else of it.

use std::future::Future;
use std::io::{self, IoSlice};
use std::net::{Shutdown, SocketAddr};
use std::os::unix::net::UnixListener as StdUnixListener;
use std::path::Path;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Instant;

use async_std::net::{TcpListener, TcpStream, UdpSocket};
use async_std::os::unix::net::{UnixListener, UnixStream};
use async_std::task;
use async_trait::async_trait;
use futures_io::{AsyncRead, AsyncWrite};
use socket2::SockRef;

use super::{BoxFuture, BoxStream, Datagrams, Runtime, TcpAcceptor, UnixAcceptor, tune};

/// The default runtime: `async-std` 1.13 with its global executor.
#[derive(Debug, Clone, Copy, Default)]
pub struct AsyncStd;

impl AsyncStd {
    /// Runs `future` on this thread until it is done. For `main` and for tests.
    pub fn block_on<T>(future: impl Future<Output = T>) -> T {
        task::block_on(future)
    }
}

#[async_trait]
impl Runtime for AsyncStd {
    fn spawn(&self, task: BoxFuture<()>) {
        drop(task::spawn(task));
    }

    fn now(&self) -> Instant {
        Instant::now()
    }

    fn sleep_until(&self, deadline: Instant) -> BoxFuture<()> {
        Box::pin(task::sleep(deadline.saturating_duration_since(Instant::now())))
    }

    async fn connect(&self, address: SocketAddr) -> io::Result<BoxStream> {
        let stream = TcpStream::connect(address).await?;
        tune(SockRef::from(&stream))?;
        Ok(Box::new(HalfClosing(stream)))
    }

    async fn listen(&self, address: SocketAddr) -> io::Result<Box<dyn TcpAcceptor>> {
        Ok(Box::new(TcpListener::bind(address).await?))
    }

    fn udp(&self, socket: std::net::UdpSocket) -> io::Result<Box<dyn Datagrams>> {
        socket.set_nonblocking(true)?;
        Ok(Box::new(UdpSocket::from(socket)))
    }

    async fn connect_unix(&self, path: &Path) -> io::Result<BoxStream> {
        Ok(Box::new(HalfClosing(UnixStream::connect(path).await?)))
    }

    fn listen_unix(&self, socket: StdUnixListener) -> io::Result<Box<dyn UnixAcceptor>> {
        socket.set_nonblocking(true)?;
        Ok(Box::new(UnixListener::from(socket)))
    }
}

#[async_trait]
impl TcpAcceptor for TcpListener {
    async fn accept(&self) -> io::Result<(BoxStream, SocketAddr)> {
        let (stream, remote) = TcpListener::accept(self).await?;
        tune(SockRef::from(&stream))?;
        Ok((Box::new(HalfClosing(stream)), remote))
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
        Ok(Box::new(HalfClosing(stream)))
    }
}

/// A socket whose close sends the end of stream: `poll_close` of `async-std` only flushes.
#[derive(Debug)]
struct HalfClosing<S>(S);

trait Socket: AsyncRead + AsyncWrite + Unpin {
    fn shutdown(&self, how: Shutdown) -> io::Result<()>;
}

impl Socket for TcpStream {
    fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        TcpStream::shutdown(self, how)
    }
}

impl Socket for UnixStream {
    fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        UnixStream::shutdown(self, how)
    }
}

impl<S: Socket> AsyncRead for HalfClosing<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_read(cx, buf)
    }
}

impl<S: Socket> AsyncWrite for HalfClosing<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write_vectored(cx, bufs)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(self.0.shutdown(Shutdown::Write))
    }
}
