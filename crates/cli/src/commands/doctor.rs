//! `quorate doctor`: what keeps a node from being found and from sharing, in words.

mod machine;
mod network;
mod stock;

use quorate_node::model::{CloneStream, StreamInfo, UnreadableStream};
use quorate_node::{Code, Failure};
use serde::Serialize;

use crate::args::DoctorArgs;
use crate::backend::{Backend, Serving};
use crate::context::Context;
use crate::names;
use crate::stop::{Outcome, Stop};
use crate::text;

/// What looks at the blocks themselves.
const AUDIT: &str = "quorate audit STREAM hashes the blocks again";

/// How a check came out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum State {
    /// As it should be.
    Good,
    /// Something keeps the node from working.
    Bad,
    /// Not looked at, for the reason that is said.
    Skipped,
}

/// What was found about one thing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct Finding {
    check: &'static str,
    state: State,
    says: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

impl Finding {
    fn good(check: &'static str, says: impl Into<String>) -> Self {
        Self { check, state: State::Good, says: says.into(), next: None }
    }

    fn bad(check: &'static str, says: impl Into<String>, next: impl Into<String>) -> Self {
        Self { check, state: State::Bad, says: says.into(), next: Some(next.into()) }
    }

    fn skipped(check: &'static str, says: impl Into<String>) -> Self {
        Self { check, state: State::Skipped, says: says.into(), next: None }
    }

    fn failed(check: &'static str, failure: Failure) -> Self {
        let next = failure.next.unwrap_or_else(|| format!("quorate explain {}", failure.code));
        Self::bad(check, format!("{}  ({})", failure.message, failure.code), next)
    }
}

#[derive(Serialize)]
struct Report<'a> {
    schema: &'static str,
    healthy: bool,
    checks: &'a [Finding],
}

/// `quorate doctor [LINK]`.
pub(crate) async fn doctor(args: DoctorArgs, context: &mut Context) -> Outcome {
    let findings = examine(&args, context).await;
    let bad: Vec<&Finding> = findings.iter().filter(|finding| finding.state == State::Bad).collect();
    let output = &mut context.output;
    if output.json {
        output.object(&Report { schema: "quorate.doctor/1", healthy: bad.is_empty(), checks: &findings })?;
    } else {
        let rows: Vec<Vec<String>> = findings.iter().map(|finding| row(finding, output.paint)).collect();
        for line in text::table(&rows, &[]) {
            output.line(&line)?;
        }
    }
    output.flush()?;
    match bad.first() {
        None => Ok(()),
        Some(first) => {
            let message = format!(
                "expected nothing in the way, found {}, the first about {}: {}",
                text::count(bad.len() as u64, "thing"),
                first.check,
                first.says
            );
            let next =
                bad.iter().filter_map(|finding| finding.next.as_deref()).collect::<Vec<_>>().join("\n");
            Err(Failure::new(Code::Unwell, message).next(next).into())
        }
    }
}

fn row(finding: &Finding, paint: text::Paint) -> Vec<String> {
    let state = match finding.state {
        State::Good => paint.green("good"),
        State::Bad => paint.red("bad"),
        State::Skipped => paint.dim("skipped"),
    };
    vec![state, paint.bold(finding.check), text::clean(&finding.says)]
}

/// Looks at one thing after the other; what cannot be looked at is a finding, not a failure.
async fn examine(args: &DoctorArgs, context: &Context) -> Vec<Finding> {
    let mut findings = machine::home(&context.home);
    findings.push(machine::clock(&context.home));
    match Backend::connect(&context.home, context.timeout).await {
        Ok(backend) => {
            findings.extend(streams(&backend).await);
            findings.extend(network::look(&backend, args, context).await);
            if let Err(failure) = backend.close().await {
                findings.push(Finding::failed("streams", failure));
            }
        }
        Err(failure) => findings.push(Finding::failed("streams", failure)),
    }
    findings.push(stock::versions());
    if let Some(link) = &args.link {
        findings.push(match look_for(link, args, context).await {
            Ok(says) => Finding::good("link", says),
            Err(Stop::Failed(failure)) => Finding::failed("link", failure),
            Err(_) => Finding::skipped("link", "interrupted"),
        });
    }
    findings
}

/// Tells which streams can be opened: damaged ones, and those that another program holds.
async fn streams(backend: &Backend) -> Vec<Finding> {
    if backend.is_remote() {
        return vec![match backend.streams().await {
            Ok(found) => {
                let unreadable = found.unreadable.into_iter().map(|UnreadableStream { name, failure }| {
                    let failure = Failure::from(failure);
                    Failure { message: format!("{name}: {}", failure.message), ..failure }
                });
                let damaged = found.streams.iter().filter_map(damage);
                match unreadable.chain(damaged).next() {
                    Some(failure) => Finding::failed("streams", failure),
                    None => Finding::good(
                        "streams",
                        format!(
                            "a node runs on this home, answers, and has {}; {AUDIT}",
                            text::count(found.streams.len() as u64, "stream")
                        ),
                    ),
                }
            }
            Err(failure) => Finding::failed("streams", failure),
        }];
    }
    let inspected = match backend.inspect().await {
        Ok(inspected) => inspected,
        Err(failure) => return vec![Finding::failed("streams", failure)],
    };
    let opened = inspected.iter().filter(|(_, failure)| failure.is_none()).count();
    let mut findings = Vec::new();
    for (name, failure) in inspected {
        if let Some(failure) = failure {
            let failure = Failure { message: format!("{name}: {}", failure.message), ..failure };
            findings.push(Finding::failed("streams", failure));
        }
    }
    if findings.is_empty() {
        let count = text::count(opened as u64, "stream");
        findings.push(Finding::good(
            "streams",
            match opened {
                0 => count,
                _ => format!("{count}: can be opened, nothing of the files is missing; {AUDIT}"),
            },
        ));
    }
    findings
}

/// Says what is damaged of a stream that can be opened.
fn damage(info: &StreamInfo) -> Option<Failure> {
    let next = format!("quorate audit {}", text::shell(&info.name));
    info.damage().map(|failure| failure.next(next))
}

/// Looks for somebody who carries a stream, from a home of its own, and fetches the newest signed head.
async fn look_for(link: &str, args: &DoctorArgs, context: &Context) -> Outcome<String> {
    let link = names::with_key(link, &args.resolve, context).await?;
    let home = tempfile::tempdir()
        .map_err(|error| Failure::new(Code::Io, format!("making a temporary directory: {error}")))?;
    let node = Serving::open(home.path(), context.timeout).await?;
    let wanted = CloneStream { link, name: None, peers: args.peers.clone(), sparse: true, no_check: true };
    let found = reach(&node, wanted, args).await;
    node.shutdown().await?;
    Ok(found?)
}

async fn reach(node: &Serving, wanted: CloneStream, args: &DoctorArgs) -> Result<String, Failure> {
    let discover = args.announce.discover(None);
    if wanted.peers.is_empty() && discover == quorate_node::Discover::default() {
        return Err(Failure::new(
            Code::NoPeers,
            "expected a place to look for peers, found none: --announce is none and no --peer is named",
        )
        .next("quorate doctor LINK --peer HOST:PORT"));
    }
    node.discover(discover)?;
    let reached = node.reach_head(wanted).await?;
    let peers = node.client().peers(None).await?;
    let addresses: Vec<String> =
        peers.iter().map(|peer| format!("{} ({})", peer.address, text::wire(&peer.wire))).collect();
    Ok(format!("{}, from {}", text::count(reached.length, "block"), addresses.join(", ")))
}
