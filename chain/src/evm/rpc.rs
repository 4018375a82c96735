//! JSON-RPC as it goes over the wire, and how a provider can fail.

use std::collections::HashMap;

use alloy::primitives::{Bytes, hex};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use super::RpcUrl;
use crate::{RequestOutcome, Said};

/// One call: a method and its parameters as JSON text.
#[derive(Clone, Debug)]
pub(super) struct Call {
    /// Its name.
    pub method: &'static str,
    /// A JSON array.
    pub params: String,
}

/// What a provider answers to one call.
pub(super) type Answer = Result<Box<RawValue>, Failure>;

/// Why a provider gave no answer that counts.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Failure {
    #[error("did not answer within {0} ms")]
    Timeout(u128),
    #[error("cannot be reached: {0}")]
    Connection(String),
    #[error("answered with HTTP status {0}")]
    Http(u16),
    #[error("answered with error {code}: {message}")]
    Rpc {
        code: i64,
        message: String,
        /// Revert data, where the error is that a contract reverted.
        revert: Option<Bytes>,
    },
    #[error("sent an answer that makes no sense: {0}")]
    Malformed(String),
    #[error("does not know {0}")]
    Unknown(String),
    #[error("serves chain {0}")]
    WrongChain(u64),
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
    #[error("has no eth_getProof")]
    NoProofs,
    #[error("describes the block by fields that do not have its hash")]
    NoHeader,
    #[error("sent a proof that does not hold: {0}")]
    False(String),
    #[error("is still syncing")]
    Syncing,
}

/// Words with which providers ask for fewer calls per time, beside the codes for it.
const RATE_LIMITS: [&str; 5] = [
    "rate limit",
    "rate exceeded",
    "too many requests",
    "credits",
    "per second",
];

fn is_rate_limit(code: i64, message: &str) -> bool {
    let message = message.to_ascii_lowercase();
    matches!(code, 429 | -32005) || RATE_LIMITS.iter().any(|word| message.contains(word))
}

impl Failure {
    pub(super) fn malformed(problem: impl std::fmt::Display) -> Self {
        Self::Malformed(problem.to_string())
    }

    /// The kind of it, for the record of a task.
    pub(super) const fn said(&self) -> Said {
        match self {
            Self::Timeout(_) | Self::Slow => Said::Timeout,
            Self::Connection(_) => Said::Unreachable,
            Self::Http(_) | Self::Rpc { .. } => Said::Error,
            Self::Malformed(_) => Said::Malformed,
            Self::Unknown(_) | Self::Syncing => Said::Behind,
            Self::WrongChain(_) | Self::Unverified => Said::WrongChain,
            Self::Busy(_) | Self::NotAsked(_) | Self::Paced(_) => Said::Busy,
            Self::NoProofs | Self::NoHeader => Said::NoProofs,
            Self::False(_) => Said::False,
        }
    }

    /// What became of a request that failed like this.
    pub(super) fn outcome(&self) -> RequestOutcome {
        match self {
            Self::Timeout(_) | Self::Slow => RequestOutcome::TimedOut,
            Self::Connection(_) => RequestOutcome::Unreachable,
            Self::Http(429) | Self::Busy(_) | Self::NotAsked(_) | Self::Paced(_) => {
                RequestOutcome::RateLimited
            }
            Self::Rpc { code, message, .. } if is_rate_limit(*code, message) => {
                RequestOutcome::RateLimited
            }
            Self::Malformed(_) => RequestOutcome::Garbled,
            _ => RequestOutcome::Refused,
        }
    }

    /// The provider asks for fewer requests.
    pub(super) fn is_rate_limit(&self) -> bool {
        let ours = matches!(self, Self::Busy(_) | Self::NotAsked(_) | Self::Paced(_));
        !ours && self.outcome() == RequestOutcome::RateLimited
    }

    /// The provider does its work and says that there is no such thing.
    pub(super) fn is_answer(&self) -> bool {
        match self {
            Self::Rpc {
                revert: Some(_), ..
            }
            | Self::Unknown(_) => true,
            failure => failure.is_missing() || failure.is_no_such_method(),
        }
    }

    /// Providers say in several ways that they have no such block, or do not know the tag.
    pub(super) fn is_missing(&self) -> bool {
        let Self::Rpc { code, message, .. } = self else {
            return false;
        };
        let message = message.to_ascii_lowercase();
        matches!(code, -32602 | -39001)
            || message.contains("not found")
            || message.contains("unknown block")
    }

    /// The provider does not have the state of the block in question, or no proofs of it any more.
    pub(super) fn is_about_state(&self) -> bool {
        const WORDS: [&str; 6] = [
            "trie node",
            "proof window",
            "state",
            "pruned",
            "histor",
            "archive",
        ];
        let Self::Rpc { message, .. } = self else {
            return false;
        };
        let message = message.to_ascii_lowercase();
        WORDS.iter().any(|word| message.contains(word))
    }

