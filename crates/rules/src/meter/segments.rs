//! Segments: runs of operators that are executed together and paid for at once.

use std::collections::BTreeMap;

use wasmparser::{FunctionBody, Operator, Result};

use super::schedule::{self, CHECKED_COST, Rate};

/// What a body needs to know of the functions that it calls.
#[derive(Debug)]
pub(super) struct Callees {
    /// Number of imported functions: the first index that has a body.
    pub(super) imported: u32,
    /// Quiet functions, with the cost of their first segment and their depth.
    pub(super) quiet: BTreeMap<u32, (u64, u64)>,
    /// Most that a segment may cost to be paid with another.
    pub(super) fold: u64,
}

impl Callees {
    /// Knows of imported functions only.
    pub(super) fn imported(imported: u32, fold: u64) -> Self {
        Self { imported, quiet: BTreeMap::new(), fold }
    }
}

/// A change to a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Edit {
    /// Operator that it is about, counted from 0.
    pub(super) at: u32,
    /// Blocks around it.
    pub(super) nesting: u32,
    pub(super) what: Change,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Change {
    /// Before the operator, take gas; when `checked`, stop if there is none left.
    Charge { cost: u64, checked: bool },
    /// Before the operator, take gas for its last operand, and stop if there is none left.
    Bulk(Rate),
    /// The operator is a `return`.
    Return,
}

/// What there is to change in a body.
#[derive(Debug, Default)]
pub(super) struct Flow {
    /// In the order of the operators. The charge of the first segment is not among them.
    pub(super) edits: Vec<Edit>,
    /// Whether it calls functions that keep account of their depth.
    pub(super) calls: bool,
    /// Depth that the quiet functions which it calls need, at most.
    pub(super) reserve: u64,
    entry_cost: u64,
}

impl Flow {
    /// Cost of the segment with which the function begins.
    pub(super) fn entry_cost(&self) -> u64 {
        self.entry_cost
    }
}

/// Finds the segments of a body.
///
/// # Errors
///
/// None for a body that has passed the gate.
pub(super) fn analyse(body: &FunctionBody<'_>, callees: &Callees) -> Result<Flow> {
    let mut walk = Walk::new();
    let mut flow = Flow::default();
    let mut reader = body.get_operators_reader()?;
    let mut at = 0;
    while !reader.eof() {
        let operator = reader.read()?;
        if let Operator::Call { function_index } = &operator {
            if let Some((cost, depth)) = callees.quiet.get(function_index) {
                walk.add(*cost);
                flow.reserve = flow.reserve.max(*depth);
            } else {
                flow.calls |= *function_index >= callees.imported;
            }
        }
        flow.calls |= matches!(operator, Operator::CallIndirect { .. });
        let nesting = walk.nesting();
        if walk.current.is_some() {
            if let Some(rate) = schedule::rate(&operator) {
                flow.edits.push(Edit { at, nesting, what: Change::Bulk(rate) });
            }
            if matches!(operator, Operator::Return) {
                flow.edits.push(Edit { at, nesting, what: Change::Return });
            }
        }
        walk.step(&operator, at)?;
        at += 1;
    }
    walk.finish(&mut flow, callees.fold);
    Ok(flow)
}

/// Index of a segment.
type SegmentId = usize;

#[derive(Debug, Clone, Copy)]
struct Segment {
    /// Operator before which it is paid.
    at: u32,
    nesting: u32,
    cost: u64,
    /// Whether a loop begins here.
    head: bool,
    /// A segment that is executed at least as often. None where the gas must be looked at.
    parent: Option<SegmentId>,
    /// Whether it always ends in `unreachable`: nobody pays for it.
    free: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Block,
    Loop,
    If,
}

/// A block that is open.
#[derive(Debug, Clone, Copy)]
struct Frame {
    kind: Kind,
    /// Segment that goes on where the block begins. None in dead code.
    entry: Option<SegmentId>,
    /// Whether something jumps, or an arm before the last one falls, to its end.
    joined: bool,
    has_else: bool,
    /// Outermost frame to which something inside branches.
    outermost: usize,
}

/// The walk over the operators of a body.
struct Walk {
    segments: Vec<Segment>,
    frames: Vec<Frame>,
    /// Segment that the next operator belongs to. None in dead code.
    current: Option<SegmentId>,
}

impl Walk {
    fn new() -> Self {
        let entry = Segment { at: 0, nesting: 0, cost: 0, head: false, parent: None, free: false };
        let mut walk = Self { segments: vec![entry], frames: Vec::new(), current: Some(0) };
        walk.open(Kind::Block);
        walk
    }

    /// Returns how many blocks of the body are open.
    fn nesting(&self) -> u32 {
        u32::try_from(self.frames.len().saturating_sub(1)).unwrap_or(u32::MAX)
    }

