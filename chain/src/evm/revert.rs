//! What the state manager's errors mean.

use alloy::sol_types::SolError;

use crate::ChainError;

mod errors {
    #![allow(missing_docs, unreachable_pub, clippy::all)]
    alloy::sol! {
        error NoHistory();
        error BeforeFirstEntry();

        error StateManager__NoHistoryFound();
        error StateManager__KeyNotFound();
        error StateManager__BlockNotFound();
    }
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
    use alloy::primitives::{Address, Bytes, keccak256};

    use super::*;

    #[test]
    fn reverts_are_told_apart() {
        let revert = |signature: &str| Bytes::copy_from_slice(&keccak256(signature)[..4]);
        let reverted = |data| ChainError::Reverted {
            contract: Address::ZERO,
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