    /// The provider says that it does not serve the method: no fault of this call, nor of this moment.
    pub(super) fn is_no_such_method(&self) -> bool {
        const METHOD_NOT_FOUND: i64 = -32_601;
        const METHOD_NOT_SUPPORTED: i64 = -32_004;
        let Self::Rpc { code, message, .. } = self else {
            return false;
        };
        let message = message.to_ascii_lowercase();
        let refusals = [
            "not found",
            "support",
            "not available",
            "not allowed",
            "not exist",
            "disabled",
        ];
        matches!(*code, METHOD_NOT_FOUND | METHOD_NOT_SUPPORTED)
            || message.contains("method") && refusals.iter().any(|word| message.contains(word))
    }

    /// By how much a question should shrink that is asked again; `None` where its size is not
    /// what is wrong. Timeouts cost 2 s each, so few of them must do.
    pub(super) const fn shrink_factor(&self) -> Option<u64> {
        match self {
            Self::Timeout(_) => Some(16),
            Self::Http(429) => None,
            Self::Http(_) | Self::Rpc { .. } | Self::Malformed(_) => Some(2),
            _ => None,
        }
    }
}

/// One response object, as far as it matters here.
#[derive(Deserialize)]
pub(super) struct Response<'a> {
    #[serde(borrow, default)]
    id: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    result: Option<&'a RawValue>,
    #[serde(borrow, default)]
    error: Option<&'a RawValue>,
}

/// `null` is a result, too; only a missing one is none.
fn present<'de, D: Deserializer<'de>>(from: D) -> Result<Option<&'de RawValue>, D::Error> {
    Deserialize::deserialize(from).map(Some)
}

/// An error, read leniently: one that is written oddly must not spoil the rest of its batch.
struct ErrorObject<'a> {
    code: i64,
    message: String,
    data: Option<&'a RawValue>,
}

impl<'a> ErrorObject<'a> {
    fn read(error: &'a RawValue) -> Self {
        let fields: HashMap<&str, &'a RawValue> =
            serde_json::from_str(error.get()).unwrap_or_default();
        let message = fields.get("message").copied().unwrap_or(error).get();
        Self {
            code: fields
                .get("code")
                .and_then(|code| code.get().parse().ok())
                .unwrap_or_default(),
            message: serde_json::from_str(message).unwrap_or_else(|_| message.to_owned()),
            data: fields.get("data").copied(),
        }
    }
}

/// The id of a batch's first call. Not 0, which some gateways take for absent.
const FIRST_ID: usize = 1;

impl Response<'_> {
    /// The place in its batch of the call that this answers, if it is one. Some gateways write ids as
    /// text, or as 1.0.
    pub(super) fn place(&self) -> Option<usize> {
        let text = self.id?.get().trim_matches('"');
        let whole = text.trim_end_matches('0').strip_suffix('.').unwrap_or(text);
        whole.parse::<usize>().ok()?.checked_sub(FIRST_ID)
    }

    /// It does not say which call it answers.
    pub(super) const fn is_anonymous(&self) -> bool {
        self.id.is_none()
    }

    /// What the provider refuses is not this call, but so many at once.
    pub(super) fn refuses_batch(&self) -> bool {
        const INVALID_REQUEST: i64 = -32_600;
        const RESPONSE_TOO_LARGE: i64 = -32_003;
        self.error.map(ErrorObject::read).is_some_and(|error| {
            matches!(error.code, INVALID_REQUEST | RESPONSE_TOO_LARGE)
                || error.message.to_ascii_lowercase().contains("batch")
        })
    }

    /// Whether it is a response at all, and not some other JSON object.
    pub(super) const fn is_complete(&self) -> bool {
        self.result.is_some() || self.error.is_some()
    }

    /// The provider asks for fewer calls per time.
    pub(super) fn is_rate_limit(&self) -> bool {
        let Some(error) = self.error.map(ErrorObject::read) else {
            return false;
        };
        is_rate_limit(error.code, &error.message)
    }

    pub(super) fn into_answer(self, url: &RpcUrl) -> Answer {
        match (self.error, self.result) {
            (Some(error), _) => Err(ErrorObject::read(error).into_failure(url)),
            (None, Some(result)) => Ok(result.to_owned()),
            (None, None) => Err(Failure::Malformed(
                "neither a result nor an error".to_owned(),
            )),
        }
    }
}

impl ErrorObject<'_> {
    fn into_failure(self, url: &RpcUrl) -> Failure {
        Failure::Rpc {
            code: self.code,
            revert: revert_data(self.code, &self.message, self.data.map(RawValue::get)),
            message: url.scrub(&self.message),
        }
    }
}

/// The data with which a contract reverted. Providers agree neither on the code nor on the form:
/// `"0x…"`, `"Reverted 0x…"` and `{"data": "0x…"}` are all in use, and an empty revert often comes
/// without any data.
fn revert_data(code: i64, message: &str, data: Option<&str>) -> Option<Bytes> {
    let data = data.unwrap_or_default();
    let text = message.to_ascii_lowercase();
    if code != 3 && !text.contains("revert") && !data.contains("Reverted") {
        return None;
    }
    let digits = data.split_once("0x").map_or("", |(_, rest)| {
        let end = rest
            .find(|c: char| !c.is_ascii_hexdigit())
            .unwrap_or(rest.len());
        &rest[..end]
    });
    hex::decode(digits).ok().map(Bytes::from)
}

