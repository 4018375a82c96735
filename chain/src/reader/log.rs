//! What each provider said during a read, for the record of its task.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use quorate_proto::ReadBasis;

use crate::BlockRef;

/// Entries of one log: 16 providers asked for a header and for a value or a proof.
pub const MAX_WORDS: usize = 32;

/// Bytes of the text of one entry, so that a full log stays below 8 KiB.
pub const MAX_WORD_DETAIL: usize = 160;

/// What a provider was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Question {
    /// The header of a block.
    Header,
    /// The value itself, by a call of the contract.
    Value,
    /// A proof of the value, and what had to be looked up for it.
    Proof,
}

/// What it said.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Said {
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

impl Said {
    /// In a few words, for people.
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

impl fmt::Display for Said {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.describe())
    }
}

/// What one provider said to one question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Word {
    /// Its name without secrets.
    pub provider: Arc<str>,
    /// What it was asked for.
    pub question: Question,
    /// What it said.
    pub said: Said,
    /// More about that, for people; where it is good, only that it was said before, to another read.
    pub detail: String,
    /// From the question until the answer, or until nobody waited any more.
    pub micros: u64,
}

/// Gathers what providers say while a read is under way. It is told as they speak, so that a read
/// that is given up leaves a trace too. Beyond [`MAX_WORDS`] nothing is added.
#[derive(Debug, Default)]
pub struct ReadLog(Mutex<Inner>);

#[derive(Debug, Default)]
struct Inner {
    words: Vec<Word>,
    read_at: Option<BlockRef>,
    basis: ReadBasis,
}

impl ReadLog {
    /// What was said so far, in the order in which it was heard.
    #[must_use]
    pub fn words(&self) -> Vec<Word> {
        self.inner().words.clone()
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
    pub(crate) fn asking(&self, provider: &Arc<str>, question: Question) -> Asking<'_> {
        Asking {
            log: self,
            provider: Arc::clone(provider),
            question,
            said: Said::NoneYet,
            detail: String::new(),
            asked: Instant::now(),
            micros: None,
        }
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One question to one provider. Goes into the log when dropped.
#[derive(Debug)]
pub(crate) struct Asking<'a> {
    log: &'a ReadLog,
    provider: Arc<str>,
    question: Question,
    said: Said,
    detail: String,
    asked: Instant,
    micros: Option<u64>,
}

impl Asking<'_> {
    /// It answered now. What the answer is worth may be said again later.
    pub(crate) fn said(&mut self, said: Said, detail: &str) {
        let took = self.asked.elapsed().as_micros();
        self.micros
            .get_or_insert(u64::try_from(took).unwrap_or(u64::MAX));
        self.said = said;
        detail[..detail.floor_char_boundary(MAX_WORD_DETAIL)].clone_into(&mut self.detail);
    }
}

impl Drop for Asking<'_> {
    fn drop(&mut self) {
        let waited = u64::try_from(self.asked.elapsed().as_micros()).unwrap_or(u64::MAX);
        let mut inner = self.log.inner();
        if inner.words.len() < MAX_WORDS {
            inner.words.push(Word {
                provider: Arc::clone(&self.provider),
                question: self.question,
                said: self.said,
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
        for number in 0..MAX_WORDS + 8 {
            let mut asking = log.asking(&name, Question::Proof);
            if number % 2 == 0 {
                asking.said(Said::Good, "");
                asking.said(Said::False, &"é".repeat(MAX_WORD_DETAIL));
            }
        }
        let words = log.words();
        assert_eq!(words.len(), MAX_WORDS);
        assert_eq!((words[0].said, words[1].said), (Said::False, Said::NoneYet));
        assert!(
            words
                .iter()
                .all(|word| word.detail.len() <= MAX_WORD_DETAIL)
        );
        assert!(!words[0].detail.is_empty() && words[1].detail.is_empty());
    }
}
