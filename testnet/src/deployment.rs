//! Two local chains with the contracts on them, and operators with stake.

use std::time::Duration;

use alloy::primitives::{Address, B256, Bytes, U256};
use alloy::providers::{DynProvider, Provider};
use anyhow::{Context, Result, ensure};
use quorate_chain::anvil::{AnvilChain, AnvilOptions};
use quorate_chain::contracts::{
    EpochManager, EquivocationJudge, LightStakeRegistry, OwnerSlashingDecider, StakeRegistry,
    StakeVault, StateManager, send,
};
use quorate_proto::{Domain, Epoch, Operator, OperatorSet};

use crate::OperatorKeys;

/// How the chains and contracts are made.
#[derive(Clone, Debug)]
pub struct DeploymentOptions {
    /// Stake of each operator in ether.
    pub stakes: Vec<u64>,
    /// Blocks per epoch.
    pub epoch_length: u64,
    /// Blocks of the grace period.
    pub grace: u64,
    /// Time between blocks; `None` for blocks on demand.
    pub block_time: Option<Duration>,
    /// Whether the source chain gets a light registry, with the set of the first epoch.
    pub light: bool,
}

impl Default for DeploymentOptions {
    fn default() -> Self {
        Self {
            stakes: vec![40, 30, 20, 15, 10],
            epoch_length: 100,
            grace: 20,
            block_time: None,
            light: false,
        }
    }
}

/// Blocks mined after a change, so that it is final for whoever waits for a few confirmations.
const SETTLE: u64 = 5;

/// EIP-155 id of the home chain.
pub const HOME_CHAIN: u64 = 31_337;
/// EIP-155 id of the source chain.
pub const SOURCE_CHAIN: u64 = 31_338;

/// Running chains with contracts.
pub struct Deployment {
    /// Holds the stake registry.
    pub home: AnvilChain,
    /// Holds the values.
    pub source: AnvilChain,
    /// On the home chain.
    pub epoch_manager: Address,
    /// On the home chain.
    pub registry: Address,
    /// On the home chain.
    pub vault: Address,
    /// On the home chain; the last account decides what becomes of frozen stake.
    pub judge: Address,
    /// On the source chain.
    pub state_manager: Address,
    /// On the source chain, where it was asked for.
    pub light: Option<Address>,
    /// Operator accounts and their keys, in the order of the stakes.
    pub operators: Vec<(Address, OperatorKeys)>,
}

impl Deployment {
    /// Starts both chains, deploys everything and registers the operators.
    ///
    /// # Errors
    /// No anvil, or a transaction that failed.
    pub async fn start(options: &DeploymentOptions) -> Result<Self> {
        let accounts = u16::try_from(options.stakes.len() + 2)?.max(10);
        let chain = |chain_id| AnvilOptions {
            chain_id,
            accounts,
            block_time: options.block_time,
            ..AnvilOptions::default()
        };
        let (home, source) = tokio::try_join!(
            AnvilChain::start(chain(HOME_CHAIN)),
            AnvilChain::start(chain(SOURCE_CHAIN))
        )?;
        Self::on(home, source, options).await
    }

    /// Deploys everything on chains that run, and registers the operators.
    ///
    /// # Errors
    /// Too few accounts, or a transaction that failed.
    pub async fn on(
        home: AnvilChain,
        source: AnvilChain,
        options: &DeploymentOptions,
    ) -> Result<Self> {
        let provider = home.provider().clone();
        let deployer = *home.accounts().last().context("no accounts")?;
        let epochs = EpochManager::deploy_builder(&provider, options.epoch_length, options.grace);
        let epoch_manager = deploy(epochs.from(deployer).deploy().await, "EpochManager")?;
        let vault = StakeVault::deploy_builder(&provider, epoch_manager, 10);
        let vault = deploy(vault.from(deployer).deploy().await, "StakeVault")?;
        let minimum = ether(1);
        let registry = StakeRegistry::deploy_builder(&provider, epoch_manager, vault, minimum);
        let registry = deploy(registry.from(deployer).deploy().await, "StakeRegistry")?;
        let link = StakeVault::new(vault, &provider)
            .setRegistry(registry)
            .from(deployer)
            .send()
            .await?;
        ensure!(link.get_receipt().await?.status(), "setRegistry reverted");
        let judge = deploy_judge(&provider, registry, deployer).await?;
        let states = StateManager::deploy_builder(source.provider());
        let state_manager = deploy(states.from(deployer).deploy().await, "StateManager")?;
        let mut deployment = Self {
            home,
            source,
            epoch_manager,
            registry,
            vault,
            judge,
            state_manager,
            light: None,
            operators: Vec::new(),
        };
        for (number, stake) in options.stakes.iter().enumerate() {
            deployment.register(number, *stake).await?;
        }
        deployment.source.mine(SETTLE).await?;
        deployment.next_epoch().await?;
        if options.light {
            deployment.light = Some(deployment.deploy_light(deployer).await?);
            deployment.source.mine(SETTLE).await?;
        }
        Ok(deployment)
    }

    /// A light registry on the source chain that begins with the current set.
    async fn deploy_light(&self, deployer: Address) -> Result<Address> {
        let set = self.set_of(self.epoch().await?).await?;
        let provider = self.source.provider();
        let light = LightStakeRegistry::deploy_builder(
            provider,
            HOME_CHAIN,
            self.registry,
            set.epoch().0,
            (&set).into(),
        );
        deploy(light.from(deployer).deploy().await, "LightStakeRegistry")
    }

    /// The epoch of the newest block of the home chain.
    ///
    /// # Errors
    /// The chain is gone.
    pub async fn epoch(&self) -> Result<Epoch> {
        let epochs = EpochManager::new(self.epoch_manager, self.home.provider());
        Ok(Epoch(epochs.getCurrentEpoch().call().await?))
    }

