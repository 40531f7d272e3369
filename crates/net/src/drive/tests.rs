use super::*;
use crate::outbox::{MAX_OUTBOX_BYTES, Outbox, OutboxError, outbox};
use crate::runtime::{AsyncStd, BoxStream, before};
use futures_lite::{AsyncReadExt, AsyncWriteExt, future};
use quorate_types::limits::MAX_QUEUED_SEND_BYTES;

/// Every received chunk is an event; the byte 0xff is an error; silence may be one.
#[derive(Default)]
struct Toy {
    events: std::collections::VecDeque<Vec<u8>>,
    out: Vec<u8>,
    silence: Option<Duration>,
    heard: Option<Instant>,
}

#[derive(Debug, PartialEq, Eq, thiserror::Error)]
enum ToyError {
    #[error("bad byte")]
    Bad,
    #[error("silence")]
    Silence,
}

struct Send(Bytes);

impl Weigh for Send {
    fn weight(&self) -> usize {
        self.0.len()
    }
}

impl Protocol for Toy {
    type Event = Vec<u8>;
    type Command = Send;
    type Error = ToyError;

    fn receive(&mut self, now: Instant, bytes: BytesMut) -> Result<(), ToyError> {
        self.heard = Some(now);
        let good = bytes.iter().position(|byte| *byte == 0xff);
        if let Some(chunk) = bytes.get(..good.unwrap_or(bytes.len()))
            && !chunk.is_empty()
        {
            self.events.push_back(chunk.to_vec());
        }
        good.map_or(Ok(()), |_| Err(ToyError::Bad))
    }
    fn receive_end(&mut self) -> Result<(), ToyError> {
        Ok(())
    }
    fn poll_event(&mut self) -> Option<Vec<u8>> {
        self.events.pop_front()
    }
    fn apply(&mut self, command: Send) -> Result<(), ToyError> {
        self.out.extend_from_slice(&command.0);
        Ok(())
    }
    fn take_transmit(&mut self) -> Option<Bytes> {
        Some(std::mem::take(&mut self.out).into())
    }
    fn queued_bytes(&self) -> usize {
        self.out.len()
    }
    fn poll_timeout(&self) -> Option<Instant> {
        Some(self.heard? + self.silence?)
    }
    fn handle_timeout(&mut self, now: Instant) -> Result<(), ToyError> {
        match self.poll_timeout() {
            Some(at) if at <= now => Err(ToyError::Silence),
            _ => Ok(()),
        }
    }
    fn is_timeout(error: &ToyError) -> bool {
        *error == ToyError::Silence
    }
}

/// Hands events to a channel, and so waits for whoever reads it.
struct Forward(async_channel::Sender<Vec<u8>>);

impl Handler<Toy> for Forward {
    async fn on_events(&mut self, _: &Link<'_, Toy>, events: Vec<Vec<u8>>) -> ControlFlow<()> {
        for event in events {
            if self.0.send(event).await.is_err() {
                return ControlFlow::Break(());
            }
        }
        ControlFlow::Continue(())
    }
}

struct Driven {
    outbox: Outbox<Send>,
    events: async_channel::Receiver<Vec<u8>>,
    ended: async_channel::Receiver<Ended<ToyError>>,
}

impl Driven {
    fn start(stream: BoxStream, session: Toy, received: &[u8]) -> Self {
        let (outbox, receiver) = outbox();
        let (events_in, events) = async_channel::bounded(1);
        let (ended_in, ended) = async_channel::bounded(1);
        let connection = Connection { received: received.into(), ..Connection::new(stream) };
        AsyncStd.spawn(Box::pin(async move {
            let mut handler = Forward(events_in);
            let end = drive(Arc::new(AsyncStd), connection, session, receiver, &mut handler).await;
            // The last event first, then the end.
            drop(handler);
            ended_in.send(end).await.ok();
        }));
        Self { outbox, events, ended }
    }

    async fn ended(&self) -> Ended<ToyError> {
        let deadline = Instant::now() + Duration::from_secs(20);
        before(&AsyncStd, deadline, self.ended.recv()).await.expect("the connection ends in time").unwrap()
    }

