//! Prints what the driver carries over loopback, both ends in this process: bytes and messages per
//! second of wall time, and per second of processor time of both ends and the kernel together.
//!
//! `cargo run --release -p quorate-net --example drive_throughput`

use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Instant;

use bytes::{Bytes, BytesMut};
use futures_lite::future;
use quorate_net::drive::{Handler, Link, Protocol, drive};
use quorate_net::outbox::{Weigh, outbox};
use quorate_net::runtime::{AsyncStd, BoxStream, Runtime};
use quorate_net::{Command, Connection};
use quorate_proto::dat::{Data, FeedMessage, Have};
use quorate_types::{NoiseSecretKey, PeerId, PublicKey, Wire};
use quorate_wire::{
    Channel, Event, NoiseKeyPair, Role, Session, SessionConfig, SessionEntropy, SessionError,
};

const KEY: PublicKey = PublicKey::new([7; 32]);

fn main() {
    println!("{:34} {:>10} {:>14} {:>18} {:>20}", "", "MB/s", "messages/s", "MB/cpu s", "messages/cpu s");
    AsyncStd::block_on(async {
        plain("no protocol, 64 KiB pieces", 65_536, 40_000).await;
        plain("no protocol, 100 B pieces", 100, 4_000_000).await;
        for wire in [Wire::B2, Wire::A] {
            let block = Bytes::from(vec![1; 65_536]);
            session(&format!("wire {wire:?}, 64 KiB blocks"), wire, &data(block), 1, 20_000).await;
            let block = Bytes::from(vec![1; 1024]);
            session(&format!("wire {wire:?}, 1 KiB blocks"), wire, &data(block), 64, 1_000_000).await;
            let have = FeedMessage::Have(Have { start: 1 << 20, length: 1, bitfield: None, ack: false });
            session(&format!("wire {wire:?}, haves"), wire, &have, 64, 4_000_000).await;
        }
    });
}

fn data(value: Bytes) -> FeedMessage {
    FeedMessage::Data(Data { index: 5, value: Some(value), nodes: Vec::new(), signature: None })
}

/// Clock ticks of processor time that this process has used, as seconds.
fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace();
    let ticks: f64 = fields.skip(11).take(2).filter_map(|field| field.parse::<f64>().ok()).sum();
    ticks / 100.0
}

struct Meter(Instant, f64);

impl Meter {
    fn start() -> Self {
        Self(Instant::now(), cpu_seconds())
    }

    fn print(&self, name: &str, bytes: usize, messages: usize) {
        let wall = self.0.elapsed().as_secs_f64();
        let cpu = cpu_seconds() - self.1;
        let (megabytes, messages) = (bytes as f64 / 1e6, messages as f64);
        println!(
            "{name:34} {:>10.0} {:>14.0} {:>18.0} {:>20.0}",
            megabytes / wall,
            messages / wall,
            megabytes / cpu,
            messages / cpu
        );
    }
}

async fn pair() -> (BoxStream, BoxStream) {
    let acceptor = AsyncStd.listen(([127, 0, 0, 1], 0).into()).await.expect("loopback");
    let ours = AsyncStd.connect(acceptor.local_addr().expect("bound")).await.expect("loopback");
    (ours, acceptor.accept().await.expect("loopback").0)
}

/// Bytes as they are: what the driver costs by itself.
#[derive(Default)]
struct Plain {
    out: BytesMut,
    received: Option<BytesMut>,
}

struct Piece(Bytes);

impl Weigh for Piece {
    fn weight(&self) -> usize {
        self.0.len() + size_of::<Self>()
    }
}

impl Protocol for Plain {
    type Event = BytesMut;
    type Command = Piece;
    type Error = std::convert::Infallible;

    fn receive(&mut self, _: Instant, bytes: BytesMut) -> Result<(), Self::Error> {
        self.received = Some(bytes);
        Ok(())
    }
    fn receive_end(&mut self) -> Result<(), Self::Error> {
        Ok(())
    }
    fn poll_event(&mut self) -> Option<BytesMut> {
        self.received.take()
    }
    fn apply(&mut self, command: Piece) -> Result<(), Self::Error> {
        self.out.extend_from_slice(&command.0);
        Ok(())
    }
    fn take_transmit(&mut self) -> Option<Bytes> {
        Some(self.out.split().freeze())
    }
    fn queued_bytes(&self) -> usize {
        self.out.len()
    }
    fn poll_timeout(&self) -> Option<Instant> {
        None
    }
    fn handle_timeout(&mut self, _: Instant) -> Result<(), Self::Error> {
        Ok(())
    }
    fn is_timeout(_: &Self::Error) -> bool {
        false
    }
}

