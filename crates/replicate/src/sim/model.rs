//! A feed in memory whose hashes and signatures are toys and whose trees, digests and proofs are those of
//! hypercore 9 `lib/tree-index.js` and `index.js` (`_putBuffer`, `_verifyAndWrite`).

use std::collections::BTreeSet;

use bytes::Bytes;
use quorate_proto::dat::{Data, Request};
use quorate_types::{BlockRange, Hash, Node, NodeIndex, Signature};

use crate::{InvestigationResult, LocalFeed, Refusal};

/// Toy hash; 0 stands for a node that is not here.
fn mix(parts: &[u64]) -> u64 {
    let hash = parts.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, part| {
        (hash ^ part).wrapping_mul(0x0000_0100_0000_01b3).rotate_left(23)
    });
    hash.max(1)
}

pub(crate) fn depth(node: u64) -> u32 {
    node.trailing_ones()
}

fn at(depth: u32, offset: u64) -> u64 {
    (offset << (depth + 1)) | ((1 << depth) - 1)
}

pub(crate) fn parent(node: u64) -> u64 {
    at(depth(node) + 1, node >> (depth(node) + 2))
}

pub(crate) fn sibling(node: u64) -> u64 {
    at(depth(node), node >> (depth(node) + 1) ^ 1)
}

fn left_span(node: u64) -> u64 {
    node + 1 - (1 << depth(node))
}

fn right_span(node: u64) -> u64 {
    node + (1 << depth(node)) - 1
}

fn left_child(node: u64) -> u64 {
    let depth = depth(node);
    at(depth - 1, node >> (depth + 1) << 1)
}

/// Roots of a feed, left to right.
fn full_roots(length: u64) -> Vec<u64> {
    let mut roots = Vec::new();
    let mut start = 0;
    let mut rest = length;
    while rest > 0 {
        let depth = rest.ilog2();
        roots.push(at(depth, start >> depth));
        start += 1 << depth;
        rest -= 1 << depth;
    }
    roots
}

/// Nodes that a peer claimed.
#[derive(Debug, Clone, Default)]
pub(crate) struct Claimed(BTreeSet<u64>);

impl Claimed {
    fn set(&mut self, mut node: u64) {
        while self.0.insert(node) && self.0.contains(&sibling(node)) {
            node = parent(node);
        }
    }
}

#[derive(Debug, Clone, Default)]
pub(crate) struct Model {
    length: u64,
    /// Hash of every node, 0 where it is not here.
    tree: Vec<u64>,
    blocks: Vec<bool>,
    signed: BTreeSet<u64>,
    /// Which history a writer writes.
    pub(crate) branch: u64,
    /// Answers carry other bytes than those that were signed.
    pub(crate) corrupts: bool,
    /// Block that the rules refuse.
    pub(crate) forbids: Option<u64>,
}

fn content(branch: u64, index: u64) -> u64 {
    mix(&[7, branch, index])
}

fn bytes_of(content: u64) -> Bytes {
    Bytes::copy_from_slice(&content.to_be_bytes())
}

fn leaf_hash(value: &[u8]) -> u64 {
    let parts: Vec<u64> = value.iter().map(|&byte| u64::from(byte)).collect();
    mix(&parts)
}

impl Model {
    pub(crate) fn append(&mut self, count: u64) -> BlockRange {
        let range = BlockRange::new(self.length, self.length + count);
        for index in range.start..range.end {
            self.put_block(index);
            let mut node = 2 * index;
            self.put_node(node, leaf_hash(&bytes_of(content(self.branch, index))));
            while self.has_node(sibling(node)) {
                let (low, high) = (node.min(sibling(node)), node.max(sibling(node)));
                node = parent(node);
                self.put_node(node, mix(&[self.hash(low), self.hash(high)]));
            }
        }
        self.length = range.end;
        self.signed.insert(self.length);
        range
    }

    /// A writer whose history leaves the other's at a block.
    pub(crate) fn fork_at(common: u64, length: u64, branch: u64) -> Self {
        let mut model = Self::default();
        model.append(common);
        model.branch = branch;
        model.append(length - common);
        model
    }

    /// Longest length up to a limit that was signed.
    pub(crate) fn signed_at_most(&self, limit: u64) -> Option<u64> {
        self.signed.range(..=limit).next_back().copied()
    }

    pub(crate) fn clear(&mut self, range: BlockRange) {
        for index in range.start..range.end.min(self.blocks.len() as u64) {
            self.blocks[index as usize] = false;
        }
    }

    pub(crate) fn count(&self) -> usize {
        self.blocks.iter().filter(|&&is_here| is_here).count()
    }

    fn hash(&self, node: u64) -> u64 {
        self.tree.get(node as usize).copied().unwrap_or(0)
    }

    fn put_node(&mut self, node: u64, hash: u64) {
        if self.tree.len() <= node as usize {
            self.tree.resize(node as usize + 1, 0);
        }
        self.tree[node as usize] = hash;
    }