    async fn read(&self, len: usize) -> Vec<u8> {
        let mut all = Vec::new();
        while all.len() < len {
            all.extend(self.events.recv().await.unwrap());
        }
        all
    }
}

async fn pair() -> (BoxStream, BoxStream) {
    let acceptor = AsyncStd.listen("127.0.0.1:0".parse().unwrap()).await.unwrap();
    let ours = AsyncStd.connect(acceptor.local_addr().unwrap()).await.unwrap();
    (ours, acceptor.accept().await.unwrap().0)
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    AsyncStd::block_on(future)
}

#[test]
fn early_bytes_come_first_and_commands_go_out_in_order() {
    block_on(async {
        let (ours, mut theirs) = pair().await;
        let connection = Driven::start(ours, Toy::default(), b"early ");
        theirs.write_all(b"late").await.unwrap();
        assert_eq!(connection.read(10).await, b"early late");
        for part in ["one ", "two ", "three"] {
            connection.outbox.try_send(Send(part.into())).unwrap();
        }
        let mut received = [0; 13];
        theirs.read_exact(&mut received).await.unwrap();
        assert_eq!(&received, b"one two three");
    });
}

#[test]
fn shutdown_flushes_then_waits_for_the_peer() {
    block_on(async {
        let (ours, mut theirs) = pair().await;
        let connection = Driven::start(ours, Toy::default(), b"");
        let len = 3 * MAX_QUEUED_SEND_BYTES;
        connection.outbox.try_send(Send(vec![7; len].into())).unwrap();
        connection.outbox.shutdown();
        let mut received = Vec::new();
        theirs.read_to_end(&mut received).await.unwrap();
        assert_eq!(received.len(), len);
        // The other direction is still open: no reset while the peer ends its own.
        theirs.write_all(b"bye").await.unwrap();
        assert!(connection.ended.is_empty());
        drop(theirs);
        assert_eq!(connection.ended().await, Ended::Local);
    });
}

#[test]
fn a_peer_that_ends_gets_what_was_queued_and_we_get_what_it_said() {
    block_on(async {
        let (ours, mut theirs) = pair().await;
        let connection = Driven::start(ours, Toy::default(), b"");
        let len = 2 * MAX_QUEUED_SEND_BYTES;
        connection.outbox.try_send(Send(vec![7; len].into())).unwrap();
        theirs.write_all(b"last words").await.unwrap();
        theirs.close().await.unwrap();
        let mut received = Vec::new();
        theirs.read_to_end(&mut received).await.unwrap();
        assert_eq!(received.len(), len);
        assert_eq!(connection.read(10).await, b"last words");
        assert_eq!(connection.ended().await, Ended::RemoteClosed);
    });
}

#[test]
fn errors_come_after_the_events_before_them() {
    block_on(async {
        let (ours, mut theirs) = pair().await;
        let connection = Driven::start(ours, Toy::default(), b"");
        theirs.write_all(b"good\xff").await.unwrap();
        assert_eq!(connection.read(4).await, b"good");
        assert_eq!(connection.ended().await, Ended::Protocol(ToyError::Bad));
    });
}

#[test]
fn silence_is_a_time_out_but_not_while_the_handler_holds_reading_back() {
    block_on(async {
        let (ours, mut theirs) = pair().await;
        let silence = Duration::from_millis(100);
        let toy = Toy { silence: Some(silence), ..Toy::default() };
        let connection = Driven::start(ours, toy, b"a");
        for byte in [b"b", b"c", b"d"] {
            theirs.write_all(byte).await.unwrap();
            AsyncStd.sleep_until(Instant::now() + silence / 10).await;
        }
        // One event in the channel, one in the handler, one in the batch: reading has stopped,
        // and the peer's signs of life wait in the socket.
        for byte in b"efghijkl" {
            theirs.write_all(&[*byte]).await.unwrap();
            AsyncStd.sleep_until(Instant::now() + silence / 2).await;
        }
        assert!(connection.ended.is_empty());
        assert_eq!(connection.read(12).await, b"abcdefghijkl");
        assert_eq!(connection.ended().await, Ended::TimedOut);
    });
}