    fn add(&mut self, cost: u64) {
        if let Some(segment) = self.current.and_then(|current| self.segments.get_mut(current)) {
            segment.cost += cost;
        }
    }

    fn step(&mut self, operator: &Operator<'_>, at: u32) -> Result<()> {
        self.add(schedule::cost(operator));
        match operator {
            Operator::Block { .. } => self.open(Kind::Block),
            Operator::Loop { .. } => {
                self.open(Kind::Loop);
                self.begin(at, self.current, true);
            }
            Operator::If { .. } => {
                self.open(Kind::If);
                self.begin(at, self.current, false);
            }
            Operator::Else => {
                let live = self.current.is_some();
                if let Some(frame) = self.frames.last_mut() {
                    frame.has_else = true;
                    frame.joined |= live;
                    self.current = frame.entry;
                    self.begin(at, self.current, false);
                }
            }
            Operator::End => self.close(at),
            Operator::Br { relative_depth } => {
                self.branch(*relative_depth);
                self.current = None;
            }
            Operator::BrIf { relative_depth } => {
                self.branch(*relative_depth);
                self.begin(at, self.current, false);
            }
            Operator::BrTable { targets } => {
                self.branch(targets.default());
                for target in targets.targets() {
                    self.branch(target?);
                }
                self.current = None;
            }
            Operator::Return => {
                self.branch(self.nesting());
                self.current = None;
            }
            Operator::Unreachable => self.stop(),
            _ => {}
        }
        Ok(())
    }

    /// Ends in a trap: what led here since the last branch need not be paid.
    fn stop(&mut self) {
        if let Some(segment) = self.current.take().and_then(|current| self.segments.get_mut(current)) {
            segment.free = segment.parent.is_some();
        }
    }

    /// Begins a segment after the operator, unless the code there is dead.
    fn begin(&mut self, at: u32, parent: Option<SegmentId>, head: bool) {
        if parent.is_some() {
            self.current = Some(self.segments.len());
            let parent = parent.filter(|_| !head);
            self.segments.push(Segment {
                at: at + 1,
                nesting: self.nesting(),
                cost: 0,
                head,
                parent,
                free: false,
            });
        }
    }

    fn open(&mut self, kind: Kind) {
        self.frames.push(Frame {
            kind,
            entry: self.current,
            joined: false,
            has_else: false,
            outermost: usize::MAX,
        });
    }

    fn close(&mut self, at: u32) {
        let Some(frame) = self.frames.pop() else {
            return;
        };
        let own = self.frames.len();
        if let Some(outer) = self.frames.last_mut() {
            outer.outermost = outer.outermost.min(frame.outermost);
        }
        let joined = frame.joined || (frame.kind == Kind::If && !frame.has_else);
        if frame.entry.is_none() || (self.current.is_none() && !joined) {
            self.current = None;
        } else if frame.outermost >= own {
            // Nothing leaves but through the end: what follows is executed as often as what came before.
            self.current = frame.entry;
        } else if joined || frame.kind == Kind::If {
            self.begin(at, frame.entry, false);
        }
    }

    /// Notes a branch out of the innermost block.
    fn branch(&mut self, relative_depth: u32) {
        if self.current.is_none() {
            return;
        }
        let target = self.frames.len().checked_sub(1 + relative_depth as usize);
        if let Some((target, frame)) = target.and_then(|at| Some((at, self.frames.get_mut(at)?))) {
            frame.joined |= frame.kind != Kind::Loop;
            if let Some(inner) = self.frames.last_mut() {
                inner.outermost = inner.outermost.min(target);
            }
        }
    }

    /// Lets segments that cost little be paid with others, and lists the rest.
    fn finish(mut self, flow: &mut Flow, fold: u64) {
        for id in (0..self.segments.len()).rev() {
            if let Some(segment) = self.segments.get_mut(id)
                && (segment.free || segment.cost <= fold)
                && let Some(parent) = segment.parent
            {
                let (cost, free) = (std::mem::take(&mut segment.cost), segment.free);
                if !free && let Some(parent) = self.segments.get_mut(parent) {
                    parent.cost += cost;
                }
            }
        }
        flow.entry_cost = self.segments.first().map_or(0, |segment| segment.cost);
        flow.edits.extend(self.segments.iter().skip(1).filter(|segment| segment.cost > 0).map(|segment| {
            let checked = segment.head || segment.cost >= CHECKED_COST;
            let what = Change::Charge { cost: segment.cost, checked };
            Edit { at: segment.at, nesting: segment.nesting, what }
        }));
        // A charge comes before what else happens at its operator.
        flow.edits.sort_by_key(|edit| (edit.at, !matches!(edit.what, Change::Charge { .. })));
    }
}
