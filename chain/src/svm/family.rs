//! SVM chains as a family: their settings, and what is made of them.

use std::sync::Arc;

use alloy::primitives::{Address, B256, U256};
use futures::future::{BoxFuture, FutureExt};
use tokio_util::sync::CancellationToken;

use super::{PublicKey, SvmClient, SvmTransfers};
use crate::config::{ChainConfig, Connected, Family, SettingProblem};
use crate::rpc::RpcUrl;
use crate::{
    BlockNumbers, CertificateCheck, ChainEntry, ChainError, ChainFamily, HomeReader, StateReader,
    TransferReader,
};

/// What only an SVM chain has to be told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SvmSettings {
    /// The hash that names the chain. Its number is one that the directory of chains assigns, which no provider knows.
    pub genesis: Option<PublicKey>,
}

fn refused<T>(detail: &str) -> Result<T, ChainError> {
    Err(ChainError::Settings {
        detail: detail.to_owned(),
    })
}

impl Family for SvmSettings {
    fn kind(&self) -> ChainFamily {
        ChainFamily::Svm
    }

    fn configured(
        &self,
        setting: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Arc<dyn Family>, Vec<SettingProblem>> {
        let cure = "write what getGenesisHash answers: base58 of 32 bytes";
        let text = match setting("genesis").map(|text| text.trim().parse()) {
            Some(Ok(genesis)) => {
                return Ok(Arc::new(Self {
                    genesis: Some(genesis),
                }));
            }
            Some(Err(error)) => format!("{error}; {cure}"),
            None => format!("an SVM chain is known by its genesis hash; {cure}"),
        };
        Err(vec![SettingProblem {
            name: "genesis",
            text,
        }])
    }

    fn entry(&self, genesis: B256, state_manager: B256) -> ChainEntry {
        ChainEntry {
            family: ChainFamily::Svm,
            block_numbers: BlockNumbers::Own,
            genesis,
            state_manager,
            history_slot: U256::ZERO,
        }
    }

    fn home(
        &self,
        _: &ChainConfig,
        _: Address,
        _: Address,
        _: &CancellationToken,
    ) -> Result<Connected<dyn HomeReader>, ChainError> {
        refused(
            "no registry of operators lives on an SVM chain; set an EVM chain as the home chain",
        )
    }

    fn source(
        &self,
        _: &ChainConfig,
        _: Address,
        _: bool,
        _: &CancellationToken,
    ) -> Result<Connected<dyn StateReader>, ChainError> {
        refused(
            "values of SVM chains are not attested, since these chains prove none; such a chain serves the bridge only",
        )
    }

    fn bridge(
        &self,
        chain: &ChainConfig,
        halt: &CancellationToken,
    ) -> Result<Connected<dyn TransferReader>, ChainError> {
        let client = SvmClient::over(chain, *self)?;
        Ok(Connected {
            follower: Box::pin(client.clone().run(halt.clone())),
            reader: Arc::new(SvmTransfers::new(client.clone())),
            client,
        })
    }

    fn verify<'a>(
        &'a self,
        _: &'a RpcUrl,
        _: Address,
        _: B256,
        _: &'a [u8],
    ) -> BoxFuture<'a, Result<CertificateCheck, ChainError>> {
        let detail = "a program on an SVM chain takes a certificate in several transactions and can be asked about none; \
                      ask a registry on an EVM chain";
        std::future::ready(refused(detail)).boxed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GENESIS: &str = "5eykt4UsFv8P8NJdTREpY1vzqKqZKvdpKuc147dw2N9d";

    #[test]
    fn the_genesis_hash_is_needed_and_read() {
        let configured = |text: Option<&'static str>| {
            SvmSettings::default().configured(&|name| (name == "genesis").then_some(text?.into()))
        };
        assert!(configured(Some(GENESIS)).is_ok());
        for text in [None, Some(""), Some("0x5eyk"), Some(&GENESIS[4..])] {
            let problems = configured(text).expect_err("a problem");
            assert_eq!(problems[0].name, "genesis", "{text:?}");
            assert!(problems[0].text.contains("getGenesisHash"), "{text:?}");
        }
    }
}
