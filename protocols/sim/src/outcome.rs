//! How a story ended.

use std::collections::BTreeSet;
use std::fmt;

use super::mesh::Traffic;
use quorate_protocols::task::{Report, Status};

/// What came of a run in which everything held that must hold.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The seed of the story.
    pub seed: u64,
    /// A hash over all that happened: the same seed gives the same.
    pub trace: u64,
    /// The story: all of it where it was traced, its end otherwise.
    pub lines: Vec<String>,
    /// Events that were simulated.
    pub events: u64,
    /// Messages that were sent, one per receiver.
    pub messages: u64,
    /// What each node received and sent, where messages spread by gossip.
    pub traffic: Vec<Traffic>,
    /// What the users got, in the order in which they asked.
    pub answers: Vec<Answer>,
    /// Operators against whom a node holds evidence.
    pub evidence: BTreeSet<usize>,
    /// For each certificate at each node the microseconds since its task was first opened
    /// anywhere; ascending.
    pub spread: Vec<u64>,
    /// Tasks of users that had to be certified whatever the others did, and were.
    pub obliged: usize,
    /// What those did who mean ill.
    pub mischief: Mischief,
    /// Inputs that a limit refused.
    pub refused: u64,
    /// Most tasks that were open at one node.
    pub most_open: usize,
    /// Most epochs that a node began in one life.
    pub epochs: usize,
}

/// How often operators did what they must not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Mischief {
    /// Two facts for two halves.
    pub split: u64,
    /// Signatures for another epoch.
    pub displaced: u64,
    /// Messages that only some got.
    pub withheld: u64,
    /// Messages repeated by another operator.
    pub replayed: u64,
    /// Messages made up in others' names.
    pub forged: u64,
    /// Not done on purpose: signatures refused because the signing log was gone.
    pub without_log: u64,
}

/// What one user got.
#[derive(Clone, Debug)]
pub struct Answer {
    /// Which node was asked.
    pub node: usize,
    /// How it ended.
    pub end: End,
}

/// How a user's question ended.
#[derive(Clone, Debug)]
pub enum End {
    /// With a certificate.
    Certified {
        /// Since the user asked.
        after_micros: u64,
        /// Number of the last announcement.
        attempt: u32,
    },
    /// Without one.
    Ended(Box<Report>),
    /// The node did not take it.
    TurnedAway(String),
    /// The node was down, or died.
    Lost,
}

impl Outcome {
    /// Questions that ended with a certificate.
    #[must_use]
    pub fn certified(&self) -> usize {
        self.times().len()
    }

    /// Questions that a node took and then neither certified nor lost.
    pub fn ended(&self) -> impl Iterator<Item = &Report> {
        self.answers.iter().filter_map(|answer| match &answer.end {
            End::Ended(report) => Some(report.as_ref()),
            _ => None,
        })
    }

    /// Questions that ended in this way without a certificate.
    #[must_use]
    pub fn ended_as(&self, status: Status) -> usize {
        self.ended()
            .filter(|report| report.status == status)
            .count()
    }

    /// The highest number of an announcement that a certificate needed.
    #[must_use]
    pub fn most_attempts(&self) -> u32 {
        let attempt = |answer: &Answer| match answer.end {
            End::Certified { attempt, .. } => Some(attempt),
            _ => None,
        };
        self.answers.iter().filter_map(attempt).max().unwrap_or(0)
    }

    /// Questions whose certificate needed more than one announcement.
    #[must_use]
    pub fn retried(&self) -> usize {
        let again =
            |answer: &&Answer| matches!(answer.end, End::Certified { attempt, .. } if attempt > 0);
        self.answers.iter().filter(again).count()
    }

    /// What all nodes received and sent together, where messages spread by gossip.
    #[must_use]
    pub fn all_traffic(&self) -> Traffic {
        let mut sum = Traffic::default();
        for traffic in &self.traffic {
            sum.received += traffic.received;
            sum.duplicates += traffic.duplicates;
            sum.received_bytes += traffic.received_bytes;
            sum.sent += traffic.sent;
            sum.sent_bytes += traffic.sent_bytes;
        }
        sum
    }

    /// Microseconds from question to certificate, ascending.
    #[must_use]
    pub fn times(&self) -> Vec<u64> {
        let time = |answer: &Answer| match answer.end {
            End::Certified { after_micros, .. } => Some(after_micros),
            _ => None,
        };
        let mut times: Vec<u64> = self.answers.iter().filter_map(time).collect();
        times.sort_unstable();
        times
    }

    /// This share of the certificates took at most so many microseconds; `u64::MAX` without any.
    #[must_use]
    pub fn within(&self, share: f64) -> u64 {
        percentile(&self.times(), share)
    }

    /// The same for the way of certificates to all nodes that got them.
    #[must_use]
    pub fn spread_within(&self, share: f64) -> u64 {
        percentile(&self.spread, share)
    }
}

#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "an index into at most millions of entries"
)]
fn percentile(ascending: &[u64], share: f64) -> u64 {
    let rank = (ascending.len() as f64 * share).ceil() as usize;
    let value = ascending.get(rank.max(1) - 1);
    value.copied().unwrap_or(u64::MAX)
}

/// Something happened that must never happen.
#[derive(Clone)]
pub struct Failure {
    /// The seed of the story.
    pub seed: u64,
    /// At which node.
    pub node: usize,
    /// What it was.
    pub what: String,
    /// What led to it.
    pub lines: Vec<String>,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for line in &self.lines {
            writeln!(f, "{line}")?;
        }
        let Self {
            seed, node, what, ..
        } = self;
        write!(f, "seed {seed}: at node {node}, {what}")
    }
}

impl fmt::Debug for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::error::Error for Failure {}