/// Counts down and then closes.
struct Count(usize);

impl Handler<Plain> for Count {
    async fn on_events(&mut self, _: &Link<'_, Plain>, events: Vec<BytesMut>) -> ControlFlow<()> {
        self.0 = self.0.saturating_sub(events.iter().map(|bytes| bytes.len()).sum());
        if self.0 == 0 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }
}

async fn plain(name: &str, size: usize, count: usize) {
    let (left, right) = pair().await;
    let (pieces, commands) = outbox();
    let meter = Meter::start();
    AsyncStd.spawn(Box::pin(async move {
        let (connection, session) = (Connection::new(left), Plain::default());
        drive(Arc::new(AsyncStd), connection, session, commands, &mut Count(usize::MAX)).await;
    }));
    AsyncStd.spawn(Box::pin(async move {
        let piece = Bytes::from(vec![1; size]);
        for _ in 0..count {
            pieces.room().await;
            if pieces.try_send(Piece(piece.clone())).is_err() {
                return;
            }
        }
    }));
    let (_keep, commands) = outbox();
    let (connection, session) = (Connection::new(right), Plain::default());
    drive(Arc::new(AsyncStd), connection, session, commands, &mut Count(size * count)).await;
    meter.print(name, size * count, count);
}

/// Opens the feed, says so, counts messages and closes after the last one.
struct Peer {
    opened: async_channel::Sender<Channel>,
    left: usize,
}

impl Handler<Session> for Peer {
    async fn on_events(&mut self, link: &Link<'_, Session>, events: Vec<Event>) -> ControlFlow<()> {
        for event in events {
            match event {
                Event::RemoteOpen { .. } if link.session().open(&KEY).is_err() => {
                    return ControlFlow::Break(());
                }
                Event::Opened { channel, .. } => {
                    self.opened.send(channel).await.ok();
                }
                Event::Message { .. } => self.left -= 1,
                _ => {}
            }
        }
        if self.left == 0 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }
}

fn end(role: Role, wire: Wire) -> Result<Session, SessionError> {
    let number = if role == Role::Initiator { 1 } else { 2 };
    let keypair = NoiseKeyPair::from_secret(NoiseSecretKey::new([number; 32]));
    let entropy = SessionEntropy::new(&[number; 56]);
    Session::new(SessionConfig::new(role, wire, keypair, PeerId::new([number; 32]), entropy), Instant::now())
}

async fn session(name: &str, wire: Wire, message: &FeedMessage, batch: usize, count: usize) {
    let (left, right) = pair().await;
    let mut initiator = end(Role::Initiator, wire).expect("a right configuration");
    initiator.open(&KEY).expect("a first feed");
    let responder = end(Role::Responder, wire).expect("a right configuration");
    let (sender, commands) = outbox();
    let (opened_in, opened) = async_channel::bounded(1);
    AsyncStd.spawn(Box::pin(async move {
        let mut peer = Peer { opened: opened_in, left: usize::MAX };
        drive(Arc::new(AsyncStd), Connection::new(left), initiator, commands, &mut peer).await;
    }));
    let (_keep, commands) = outbox();
    let receive = async {
        let mut peer = Peer { opened: async_channel::bounded(1).0, left: count };
        drive(Arc::new(AsyncStd), Connection::new(right), responder, commands, &mut peer).await;
    };
    let send = async {
        let channel = opened.recv().await.expect("the feed opens");
        let meter = Meter::start();
        let message = message.clone();
        AsyncStd.spawn(Box::pin(async move {
            for _ in 0..count / batch {
                sender.room().await;
                let messages = vec![(channel, message.clone()); batch];
                if sender.try_send(Command::Send(messages)).is_err() {
                    return;
                }
            }
        }));
        meter
    };
    let (meter, ()) = future::zip(send, receive).await;
    meter.print(name, count * message.encoded_len(), count);
}
