//! What each provider said during a read, for the record of its task.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use quorate_proto::ReadBasis;

use crate::BlockRef;

/// Entries of one log: 16 providers asked for a header and for a value or a proof.
pub const MAX_REPLIES: usize = 32;

/// Bytes of the text of one entry, so that a full log stays below 8 KiB.
pub const MAX_REPLY_DETAIL: usize = 160;

/// What a provider was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum QueryKind {
    /// The header of a block.
    Header,
    /// The value itself, by a call of the contract.
    Value,
    /// A proof of the value, and what had to be looked up for it.
    Proof,
}

/// What it said.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ReplyKind {
    /// Something that holds.
    Good,
    /// Nothing yet when the others sufficed, or when the read was given up.
    NoneYet,
    /// Something else than the quorum.
    Differs,
    /// Something that its own proof, or the block that it belongs to, contradicts.
    False,
    /// That it has no proofs.
    NoProofs,
    /// Nothing in time.
    Timeout,
    /// Nothing: it cannot be reached.
    Unreachable,
    /// An error of HTTP or JSON-RPC.
    Error,
    /// Nothing that can be read.
    Malformed,
    /// That it does not know the block.
    Behind,
    /// It serves another chain, or has not shown which one.
    WrongChain,
    /// It was not asked, since too much waits for it.
    Busy,
}

impl ReplyKind {
    /// In a few replies, for people.
    #[must_use]
    pub const fn describe(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::NoneYet => "no answer yet",
            Self::Differs => "another answer",
            Self::False => "a false proof",
            Self::NoProofs => "has no proofs",
            Self::Timeout => "timed out",
            Self::Unreachable => "unreachable",
            Self::Error => "an error",
            Self::Malformed => "nonsense",
            Self::Behind => "does not know the block",
            Self::WrongChain => "another chain",
            Self::Busy => "not asked: too busy",
        }
    }
}

impl fmt::Display for ReplyKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.describe())
    }
}

/// What one provider said to one question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProviderReply {
    /// Its name without secrets.
    pub provider: Arc<str>,
    /// What it was asked for.
    pub query: QueryKind,
    /// What it said.
    pub kind: ReplyKind,
    /// More about that, for people; where it is good, only that it was said before, to another read.
    pub detail: String,
    /// From the question until the answer, or until it was no longer waited for.
    pub micros: u64,
}

/// Gathers what providers say while a read is under way. It is told as they speak, so that a read
/// that is given up leaves a trace too. Beyond [`MAX_REPLIES`] nothing is added.
#[derive(Debug, Default)]
pub struct ReadLog(Mutex<LogEntries>);

#[derive(Debug, Default)]
struct LogEntries {
    replies: Vec<ProviderReply>,
    read_at: Option<BlockRef>,
    basis: ReadBasis,
}

impl ReadLog {
    /// What was said so far, in the order in which it was heard.
    #[must_use]
    pub fn replies(&self) -> Vec<ProviderReply> {
        self.inner().replies.clone()
    }

    /// The final block at whose state was read, once it is known.
    #[must_use]
    pub fn read_at(&self) -> Option<BlockRef> {
        self.inner().read_at
    }

    /// What the answer rests on, once there is one: a value, or that there is none.
    #[must_use]
    pub fn basis(&self) -> ReadBasis {
        self.inner().basis
    }

    pub(crate) fn rests_on(&self, basis: ReadBasis) {
        self.inner().basis = basis;
    }

    pub(crate) fn reads_at(&self, block: BlockRef) {
        self.inner().read_at = Some(block);
    }

    /// Notes what comes of asking this provider, whatever becomes of the read.
    pub(crate) fn asking(&self, provider: &Arc<str>, query: QueryKind) -> PendingReplyNote<'_> {
        PendingReplyNote {
            log: self,
            provider: Arc::clone(provider),
            query,
            kind: ReplyKind::NoneYet,
            detail: String::new(),
            asked: Instant::now(),
            micros: None,
        }
    }

    fn inner(&self) -> MutexGuard<'_, LogEntries> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One question to one provider. Goes into the log when dropped.
#[derive(Debug)]
pub(crate) struct PendingReplyNote<'a> {
    log: &'a ReadLog,
    provider: Arc<str>,
    query: QueryKind,
    kind: ReplyKind,
    detail: String,
    asked: Instant,
    micros: Option<u64>,
}

impl PendingReplyNote<'_> {
    /// It answered now. What the answer is worth may be said again later.
    pub(crate) fn said(&mut self, kind: ReplyKind, detail: &str) {
        let took = self.asked.elapsed().as_micros();
        self.micros
            .get_or_insert(u64::try_from(took).unwrap_or(u64::MAX));
        self.kind = kind;
        detail[..detail.floor_char_boundary(MAX_REPLY_DETAIL)].clone_into(&mut self.detail);
    }
}

impl Drop for PendingReplyNote<'_> {
    fn drop(&mut self) {
        let waited = u64::try_from(self.asked.elapsed().as_micros()).unwrap_or(u64::MAX);
        let mut inner = self.log.inner();
        if inner.replies.len() < MAX_REPLIES {
            inner.replies.push(ProviderReply {
                provider: Arc::clone(&self.provider),
                query: self.query,
                kind: self.kind,
                detail: std::mem::take(&mut self.detail),
                micros: self.micros.unwrap_or(waited),
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_said_is_kept_and_bounded() {
        let log = ReadLog::default();
        let name: Arc<str> = "p".into();
        for number in 0..MAX_REPLIES + 8 {
            let mut asking = log.asking(&name, QueryKind::Proof);
            if number % 2 == 0 {
                asking.said(ReplyKind::Good, "");
                asking.said(ReplyKind::False, &"é".repeat(MAX_REPLY_DETAIL));
            }
        }
        let replies = log.replies();
        assert_eq!(replies.len(), MAX_REPLIES);
        assert_eq!(
            (replies[0].kind, replies[1].kind),
            (ReplyKind::False, ReplyKind::NoneYet)
        );
        assert!(
            replies
                .iter()
                .all(|word| word.detail.len() <= MAX_REPLY_DETAIL)
        );
        assert!(!replies[0].detail.is_empty() && replies[1].detail.is_empty());
    }
}
