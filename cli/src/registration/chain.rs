//! The operator's account on the home chain.

use alloy::contract::Error as ContractError;
use alloy::primitives::Bytes;
use alloy::providers::{DynProvider, Provider as _};
use anyhow::{Context as _, ensure};
use quorate_chain::contracts::StakeRegistry::StakeRegistryInstance;
use quorate_chain::contracts::StakeVault::StakeVaultInstance;
use quorate_chain::contracts::{EpochManager, send};
use quorate_proto::{Address, Domain, SecretKey, U256};

use super::Proven;
use crate::exit::NegativeAnswer;
use crate::format;
use crate::options::SecretUrl;
use crate::transaction::{Sent, mined, plain, refused_by_registry as refused, wallet};

/// An account that sends transactions to the registry's chain.
pub(super) struct Account {
    provider: DynProvider,
    registry: StakeRegistryInstance<DynProvider>,
    address: Address,
    domain: Domain,
}

/// What the chain says before anything is sent.
pub(super) struct Plan {
    pub(super) vault: Address,
    /// What is staked to the operator.
    pub(super) staked: U256,
    /// What is to be added to it.
    pub(super) deposit: U256,
    /// With which key it is registered.
    pub(super) registered: Option<Address>,
}

impl Account {
    pub(super) async fn connect(
        url: &SecretUrl,
        registry: Address,
        key: &SecretKey,
        expected_chain: Option<u64>,
    ) -> anyhow::Result<Self> {
        let (provider, address) = wallet(url, key)?;
        let chain = provider
            .get_chain_id()
            .await
            .map_err(plain)
            .context("cannot reach the home chain")?;
        ensure!(
            expected_chain.is_none_or(|expected| expected == chain),
            "{} serves chain {chain}, but home_chain_id is {}; correct one of them",
            url.redacted().reveal(),
            expected_chain.unwrap_or_default()
        );
        let code = provider.get_code_at(registry).await.map_err(plain)?;
        ensure!(
            !code.is_empty(),
            "there is no contract at {registry} on chain {chain}; correct --registry"
        );
        let account = Self {
            registry: StakeRegistryInstance::new(registry, provider.clone()),
            domain: Domain::new(chain, registry),
            provider,
            address,
        };
        account.find_registry().await?;
        Ok(account)
    }

    /// Whether what is at the address is this chain's registry: everything else is asked of it afterwards.
    async fn find_registry(&self) -> anyhow::Result<()> {
        let error = match self.registry.domainSeparator().call().await {
            Ok(separator) => {
                ensure!(
                    separator == self.domain.separator(),
                    "the contract at {} is no Quorate registry of chain {}; correct --registry or --home-rpc",
                    self.domain.registry(),
                    self.domain.home_chain_id()
                );
                return Ok(());
            }
            Err(error) => error,
        };
        let answered = match &error {
            ContractError::TransportError(error) => error.is_error_resp(),
            _ => true,
        };
        let error = refused(error);
        ensure!(
            !answered,
            not_ours(self.domain, "domainSeparator()", &error)
        );
        Err(error.context("cannot reach the home chain"))
    }

    pub(super) const fn address(&self) -> Address {
        self.address
    }

    pub(super) const fn domain(&self) -> Domain {
        self.domain
    }

    /// The newest key of the operator, where it is registered.
    pub(super) async fn registered_key(&self) -> anyhow::Result<Option<Address>> {
        let registered = self.registry.operatorRegistered(self.address);
        if !registered.call().await.map_err(refused)? {
            return Ok(None);
        }
        let newest = u32::MAX;
        let key = self
            .registry
            .getOperatorSigningKeyAtEpoch(self.address, newest);
        Ok(Some(key.call().await.map_err(refused)?))
    }

    /// Everything that would make the transactions fail, before one is paid for. `stake` is what the operator
    /// shall have, or with `add` what it shall have more.
    pub(super) async fn check(
        &self,
        stake: U256,
        add: bool,
        proven: &Proven,
    ) -> anyhow::Result<Plan> {
        let registered = self.registered_key().await?;
        let vault = self.registry.weightSource().call().await.map_err(refused)?;
        let weight = StakeVaultInstance::new(vault, &self.provider)
            .weightOf(self.address)
            .call()
            .await;
        let staked = weight.map_err(refused)?;
        let deposit = match (add, registered) {
            (true, _) => stake,
            (false, Some(_)) => U256::ZERO,
            (false, None) => stake.saturating_sub(staked),
        };
        let plan = Plan {
            vault,
            staked,
            deposit,
            registered,
        };
        if registered.is_none() {
            self.check_owner(proven.key).await?;
            self.check_standing(proven.key).await?;
        }
        if registered.is_none() || add {
            self.check_stake(&plan).await?;
        }
        Ok(plan)
    }

