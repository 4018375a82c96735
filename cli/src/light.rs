//! A light registry: what it holds of the home chain's sets.

use alloy::contract::Error as ContractError;
use alloy::primitives::Bytes;
use alloy::providers::{DynProvider, Provider as _};
use alloy::sol_types::SolInterface as _;
use anyhow::{anyhow, ensure};
use quorate_chain::contracts::LightStakeRegistry::{
    LightStakeRegistryErrors, LightStakeRegistryInstance,
};
use quorate_chain::contracts::send;
use quorate_proto::{Address, B256, Domain, Epoch, OperatorSet};

use crate::options::redact;
use crate::transaction::{Sent, mined, plain};

/// A light registry, and the network whose sets it holds.
pub(crate) struct Light {
    contract: LightStakeRegistryInstance<DynProvider>,
    domain: Domain,
    chain_id: u64,
}

impl Light {
    /// Looks whether `address` is one.
    pub(crate) async fn connect(provider: DynProvider, address: Address) -> anyhow::Result<Self> {
        let chain_id = provider.get_chain_id().await.map_err(plain)?;
        let code = provider.get_code_at(address).await.map_err(plain)?;
        ensure!(
            !code.is_empty(),
            "there is no contract at {address} on chain {chain_id}; correct --light or --rpc"
        );
        let contract = LightStakeRegistryInstance::new(address, provider);
        let domain = home_of(&contract).await.map_err(|error| {
            anyhow!(
                "the contract at {address} on chain {chain_id} is no light registry ({error}); \
                 correct --light or --rpc"
            )
        })?;
        Ok(Self {
            contract,
            domain,
            chain_id,
        })
    }

    /// The network whose sets it holds.
    pub(crate) const fn domain(&self) -> Domain {
        self.domain
    }

    /// Its address.
    pub(crate) const fn address(&self) -> Address {
        *self.contract.address()
    }

    /// The chain that it is on.
    pub(crate) const fn chain_id(&self) -> u64 {
        self.chain_id
    }

    /// Refuses one of another network.
    pub(crate) fn check_network(&self, expected: &Domain) -> anyhow::Result<()> {
        ensure!(
            self.domain.network() == expected.network(),
            "the light registry at {} holds the sets of network {}, not of {}; correct --light, or \
             ask an operator of that network",
            self.address(),
            self.domain.network(),
            expected.network()
        );
        Ok(())
    }

    pub(crate) async fn newest_epoch(&self) -> anyhow::Result<Epoch> {
        let epoch = self.contract.newestEpoch().call().await;
        epoch.map(Epoch).map_err(refused)
    }

    /// Hash of the set that it holds for an epoch; zero if it holds none.
    pub(crate) async fn set_hash(&self, epoch: Epoch) -> anyhow::Result<B256> {
        self.contract.setHash(epoch.0).call().await.map_err(refused)
    }

    /// Hands the next set over; `None` where somebody else was faster.
    pub(crate) async fn update(
        &self,
        epoch: Epoch,
        next: &OperatorSet,
        certificate: Vec<u8>,
    ) -> anyhow::Result<Option<Sent>> {
        let bytes = Bytes::from(certificate);
        let call = self
            .contract
            .updateEpoch(epoch.0, next.epoch().0, next.into(), bytes);
        let sent = send(call).await;
        if sent.as_ref().is_err_and(is_late) {
            return Ok(None);
        }
        mined("Update", sent, refused).await.map(Some)
    }
}

async fn home_of(contract: &LightStakeRegistryInstance<DynProvider>) -> anyhow::Result<Domain> {
    let chain = contract.homeChainId().call().await.map_err(refused)?;
    let registry = contract.homeRegistry().call().await.map_err(refused)?;
    let separator = contract.domainSeparator().call().await.map_err(refused)?;
    let domain = Domain::new(chain, registry);
    ensure!(
        separator == domain.separator(),
        "its domain is not that of its home registry"
    );
    Ok(domain)
}

/// Whether the update, or a later one, is there already.
fn is_late(error: &ContractError) -> bool {
    use LightStakeRegistryErrors as Known;
    matches!(
        error.as_decoded_interface_error(),
        Some(Known::EpochKnown(_) | Known::EpochReplaced(_) | Known::EpochSkipped(_))
    )
}

/// A contract's error by its name, everything else without URLs.
fn refused(error: ContractError) -> anyhow::Error {
    let name = error
        .as_decoded_interface_error::<LightStakeRegistryErrors>()
        .and_then(|reason| LightStakeRegistryErrors::name_by_selector(reason.selector()));
    match name {
        Some(name) => anyhow!("the light registry refuses: {name}"),
        None => anyhow!(redact(&error.to_string())),
    }
}
