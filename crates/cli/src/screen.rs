//! The live screen of `quorate share`: streams, peers, rates; what matters stays above it.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use quorate_node::event::Event;
use quorate_node::model::{PeerInfo, StreamInfo};

use crate::news;
use crate::text::{self, Paint};

/// Time between two drawings.
pub(crate) const REDRAW: Duration = Duration::from_millis(500);

/// Rows of one kind that are drawn at most; the rest is counted.
const ROWS: usize = 12;

/// Rows at the end of a terminal that are drawn again and again.
pub(crate) struct Screen {
    bar: ProgressBar,
    address: SocketAddr,
    paint: Paint,
    /// Bytes since the last drawing, in and out, of each stream.
    moved: BTreeMap<String, Moved>,
    drawn: Instant,
}

#[derive(Debug, Clone, Copy, Default)]
struct Moved {
    in_bytes: u64,
    out_bytes: u64,
}

impl Screen {
    /// Starts with an empty screen.
    pub(crate) fn new(address: SocketAddr, paint: Paint) -> Self {
        let style = ProgressStyle::with_template("{msg}").expect("the template is well formed");
        Self {
            bar: ProgressBar::no_length().with_style(style),
            address,
            paint,
            moved: BTreeMap::new(),
            drawn: Instant::now(),
        }
    }

    /// Takes an event: traffic is counted; what matters is printed and stays.
    pub(crate) fn take(&mut self, event: &Event) {
        match event {
            Event::Downloaded { stream, bytes, .. } => {
                self.moved.entry(stream.clone()).or_default().in_bytes += bytes;
            }
            Event::Uploaded { stream, bytes, .. } => {
                self.moved.entry(stream.clone()).or_default().out_bytes += bytes;
            }
            _ => {}
        }
        if !news::is_notable(event) {
            return;
        }
        if let Some(line) = news::line(event, self.paint) {
            self.bar.println(line);
        }
    }

    /// Draws streams and peers as they are now.
    pub(crate) fn draw(&mut self, streams: &[StreamInfo], peers: &[PeerInfo]) {
        let elapsed = self.drawn.elapsed();
        self.drawn = Instant::now();
        let lines = self.lines(streams, peers, elapsed);
        self.bar.set_message(lines.join("\n"));
    }

    fn lines(&mut self, streams: &[StreamInfo], peers: &[PeerInfo], elapsed: Duration) -> Vec<String> {
        let paint = self.paint;
        let mut lines = vec![format!(
            "listening on {}, {}, {}    {}",
            paint.bold(&self.address.to_string()),
            text::count(streams.len() as u64, "stream"),
            text::count(peers.len() as u64, "peer"),
            paint.dim("Ctrl-C ends")
        )];
        let moved = std::mem::take(&mut self.moved);
        let rows: Vec<Vec<String>> = streams
            .iter()
            .take(ROWS)
            .map(|info| {
                let moved = moved.get(&info.name).copied().unwrap_or_default();
                stream_row(info, moved, elapsed, paint)
            })
            .collect();
        lines.extend(text::table(&rows, &[false, true, true, false, true, true, true]));
        lines.extend(more(streams.len(), "stream"));
        let rows: Vec<Vec<String>> = peers.iter().take(ROWS).map(peer_row).collect();
        lines.extend(text::table(&rows, &[]));
        lines.extend(more(peers.len(), "peer"));
        lines
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

fn stream_row(info: &StreamInfo, moved: Moved, elapsed: Duration, paint: Paint) -> Vec<String> {
    let state = if info.fork.is_some() {
        paint.red("FORK")
    } else if info.here == info.length {
        paint.green("all here")
    } else {
        paint.yellow(&format!("{} here", info.here))
    };
    let rate = |bytes: u64| {
        let rate = bytes as f64 / elapsed.as_secs_f64().max(0.001);
        format!("{}/s", text::bytes(rate as u64))
    };
    vec![
        format!("  {}", paint.bold(&text::clean(&info.name))),
        text::count(info.length, "block"),
        text::bytes(info.byte_length),
        state,
        text::count(info.peers as u64, "peer"),
        format!("in {}", rate(moved.in_bytes)),
        format!("out {}", rate(moved.out_bytes)),
    ]
}

fn peer_row(peer: &PeerInfo) -> Vec<String> {
    let streams: Vec<String> = peer.streams.iter().map(|stream| text::clean(&stream.name)).collect();
    vec![
        format!("  peer {}", text::clean(&peer.address)),
        format!("{}{}", text::wire(&peer.wire), if peer.quorate { ", quorate" } else { "" }),
        streams.join(", "),
    ]
}

fn more(count: usize, thing: &str) -> Option<String> {
    let hidden = count.checked_sub(ROWS).filter(|hidden| *hidden > 0)?;
    Some(format!("  and {}", text::count(hidden as u64, &format!("more {thing}"))))
}

#[cfg(test)]
mod tests {
    use quorate_node::model::{Content, Direction, Encoding};
    use quorate_types::PublicKey;

    use super::*;

    fn peer() -> PeerInfo {
        PeerInfo {
            schema: PeerInfo::SCHEMA.into(),
            address: "127.0.0.1:9".into(),
            direction: Direction::Incoming,
            wire: "B2".into(),
            id: None,
            quorate: false,
            streams: Vec::new(),
        }
    }

    fn stream() -> StreamInfo {
        let key = PublicKey::new([7; 32]);
        StreamInfo {
            schema: StreamInfo::SCHEMA.into(),
            name: "chess".into(),
            key,
            link: String::new(),
            discovery_key: key.discovery_key(),
            writable: true,
            length: 12,
            byte_length: 3000,
            here: 12,
            durable: 12,
            tree_hash: None,
            encoding: Encoding::Utf8,
            content: Content::Plain,
            directory: String::new(),
            peers: 1,
            remote_length: 0,
            other_history: 0,
            sparse: false,
            recovery: None,
            recovering: None,
            room: None,
            unchecked: None,
            damaged: None,
            fork: None,
            evidence: Vec::new(),
            gate: None,
        }
    }

    #[test]
    fn rates_are_what_moved_since_the_last_drawing() {
        let mut screen = Screen::new("127.0.0.1:3282".parse().unwrap(), Paint::plain());
        screen.take(&Event::Uploaded { stream: "chess".into(), blocks: 2, bytes: 2048 });
        let lines = screen.lines(&[stream()], &[peer()], Duration::from_secs(2));
        assert_eq!(
            lines,
            [
                "listening on 127.0.0.1:3282, 1 stream, 1 peer    Ctrl-C ends",
                "  chess  12 blocks  2.93 KiB  all here  1 peer  in 0 B/s  out 1.00 KiB/s",
                "  peer 127.0.0.1:9  Dat 2",
            ]
        );
        let lines = screen.lines(&[stream()], &[], Duration::from_secs(2));
        assert!(lines[1].ends_with("out 0 B/s"), "{}", lines[1]);
    }

    #[test]
    fn long_lists_are_cut_and_counted() {
        assert_eq!(more(ROWS, "peer"), None);
        assert_eq!(more(ROWS + 2, "peer").as_deref(), Some("  and 2 more peers"));
    }
}