#[test]
fn writing_goes_on_while_the_handler_waits() {
    block_on(async {
        let (ours, mut theirs) = pair().await;
        let connection = Driven::start(ours, Toy::default(), b"a");
        for byte in [b"b", b"c", b"d", b"e"] {
            theirs.write_all(byte).await.unwrap();
            AsyncStd.sleep_until(Instant::now() + Duration::from_millis(10)).await;
        }
        let len = 2 * MAX_QUEUED_SEND_BYTES;
        connection.outbox.try_send(Send(vec![7; len].into())).unwrap();
        let mut received = vec![0; len];
        let deadline = Instant::now() + Duration::from_secs(20);
        before(&AsyncStd, deadline, theirs.read_exact(&mut received)).await.expect("bytes come").unwrap();
        assert_eq!(connection.read(5).await, b"abcde");
    });
}

#[test]
fn a_peer_that_neither_reads_nor_ends_does_not_hold_what_we_close() {
    block_on(async {
        let (ours, _theirs) = pair().await;
        let connection = Driven::start(ours, Toy::default(), b"");
        let started = Instant::now();
        connection.outbox.try_send(Send(vec![7; 3 * MAX_QUEUED_SEND_BYTES].into())).unwrap();
        connection.outbox.shutdown();
        assert_eq!(connection.ended().await, Ended::Local);
        assert!(started.elapsed() >= LINGER);
    });
}

#[test]
fn a_handler_that_has_enough_ends_the_connection() {
    block_on(async {
        let (ours, mut theirs) = pair().await;
        let mut connection = Driven::start(ours, Toy::default(), b"");
        connection.events = async_channel::bounded(1).1;
        theirs.write_all(b"x").await.unwrap();
        let mut received = Vec::new();
        theirs.read_to_end(&mut received).await.unwrap();
        drop(theirs);
        assert_eq!(connection.ended().await, Ended::Local);
        assert_eq!(connection.outbox.try_send(Send("y".into())), Err(OutboxError::Closed));
    });
}

#[test]
fn a_peer_that_does_not_read_costs_bounded_memory_and_then_its_connection() {
    block_on(async {
        let (ours, _theirs) = pair().await;
        let connection = Driven::start(ours, Toy::default(), b"");
        let piece = Bytes::from(vec![7; 64 * 1024]);
        // A producer that asks for room stops.
        let mut sent = 0;
        let mut waited = 0;
        while waited < 20 {
            if connection.outbox.has_room() {
                connection.outbox.try_send(Send(piece.clone())).unwrap();
                sent += piece.len();
                waited = 0;
                future::yield_now().await;
            } else {
                waited += 1;
                AsyncStd.sleep_until(Instant::now() + Duration::from_millis(5)).await;
            }
        }
        assert!(sent >= MAX_QUEUED_SEND_BYTES);
        let queued = connection.outbox.queued_bytes();
        assert!(queued < MAX_QUEUED_SEND_BYTES + piece.len(), "{queued} bytes wait");
        // One that does not is cut off.
        let error = loop {
            if let Err(error) = connection.outbox.try_send(Send(piece.clone())) {
                break error;
            }
            assert!(connection.outbox.queued_bytes() <= MAX_OUTBOX_BYTES);
        };
        assert!(matches!(error, OutboxError::Full { .. }));
        assert_eq!(connection.ended().await, Ended::TooSlow);
    });
}

/// Every byte is an event.
#[derive(Default)]
struct Chatty(Toy);

impl Protocol for Chatty {
    type Event = u8;
    type Command = Send;
    type Error = ToyError;