    /// Who was convicted is jailed until it is readmitted, and its key is never taken again.
    async fn check_standing(&self, key: Address) -> anyhow::Result<()> {
        let jailed = self.registry.jailed(self.address).call().await;
        ensure!(
            !jailed.map_err(refused)?,
            "operator {} is jailed for having signed two facts; it may register once it is readmitted",
            self.address
        );
        let convicted = self.registry.convicted(key).call().await;
        ensure!(
            !convicted.map_err(refused)?,
            "signing key {key} is convicted of having signed two facts, and never taken again: make another \
             one with `node keys new --kind signing`"
        );
        Ok(())
    }

    async fn check_stake(&self, plan: &Plan) -> anyhow::Result<()> {
        let minimum = self
            .registry
            .minimumWeight()
            .call()
            .await
            .map_err(refused)?;
        let staked = plan.staked.saturating_add(plan.deposit);
        ensure!(
            staked >= minimum && !staked.is_zero(),
            "a stake of {} is below the minimum of {}; deposit more with --stake",
            format::amount(staked),
            format::amount(minimum)
        );
        let balance = self
            .provider
            .get_balance(self.address)
            .await
            .map_err(plain)?;
        ensure!(
            balance > plan.deposit,
            "the account {} has {}, which does not cover the stake and the fees; send it coins",
            self.address,
            format::amount(balance)
        );
        Ok(())
    }

    async fn check_owner(&self, key: Address) -> anyhow::Result<()> {
        let owner = self.registry.getOperatorBySigningKey(key).call().await;
        let owner = owner.map_err(refused)?;
        ensure!(
            owner.is_zero() || owner == self.address,
            "this signing key belongs to operator {owner}; every operator needs one of its own: make \
             it with `node keys new`"
        );
        Ok(())
    }

    pub(super) async fn deposit(&self, vault: Address, stake: U256) -> anyhow::Result<Sent> {
        let vault = StakeVaultInstance::new(vault, &self.provider);
        let call = vault.deposit(self.address).value(stake);
        mined("Deposit", send(call).await, refused).await
    }

    pub(super) async fn register(&self, proven: &Proven) -> anyhow::Result<Sent> {
        let proof = Bytes::from(proven.proof.clone());
        let call = self.registry.registerOperator(proven.key, proof);
        mined("Registration", send(call).await, refused).await
    }

    pub(super) async fn change_key(&self, proven: &Proven) -> anyhow::Result<Sent> {
        self.must_be_registered().await?;
        self.check_owner(proven.key).await?;
        let proof = Bytes::from(proven.proof.clone());
        let call = self.registry.updateSigningKey(proven.key, proof);
        mined("Change of key", send(call).await, refused).await
    }

    async fn must_be_registered(&self) -> anyhow::Result<()> {
        let registered = self.registry.operatorRegistered(self.address);
        if registered.call().await.map_err(refused)? {
            return Ok(());
        }
        Err(NegativeAnswer(format!("{} is not registered", self.address)).into())
    }

    pub(super) async fn deregister(&self) -> anyhow::Result<Sent> {
        self.must_be_registered().await?;
        let call = self.registry.deregisterOperator();
        mined("Exit", send(call).await, refused).await
    }

    /// The first epoch in which the last of these transactions counts.
    pub(super) async fn effective_epoch(&self, sent: &[Sent]) -> anyhow::Result<Option<u32>> {
        let Some(last) = sent.last() else {
            return Ok(None);
        };
        let manager = self.registry.epochManager().call().await.map_err(refused)?;
        let manager = EpochManager::new(manager, &self.provider);
        let epoch = manager
            .getEffectiveEpochForBlock(last.block)
            .call()
            .await
            .map_err(refused)?;
        Ok(Some(epoch))
    }
}

/// A contract of another make lacks the call.
fn not_ours(domain: Domain, call: &str, error: &anyhow::Error) -> String {
    let (registry, chain) = (domain.registry(), domain.home_chain_id());
    format!(
        "the contract at {registry} is no Quorate registry of chain {chain}: it has no {call} ({error:#}); \
         correct --registry or --home-rpc"
    )
}
