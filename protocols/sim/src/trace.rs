//! The story as it was: a hash for comparing, lines for reading.

use std::collections::VecDeque;
use std::fmt;

use quorate_proto::{TaskId, Timestamp};

use super::plan::START;

/// Lines kept where not all are wanted: what led to a failure.
const TAIL: usize = 80;

/// One thing that happened.
#[derive(Clone, Copy, Debug)]
pub(super) struct Line {
    pub(super) at: Timestamp,
    pub(super) node: usize,
    pub(super) verb: &'static str,
    pub(super) task: Option<TaskId>,
    pub(super) note: Note,
}

/// What else there is to say.
#[derive(Clone, Copy, Debug)]
pub(super) enum Note {
    None,
    From(usize),
    Attempt(u32),
    Epoch(u32),
    Block(u64),
    Signers(usize),
    Request(usize),
    Reason(&'static str),
}

#[derive(Debug)]
pub(super) struct Trace {
    hash: u64,
    lines: VecDeque<Line>,
    keep_all: bool,
}

impl Trace {
    pub(super) fn new(keep_all: bool) -> Self {
        let offset_basis = 0xcbf2_9ce4_8422_2325;
        Self {
            hash: offset_basis,
            lines: VecDeque::new(),
            keep_all,
        }
    }

    pub(super) fn add(&mut self, line: Line) {
        self.mix(line.at.0);
        self.mix(line.node as u64);
        line.verb.bytes().for_each(|byte| self.mix(u64::from(byte)));
        if let Some(task) = line.task {
            task.0
                .iter()
                .take(8)
                .for_each(|byte| self.mix(u64::from(*byte)));
        }
        self.mix(line.note.number());
        if !self.keep_all && self.lines.len() >= TAIL {
            self.lines.pop_front();
        }
        self.lines.push_back(line);
    }

    /// FNV-1a, a word at a time.
    const fn mix(&mut self, word: u64) {
        let prime = 0x0100_0000_01b3;
        self.hash = (self.hash ^ word).wrapping_mul(prime);
    }

    pub(super) const fn hash(&self) -> u64 {
        self.hash
    }

    pub(super) fn into_lines(self) -> Vec<String> {
        self.lines.iter().map(Line::to_string).collect()
    }
}

impl Note {
    fn number(self) -> u64 {
        match self {
            Self::None => 0,
            Self::From(number) | Self::Signers(number) | Self::Request(number) => number as u64,
            Self::Attempt(number) | Self::Epoch(number) => u64::from(number),
            Self::Block(number) => number,
            Self::Reason(text) => text.len() as u64,
        }
    }
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => Ok(()),
            Self::From(node) => write!(f, "from node {node}"),
            Self::Attempt(number) => write!(f, "attempt {number}"),
            Self::Epoch(number) => write!(f, "epoch {number}"),
            Self::Block(number) => write!(f, "block {number}"),
            Self::Signers(number) => write!(f, "{number} signers"),
            Self::Request(number) => write!(f, "request {number}"),
            Self::Reason(text) => f.write_str(text),
        }
    }
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let micros = self.at.micros_since(START);
        write!(f, "{:>6}.{:03} ms  ", micros / 1_000, micros % 1_000)?;
        write!(f, "node {:<3} {:<20} ", self.node, self.verb)?;
        match self.task {
            Some(task) => write!(f, "task {:.10} ", task.to_string())?,
            None => write!(f, "{:15} ", "")?,
        }
        self.note.fmt(f)
    }
}
