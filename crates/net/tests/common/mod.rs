//! Two ends of Dat connections in one process, for the tests of this crate.

#![allow(dead_code, unreachable_pub, missing_docs)]

use std::net::SocketAddr;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_channel::Receiver;
use futures_lite::future;
use quorate_net::dial::Dialer;
use quorate_net::drive::{Ended, Handler, Link, drive};
use quorate_net::listen::{ListenConfig, Listening, Port, listen};
use quorate_net::outbox::{Outbox, outbox};
use quorate_net::runtime::{AsyncStd, BoxStream, Runtime, before};
use quorate_net::{Command, Connection};
use quorate_types::{NoiseSecretKey, PeerId, PublicKey, Wire};
use quorate_wire::{
    Channel, Event, NoiseKeyPair, Role, Session, SessionConfig, SessionEntropy, SessionError,
};

pub const PATIENCE: Duration = Duration::from_secs(30);

pub fn runtime() -> Arc<dyn Runtime> {
    Arc::new(AsyncStd)
}

/// Runs a test, which must end in time.
pub fn run<T>(test: impl Future<Output = T>) -> T {
    AsyncStd::block_on(async {
        before(&AsyncStd, Instant::now() + PATIENCE, test).await.expect("the test ends in time")
    })
}

pub async fn pause(time: Duration) {
    AsyncStd.sleep_until(Instant::now() + time).await;
}

pub fn feed(number: u8) -> PublicKey {
    PublicKey::new([number; 32])
}

pub fn session(role: Role, wire: Wire, now: Instant) -> Result<Session, SessionError> {
    let mut random = [0; 56];
    getrandom::fill(&mut random).unwrap();
    let mut secret = [0; 32];
    getrandom::fill(&mut secret).unwrap();
    let keypair = NoiseKeyPair::from_secret(NoiseSecretKey::new(secret));
    let entropy = SessionEntropy::new(&random);
    Session::new(SessionConfig::new(role, wire, keypair, PeerId::new(secret), entropy), now)
}

pub fn dialling(wire: Wire, now: Instant) -> Result<Session, SessionError> {
    session(Role::Initiator, wire, now)
}

pub async fn listening(runtime: &Arc<dyn Runtime>, config: ListenConfig) -> (Listening, SocketAddr) {
    let config = ListenConfig { host: Some([127, 0, 0, 1].into()), port: Port::Exactly(0), ..config };
    let listening = listen(Arc::clone(runtime), config).await.unwrap();
    let address = listening.local_addr();
    (listening, address)
}

/// Opens the feeds it carries, refuses others, and passes everything on.
struct Forward {
    feeds: Vec<PublicKey>,
    events: async_channel::Sender<Event>,
}

impl Handler<Session> for Forward {
    async fn on_events(&mut self, link: &Link<'_, Session>, events: Vec<Event>) -> ControlFlow<()> {
        for event in events {
            if let Event::RemoteOpen { discovery_key } = &event {
                let mut session = link.session();
                let feed = self.feeds.iter().find(|feed| feed.discovery_key() == *discovery_key);
                let result = match feed {
                    Some(feed) => session.open(feed).map(drop),
                    None => session.refuse(discovery_key),
                };
                if result.is_err() {
                    return ControlFlow::Break(());
                }
            }
            if self.events.send(event).await.is_err() {
                return ControlFlow::Break(());
            }
        }
        ControlFlow::Continue(())
    }
}

/// One end of a connection that is being driven.
pub struct Peer {
    pub outbox: Outbox<Command>,
    pub events: Receiver<Event>,
    pub ended: Receiver<Ended<SessionError>>,
}

impl Peer {
    pub fn start(connection: Connection, session: Session, feeds: &[PublicKey]) -> Self {
        let (outbox, commands) = outbox();
        let (events_in, events) = async_channel::bounded(64);
        let (ended_in, ended) = async_channel::bounded(1);
        let mut handler = Forward { feeds: feeds.to_vec(), events: events_in };
        AsyncStd.spawn(Box::pin(async move {
            let end = drive(runtime(), connection, session, commands, &mut handler).await;
            drop(handler);
            ended_in.send(end).await.ok();
        }));
        Self { outbox, events, ended }
    }

    /// Waits for an event that `pick` likes, and drops those before it.
    pub async fn wait<T>(&self, pick: impl Fn(Event) -> Option<T>) -> T {
        loop {
            match self.events.recv().await {
                Ok(event) => {
                    if let Some(picked) = pick(event) {
                        return picked;
                    }
                }
                Err(_) => panic!("the connection ended: {:?}", self.ended.recv().await),
            }
        }
    }

    pub async fn opened(&self) -> Channel {
        self.wait(|event| match event {
            Event::Opened { channel, .. } => Some(channel),
            _ => None,
        })
        .await
    }

    pub async fn ended(&self) -> Ended<SessionError> {
        while self.events.recv().await.is_ok() {}
        self.ended.recv().await.unwrap()
    }
}

/// Accepts the next peer and drives it.
pub async fn accept(listening: &Listening, feeds: Vec<PublicKey>) -> (Peer, Wire) {
    let incoming = listening.next().await;
    let session = session(Role::Responder, incoming.wire, incoming.since).unwrap();
    (Peer::start(incoming.connection, session, &feeds), incoming.wire)
}

pub async fn connect(runtime: &Arc<dyn Runtime>, address: SocketAddr) -> BoxStream {
    runtime.connect(address).await.unwrap()
}

/// A well-meaning peer gets through.
pub async fn is_served(runtime: &Arc<dyn Runtime>, listening: &Listening) {
    let dialer = Dialer::new(Arc::clone(runtime));
    let accept = accept(listening, vec![feed(1)]);
    let (dialled, (theirs, wire)) = future::zip(dialer.dial(listening.local_addr(), dialling), accept).await;
    let dialled = dialled.unwrap();
    assert_eq!(wire, Wire::B2);
    let ours = Peer::start(dialled.connection, dialled.session, &[]);
    ours.outbox.try_send(Command::Open(feed(1))).unwrap();
    future::zip(ours.opened(), theirs.opened()).await;
    ours.outbox.shutdown();
    theirs.ended().await;
    ours.ended().await;
}
