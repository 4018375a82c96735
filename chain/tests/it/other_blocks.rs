//! Chains whose contracts count the blocks of another one: never a wrong value.

use alloy::primitives::{B256, U256, keccak256};
use alloy::providers::Provider;
use alloy::sol_types::SolValue;
use quorate_chain::evm::{EvmChain, EvmSettings, Reads};
use quorate_chain::{At, BlockNumbers, ChainError, Finality, ReadLog, StateReader};

use crate::proofs::{double, has_no_proofs};
use crate::support::{Ledger, TestResult, chain_config};

const KEY: u64 = 7;

/// Seconds between blocks.
const APART: u64 = 12;

/// Blocks of the chain.
const HEIGHT: u64 = 40;

type Failed = Box<dyn std::error::Error + Send + Sync>;

/// A chain of blocks that are so far apart, and the time of its block 0.
async fn ledger() -> Result<(Ledger, u64), Failed> {
    let ledger = Ledger::start().await?;
    let height = ledger.anvil.height().await?;
    ledger.anvil.mine_every(HEIGHT - height, APART).await?;
    let reader = ledger.reader(Finality::Confirmations(0)).await;
    let head = reader.locate(At::Block(HEIGHT)).await?;
    Ok((ledger, head.timestamp - HEIGHT * APART))
}

impl Ledger {
    /// Puts these entries into the history of the key: block as the contract counts, time, value.
    async fn write(&self, entries: &[(u64, u64, u64)]) -> TestResult {
        let of_user = keccak256((self.user, U256::ZERO).abi_encode());
        let length = keccak256((U256::from(KEY), of_user).abi_encode());
        let first = U256::from_be_bytes(keccak256(length).0);
        let mut words = vec![(U256::from_be_bytes(length.0), U256::from(entries.len()))];
        for (number, (block, time, value)) in (0_u64..).zip(entries) {
            let slot = first + U256::from(2 * number);
            words.push((slot, U256::from(*value)));
            let since = U256::from(*time) << 64 | U256::from(*block);
            words.push((slot + U256::from(1), since));
        }
        for (slot, word) in words {
            let params = (self.state_manager, slot, B256::from(word));
            let provider = self.anvil.provider();
            let _: bool = provider
                .raw_request("anvil_setStorageAt".into(), params)
                .await?;
        }
        // What was written is part of the next state.
        Ok(self.anvil.mine_every(1, APART).await?)
    }

    async fn counting(&self, numbers: BlockNumbers, reads: Reads) -> Result<EvmChain, Failed> {
        let config = chain_config(
            self.anvil.chain_id(),
            vec![self.url()],
            Finality::Confirmations(0),
        );
        let settings = EvmSettings {
            block_numbers: numbers,
            reads,
            ..EvmSettings::default()
        };
        Ok(EvmChain::connect(&config, settings, self.state_manager).await?)
    }
}

/// What is said of a block.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Told {
    Value(u64),
    NoneYet,
    /// That the chain counts other blocks.
    Refused,
}

async fn said(ledger: &Ledger, reader: &EvmChain, block: u64) -> Told {
    let log = ReadLog::default();
    let key = U256::from(KEY);
    match reader.read(ledger.user, key, block, &log).await {
        Ok(reading) => Told::Value(reading.value.to()),
        Err(ChainError::BeforeFirstEntry) => Told::NoneYet,
        Err(error) => {
            let told = matches!(error, ChainError::OtherBlocks { .. });
            assert!(
                told && error.to_string().contains("block_numbers"),
                "{error}"
            );
            Told::Refused
        }
    }
}

/// The parent chain's numbers are far lower or higher; the values are 100, and 250 from block 30 on.
#[tokio::test]
async fn entries_of_other_blocks_yield_the_right_value_or_a_refusal() -> TestResult {
    for parent in [
        [2, 3],
        [20, 21],
        [30, 35],
        [1_204, 1_211],
        [20_000_000, 20_000_007],
    ] {
        let (ledger, begin) = ledger().await?;
        let times = [20, 30].map(|block| begin + block * APART);
        let entries = [(parent[0], times[0], 100), (parent[1], times[1], 250)];
        ledger.write(&entries).await?;
        for reads in [Reads::Proof, Reads::Vote] {
            let reader = ledger.counting(BlockNumbers::Own, reads).await?;
            for block in [1, 19, 20, 25, 29, 30, 31, HEIGHT] {
                let right = match block {
                    0..20 => Told::NoneYet,
                    20..30 => Told::Value(100),
                    _ => Told::Value(250),
                };
                let found = said(&ledger, &reader, block).await;
                let fits = found == right || found == Told::Refused;
                assert!(fits, "{parent:?} {block} {found:?}");
            }
        }
        let reader = ledger.counting(BlockNumbers::Parent, Reads::Proof).await?;
        for (block, expected) in [(20, 100), (29, 100), (30, 250), (HEIGHT, 250)] {
            assert_eq!(said(&ledger, &reader, block).await, Told::Value(expected));
        }
    }
    Ok(())
}

/// Several blocks a second: the block in question and the entry's block share one, and which of them is
/// first does not show in their times.
#[tokio::test]
async fn an_entry_of_the_same_second_is_not_taken_for_an_earlier_one() -> TestResult {
    let (ledger, begin) = ledger().await?;
    let time = begin + 25 * APART;
    ledger
        .write(&[(3, begin + 20 * APART, 100), (4, time, 250)])
        .await?;
    for reads in [Reads::Proof, Reads::Vote] {
        let reader = ledger.counting(BlockNumbers::Own, reads).await?;
        assert_eq!(said(&ledger, &reader, 25).await, Told::Refused);
    }
    // As the chain counts itself it is one of its own.
    let (ledger, begin) = self::ledger().await?;
    ledger.write(&[(25, begin + 25 * APART, 250)]).await?;
    let reader = ledger.counting(BlockNumbers::Own, Reads::Proof).await?;
    assert_eq!(said(&ledger, &reader, 25).await, Told::Value(250));
    Ok(())
}

#[tokio::test]
async fn what_was_never_written_is_known_on_chains_that_count_others() -> TestResult {
    let (ledger, _) = ledger().await?;
    let never = |reader: EvmChain| {
        let (user, key) = (ledger.user, U256::from(KEY));
        async move { reader.read(user, key, 25, &ReadLog::default()).await }
    };
    let reader = ledger.counting(BlockNumbers::Parent, Reads::Auto).await?;
    assert_eq!(never(reader).await.err(), Some(ChainError::NoHistory));
    // By vote nothing is known of them.
    let voter = double(&ledger, has_no_proofs()).await;
    let config = chain_config(
        ledger.anvil.chain_id(),
        vec![voter.url.clone()],
        Finality::Confirmations(0),
    );
    let settings = EvmSettings {
        block_numbers: BlockNumbers::Parent,
        ..EvmSettings::default()
    };
    let reader = EvmChain::connect(&config, settings, ledger.state_manager).await?;
    let error = never(reader).await.expect_err("no proof");
    assert!(matches!(error, ChainError::Settings { .. }), "{error}");
    Ok(())
}