    fn receive(&mut self, now: Instant, bytes: BytesMut) -> Result<(), ToyError> {
        bytes.chunks(1).try_for_each(|byte| self.0.receive(now, byte.into()))
    }
    fn receive_end(&mut self) -> Result<(), ToyError> {
        Ok(())
    }
    fn poll_event(&mut self) -> Option<u8> {
        self.0.poll_event()?.first().copied()
    }
    fn apply(&mut self, command: Send) -> Result<(), ToyError> {
        self.0.apply(command)
    }
    fn take_transmit(&mut self) -> Option<Bytes> {
        self.0.take_transmit()
    }
    fn queued_bytes(&self) -> usize {
        self.0.queued_bytes()
    }
    fn poll_timeout(&self) -> Option<Instant> {
        None
    }
    fn handle_timeout(&mut self, _: Instant) -> Result<(), ToyError> {
        Ok(())
    }
    fn is_timeout(_: &ToyError) -> bool {
        false
    }
}

/// Checks the order, and notes the largest batch.
struct InOrder {
    next: u8,
    count: usize,
    largest: usize,
}

impl Handler<Chatty> for InOrder {
    async fn on_events(&mut self, _: &Link<'_, Chatty>, events: Vec<u8>) -> ControlFlow<()> {
        future::yield_now().await;
        self.largest = self.largest.max(events.len());
        self.count += events.len();
        for event in events {
            assert_eq!(event, self.next);
            self.next = (self.next + 1) % 200;
        }
        ControlFlow::Continue(())
    }
}

/// Small messages take more memory than their bytes: few are kept.
#[test]
fn batches_of_small_messages_are_bounded() {
    block_on(async {
        let (mut near, far) = pair().await;
        let sent: Vec<u8> = (0..2_000_000).map(|index| (index % 200) as u8).collect();
        let expected = sent.len();
        let writing = async move {
            near.write_all(&sent).await.unwrap();
            near.close().await.unwrap();
        };
        let (_outbox, receiver) = outbox();
        let mut handler = InOrder { next: 0, count: 0, largest: 0 };
        let runtime = Arc::new(AsyncStd);
        let driving = drive(runtime, Connection::new(far), Chatty::default(), receiver, &mut handler);
        let (_, ended) = future::zip(writing, driving).await;
        assert_eq!(ended, Ended::RemoteClosed);
        assert_eq!(handler.count, expected);
        assert!(handler.largest < 2 * 16 * 1024, "a batch of {}", handler.largest);
    });
}

/// Counts, and is never in a hurry.
struct Count {
    done: async_channel::Sender<()>,
    left: usize,
}

impl Handler<Toy> for Count {
    async fn on_events(&mut self, _: &Link<'_, Toy>, events: Vec<Vec<u8>>) -> ControlFlow<()> {
        AsyncStd.sleep_until(Instant::now() + Duration::from_micros(200)).await;
        let count: usize = events.iter().map(Vec::len).sum();
        self.left = self.left.saturating_sub(count);
        if self.left == 0 {
            self.done.send(()).await.ok();
        }
        ControlFlow::Continue(())
    }
}

#[test]
fn two_nodes_that_flood_each_other_get_through() {
    block_on(async {
        let (left, right) = pair().await;
        let total = 32 * MAX_QUEUED_SEND_BYTES;
        let (done, both_done) = async_channel::bounded(2);
        let mut outboxes = Vec::new();
        for stream in [left, right] {
            let (outbox, receiver) = outbox();
            outboxes.push(outbox.clone());
            AsyncStd.spawn(Box::pin(async move {
                let piece = Bytes::from(vec![1; 64 * 1024]);
                for _ in 0..total / piece.len() {
                    outbox.room().await;
                    outbox.try_send(Send(piece.clone())).unwrap();
                }
            }));
            let mut handler = Count { done: done.clone(), left: total };
            AsyncStd.spawn(Box::pin(async move {
                let runtime = Arc::new(AsyncStd);
                let connection = Connection::new(stream);
                let session = Toy::default();
                drive(runtime, connection, session, receiver, &mut handler).await;
            }));
        }
        let deadline = Instant::now() + Duration::from_secs(60);
        for _ in 0..2 {
            before(&AsyncStd, deadline, both_done.recv())
                .await
                .expect("the flood must not stand still")
                .unwrap();
        }
        outboxes.iter().for_each(Outbox::shutdown);
    });
}
