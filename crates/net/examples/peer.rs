//! Talks to a Dat peer about one feed and prints what it says, without holding a block.
//!
//! `cargo run -p quorate-net --example peer -- KEY dial ADDRESS`
//! `cargo run -p quorate-net --example peer -- KEY listen`

use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context, Result, bail};
use quorate_net::Connection;
use quorate_net::dial::Dialer;
use quorate_net::drive::{Handler, Link, drive};
use quorate_net::listen::{ListenConfig, Port, listen};
use quorate_net::outbox::outbox;
use quorate_net::runtime::{AsyncStd, Runtime};
use quorate_proto::dat::{FeedMessage, Want};
use quorate_types::limits::WANT_WINDOW_BLOCKS;
use quorate_types::{NoiseSecretKey, PeerId, PublicKey, Wire};
use quorate_wire::{Event, NoiseKeyPair, Role, Session, SessionConfig, SessionEntropy, SessionError};

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let (key, address) = match arguments[..] {
        [key, "dial", address] => (key, Some(address.parse().context("expected ADDRESS:PORT")?)),
        [key, "listen"] => (key, None),
        _ => bail!("expected KEY dial ADDRESS:PORT, or KEY listen"),
    };
    let feed: PublicKey = key.parse().context("expected 64 hexadecimal digits")?;
    AsyncStd::block_on(async {
        let runtime: Arc<dyn Runtime> = Arc::new(AsyncStd);
        let (connection, session) = if let Some(address) = address {
            let dialer = Dialer::new(Arc::clone(&runtime));
            let mut dialled = dialer.dial(address, |wire, now| session(Role::Initiator, wire, now)).await?;
            dialled.session.open(&feed)?;
            (dialled.connection, dialled.session)
        } else {
            let config = ListenConfig {
                host: Some([127, 0, 0, 1].into()),
                port: Port::Exactly(0),
                ..ListenConfig::default()
            };
            let listening = listen(Arc::clone(&runtime), config).await?;
            println!("listening on {}", listening.local_addr());
            let incoming = listening.next().await;
            let session = session(Role::Responder, incoming.wire, incoming.since)?;
            (incoming.connection, session)
        };
        talk(runtime, connection, session, feed).await;
        Ok(())
    })
}

fn session(role: Role, wire: Wire, now: Instant) -> Result<Session, SessionError> {
    println!("wire {wire:?}");
    let (mut random, mut secret) = ([0; 56], [0; 32]);
    getrandom::fill(&mut random).expect("the system has randomness");
    getrandom::fill(&mut secret).expect("the system has randomness");
    let keypair = NoiseKeyPair::from_secret(NoiseSecretKey::new(secret));
    let entropy = SessionEntropy::new(&random);
    Session::new(SessionConfig::new(role, wire, keypair, PeerId::new(secret), entropy), now)
}

async fn talk(runtime: Arc<dyn Runtime>, connection: Connection, session: Session, feed: PublicKey) {
    let (_outbox, commands) = outbox();
    let ended = drive(runtime, connection, session, commands, &mut Curious { feed }).await;
    println!("ended: {ended}");
}

/// Opens the feed, wants all of it, and leaves when told of a block.
struct Curious {
    feed: PublicKey,
}

impl Handler<Session> for Curious {
    async fn on_events(&mut self, link: &Link<'_, Session>, events: Vec<Event>) -> ControlFlow<()> {
        for event in events {
            println!("{event:?}");
            let mut session = link.session();
            let result = match event {
                Event::RemoteOpen { discovery_key } if discovery_key == self.feed.discovery_key() => {
                    session.open(&self.feed).map(drop)
                }
                Event::RemoteOpen { discovery_key } => session.refuse(&discovery_key),
                Event::Opened { channel, .. } => {
                    let want = Want { start: 0, length: Some(WANT_WINDOW_BLOCKS) };
                    session.send(channel, &FeedMessage::Want(want))
                }
                Event::Message { message: FeedMessage::Have(_), .. } => return ControlFlow::Break(()),
                _ => Ok(()),
            };
            if let Err(error) = result {
                println!("{error}");
                return ControlFlow::Break(());
            }
        }
        ControlFlow::Continue(())
    }
}
