//! A light registry: what it holds of the home chain's sets.

use alloy::contract::Error as ContractError;
use alloy::eips::BlockNumberOrTag;
use alloy::primitives::Bytes;
use alloy::providers::{DynProvider, Provider as _};
use alloy::sol_types::SolInterface as _;
use anyhow::{Context as _, anyhow, ensure};
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

    /// When the set that it holds for an epoch was fixed, in Unix seconds.
    pub(crate) async fn time_of(&self, epoch: Epoch) -> anyhow::Result<u64> {
        self.contract.timeOf(epoch.0).call().await.map_err(refused)
    }

    /// Seconds for which a set speaks.
    pub(crate) async fn lifetime(&self) -> anyhow::Result<u64> {
        let lifetime = self.contract.certificateLifetime().call().await;
        lifetime.map_err(refused)
    }

    /// Unix seconds, as its chain's newest block has it.
    pub(crate) async fn clock(&self) -> anyhow::Result<u64> {
        let newest = BlockNumberOrTag::Latest;
        let block = self.contract.provider().get_block_by_number(newest).await;
        let block = block.map_err(plain)?;
        Ok(block
            .context("the chain of the light registry has no newest block")?
            .header
            .timestamp)
    }

    /// Whether the set of an epoch that it holds may name another one still, and for how many seconds.
    pub(crate) async fn seconds_left(&self, epoch: Epoch) -> anyhow::Result<Option<u64>> {
        let (time, lifetime, clock) =
            tokio::try_join!(self.time_of(epoch), self.lifetime(), self.clock())?;
        Ok(time.saturating_add(lifetime).checked_sub(clock))
    }

    /// Who may anchor it anew once it has expired; `None` if no account may.
    pub(crate) async fn guardian(&self) -> anyhow::Result<Option<Address>> {
        let guardian = self.contract.guardian().call().await.map_err(refused)?;
        Ok(Some(guardian).filter(|guardian| !guardian.is_zero()))
    }

    /// The anchor that was announced, and the Unix seconds from which on it may be used.
    pub(crate) async fn announced(&self) -> anyhow::Result<Option<(B256, u64)>> {
        let hash = self.contract.announcedAnchor().call().await;
        let from = self.contract.anchorFrom().call().await.map_err(refused)?;
        let hash = hash.map_err(refused)?;
        Ok(Some((hash, from)).filter(|(hash, _)| !hash.is_zero()))
    }

    /// Announces the set with which it is to begin anew. For the guardian.
    pub(crate) async fn announce_anchor(&self, set: &OperatorSet) -> anyhow::Result<Sent> {
        let call = self
            .contract
            .announceAnchor(set.epoch().0, set.fixed_at(), set.into());
        mined("Announcement", send(call).await, refused).await
    }

    /// Begins anew with the set that was announced.
    pub(crate) async fn anchor(&self, set: &OperatorSet) -> anyhow::Result<Sent> {
        let call = self
            .contract
            .anchor(set.epoch().0, set.fixed_at(), set.into());
        mined("Anchor", send(call).await, refused).await
    }

    /// Hands the next set over; `None` where another account was faster.
    pub(crate) async fn update(
        &self,
        epoch: Epoch,
        next: &OperatorSet,
        certificate: Vec<u8>,
    ) -> anyhow::Result<Option<Sent>> {
        let bytes = Bytes::from(certificate);
        let call =
            self.contract
                .updateEpoch(epoch.0, next.epoch().0, next.fixed_at(), next.into(), bytes);
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
        Some(Known::EpochKnown(_) | Known::EpochSkipped(_))
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
