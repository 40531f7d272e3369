//! The IO half of a connection: timers, reads and writes, polled by hand.

use std::cell::RefCell;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Instant;

use bytes::{Buf, Bytes};
use futures_io::{AsyncRead, AsyncWrite};

use super::{Ended, LINGER, Protocol, READ_BYTES, Shared, WRITE_BATCH_BYTES, WRITE_STALL_TIMEOUT};
use crate::outbox::{OutboxReceiver, Status};
use crate::runtime::{BoxFuture, BoxStream, Runtime};

/// Bytes read or written in one turn before other tasks of the thread get theirs.
const TURN_BYTES: usize = 4 * 1024 * 1024;

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
    stream: BoxStream,
    /// Bytes that someone else read.
    received: Vec<u8>,
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
        stream: BoxStream,
        received: Vec<u8>,
        outbox: OutboxReceiver<P::Command>,
        shared: &'a Shared<P>,
    ) -> Self {
        Self {
            runtime,
            stream,
            received,
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
                    if self.deaf || ready!(Pin::new(&mut self.stream).poll_close(cx)).is_err() {
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
                let held_back = self.is_held_back();
                let mut session = self.shared.session();
                let result = if held_back { session.receive(now, &mut []) } else { Ok(()) };
                let result = result.and_then(|()| session.handle_timeout(now));
                let next = session.poll_timeout();
                drop(session);
                if let Err(error) = result {
                    self.drain(ended_by::<P>(error), now);
                    continue;
                }
                if next.is_some_and(|next| next <= now) {
                    // Nothing moved on: a protocol that is due for ever must not spin.
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
            match Pin::new(&mut self.stream).poll_write(cx, &self.writing) {
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
            Status::Open | Status::ShuttingDown | Status::Closed => Ok(()),
        }
    }

    /// Reads until the stream has no more, or the handler has enough to do; returns the bytes.
    fn read(&mut self, now: Instant, cx: &mut Context<'_>) -> Result<usize, Ended<P::Error>> {
        let mut moved = 0;
        while matches!(self.phase, Phase::Open) && !self.is_held_back() {
            if !self.received.is_empty() {
                let mut received = std::mem::take(&mut self.received);
                self.take_in(now, &mut received)?;
                moved += received.len();
                continue;
            }
            let read = READ_BUFFER.with_borrow_mut(|buffer| {
                let read = Pin::new(&mut self.stream).poll_read(cx, buffer);
                read.map_ok(|count| {
                    let bytes = buffer.get_mut(..count).unwrap_or_default();
                    (count, self.take_in(now, bytes))
                })
            });
            match read {
                Poll::Pending => break,
                Poll::Ready(Ok((0, _))) => {
                    let end = self.shared.session().receive_end();
                    self.collect();
                    return Err(match end {
                        Ok(()) => Ended::RemoteClosed,
                        Err(error) => Ended::Protocol(error),
                    });
                }
                Poll::Ready(Ok((count, result))) => {
                    result?;
                    moved += count;
                }
                Poll::Ready(Err(error)) if error.kind() == io::ErrorKind::Interrupted => {}
                Poll::Ready(Err(error)) => return Err(broken(error.kind())),
            }
        }
        Ok(moved)
    }

    /// Feeds bytes to the protocol and collects what they mean, of a broken one as well.
    fn take_in(&self, now: Instant, bytes: &mut [u8]) -> Result<(), Ended<P::Error>> {
        let result = self.shared.session().receive(now, bytes);
        self.collect();
        result.map_err(ended_by::<P>)
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
                match ready!(Pin::new(&mut self.stream).poll_read(cx, buffer)) {
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
