//! A peer that completes the handshake, knows the key of the feed, and says whatever it likes.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use bytes::{Bytes, BytesMut};
use quorate_proto::dat::{FeedMessage, Have};
use quorate_types::{NoiseSecretKey, PeerId, PublicKey, Wire};
use quorate_wire::{Channel, Event, NoiseKeyPair, Role, Session, SessionConfig, SessionEntropy};

/// Bytes gathered for one write.
const BATCH_BYTES: usize = 256 * 1024;

/// Time that one write may take: a victim that reads no more is to hold nobody up.
const WRITE_PATIENCE: Duration = Duration::from_secs(5);

/// One end of a connection with a victim, open on its feed.
pub struct Attacker {
    stream: TcpStream,
    session: Session,
    channel: Option<Channel>,
}

impl Attacker {
    /// Dials a victim and opens its feed.
    pub fn dial(address: SocketAddr, key: &PublicKey, wire: Wire) -> Result<Self> {
        let stream = TcpStream::connect(address)?;
        let mut attacker = Self::new(stream, wire, Role::Initiator)?;
        // Wire A begins with a feed; on wire B2 it is asked for once the handshake is done.
        attacker.session.open(key)?;
        attacker.until_open(key)?;
        Ok(attacker)
    }

    /// Answers a victim that has dialled, on wire B2.
    pub fn answer(stream: TcpStream, key: &PublicKey) -> Result<Self> {
        let mut attacker = Self::new(stream, Wire::B2, Role::Responder)?;
        attacker.until_open(key)?;
        Ok(attacker)
    }

    fn new(stream: TcpStream, wire: Wire, role: Role) -> Result<Self> {
        stream.set_nodelay(true)?;
        stream.set_write_timeout(Some(WRITE_PATIENCE))?;
        let mut random = [0; 120];
        getrandom::fill(&mut random).context("the system gives random numbers")?;
        let (secret, rest) = random.split_first_chunk::<32>().context("120 bytes")?;
        let (id, rest) = rest.split_first_chunk::<32>().context("88 bytes")?;
        let (entropy, _) = rest.split_first_chunk::<56>().context("56 bytes")?;
        let keys = NoiseKeyPair::from_secret(NoiseSecretKey::new(*secret));
        let mut config = SessionConfig::new(role, wire, keys, PeerId::new(*id), SessionEntropy::new(entropy));
        config.extensions = vec!["quorate/1".into()];
        Ok(Self { stream, session: Session::new(config, Instant::now())?, channel: None })
    }

    fn until_open(&mut self, key: &PublicKey) -> Result<()> {
        let deadline = Instant::now() + Duration::from_secs(30);
        while self.channel.is_none() {
            self.flush()?;
            ensure!(Instant::now() < deadline, "expected the feed open within 30 s");
            for event in self.receive(Duration::from_secs(1))? {
                match event {
                    Event::RemoteOpen { .. } => drop(self.session.open(key)?),
                    Event::Opened { channel, .. } => self.channel = Some(channel),
                    _ => {}
                }
            }
        }
        self.flush()
    }

    /// Returns the wire that is spoken.
    pub fn wire(&self) -> Wire {
        self.session.wire()
    }

    /// Number of the feed's channel on the wire, as this side writes it.
    pub fn number(&self) -> u64 {
        match self.wire() {
            Wire::A => 0,
            Wire::B2 => 1,
        }
    }

    /// Sends a message, sooner or later.
    pub fn send(&mut self, message: &FeedMessage) -> Result<()> {
        let channel = self.channel.context("the feed is open")?;
        self.session.send(channel, message)?;
        if self.session.queued_bytes() >= BATCH_BYTES { self.flush() } else { Ok(()) }
    }

    /// Sends a message of an extension.
    pub fn extension(&mut self, payload: &[u8]) -> Result<()> {
        self.session.send_extension(self.channel, "quorate/1", payload)?;
        self.flush()
    }