    fn put_block(&mut self, index: u64) {
        if self.blocks.len() <= index as usize {
            self.blocks.resize(index as usize + 1, false);
        }
        self.blocks[index as usize] = true;
    }

    fn signature(&self, length: u64, roots: &[u64]) -> Signature {
        let mut bytes = [0; 64];
        bytes[..8].copy_from_slice(&mix(&[length, mix(roots)]).to_be_bytes());
        Signature::new(bytes)
    }

    fn verified_by(&self, index: u64) -> u64 {
        let mut top = index;
        while self.has_node(parent(top)) && self.has_node(sibling(top)) {
            top = parent(top);
        }
        let mut depth = depth(top);
        while depth > 0 {
            top = left_child(at(depth, (top >> (depth + 1)) + 1));
            depth -= 1;
            while !self.has_node(top) && depth > 0 {
                top = left_child(top);
                depth -= 1;
            }
        }
        if self.has_node(top) { top + 2 } else { top }
    }

    /// Answers a request, with a view of what the peer claimed before.
    pub(crate) fn answer(&self, request: &Request, claimed: &mut Claimed) -> Option<Data> {
        let index = 2 * request.index;
        if !self.has_node(index) || !(request.hash || self.has(request.index)) {
            return None;
        }
        let mut nodes = Vec::new();
        if request.hash {
            nodes.push(index);
        }
        let verified_by =
            if request.nodes == 1 { 0 } else { self.prove(index, request.nodes, claimed, &mut nodes) };
        let length = verified_by / 2;
        let signature = (length > 0).then(|| {
            assert!(self.signed.contains(&length), "no signature for length {length}");
            let roots: Vec<u64> = full_roots(length).into_iter().map(|root| self.hash(root)).collect();
            self.signature(length, &roots)
        });
        let mut value = bytes_of(content(self.branch_of(request.index), request.index));
        if self.corrupts {
            value = Bytes::from_static(b"garbage");
        }
        let value = (!request.hash).then_some(value);
        let nodes = nodes.into_iter().map(|node| self.node(node)).collect();
        Some(Data { index: request.index, value, nodes, signature })
    }

    /// The branch that a stored block belongs to; a replica has what it was given.
    fn branch_of(&self, index: u64) -> u64 {
        let fits = |branch: u64| leaf_hash(&bytes_of(content(branch, index))) == self.hash(2 * index);
        (0..4).find(|&branch| fits(branch)).expect("a block of a known branch")
    }

