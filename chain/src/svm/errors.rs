//! What errors of JSON-RPC mean on SVM chains.

use crate::rpc::{ErrorClass, RpcError};

/// What an error of an SVM node means.
pub(super) fn classify(error: &RpcError) -> ErrorClass {
    const TOO_MANY_REQUESTS: [i64; 2] = [429, -32_429];
    /// The node is behind, or its archive does not answer.
    const NOT_NOW: [i64; 2] = [-32_005, -32_019];
    /// Blocks that it has no more or not yet, slots without a block, a refused transaction, and methods and
    /// parameters that it does not know.
    const ANSWERS: [i64; 12] = [
        -32_001, -32_002, -32_003, -32_004, -32_007, -32_009, -32_011, -32_014, -32_015, -32_016,
        -32_601, -32_602,
    ];
    match error.code {
        code if TOO_MANY_REQUESTS.contains(&code) || error.says_rate_limit() => {
            ErrorClass::RateLimit
        }
        code if ANSWERS.contains(&code) => ErrorClass::Answer,
        code if NOT_NOW.contains(&code) => ErrorClass::ThisCall,
        _ => ErrorClass::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_those_of_this_family() {
        let table = [
            (-32_007, "Slot 5 was skipped", ErrorClass::Answer),
            (
                -32_016,
                "Minimum context slot has not been reached",
                ErrorClass::Answer,
            ),
            (-32_005, "Node is behind by 42 slots", ErrorClass::ThisCall),
            (-32_005, "rate limit exceeded", ErrorClass::RateLimit),
            (429, "slow down", ErrorClass::RateLimit),
            (-32_603, "Internal error", ErrorClass::Other),
        ];
        for (code, message, expected) in table {
            let error = RpcError {
                code,
                message: message.to_owned(),
                data: None,
                class: ErrorClass::Other,
            };
            assert_eq!(classify(&error), expected, "{code} {message}");
        }
    }
}
