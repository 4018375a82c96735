//! JSON-RPC 2.0 as it goes over the wire, whatever carries it.

use std::collections::HashMap;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use super::{Classify, ErrorClass, ProviderError, RpcError, RpcUrl};

/// One call: a method and its parameters as JSON text.
#[derive(Clone, Debug)]
pub struct Call {
    /// Its name.
    pub method: &'static str,
    /// A JSON array or object.
    pub params: String,
}

/// What a provider answers to one call.
pub type RpcResult = Result<Box<RawValue>, ProviderError>;

/// Reads what the provider at `url` answered. What is wrong with it may be a text of any length, with
/// the provider's secrets in it: the error has it as far as it may be shown.
///
/// # Errors
/// [`ProviderError::Malformed`].
pub fn decode<T: DeserializeOwned>(answer: &RawValue, url: &RpcUrl) -> Result<T, ProviderError> {
    serde_json::from_str(answer.get())
        .map_err(|problem| ProviderError::malformed(url.scrub(&problem.to_string())))
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
    /// The index in its batch of the call that this answers, if it is one. Some gateways write ids as
    /// text, or as 1.0.
    pub(super) fn index(&self) -> Option<usize> {
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

    /// The answer of the provider at `url`, whose errors mean what `classify` says.
    pub(super) fn into_result(self, url: &RpcUrl, classify: Classify) -> RpcResult {
        match (self.error, self.result) {
            (Some(error), _) => Err(ErrorObject::read(error).classified(url, classify)),
            (None, Some(result)) => Ok(result.to_owned()),
            (None, None) => Err(ProviderError::malformed("neither a result nor an error")),
        }
    }
}

impl ErrorObject<'_> {
    fn classified(self, url: &RpcUrl, classify: Classify) -> ProviderError {
        let mut error = RpcError {
            code: self.code,
            message: url.scrub(&self.message),
            data: self.data.map(|data| data.get().to_owned()),
            class: ErrorClass::Other,
        };
        error.class = classify(&error);
        ProviderError::Rpc(error)
    }
}

/// The body of a single request, or of a batch, with ids in the order of the calls.
pub fn encode<'a>(calls: impl ExactSizeIterator<Item = &'a Call>) -> String {
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
            let error = response
                .into_result(&url(), |_| ErrorClass::Other)
                .expect_err("an error");
            assert_eq!(error.to_string(), expected);
        }
        let fine = r#"{"id":1,"result":"0x1","error":null}"#;
        let response: Response<'_> = serde_json::from_str(fine).expect("a response");
        assert!(response.into_result(&url(), |_| ErrorClass::Other).is_ok());
    }

    #[test]
    fn null_is_an_answer_and_errors_are_scrubbed() {
        let answer = |text: &str| {
            let response: Response<'_> = serde_json::from_str(text).expect("a response");
            response.into_result(&url(), |_| ErrorClass::Other)
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
        let error = answer(r#"{"id":null,"error":{"code":-1,"message":"no topsecret"}}"#);
        let error = error.expect_err("an error");
        assert_eq!(error.to_string(), "answered with error -1: no ***");
    }
}