    fn node(&self, index: u64) -> Node {
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&self.hash(index).to_be_bytes());
        Node { index: NodeIndex::new(index), hash: Hash::new(bytes), size: 8 }
    }

    fn prove(&self, index: u64, digest: u64, claimed: &mut Claimed, nodes: &mut Vec<u64>) -> u64 {
        let mut next = index;
        let has_root = digest & 1 == 1;
        let mut digest = digest >> 1;
        while digest > 0 {
            if digest == 1 && has_root {
                if self.has_node(next) {
                    claimed.set(next);
                }
                next = next.min(sibling(next));
                for root in full_roots(right_span(next) / 2 + 1) {
                    if self.has_node(root) {
                        claimed.set(root);
                    }
                }
                break;
            }
            if digest & 1 == 1 && self.has_node(sibling(next)) {
                claimed.set(sibling(next));
            }
            next = parent(next);
            digest >>= 1;
        }
        next = index;
        while !claimed.0.contains(&next) {
            if !self.has_node(sibling(next)) {
                let verified_by = self.verified_by(next);
                let roots = full_roots(verified_by / 2);
                nodes.extend(roots.into_iter().filter(|root| *root != next && !claimed.0.contains(root)));
                return verified_by;
            }
            if !claimed.0.contains(&sibling(next)) {
                nodes.push(sibling(next));
            }
            next = parent(next);
        }
        0
    }

    /// Verifies and stores; says whether the block is new and whether the length grew.
    pub(crate) fn put(&mut self, data: &Data) -> Result<(bool, bool), Refusal> {
        let mut given: Vec<(u64, u64)> =
            data.nodes.iter().map(|node| (node.index.get(), hash_of(node))).collect();
        given.reverse();
        let mut top = match &data.value {
            Some(value) => (2 * data.index, leaf_hash(value)),
            None => given.pop().ok_or(Refusal::Malformed)?,
        };
        if top.0 != 2 * data.index {
            return Err(Refusal::Malformed);
        }
        let mut found = vec![top];
        let mut is_trusted = false;
        loop {
            let known = self.hash(top.0);
            if known != 0 {
                if known != top.1 {
                    return Err(Refusal::WrongHash);
                }
                is_trusted = true;
                break;
            }
            let next = sibling(top.0);
            let other = match given.last() {
                Some(&node) if node.0 == next => {
                    given.pop();
                    found.push(node);
                    node.1
                }
                _ if self.has_node(next) => self.hash(next),
                _ => break,
            };
            let (low, high) = if next < top.0 { (other, top.1) } else { (top.1, other) };
            top = (parent(top.0), mix(&[low, high]));
            found.push(top);
        }
        let mut length = 0;
        if !is_trusted {
            let last = given.first().map_or(top.0, |node| node.0);
            length = right_span(top.0).max(right_span(last)) / 2 + 1;
            let mut roots = Vec::new();
            for root in full_roots(length) {
                if root == top.0 {
                    roots.push(top.1);
                } else if given.last().is_some_and(|node| node.0 == root) {
                    let node = given.pop().ok_or(Refusal::MissingNode)?;
                    found.push(node);
                    roots.push(node.1);
                } else if self.has_node(root) {
                    roots.push(self.hash(root));
                } else {
                    return Err(Refusal::MissingNode);
                }
            }
            let signature = data.signature.ok_or(Refusal::NoSignature)?;
            if signature != self.signature(length, &roots) {
                return Err(Refusal::BadSignature);
            }
            self.signed.insert(length);
        }
        if data.value.is_some() && self.forbids == Some(data.index) {
            return Err(Refusal::Rules);
        }
        for (node, hash) in found {
            self.put_node(node, hash);
        }
        let is_new = data.value.is_some() && !self.has(data.index);
        if data.value.is_some() {
            self.put_block(data.index);
        }
        let upgraded = length > self.length;
        self.length = self.length.max(length);
        Ok((is_new, upgraded))
    }

    /// Compares a proof that stands alone.
    pub(crate) fn investigate(&self, data: &Data) -> InvestigationResult {
        let mut alone = Self::default();
        match alone.put(data) {
            // What was claimed in an earlier digest may have been left out, and the signature with it.
            Err(Refusal::MissingNode | Refusal::NoSignature) => return InvestigationResult::Incomplete,
            Err(_) => return InvestigationResult::Corrupt,
            Ok(_) => {}
        }
        let differs = |(node, &hash): (usize, &u64)| {
            let here = self.hash(node as u64);
            hash != 0 && here != 0 && here != hash
        };
        if alone.tree.iter().enumerate().any(differs) {
            return InvestigationResult::Fork;
        }
        // Our peaks must be seen inside the longer history.
        let is_shown = |root: &u64| alone.has_node(*root);
        if self.length > 0 && alone.length > self.length && !full_roots(self.length).iter().all(is_shown) {
            return InvestigationResult::Ask(vec![self.length - 1, self.length]);
        }
        InvestigationResult::Consistent
    }

    /// The digest as the reference computes it.
    pub(crate) fn reference_digest(&self, index: u64) -> u64 {
        let index = 2 * index;
        if self.has_node(index) {
            return 1;
        }
        let mut digest = 0;
        let mut next = sibling(index);
        let end = (next + 2).max(self.tree.len() as u64);
        let mut bit = 2;
        let mut above = parent(next);
        while right_span(next) < end || left_span(above) > 0 {
            if self.has_node(next) {
                digest += bit;
            }
            if self.has_node(above) {
                digest += 2 * bit;
                digest |= 1;
                return if digest + 1 == 4 * bit { 1 } else { digest };
            }
            next = sibling(above);
            above = parent(next);
            bit *= 2;
        }
        digest
    }
}

fn hash_of(node: &Node) -> u64 {
    let mut bytes = [0; 8];
    bytes.copy_from_slice(&node.hash.as_bytes()[..8]);
    u64::from_be_bytes(bytes)
}

impl LocalFeed for Model {
    fn length(&self) -> u64 {
        self.length
    }

    fn has(&self, index: u64) -> bool {
        self.blocks.get(index as usize).copied().unwrap_or(false)
    }

    fn has_node(&self, node: u64) -> bool {
        self.hash(node) != 0
    }

    fn digest(&self, index: u64) -> u64 {
        self.reference_digest(index)
    }

    fn compress(&self, start: u64, length: u64) -> Vec<u8> {
        let end = (start + length).min(self.blocks.len() as u64);
        let mut bytes = Vec::new();
        for index in start..end {
            let bit = index - start;
            if bit.is_multiple_of(8) {
                bytes.push(0u8);
            }
            if self.has(index) {
                bytes[(bit / 8) as usize] |= 128 >> (bit % 8);
            }
        }
        while bytes.last() == Some(&0) {
            bytes.pop();
        }
        coded(&bytes)
    }

    fn first_missing(&self, range: BlockRange) -> Option<u64> {
        (range.start..range.end).find(|&index| !self.has(index))
    }
}

/// Run-length codes bytes: one raw piece, or one run where they are all ones.
fn coded(bytes: &[u8]) -> Vec<u8> {
    let ones = bytes.iter().take_while(|&&byte| byte == 255).count();
    let mut out = Vec::new();
    if ones > 0 {
        varint(&mut out, 4 * ones as u64 + 3);
    }
    if bytes.len() > ones {
        varint(&mut out, 2 * (bytes.len() - ones) as u64);
        out.extend_from_slice(&bytes[ones..]);
    }
    out
}

fn varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 128 {
        out.push(value as u8 | 128);
        value >>= 7;
    }
    out.push(value as u8);
}