/// The body of a single request, or of a batch, with ids in the order of the calls.
pub(super) fn encode<'a>(calls: impl ExactSizeIterator<Item = &'a Call>) -> String {
    const OVERHEAD: usize = 64;
    let batch = calls.len() > 1;
    let mut body = String::with_capacity(calls.len() * 512);
    for (id, call) in (FIRST_ID..).zip(calls) {
        body.reserve(OVERHEAD + call.params.len());
        body.push(if id == FIRST_ID { '[' } else { ',' });
        body.push_str(r#"{"jsonrpc":"2.0","id":"#);
        body.push_str(&id.to_string());
        body.push_str(r#","method":""#);
        body.push_str(call.method);
        body.push_str(r#"","params":"#);
        body.push_str(&call.params);
        body.push('}');
    }
    if batch {
        body.push(']');
    } else {
        body.remove(0);
    }
    body
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url() -> RpcUrl {
        "https://h.org/topsecret".parse().expect("a URL")
    }

    fn call(method: &'static str) -> Call {
        Call {
            method,
            params: "[1]".to_owned(),
        }
    }

    #[test]
    fn one_call_is_an_object_and_more_are_an_array() {
        assert_eq!(
            encode([call("a")].iter()),
            r#"{"jsonrpc":"2.0","id":1,"method":"a","params":[1]}"#
        );
        assert_eq!(
            encode([call("a"), call("b")].iter()),
            r#"[{"jsonrpc":"2.0","id":1,"method":"a","params":[1]},{"jsonrpc":"2.0","id":2,"method":"b","params":[1]}]"#
        );
    }

    #[test]
    fn reverts_come_in_many_forms() {
        type Row = (
            i64,
            &'static str,
            Option<&'static str>,
            Option<&'static [u8]>,
        );
        let table: [Row; 9] = [
            (3, "execution reverted", Some(r#""0x0102""#), Some(&[1, 2])),
            (3, "execution reverted", Some(r#""0x""#), Some(&[])),
            (-32000, "execution reverted", None, Some(&[])),
            (
                -32015,
                "VM execution error.",
                Some(r#""Reverted 0xab""#),
                Some(&[0xab]),
            ),
            (
                -32603,
                "reverted",
                Some(r#"{"data":"0xab","x":"0xcd"}"#),
                Some(&[0xab]),
            ),
            (
                -32000,
                "execution reverted: not a number",
                Some(r#""0x0""#),
                None,
            ),
            (-32000, "header not found", None, None),
            (-32000, "out of gas", Some(r#""0x0102""#), None),
            (-32005, "rate limited", None, None),
        ];
        for (code, message, data, expected) in table {
            let found = revert_data(code, message, data);
            assert_eq!(
                found.as_ref().map(Bytes::as_ref),
                expected,
                "{code} {message} {data:?}"
            );
        }
    }

    #[test]
    fn odd_errors_are_errors() {
        let table = [
            (r#""no such thing""#, "answered with error 0: no such thing"),
            (
                r#"{"code":"x","message":"no"}"#,
                "answered with error 0: no",
            ),
            (r#"{"code":-5}"#, r#"answered with error -5: {"code":-5}"#),
            (
                r#"{"message":{"a":1}}"#,
                r#"answered with error 0: {"a":1}"#,
            ),
            ("[]", "answered with error 0: []"),
        ];
        for (error, expected) in table {
            let text = format!(r#"{{"id":1,"result":null,"error":{error}}}"#);
            let response: Response<'_> = serde_json::from_str(&text).expect("a response");
            let failure = response.into_answer(&url()).expect_err("an error");
            assert_eq!(failure.to_string(), expected);
        }
        let fine = r#"{"id":1,"result":"0x1","error":null}"#;
        let response: Response<'_> = serde_json::from_str(fine).expect("a response");
        assert!(response.into_answer(&url()).is_ok());
    }

    #[test]
    fn null_is_an_answer_and_errors_are_scrubbed() {
        let answer = |text: &str| {
            let response: Response<'_> = serde_json::from_str(text).expect("a response");
            response.into_answer(&url())
        };
        assert_eq!(
            answer(r#"{"id":1,"result":null}"#)
                .expect("an answer")
                .get(),
            "null"
        );
        assert_eq!(
            answer(r#"{"id":1,"result":"0x1"}"#)
                .expect("an answer")
                .get(),
            r#""0x1""#
        );
        let failure = answer(r#"{"id":null,"error":{"code":-1,"message":"no topsecret"}}"#);
        let failure = failure.expect_err("an error");
        assert_eq!(failure.to_string(), "answered with error -1: no ***");
    }
}
