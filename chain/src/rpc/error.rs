//! How a provider can fail, and what an error of JSON-RPC says.

use std::fmt::Display;

use crate::{ReplyKind, RequestOutcome};

/// Why a provider gave no answer that counts. Continues a sentence that begins with its name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs)]
pub enum ProviderError {
    #[error("did not answer within {0} ms")]
    Timeout(u128),
    #[error("cannot be reached: {0}")]
    Connection(String),
    #[error("answered with HTTP status {0}")]
    Http(u16),
    #[error(transparent)]
    Rpc(RpcError),
    #[error("sent an answer that makes no sense: {0}")]
    Malformed(String),
    #[error("does not know {0}")]
    Unknown(String),
    #[error("serves chain {0}")]
    WrongChain(String),
    #[error("has not shown yet which chain it serves")]
    Unverified,
    #[error("answers later than the others")]
    Slow,
    #[error("has {0} calls waiting already")]
    Busy(usize),
    #[error("was not asked in time to answer within {0} ms, since other calls wait for it")]
    NotAsked(u128),
    #[error("is not asked for a while, since it {0}")]
    Paced(String),
    /// Lacks the method by which its chain proves state.
    #[error("has no {0}")]
    NoProofs(&'static str),
    #[error("describes the block by fields that do not have its hash")]
    NoHeader,
    #[error("sent a proof that does not hold: {0}")]
    FalseProof(String),
    #[error("is still syncing")]
    Syncing,
}

/// An error object in place of a result.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("answered with error {code}: {message}")]
pub struct RpcError {
    /// Its code.
    pub code: i64,
    /// Its text, as far as it may be shown.
    pub message: String,
    /// What came along, as JSON text. May hold secrets of the URL.
    pub data: Option<String>,
    /// What it means.
    pub class: ErrorClass,
}

/// What an error means for the provider and the rest of its batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorClass {
    /// The provider asks for fewer requests.
    RateLimit,
    /// The provider does its work: there is no such thing or method, or the call itself fails.
    Answer,
    /// The provider lacks what this one call needs, such as old state.
    ThisCall,
    /// Anything else. Where a whole batch gets it, the batch may be what is refused.
    Other,
}

/// Says what an error means. Codes and texts differ between families; the class of the given error is not set.
pub type Classify = fn(&RpcError) -> ErrorClass;

/// Words with which providers ask for fewer calls per time, beside the codes for it.
const RATE_LIMITS: [&str; 5] = [
    "rate limit",
    "rate exceeded",
    "too many requests",
    "credits",
    "per second",
];

impl RpcError {
    /// Whether its text has one of these words, which are in lower case.
    #[must_use]
    pub fn says(&self, words: &[&str]) -> bool {
        let message = self.message.to_ascii_lowercase();
        words.iter().any(|word| message.contains(word))
    }

    /// Whether its text asks for fewer requests.
    #[must_use]
    pub fn says_rate_limit(&self) -> bool {
        self.says(&RATE_LIMITS)
    }
}

impl ProviderError {
    /// An answer that cannot be read, for this reason.
    pub fn malformed(problem: impl Display) -> Self {
        Self::Malformed(problem.to_string())
    }

    /// The error of JSON-RPC, if it is one.
    #[must_use]
    pub const fn rpc(&self) -> Option<&RpcError> {
        match self {
            Self::Rpc(error) => Some(error),
            _ => None,
        }
    }

    fn has_class(&self, class: ErrorClass) -> bool {
        self.rpc().is_some_and(|error| error.class == class)
    }

    /// The kind of it, for the record of a task.
    #[must_use]
    pub const fn reply_kind(&self) -> ReplyKind {
        match self {
            Self::Timeout(_) | Self::Slow => ReplyKind::Timeout,
            Self::Connection(_) => ReplyKind::Unreachable,
            Self::Http(_) | Self::Rpc(_) => ReplyKind::Error,
            Self::Malformed(_) => ReplyKind::Malformed,
            Self::Unknown(_) | Self::Syncing => ReplyKind::Behind,
            Self::WrongChain(_) | Self::Unverified => ReplyKind::WrongChain,
            Self::Busy(_) | Self::NotAsked(_) | Self::Paced(_) => ReplyKind::Busy,
            Self::NoProofs(_) | Self::NoHeader => ReplyKind::NoProofs,
            Self::FalseProof(_) => ReplyKind::False,
        }
    }

    /// What became of a request that failed like this.
    #[must_use]
    pub fn outcome(&self) -> RequestOutcome {
        match self {
            Self::Timeout(_) | Self::Slow => RequestOutcome::TimedOut,
            Self::Connection(_) => RequestOutcome::Unreachable,
            Self::Http(429) | Self::Busy(_) | Self::NotAsked(_) | Self::Paced(_) => {
                RequestOutcome::RateLimited
            }
            Self::Rpc(error) if error.class == ErrorClass::RateLimit => RequestOutcome::RateLimited,
            Self::Malformed(_) => RequestOutcome::Garbled,
            _ => RequestOutcome::Refused,
        }
    }

    /// The provider asks for fewer requests.
    #[must_use]
    pub fn is_rate_limit(&self) -> bool {
        *self == Self::Http(429) || self.has_class(ErrorClass::RateLimit)
    }

    /// The provider does its work and says that there is no such thing.
    #[must_use]
    pub fn is_answer(&self) -> bool {
        matches!(self, Self::Unknown(_)) || self.has_class(ErrorClass::Answer)
    }

    /// It may be about the batch that the call was part of, and not about the call.
    pub(crate) fn may_be_of_batch(&self) -> bool {
        !self.is_answer() && !self.is_rate_limit() && !self.has_class(ErrorClass::ThisCall)
    }

    /// By how much a question should shrink that is asked again; `None` where its size is not
    /// what is wrong. Timeouts cost 2 s each, so few of them must do.
    #[must_use]
    pub const fn shrink_factor(&self) -> Option<u64> {
        match self {
            Self::Timeout(_) => Some(16),
            Self::Http(429) => None,
            Self::Http(_) | Self::Rpc(_) | Self::Malformed(_) => Some(2),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outcome_tells_failures_apart() {
        let rpc = |class| {
            ProviderError::Rpc(RpcError {
                code: 1,
                message: "x".into(),
                data: None,
                class,
            })
        };
        let table = [
            (ProviderError::Timeout(1), RequestOutcome::TimedOut),
            (
                ProviderError::Connection("x".into()),
                RequestOutcome::Unreachable,
            ),
            (ProviderError::Http(429), RequestOutcome::RateLimited),
            (ProviderError::Http(503), RequestOutcome::Refused),
            (rpc(ErrorClass::RateLimit), RequestOutcome::RateLimited),
            (rpc(ErrorClass::ThisCall), RequestOutcome::Refused),
            (ProviderError::malformed("x"), RequestOutcome::Garbled),
        ];
        for (error, expected) in table {
            assert_eq!(error.outcome(), expected, "{error}");
        }
    }
}
