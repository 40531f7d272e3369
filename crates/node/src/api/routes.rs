//! The server's side: from a request to the node and back.

use std::collections::BTreeMap;

use bytes::Bytes;
use data_encoding::BASE64;
use quorate_net::http::{Request, Response};
use quorate_types::BlockRange;
use quorate_types::limits::MAX_BLOCK_BYTES;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::wire::{AuditLine, Blocks, Checked, Cleared, Copied, Hurry, Range};
use crate::model::{CloneStream, NewStream};
use crate::{Code, Failure, FailureBody, FailureKind, Node};

/// Lines of one answer that wait to be written.
const LINES_WAITING: usize = 64;

/// Answers one request.
pub(crate) async fn serve(node: Node, request: Request) -> Response {
    match answer(&node, &request).await {
        Ok(response) => response,
        Err(failure) => refuse(&failure),
    }
}

async fn answer(node: &Node, request: &Request) -> Result<Response, Failure> {
    let segments: Vec<&str> = request.path.trim_matches('/').split('/').collect();
    let query = parse_query(&request.query);
    match (request.method.as_str(), segments.as_slice()) {
        ("GET", ["v1", "streams"]) => json(&node.streams().await?),
        ("POST", ["v1", "streams"]) => {
            let new: NewStream = body(request)?;
            json(&node.create(new).await?.info().await?)
        }
        ("POST", ["v1", "clones"]) => {
            let clone: CloneStream = body(request)?;
            json(&node.clone_stream(clone, true).await?.info().await?)
        }
        ("GET", ["v1", "streams", stream]) => json(&node.open_stream(stream).await?.info().await?),
        ("POST", ["v1", "streams", stream, "blocks"]) => {
            let blocks = decode_blocks(&body::<Blocks>(request)?)?;
            json(&node.open_stream(stream).await?.append(blocks).await?)
        }
        ("POST", ["v1", "streams", stream, "only-writer"]) => {
            json(&node.open_stream(stream).await?.trust_only_writer().await?)
        }
        ("POST", ["v1", "streams", stream, "actions"]) => json(&node.say(stream, body(request)?).await?),
        ("POST", ["v1", "streams", stream, "hurry"]) => {
            let Hurry { call } = body(request)?;
            json(&node.hurry(stream, call).await?)
        }
        ("POST", ["v1", "streams", stream, "checked"]) => {
            json(&Checked { length: node.open_stream(stream).await?.checked().await? })
        }
        ("POST", ["v1", "streams", stream, "committed"]) => {
            let Checked { length } = body(request)?;
            json(&Checked { length: node.open_stream(stream).await?.committed(length).await? })
        }
        ("POST", ["v1", "streams", stream, "settled"]) => {
            json(&node.open_stream(stream).await?.settled(body(request)?).await?)
        }
        ("GET", ["v1", "streams", stream, "evidence", id]) => {
            Ok(Response::octets(node.open_stream(stream).await?.evidence(id).await?))
        }
        ("POST", ["v1", "streams", stream, "published"]) => {
            json(&node.publish(stream, body(request)?).await?)
        }
        ("POST", ["v1", "streams", stream, "decisions"]) => {
            json(&node.resolve(stream, body(request)?).await?)
        }
        ("GET", ["v1", "decisions"]) => json(&node.decisions()),
        ("POST", ["v1", "streams", stream, "rules"]) => {
            json(&node.change_rules(stream, body(request)?).await?)
        }
        ("POST", ["v1", "streams", stream, "validators"]) => {
            json(&node.open_stream(stream).await?.change_validators(body(request)?).await?)
        }
        ("GET", ["v1", "streams", stream, "blocks"]) => {
            let range = BlockRange::new(number(&query, "start", 0)?, number(&query, "end", u64::MAX)?);
            json(&node.open_stream(stream).await?.blocks(range).await?)
        }
        ("GET", ["v1", "streams", stream, "blocks", index]) => {
            Ok(Response::octets(node.open_stream(stream).await?.get(parse_index(index)?).await?))
        }
        ("GET", ["v1", "streams", stream, "proofs", index]) => {
            json(&node.open_stream(stream).await?.prove(parse_index(index)?).await?)
        }
        ("POST", ["v1", "streams", stream, "exported"]) => {
            let Copied { to, with_secret_key } = body(request)?;
            json(&node.open_stream(stream).await?.export(to, with_secret_key).await?)
        }
        ("POST", ["v1", "streams", stream, "clear"]) => {
            let range: Range = body(request)?;
            let cleared =
                node.open_stream(stream).await?.clear(BlockRange::new(range.start, range.end)).await?;
            json(&Cleared { cleared })
        }
        ("POST", ["v1", "streams", stream, "audit"]) => audit(node, stream).await,
        ("GET", ["v1", "peers"]) => json(&node.peers(query.get("stream").map(String::as_str)).await?),
        ("GET", ["v1", "discovery"]) => json(&node.discovery()),
        ("GET", ["v1", "events"]) => Ok(events(node)),
        _ => Err(Failure::new(
            Code::BadRequest,
            format!("expected a path of the local API, found {} {}", request.method, request.path),
        )),
    }
}