    /// Writes what waits.
    pub fn flush(&mut self) -> Result<()> {
        if let Some(bytes) = self.session.take_transmit() {
            self.stream.write_all(&bytes)?;
        }
        Ok(())
    }

    /// Sends arbitrary bytes as the session would have encrypted them, filled up with pings.
    ///
    /// The session encrypts a message of which every byte is known; what the cipher did to it is done to the bytes.
    pub fn raw(&mut self, bytes: &[u8]) -> Result<()> {
        self.flush()?;
        let mut filling = bytes.len();
        let mut carrier = self.carrier(filling);
        while carrier.0.len() > bytes.len() && filling > 0 {
            filling -= 1;
            carrier = self.carrier(filling);
        }
        if carrier.0.len() < bytes.len() {
            carrier = self.carrier(filling + 1);
        }
        let (plain, message) = carrier;
        self.session.send(self.channel.context("the feed is open")?, &message)?;
        let mut cipher = self.session.take_transmit().context("the carrier")?.to_vec();
        ensure!(cipher.len() == plain.len(), "the carrier is another message than was thought");
        let wanted = bytes.iter().copied().chain(std::iter::repeat(0));
        for ((byte, known), wanted) in cipher.iter_mut().zip(plain).zip(wanted) {
            *byte ^= known ^ wanted;
        }
        Ok(self.stream.write_all(&cipher)?)
    }

    fn carrier(&self, filling: usize) -> (Vec<u8>, FeedMessage) {
        let have = Have { start: 0, length: 1, bitfield: Some(Bytes::from(vec![0; filling])), ack: false };
        let mut body = Vec::new();
        have.encode(&mut body);
        (frame(self.number(), 3, &body), FeedMessage::Have(have))
    }

    /// Waits for bytes and returns what they mean.
    ///
    /// # Errors
    ///
    /// The connection has ended.
    pub fn receive(&mut self, patience: Duration) -> Result<Vec<Event>> {
        self.stream.set_read_timeout(Some(patience))?;
        let mut buffer = vec![0; BATCH_BYTES];
        match self.stream.read(&mut buffer) {
            Ok(0) => bail!("the victim closed the connection"),
            Ok(count) => {
                self.session.receive(Instant::now(), BytesMut::from(&buffer[..count]))?;
                Ok(std::iter::from_fn(|| self.session.poll_event()).collect())
            }
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                Ok(Vec::new())
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Reads and throws away from now on, so that the victim's answers go somewhere.
    pub fn read_in_background(&self) -> Result<()> {
        let mut stream = self.stream.try_clone()?;
        stream.set_read_timeout(None)?;
        thread::spawn(move || {
            let mut buffer = vec![0; BATCH_BYTES];
            while matches!(stream.read(&mut buffer), Ok(1..)) {}
        });
        Ok(())
    }

    /// Tells whether the victim ends the connection in time. Answers are thrown away.
    pub fn is_ended_within(&mut self, patience: Duration) -> bool {
        let deadline = Instant::now() + patience;
        let mut buffer = vec![0; BATCH_BYTES];
        while Instant::now() < deadline {
            if self.stream.set_read_timeout(Some(Duration::from_millis(100))).is_err() {
                return true;
            }
            match self.stream.read(&mut buffer) {
                Ok(0) => return true,
                Ok(_) => {}
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
                Err(_) => return true,
            }
        }
        false
    }
}

/// Encodes a frame of either wire.
pub fn frame(channel: u64, kind: u64, body: &[u8]) -> Vec<u8> {
    let mut header = Vec::new();
    varint(&mut header, channel << 4 | kind);
    let mut frame = Vec::new();
    varint(&mut frame, (header.len() + body.len()) as u64);
    frame.extend(header);
    frame.extend_from_slice(body);
    frame
}

/// Appends a number as both wires and protobuf write it.
pub fn varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}