    /// First block, first block of the grace period, and end of an epoch.
    ///
    /// # Errors
    /// The chain is gone.
    pub async fn interval(&self, epoch: Epoch) -> Result<(u64, u64, u64)> {
        let epochs = EpochManager::new(self.epoch_manager, self.home.provider());
        let interval = epochs.getEpochInterval(epoch.0).call().await?;
        Ok((interval.start, interval.graceStart, interval.end))
    }

    /// The set of an epoch, as the registry tells it now.
    ///
    /// # Errors
    /// The chain is gone, or the epoch has no stake.
    pub async fn set_of(&self, epoch: Epoch) -> Result<OperatorSet> {
        let registry = StakeRegistry::new(self.registry, self.home.provider());
        let mut members = Vec::new();
        for (address, keys) in &self.operators {
            let key = registry.getOperatorSigningKeyAtEpoch(*address, epoch.0);
            let weight = registry.getOperatorWeightAtEpoch(*address, epoch.0);
            members.push(Operator {
                address: *address,
                signing_key: key.call().await?,
                ed25519_key: Some(keys.ed25519_secret().public()),
                weight: weight.call().await?,
            });
        }
        let total = registry.getTotalWeightAtEpoch(epoch.0).call().await?;
        let threshold = registry.getThresholdStake(epoch.0).call().await?;
        Ok(OperatorSet::new(epoch, members, total, threshold)?)
    }

    /// Stakes for, and registers, the account with this number.
    async fn register(&mut self, number: usize, stake: u64) -> Result<()> {
        let account = *self
            .home
            .accounts()
            .get(number)
            .context("no such account")?;
        let vault = StakeVault::new(self.vault, self.provider());
        let deposit = vault.deposit(account).value(ether(stake)).from(account);
        let staked = send(deposit).await?.get_receipt().await?;
        ensure!(staked.status(), "the deposit of operator {number} reverted");
        self.operators.push((account, OperatorKeys::of(number)));
        self.join(number).await
    }

    /// Registers an operator whose stake is in the vault: at first, or again after it left.
    ///
    /// # Errors
    /// It is registered, or the chain is gone.
    pub async fn join(&self, number: usize) -> Result<()> {
        let (account, keys) = self.operators.get(number).context("no such operator")?;
        let account = *account;
        let signing_key = keys.signing.address();
        let ed25519_key = B256::from(keys.ed25519_secret().public());
        let proof = keys.signing.sign(self.domain().registration_digest(
            account,
            signing_key,
            ed25519_key,
        ))?;
        let message = self.domain().ed25519_registration(account, signing_key);
        let ed25519_proof = keys.ed25519_secret().sign(&message);
        let registry = StakeRegistry::new(self.registry, self.provider());
        let registration = registry.registerOperator(
            signing_key,
            Bytes::copy_from_slice(proof.as_bytes()),
            ed25519_key,
            Bytes::copy_from_slice(&ed25519_proof),
        );
        let registered = send(registration.from(account))
            .await?
            .get_receipt()
            .await?;
        ensure!(
            registered.status(),
            "the registration of operator {number} reverted"
        );
        Ok(())
    }

    /// Takes an operator from the registry; its stake stays in the vault.
    ///
    /// # Errors
    /// It is not registered, or the chain is gone.
    pub async fn leave(&self, number: usize) -> Result<()> {
        let (account, _) = self.operators.get(number).context("no such operator")?;
        let registry = StakeRegistry::new(self.registry, self.provider());
        let exit = registry.deregisterOperator().from(*account);
        let left = send(exit).await?.get_receipt().await?;
        ensure!(left.status(), "the exit of operator {number} reverted");
        Ok(())
    }

    /// Mines up to the first block of the next epoch in which all changes made so far count.
    ///
    /// # Errors
    /// The chain is gone.
    pub async fn next_epoch(&self) -> Result<()> {
        let epochs = EpochManager::new(self.epoch_manager, self.home.provider());
        let height = self.home.height().await?;
        let effective = epochs.getEffectiveEpochForBlock(height).call().await?;
        let start = epochs.getEpochInterval(effective).call().await?.start;
        self.home
            .mine(start.saturating_sub(height) + SETTLE)
            .await?;
        Ok(())
    }

    /// The network's EIP-712 domain.
    #[must_use]
    pub fn domain(&self) -> Domain {
        Domain::new(HOME_CHAIN, self.registry)
    }

    /// A user account on the source chain that is no operator.
    #[must_use]
    pub fn user(&self) -> Address {
        self.source.accounts().last().copied().unwrap_or_default()
    }

    fn provider(&self) -> DynProvider {
        self.home.provider().clone().erased()
    }
}

/// The judge of a registry, with verdicts by `owner`.
async fn deploy_judge(
    provider: &DynProvider,
    registry: Address,
    owner: Address,
) -> Result<Address> {
    let decider = OwnerSlashingDecider::deploy_builder(provider, owner);
    let decider = deploy(decider.from(owner).deploy().await, "OwnerSlashingDecider")?;
    let judge = EquivocationJudge::deploy_builder(provider, registry, decider);
    let judge = deploy(judge.from(owner).deploy().await, "EquivocationJudge")?;
    let named = StakeRegistry::new(registry, provider)
        .setJudge(judge)
        .from(owner)
        .send()
        .await?;
    ensure!(named.get_receipt().await?.status(), "setJudge reverted");
    Ok(judge)
}

fn ether(amount: u64) -> U256 {
    U256::from(amount) * U256::from(10).pow(U256::from(18))
}

fn deploy(address: Result<Address, alloy::contract::Error>, name: &str) -> Result<Address> {
    address.with_context(|| format!("{name} was not deployed"))
}