async fn audit(node: &Node, stream: &str) -> Result<Response, Failure> {
    let stream = node.open_stream(stream).await?;
    let (lines, body) = async_channel::bounded(LINES_WAITING);
    node.runtime().spawn(Box::pin(async move {
        let (to, from) = async_channel::bounded(16);
        let watch = async {
            while let Ok((done, total)) = from.recv().await {
                if lines.send(line(&AuditLine::Progress(done, total))).await.is_err() {
                    break;
                }
            }
            futures_lite::future::pending().await
        };
        let last = match futures_lite::future::or(stream.audit(to), watch).await {
            Ok(summary) => AuditLine::Audit(summary),
            Err(failure) => AuditLine::Failure(FailureBody::from(&failure)),
        };
        let _ = lines.send(line(&last)).await;
    }));
    Ok(Response::lines(body))
}

fn events(node: &Node) -> Response {
    let (lines, body) = async_channel::bounded(LINES_WAITING);
    let mut events = node.events();
    node.runtime().spawn(Box::pin(async move {
        while let Some(event) = events.next().await {
            if lines.send(line(&event)).await.is_err() {
                break;
            }
        }
    }));
    Response::lines(body)
}

fn line(value: &impl Serialize) -> Bytes {
    let mut text = serde_json::to_vec(value).unwrap_or_default();
    text.push(b'\n');
    text.into()
}

fn json(value: &impl Serialize) -> Result<Response, Failure> {
    let text = serde_json::to_vec(value).map_err(|error| Failure::new(Code::Internal, error.to_string()))?;
    Ok(Response::json(200, text))
}

fn refuse(failure: &Failure) -> Response {
    let status = match failure.kind() {
        FailureKind::Usage => 400,
        FailureKind::NotFound => 404,
        FailureKind::NotWritable | FailureKind::Fork | FailureKind::RefusedByRule => 409,
        FailureKind::NotCommitted => 504,
        FailureKind::Other | FailureKind::NoPeers | FailureKind::Storage | FailureKind::OtherWire => 500,
    };
    Response::json(status, serde_json::to_vec(&FailureBody::from(failure)).unwrap_or_default())
}

fn body<T: DeserializeOwned>(request: &Request) -> Result<T, Failure> {
    serde_json::from_slice(&request.body)
        .map_err(|error| Failure::new(Code::BadRequest, format!("expected another body: {error}")))
}

fn decode_blocks(blocks: &Blocks) -> Result<Vec<Bytes>, Failure> {
    let mut decoded = Vec::with_capacity(blocks.blocks.len());
    for (position, block) in blocks.blocks.iter().enumerate() {
        if block.len() / 4 * 3 > MAX_BLOCK_BYTES + 3 {
            return Err(Failure::new(
                Code::BlockTooLarge,
                format!(
                    "expected blocks of at most {MAX_BLOCK_BYTES} bytes, found a larger one at position {position}"
                ),
            ));
        }
        let bytes = BASE64.decode(block.as_bytes()).map_err(|error| {
            Failure::new(Code::BadRequest, format!("block {position}: expected base64: {error}"))
        })?;
        decoded.push(bytes.into());
    }
    Ok(decoded)
}

fn parse_query(query: &str) -> BTreeMap<String, String> {
    query
        .split('&')
        .filter_map(|pair| pair.split_once('='))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}

fn number(query: &BTreeMap<String, String>, name: &str, absent: u64) -> Result<u64, Failure> {
    match query.get(name) {
        Some(text) => parse_index(text),
        None => Ok(absent),
    }
}

fn parse_index(text: &str) -> Result<u64, Failure> {
    text.parse()
        .map_err(|_| Failure::new(Code::BadRequest, format!("expected a block number, found {text:?}")))
}
