//! The IO half of a connection: timers, reads and writes, polled by hand.

use std::cell::RefCell;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Instant;

use bytes::{Buf, Bytes, BytesMut};
use futures_io::{AsyncRead, AsyncWrite};

use super::{Ended, LINGER, Protocol, READ_BYTES, Shared, WRITE_BATCH_BYTES, WRITE_STALL_TIMEOUT};
use crate::connection::Connection;
use crate::outbox::{OutboxReceiver, Status};
use crate::runtime::{BoxFuture, Runtime};

/// Bytes read or written in one turn before other tasks of the thread get theirs.
const TURN_BYTES: usize = 4 * 1024 * 1024;

/// Reads below this are copied to memory of their own; larger ones share [`BLOCK_BYTES`].
const SMALL_READ_BYTES: usize = 16 * 1024;

/// Memory that large reads share, bytes: frames that continue in the next read are joined there
/// without a copy, and the payloads of messages point into it.
const BLOCK_BYTES: usize = 1024 * 1024;

/// Bytes that the protocol is given at a time. Messages in memory may be many times larger than on the wire.
const PIECE_BYTES: usize = 16 * 1024;

/// Events after which the rest of what was read waits until the handler has taken them.
const BATCH_EVENTS: usize = 1024;

/// Read while the handler holds reading back, to learn that the peer lives, bytes.
const PROBE_BYTES: usize = 16 * 1024;

thread_local! {
    /// One buffer for all connections that this thread polls: filled and emptied within a poll.
    static READ_BUFFER: RefCell<Vec<u8>> = RefCell::new(vec![0; READ_BYTES]);
}

/// How far a connection is.
enum Phase<E> {
    /// Both directions work.
    Open,
    /// Nothing more is read; the handler gets what came, and what is queued is written.
    Draining { ended: Ended<E>, until: Instant },
    /// We end it: what is queued is written.
    Flushing { until: Instant },
    /// Our direction is closed; the peer's is read to its end and thrown away.
    Lingering { until: Instant },
}

pub(super) struct Pump<'a, P: Protocol> {
    runtime: Arc<dyn Runtime>,
    connection: Connection,
    /// The rest of the block that the last large read went to.
    block: BytesMut,
    outbox: OutboxReceiver<P::Command>,
    shared: &'a Shared<P>,
    phase: Phase<P::Error>,
    timer: Option<(Instant, BoxFuture<()>)>,
    /// Bytes on their way into the socket.
    writing: Bytes,
    /// Since when the socket takes none of them.
    stalled: Option<Instant>,
    commands: Vec<P::Command>,
    /// A write failed: there is nobody to write to, though there may be something to read.
    deaf: bool,
    /// The handler takes no more events.
    abandoned: bool,
}

impl<'a, P: Protocol> Pump<'a, P> {
    pub(super) fn new(
        runtime: Arc<dyn Runtime>,
        connection: Connection,
        outbox: OutboxReceiver<P::Command>,
        shared: &'a Shared<P>,
    ) -> Self {
        Self {
            runtime,
            connection,
            block: BytesMut::new(),
            outbox,
            shared,
            phase: Phase::Open,
            timer: None,
            writing: Bytes::new(),
            stalled: None,
            commands: Vec::new(),
            deaf: false,
            abandoned: false,
        }
    }

    /// Learns that the handler takes no more events: the connection ends in order.
    pub(super) fn abandon(&mut self) {
        self.abandoned = true;
        self.shut_down();
    }

