//! What errors of JSON-RPC and of contracts mean on EVM chains.

use alloy::primitives::{Bytes, hex};
use alloy::sol_types::SolError;

use super::abi::state_manager as errors;
use crate::ChainError;
use crate::rpc::{ErrorClass, ProviderError, RpcError};

/// What an error of an EVM node means.
pub(super) fn classify(error: &RpcError) -> ErrorClass {
    if error.code != 429 && is_too_much(error) {
        ErrorClass::ThisCall
    } else if matches!(error.code, 429 | -32_005) || error.says_rate_limit() {
        ErrorClass::RateLimit
    } else if revert_data(error).is_some() || is_missing(error) || is_no_such_method(error) {
        ErrorClass::Answer
    } else if is_about_state(error) {
        ErrorClass::ThisCall
    } else {
        ErrorClass::Other
    }
}

/// What was asked for is more than the provider sends at once: events of so many blocks, or so many of them. Some
/// say that with the code of a rate limit, and fewer requests would not help.
fn is_too_much(error: &RpcError) -> bool {
    const WORDS: [&str; 5] = [
        "returned more than",
        "too many results",
        "block range",
        "range too large",
        "response size",
    ];
    error.says(&WORDS)
}

/// Whether a provider failed in this way of [`is_missing`], [`is_about_state`] or [`is_no_such_method`].
pub(super) fn failed(error: &ProviderError, way: impl Fn(&RpcError) -> bool) -> bool {
    error.rpc().is_some_and(way)
}

/// Providers say in several ways that they have no such block, or do not know the tag.
pub(super) fn is_missing(error: &RpcError) -> bool {
    matches!(error.code, -32_602 | -39_001) || error.says(&["not found", "unknown block"])
}

/// The provider does not have the state of the block in question, or no proofs of it any more.
pub(super) fn is_about_state(error: &RpcError) -> bool {
    const WORDS: [&str; 6] = [
        "trie node",
        "proof window",
        "state",
        "pruned",
        "histor",
        "archive",
    ];
    error.says(&WORDS)
}

/// The provider says that it does not serve the method: no fault of this call, nor of this moment.
pub(super) fn is_no_such_method(error: &RpcError) -> bool {
    const METHOD_NOT_FOUND: i64 = -32_601;
    const METHOD_NOT_SUPPORTED: i64 = -32_004;
    let refusals = [
        "not found",
        "support",
        "not available",
        "not allowed",
        "not exist",
        "disabled",
    ];
    matches!(error.code, METHOD_NOT_FOUND | METHOD_NOT_SUPPORTED)
        || error.says(&["method"]) && error.says(&refusals)
}

/// The data with which a contract reverted; `None` where the error is another one. Providers agree neither on
/// the code nor on the form: `"0x…"`, `"Reverted 0x…"` and `{"data": "0x…"}` are all in use, and an empty revert
/// often comes without any data.
pub(super) fn revert_data(error: &RpcError) -> Option<Bytes> {
    let data = error.data.as_deref().unwrap_or_default();
    if error.code != 3 && !error.says(&["revert"]) && !data.contains("Reverted") {
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

/// What an error of the state manager means where it is a revert; ours and the older ones that are deployed. Of those,
/// some know only the blocks in which a key was written, and say so with the same error as if
/// the key had been written later.
pub(super) fn read_error(error: ChainError) -> ChainError {
    let ChainError::Reverted { data, .. } = &error else {
        return error;
    };
    let is = |selector: [u8; 4]| data.as_ref() == selector;
    if is(errors::NoHistory::SELECTOR)
        || is(errors::StateManager__NoHistoryFound::SELECTOR)
        || is(errors::StateManager__KeyNotFound::SELECTOR)
    {
        ChainError::NoHistory
    } else if is(errors::BeforeFirstEntry::SELECTOR)
        || is(errors::StateManager__BlockNotFound::SELECTOR)
    {
        ChainError::BeforeFirstEntry
    } else {
        error
    }
}

#[cfg(test)]
mod tests {
    use alloy::primitives::{Address, keccak256};

    use super::*;

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
            let error = RpcError {
                code,
                message: message.to_owned(),
                data: data.map(str::to_owned),
                class: ErrorClass::Other,
            };
            let found = revert_data(&error);
            assert_eq!(
                found.as_ref().map(Bytes::as_ref),
                expected,
                "{code} {message} {data:?}"
            );
        }
    }

    #[test]
    fn classify_tells_errors_apart() {
        let error = |code, message: &str| RpcError {
            code,
            message: message.to_owned(),
            data: None,
            class: ErrorClass::Other,
        };
        let table = [
            (error(-32_005, "x"), ErrorClass::RateLimit),
            (error(0, "Too Many Requests"), ErrorClass::RateLimit),
            (
                error(-32_005, "query returned more than 10000 results"),
                ErrorClass::ThisCall,
            ),
            (
                error(-32_602, "Log response size exceeded"),
                ErrorClass::ThisCall,
            ),
            (error(429, "block range"), ErrorClass::RateLimit),
            (error(3, "execution reverted"), ErrorClass::Answer),
            (error(-32_000, "header not found"), ErrorClass::Answer),
            (error(-32_601, "x"), ErrorClass::Answer),
            (error(-32_000, "missing trie node"), ErrorClass::ThisCall),
            (error(-32_000, "x"), ErrorClass::Other),
        ];
        for (error, expected) in table {
            assert_eq!(classify(&error), expected, "{error}");
        }
    }

    #[test]
    fn reverts_are_told_apart() {
        let revert = |signature: &str| Bytes::copy_from_slice(&keccak256(signature)[..4]);
        let reverted = |data| ChainError::Reverted {
            contract: Address::ZERO.to_string(),
            call: "f()",
            data,
        };
        let table = [
            ("NoHistory()", ChainError::NoHistory),
            ("BeforeFirstEntry()", ChainError::BeforeFirstEntry),
            ("StateManager__NoHistoryFound()", ChainError::NoHistory),
            ("StateManager__KeyNotFound()", ChainError::NoHistory),
            (
                "StateManager__BlockNotFound()",
                ChainError::BeforeFirstEntry,
            ),
        ];
        for (signature, expected) in table {
            assert_eq!(
                read_error(reverted(revert(signature))),
                expected,
                "{signature}"
            );
        }
        let other = [
            Bytes::new(),
            revert("Paused()"),
            Bytes::from([revert("NoHistory()").as_ref(), &[0]].concat()),
        ];
        for data in other {
            assert_eq!(read_error(reverted(data.clone())), reverted(data));
        }
    }
}
