//! The directory of chains on the home chain.

use alloy::primitives::Address;
use alloy::sol_types::SolError;

use super::EvmClient;
use super::abi::directory::{Chain, UnknownChain, directoryCall, getCall};
use crate::{At, BlockNumbers, ChainEntry, ChainError, ChainFamily};

/// What the directory of `registry` says of a chain, in a final state.
pub(super) async fn entry(
    client: &EvmClient,
    registry: Address,
    chain_id: u32,
) -> Result<Option<ChainEntry>, ChainError> {
    let snapshot = client.snapshot(At::Block(0), |_| true).await?;
    let at = snapshot.head.hash;
    let directory = client.call(registry, &directoryCall {}, at).await?;
    let call = getCall { chainId: chain_id };
    let entry = match client.call(directory, &call, at).await {
        Ok(chain) => Some(entry_of(&chain)?),
        Err(ChainError::Reverted { data, .. }) if data.starts_with(&UnknownChain::SELECTOR) => None,
        Err(error) => return Err(error),
    };
    client.still_valid(snapshot, entry)
}

/// An entry of a later kind than this version knows is no entry that it could act on.
fn entry_of(chain: &Chain) -> Result<ChainEntry, ChainError> {
    let unknown = |what: &str, found: u8| ChainError::Malformed {
        what: "chain directory",
        detail: format!("{what} {found} is not known to this version"),
    };
    Ok(ChainEntry {
        family: match chain.family {
            1 => ChainFamily::Evm,
            2 => ChainFamily::Svm,
            3 => ChainFamily::Cardano,
            other => return Err(unknown("family", other)),
        },
        block_numbers: match chain.blockNumbers {
            0 => BlockNumbers::Own,
            1 => BlockNumbers::Parent,
            other => return Err(unknown("meaning of block numbers", other)),
        },
        genesis: chain.genesis,
        state_manager: chain.stateManager,
        history_slot: chain.historySlot,
    })
}

#[cfg(test)]
mod tests {
    use alloy::primitives::{B256, U256};

    use super::*;

    #[test]
    fn entries_of_later_versions_are_told() {
        let chain = |family, numbers| Chain {
            family,
            blockNumbers: numbers,
            genesis: B256::repeat_byte(1),
            stateManager: B256::repeat_byte(2),
            historySlot: U256::from(3),
        };
        let family = |n| entry_of(&chain(n, 0)).map(|entry| entry.family);
        assert_eq!(family(1), Ok(ChainFamily::Evm));
        assert_eq!(family(2), Ok(ChainFamily::Svm));
        assert_eq!(family(3), Ok(ChainFamily::Cardano));
        assert!(family(0).is_err() && family(4).is_err());
        let numbers = |n| entry_of(&chain(1, n)).map(|entry| entry.block_numbers);
        assert_eq!(numbers(1), Ok(BlockNumbers::Parent));
        assert!(numbers(2).is_err());
    }
}