    /// Ends the connection in order: what is queued goes out, then the end of stream.
    fn shut_down(&mut self) {
        if matches!(self.phase, Phase::Open) {
            let until = self.runtime.now() + LINGER;
            self.phase = Phase::Flushing { until };
        }
    }

    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Ended<P::Error>> {
        let mut turn = TURN_BYTES;
        loop {
            let now = self.runtime.now();
            if let Err(ended) = self.handle_time(now, cx) {
                return Poll::Ready(ended);
            }
            let mut moved = match self.write(now, cx) {
                Ok(moved) => moved,
                Err(Ended::TooSlow) => return Poll::Ready(Ended::TooSlow),
                Err(ended) => {
                    self.drain(ended, now);
                    0
                }
            };
            match self.read(now, cx) {
                Ok(read) => moved += read,
                Err(ended) => {
                    self.drain(ended, now);
                    // Once more, with the timers of the new phase.
                    moved += 1;
                }
            }
            if let Poll::Ready(ended) = self.finish(cx) {
                return Poll::Ready(ended);
            }
            if moved == 0 {
                return Poll::Pending;
            }
            turn = turn.saturating_sub(moved);
            if turn == 0 {
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
        }
    }

    /// Stops reading, and remembers why.
    fn drain(&mut self, ended: Ended<P::Error>, now: Instant) {
        if matches!(self.phase, Phase::Open) {
            self.deaf |= !matches!(ended, Ended::RemoteClosed);
            self.phase = Phase::Draining { ended, until: now + LINGER };
        }
    }

    /// Moves the connection towards its end once it is on that way.
    fn finish(&mut self, cx: &mut Context<'_>) -> Poll<Ended<P::Error>> {
        loop {
            let written = self.deaf || (self.writing.is_empty() && !self.has_transmit());
            match &self.phase {
                Phase::Open => return Poll::Pending,
                Phase::Draining { .. } => {
                    if !written || !(self.abandoned || self.shared.is_delivered()) {
                        return Poll::Pending;
                    }
                    return Poll::Ready(self.take_ended());
                }
                Phase::Flushing { until } => {
                    if !written {
                        return Poll::Pending;
                    }
                    let until = *until;
                    if self.deaf || ready!(Pin::new(&mut self.connection.stream).poll_close(cx)).is_err() {
                        return Poll::Ready(Ended::Local);
                    }
                    self.phase = Phase::Lingering { until };
                }
                Phase::Lingering { .. } => {
                    ready!(self.read_to_end(cx));
                    return Poll::Ready(Ended::Local);
                }
            }
        }
    }

    fn take_ended(&mut self) -> Ended<P::Error> {
        match std::mem::replace(&mut self.phase, Phase::Open) {
            Phase::Draining { ended, .. } => ended,
            _ => Ended::Local,
        }
    }

    fn has_transmit(&self) -> bool {
        self.shared.session().queued_bytes() > 0
    }

    /// The handler has not taken the last batch: there is no reading for now.
    fn is_held_back(&self) -> bool {
        !self.shared.batch().is_empty()
    }

    fn handle_time(&mut self, now: Instant, cx: &mut Context<'_>) -> Result<(), Ended<P::Error>> {
        loop {
            let limit = match &self.phase {
                Phase::Open => {
                    let stalled = self.stalled.map(|since| since + WRITE_STALL_TIMEOUT);
                    if stalled.is_some_and(|at| at <= now) {
                        return Err(Ended::TooSlow);
                    }
                    earlier(stalled, self.shared.session().poll_timeout())
                }
                Phase::Draining { until, .. } => {
                    // The time is for the peer to read; the handler may take its own.
                    if *until <= now && !self.deaf {
                        self.deaf = true;
                    }
                    (!self.deaf).then_some(*until)
                }
                Phase::Flushing { until } | Phase::Lingering { until } => {
                    if *until <= now {
                        return Err(Ended::Local);
                    }
                    Some(*until)
                }
            };
            let Some(deadline) = limit else {
                self.timer = None;
                return Ok(());
            };
            if deadline <= now && matches!(self.phase, Phase::Open) {
                // The peer's bytes may lie in the socket because we do not read. A look at them
                // tells its silence from ours.
                if self.is_held_back()
                    && let Poll::Ready(Err(ended)) = self.read_once(PROBE_BYTES, now, cx)
                {
                    self.drain(ended, now);
                    continue;
                }
                let mut session = self.shared.session();
                let result = session.handle_timeout(now);
                let next = session.poll_timeout();
                drop(session);
                if let Err(error) = result {
                    self.drain(ended_by::<P>(error), now);
                    continue;
                }
                if next.is_some_and(|next| next <= now) {
                    // Due again at once: others get their turn first.
                    cx.waker().wake_by_ref();
                    return Ok(());
                }
                continue;
            }
            // A timer that is too early is left alone: it fires and is set anew, which is
            // cheaper than a new timer for every packet that moves the deadline.
            let (_, timer) = match self.timer.take() {
                Some((at, timer)) if at <= deadline => self.timer.insert((at, timer)),
                _ => self.timer.insert((deadline, self.runtime.sleep_until(deadline))),
            };
            if timer.as_mut().poll(cx).is_pending() {
                return Ok(());
            }
            self.timer = None;
            if deadline > self.runtime.now() {
                continue;
            }
            // Due now: the next turn of the loop above sees it with a fresh clock.
            cx.waker().wake_by_ref();
            return Ok(());
        }
    }

    /// Writes until the socket takes no more or there is nothing more; returns the bytes.
    fn write(&mut self, now: Instant, cx: &mut Context<'_>) -> Result<usize, Ended<P::Error>> {
        let mut moved = 0;
        loop {
            if self.writing.is_empty() {
                self.gather(cx)?;
            }
            if self.writing.is_empty() || matches!(self.phase, Phase::Lingering { .. }) {
                self.stalled = None;
                return Ok(moved);
            }
            if self.deaf {
                self.writing = Bytes::new();
                continue;
            }
            match Pin::new(&mut self.connection.stream).poll_write(cx, &self.writing) {
                Poll::Ready(Ok(0)) => self.deaf = true,
                Poll::Ready(Ok(count)) => {
                    self.writing.advance(count);
                    self.stalled = None;
                    moved += count;
                    if moved >= TURN_BYTES {
                        return Ok(moved);
                    }
                }
                Poll::Ready(Err(error)) if error.kind() == io::ErrorKind::Interrupted => {}
                // The peer may have sent something before it went: reading finds the end.
                Poll::Ready(Err(_)) => self.deaf = true,
                Poll::Pending => {
                    self.stalled.get_or_insert(now);
                    // Producers see what is in flight, and the outbox knows whom to wake.
                    self.report(cx)?;
                    return Ok(moved);
                }
            }
        }
    }

    /// Takes commands and what the protocol has to say into `writing`.
    fn gather(&mut self, cx: &mut Context<'_>) -> Result<(), Ended<P::Error>> {
        let mut commands = std::mem::take(&mut self.commands);
        let queued = self.shared.session().queued_bytes();
        let budget = match self.phase {
            Phase::Open => WRITE_BATCH_BYTES.saturating_sub(queued),
            _ => 0,
        };
        let status = self.outbox.exchange(cx.waker(), queued, budget, &mut commands);
        let mut session = self.shared.session();
        let result = commands.drain(..).try_for_each(|command| session.apply(command));
        self.writing = session.take_transmit().unwrap_or_default();
        drop(session);
        self.commands = commands;
        match status {
            Status::Overflowed => return Err(Ended::TooSlow),
            Status::ShuttingDown => self.shut_down(),
            Status::Open | Status::Closed => {}
        }
        self.collect();
        result.map_err(ended_by::<P>)
    }

    /// Tells the outbox what is in flight.
    fn report(&mut self, cx: &mut Context<'_>) -> Result<(), Ended<P::Error>> {
        let in_flight = self.writing.len() + self.shared.session().queued_bytes();
        match self.outbox.exchange(cx.waker(), in_flight, 0, &mut self.commands) {
            Status::Overflowed => Err(Ended::TooSlow),
            Status::ShuttingDown => {
                self.shut_down();
                Ok(())
            }
            Status::Open | Status::Closed => Ok(()),
        }
    }

    /// Reads until the stream has no more, or the handler has enough to do; returns the bytes.
    fn read(&mut self, now: Instant, cx: &mut Context<'_>) -> Result<usize, Ended<P::Error>> {
        let mut moved = 0;
        while matches!(self.phase, Phase::Open) && !self.is_held_back() {
            match self.read_once(READ_BYTES, now, cx) {
                Poll::Ready(count) => moved += count?,
                Poll::Pending => break,
            }
        }
        Ok(moved)
    }

    /// Reads once, feeds the bytes to the protocol and collects what they mean.
    fn read_once(
        &mut self,
        limit: usize,
        now: Instant,
        cx: &mut Context<'_>,
    ) -> Poll<Result<usize, Ended<P::Error>>> {
        let mut bytes = if self.connection.received.is_empty() {
            match ready!(self.read_bytes(limit, cx)) {
                Ok(bytes) => bytes,
                Err(error) => return Poll::Ready(Err(broken(error.kind()))),
            }
        } else {
            std::mem::take(&mut self.connection.received)
        };
        let count = bytes.len();
        if count == 0 {
            let result = self.shared.session().receive_end();
            self.collect();
            return Poll::Ready(Err(result.err().map_or(Ended::RemoteClosed, ended_by::<P>)));
        }
        // One piece at least, so that a look at the bytes of a peer that is held back counts as hearing from it.
        let result = loop {
            let piece = bytes.split_to(bytes.len().min(PIECE_BYTES));
            let result = self.shared.session().receive(now, piece);
            // A protocol that failed has meaning up to the failure.
            self.collect();
            if result.is_err() || bytes.is_empty() || self.shared.batch().len() >= BATCH_EVENTS {
                break result;
            }
        };
        let taken = count - bytes.len();
        self.connection.received = bytes;
        Poll::Ready(result.map(|()| taken).map_err(ended_by::<P>))
    }

    /// Reads once; no bytes at all are the end.
    fn read_bytes(&mut self, limit: usize, cx: &mut Context<'_>) -> Poll<io::Result<BytesMut>> {
        READ_BUFFER.with_borrow_mut(|buffer| {
            let buffer = buffer.get_mut(..limit).unwrap_or_default();
            let count = loop {
                match ready!(Pin::new(&mut self.connection.stream).poll_read(cx, buffer)) {
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    Err(error) => return Poll::Ready(Err(error)),
                    Ok(count) => break count,
                }
            };
            let bytes = buffer.get(..count).unwrap_or_default();
            if count < SMALL_READ_BYTES {
                self.block = BytesMut::new();
                return Poll::Ready(Ok(BytesMut::from(bytes)));
            }
            if self.block.capacity() < count {
                self.block.reserve(BLOCK_BYTES);
            }
            self.block.extend_from_slice(bytes);
            Poll::Ready(Ok(self.block.split()))
        })
    }

    fn collect(&self) {
        let mut session = self.shared.session();
        let mut batch = self.shared.batch();
        while let Some(event) = session.poll_event() {
            batch.push(event);
        }
    }

    /// Throws away what the peer still sends.
    fn read_to_end(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        READ_BUFFER.with_borrow_mut(|buffer| {
            for _ in 0..TURN_BYTES / READ_BYTES {
                match ready!(Pin::new(&mut self.connection.stream).poll_read(cx, buffer)) {
                    Ok(0) => return Poll::Ready(()),
                    Ok(_) => {}
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    Err(_) => return Poll::Ready(()),
                }
            }
            cx.waker().wake_by_ref();
            Poll::Pending
        })
    }
}

fn earlier(a: Option<Instant>, b: Option<Instant>) -> Option<Instant> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    }
}

fn ended_by<P: Protocol>(error: P::Error) -> Ended<P::Error> {
    if P::is_timeout(&error) { Ended::TimedOut } else { Ended::Protocol(error) }
}

fn broken<E>(kind: io::ErrorKind) -> Ended<E> {
    match kind {
        io::ErrorKind::ConnectionReset
        | io::ErrorKind::ConnectionAborted
        | io::ErrorKind::BrokenPipe
        | io::ErrorKind::NotConnected
        | io::ErrorKind::UnexpectedEof => Ended::RemoteClosed,
        io::ErrorKind::TimedOut => Ended::TimedOut,
        kind => Ended::Network(kind),
    }
}
