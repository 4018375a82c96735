//! EVM chains as a family: their settings, and what is made of them.

use std::fmt::Display;
use std::str::FromStr;
use std::sync::Arc;

use alloy::primitives::{Address, B256, U256};
use futures::future::{BoxFuture, FutureExt};
use tokio_util::sync::CancellationToken;

use super::{EvmChain, EvmClient, EvmHome, EvmTransfers, Reads, certificate};
use crate::config::{ChainConfig, Connected, Family, SettingProblem};
use crate::rpc::RpcUrl;
use crate::{
    BlockNumbers, CertificateCheck, ChainEntry, ChainError, ChainFamily, HomeReader, StateReader,
    TransferReader,
};

/// What only an EVM chain has to be told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EvmSettings {
    /// How values are read.
    pub reads: Reads,
    /// Storage slot of the state manager's `mapping(address => mapping(uint256 => History[]))`.
    pub history_slot: U256,
    /// Whose blocks the state manager counts.
    pub block_numbers: BlockNumbers,
}

impl Family for EvmSettings {
    fn kind(&self) -> ChainFamily {
        ChainFamily::Evm
    }

    fn configured(
        &self,
        setting: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Arc<dyn Family>, Vec<SettingProblem>> {
        let mut new = *self;
        let text = |name| (name, setting(name));
        let slot = "write a number, or 0x and up to 64 hexadecimal digits";
        let problems = [
            read(text("reads"), &mut new.reads, "use auto, proof or vote"),
            read(text("history_slot"), &mut new.history_slot, slot),
            read(
                text("block_numbers"),
                &mut new.block_numbers,
                "use own or parent",
            ),
        ];
        let problems: Vec<_> = problems.into_iter().flatten().collect();
        match problems.is_empty() {
            true => Ok(Arc::new(new)),
            false => Err(problems),
        }
    }

    fn entry(&self, genesis: B256, state_manager: B256) -> ChainEntry {
        ChainEntry {
            family: ChainFamily::Evm,
            block_numbers: self.block_numbers,
            genesis,
            state_manager,
            history_slot: self.history_slot,
        }
    }

    fn home(
        &self,
        chain: &ChainConfig,
        registry: Address,
        epoch_manager: Address,
        halt: &CancellationToken,
    ) -> Result<Connected<dyn HomeReader>, ChainError> {
        let client = EvmClient::over(chain, *self)?;
        let home = Arc::new(EvmHome::new(client.clone(), registry, epoch_manager));
        Ok(Connected {
            follower: Box::pin(home.clone().run(halt.clone())),
            reader: home,
            client,
        })
    }

    fn source(
        &self,
        chain: &ChainConfig,
        state_manager: Address,
        has_proofs: bool,
        halt: &CancellationToken,
    ) -> Result<Connected<dyn StateReader>, ChainError> {
        let client = EvmClient::over(chain, *self)?;
        if has_proofs {
            client.expect_proofs();
        }
        let source = Arc::new(EvmChain::new(client.clone(), state_manager));
        Ok(Connected {
            follower: Box::pin(source.clone().run(halt.clone())),
            reader: source,
            client,
        })
    }

    fn bridge(
        &self,
        chain: &ChainConfig,
        halt: &CancellationToken,
    ) -> Result<Connected<dyn TransferReader>, ChainError> {
        let client = EvmClient::over(chain, *self)?;
        Ok(Connected {
            follower: Box::pin(client.clone().run(halt.clone())),
            reader: Arc::new(EvmTransfers::new(client.clone())),
            client,
        })
    }

    fn verify<'a>(
        &'a self,
        rpc: &'a RpcUrl,
        registry: Address,
        digest: B256,
        certificate: &'a [u8],
    ) -> BoxFuture<'a, Result<CertificateCheck, ChainError>> {
        certificate::verify(rpc, registry, digest, certificate).boxed()
    }
}

/// Reads a setting into `value` where it is set.
fn read<T: FromStr<Err: Display>>(
    (name, text): (&'static str, Option<String>),
    value: &mut T,
    cure: &str,
) -> Option<SettingProblem> {
    let text = text?;
    match text.parse() {
        Ok(read) => *value = read,
        Err(error) => {
            let text = format!("{text:?} cannot be read ({error}); {cure}");
            return Some(SettingProblem { name, text });
        }
    }
    None
}
