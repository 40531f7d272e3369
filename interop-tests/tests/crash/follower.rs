//! A peer that stays, and looks at each root that it is sent.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use quorate_interop_tests::{Node, NodeOptions, Workspace};
use quorate_net::runtime::{AsyncStd, Runtime};
use quorate_node::Stream;
use quorate_node::event::Event;
use quorate_types::PublicKey;
use serde_json::Value;

use crate::crash::ledger::Ledger;

/// Pause between two looks at the head.
const PAUSE: Duration = Duration::from_millis(3);

type Seen = Arc<Mutex<Sight>>;

#[derive(Debug, Default)]
struct Sight {
    roots: BTreeMap<u64, String>,
    troubles: Vec<String>,
}

/// A node that carries the stream across the deaths of its writer.
pub(crate) struct Follower {
    workspace: Workspace,
    node: Option<Node>,
    seen: Seen,
    watched: bool,
}

impl Follower {
    pub(crate) async fn start() -> Result<Self> {
        let workspace = Workspace::new()?;
        let mut follower = Self { workspace, node: None, seen: Seen::default(), watched: false };
        follower.open().await?;
        Ok(follower)
    }

    async fn open(&mut self) -> Result<()> {
        let options = NodeOptions { home: Some(self.workspace.join("home")), ..NodeOptions::default() };
        let node = Node::open(options).await?;
        let (mut events, seen) = (node.node.events(), Arc::clone(&self.seen));
        AsyncStd.spawn(Box::pin(async move {
            while let Some(event) = events.next().await {
                if matches!(event, Event::Fork { .. } | Event::Corrupt { .. } | Event::StorageFailed { .. }) {
                    lock(&seen).troubles.push(format!("{event:?}"));
                }
            }
        }));
        self.node = Some(node);
        self.watched = false;
        Ok(())
    }

    /// Follows the writer to its new address, which its event `open` names.
    pub(crate) async fn follow(&mut self, open: &Value) -> Result<()> {
        let text = |field: &str| open[field].as_str().context("a text");
        let key: PublicKey = text("key")?.parse().ok().context("a key")?;
        let node = self.node.as_ref().context("the follower is open")?;
        let stream = node.carry(*key.as_bytes(), text("address")?).await?;
        if !self.watched {
            self.watched = true;
            AsyncStd.spawn(Box::pin(watch(stream, Arc::clone(&self.seen))));
        }
        Ok(())
    }

    /// Ends and begins again with what is on disk.
    pub(crate) async fn reopen(&mut self) -> Result<()> {
        if let Some(node) = self.node.take() {
            node.shutdown().await?;
        }
        self.open().await
    }

    /// Fails when a fork was seen, or a root that differs from what is known.
    pub(crate) fn check_against(&self, ledger: &mut Ledger) -> Result<()> {
        let seen = lock(&self.seen);
        ensure!(seen.troubles.is_empty(), "the follower saw {:?}", seen.troubles);
        seen.roots
            .iter()
            .try_for_each(|(length, hash)| ledger.root(*length, hash))
            .context("seen by a follower")
    }

    pub(crate) async fn shutdown(mut self) -> Result<()> {
        match self.node.take() {
            Some(node) => node.shutdown().await,
            None => Ok(()),
        }
    }
}

/// Looks at the head until the stream is closed.
async fn watch(stream: Stream, seen: Seen) {
    while let Ok(info) = stream.info().await {
        if let Some(hash) = info.tree_hash {
            let hash = hash.to_string();
            let mut seen = lock(&seen);
            let known = seen.roots.entry(info.length).or_insert_with(|| hash.clone()).clone();
            if known != hash {
                seen.troubles.push(format!("two roots of length {}: {known} and {hash}", info.length));
            }
        }
        AsyncStd.sleep_until(AsyncStd.now() + PAUSE).await;
    }
}

fn lock(seen: &Seen) -> std::sync::MutexGuard<'_, Sight> {
    seen.lock().unwrap_or_else(PoisonError::into_inner)
}
