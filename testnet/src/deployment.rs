//! Two local chains with the contracts on them, and operators with stake.

use std::time::Duration;

use alloy::primitives::{Address, B256, Bytes, U256};
use alloy::providers::{DynProvider, Provider};
use anyhow::{Context, Result, ensure};
use quorate_chain::anvil::{AnvilChain, AnvilOptions};
use quorate_chain::contracts::{
    ChainDirectory, EpochManager, LightStakeRegistry, OwnerSlashingDecider, StakeRegistry,
    StakeVault, StateManager, send,
};
use quorate_proto::{Domain, Epoch, Operator, OperatorSet, SecretKey};

use sha2::{Digest, Sha256};

use crate::{Bridges, OperatorKeys, SvmBridge};

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
    /// Epochs and grace periods for which stake stays within reach: at least 2.
    pub reach: u64,
    /// Whether the source chain gets a light registry, with the set of the first epoch.
    pub light: bool,
    /// Whether both chains get a bridge to the other one, and so the source chain a light registry.
    pub bridges: bool,
    /// Whether there is an SVM chain, too, with a bridge to the home chain.
    pub svm: bool,
}

impl Default for DeploymentOptions {
    fn default() -> Self {
        Self {
            stakes: vec![40, 30, 20, 15, 10],
            epoch_length: 100,
            grace: 20,
            block_time: None,
            reach: 20,
            light: false,
            bridges: false,
            svm: false,
        }
    }
}

/// Blocks mined after a change, so that it is final for nodes that wait for a few confirmations.
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
    /// On the home chain; the last account adds chains. It has the source chain.
    pub directory: Address,
    /// On the source chain.
    pub state_manager: Address,
    /// On the source chain, where it was asked for.
    pub light: Option<Address>,
    /// On both chains, where they were asked for.
    pub bridges: Option<Bridges>,
    /// An SVM chain with a bridge to the home chain, where it was asked for.
    pub svm: Option<SvmBridge>,
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
        let deployer = *home.accounts().last().context("no accounts")?;
        let contracts = HomeContracts::deploy(home.provider(), deployer, options).await?;
        let states = StateManager::deploy_builder(source.provider());
        let state_manager = deploy(states.from(deployer).deploy().await, "StateManager")?;
        let mut deployment = Self {
            home,
            source,
            epoch_manager: contracts.epoch_manager,
            registry: contracts.registry,
            vault: contracts.vault,
            judge: contracts.judge,
            directory: contracts.directory,
            state_manager,
            light: None,
            bridges: None,
            svm: None,
            operators: Vec::new(),
        };
        let states = B256::left_padding_from(state_manager.as_slice());
        deployment
            .list_chain(SOURCE_CHAIN, &deployment.source, states)
            .await?;
        for (number, stake) in options.stakes.iter().enumerate() {
            deployment.register(number, *stake).await?;
        }
        deployment.source.mine(SETTLE).await?;
        deployment.next_epoch().await?;
        if options.light || options.bridges {
            deployment.light = Some(deployment.deploy_light(deployer).await?);
            deployment.source.mine(SETTLE).await?;
        }
        if let Some(light) = deployment.light.filter(|_| options.bridges) {
            let registries = [deployment.registry, light];
            let chains = [&deployment.home, &deployment.source];
            deployment.bridges = Some(Bridges::deploy(chains, registries, deployer).await?);
        }
        if options.svm {
            let first = deployment.set_of(deployment.epoch().await?).await?;
            let lifetime = deployment.certificate_lifetime().await?;
            let bridge = SvmBridge::deploy(&deployment, &first, lifetime, deployer).await?;
            deployment.svm = Some(bridge);
        }
        Ok(deployment)
    }

    /// Writes a chain into the directory, whose state manager is this one.
    ///
    /// # Errors
    /// It is listed already, or a chain is gone.
    pub async fn list_chain(&self, chain_id: u64, chain: &AnvilChain, states: B256) -> Result<()> {
        let first = chain.provider().get_block_by_number(0.into()).await?;
        let entry = ChainDirectory::Chain {
            family: 1,
            blockNumbers: 0,
            genesis: first.context("no first block")?.header.hash,
            stateManager: states,
            historySlot: U256::ZERO,
        };
        let owner = *self.home.accounts().last().context("no accounts")?;
        let directory = ChainDirectory::new(self.directory, self.home.provider());
        let listed = directory.add(u32::try_from(chain_id)?, entry).from(owner);
        let receipt = send(listed).await?.get_receipt().await?;
        ensure!(receipt.status(), "chain {chain_id} was not listed");
        Ok(())
    }

    /// A light registry on the source chain that begins with the current set. The deployer may anchor it anew.
    async fn deploy_light(&self, deployer: Address) -> Result<Address> {
        let set = self.set_of(self.epoch().await?).await?;
        let lifetime = self.certificate_lifetime().await?;
        let home = LightStakeRegistry::Home {
            chainId: HOME_CHAIN,
            registry: self.registry,
            lifetime,
            guardian: deployer,
            anchorDelay: lifetime / 2,
        };
        let light = LightStakeRegistry::deploy_builder(
            self.source.provider(),
            home,
            set.epoch().0,
            set.fixed_at(),
            set.hash(),
        );
        let light = deploy(light.from(deployer).deploy().await, "LightStakeRegistry")?;
        let registry = LightStakeRegistry::new(light, self.source.provider());
        let first = registry.anchor(set.epoch().0, set.fixed_at(), (&set).into());
        let begun = send(first.from(deployer)).await?.get_receipt().await?;
        ensure!(
            begun.status(),
            "the light registry did not take its first set"
        );
        Ok(light)
    }

    async fn certificate_lifetime(&self) -> Result<u64> {
        let registry = StakeRegistry::new(self.registry, self.home.provider());
        Ok(registry.certificateLifetime().call().await?)
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
        let told = registry.getOperatorSet(epoch.0).call().await?;
        let keys = told.set.signingKeys.into_iter().zip(told.set.weights);
        let members = told.set.operators.into_iter().zip(keys);
        let members = members.map(|(address, (signing_key, weight))| Operator {
            address,
            signing_key,
            weight,
        });
        let fixed_at = self.fixed_at(epoch).await?;
        Ok(OperatorSet::new(
            epoch,
            members.collect(),
            told.total,
            fixed_at,
        )?)
    }

    /// When the set of an epoch was fixed: the time of the first block of the grace period before it.
    ///
    /// # Errors
    /// The chain is gone, or has not come that far.
    pub async fn fixed_at(&self, epoch: Epoch) -> Result<u64> {
        let number = match epoch.previous() {
            Some(before) => self.interval(before).await?.1,
            None => self.interval(epoch).await?.0,
        };
        let block = self.home.provider().get_block_by_number(number.into());
        Ok(block.await?.context("not mined yet")?.header.timestamp)
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
        let digest = self.domain().registration_digest(account, signing_key);
        let proof = Bytes::copy_from_slice(keys.signing.sign(digest)?.as_bytes());
        let registry = StakeRegistry::new(self.registry, self.provider());
        let registration = registry.registerOperator(signing_key, proof);
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

    /// Has an operator sign with another key from the next epoch on, whichever key its node has.
    ///
    /// # Errors
    /// It is not registered, has that key, or the chain is gone.
    pub async fn change_key(&self, number: usize, key: &SecretKey) -> Result<()> {
        let (account, _) = self.operators.get(number).context("no such operator")?;
        let digest = self.domain().registration_digest(*account, key.address());
        let proof = Bytes::copy_from_slice(key.sign(digest)?.as_bytes());
        let registry = StakeRegistry::new(self.registry, self.provider());
        let change = registry.updateSigningKey(key.address(), proof);
        let changed = send(change.from(*account)).await?.get_receipt().await?;
        ensure!(
            changed.status(),
            "the key of operator {number} was not changed"
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

    /// Has so many strangers stake this much and register, where the registry takes them. No nodes are run for
    /// them.
    ///
    /// # Errors
    /// The chain is gone.
    pub async fn crowd(&self, count: usize, stake: u64) -> Result<()> {
        /// More than it takes where the set is full.
        const GAS: u64 = 4_000_000;
        let provider = self.provider();
        let () = provider
            .raw_request("anvil_autoImpersonateAccount".into(), (true,))
            .await?;
        let vault = StakeVault::new(self.vault, &provider);
        let registry = StakeRegistry::new(self.registry, &provider);
        for number in 0..count {
            let (account, key) = stranger(number)?;
            let balance = ether(stake + 1);
            let () = provider
                .raw_request("anvil_setBalance".into(), (account, balance))
                .await?;
            // Each is mined when it is sent; those that the registry refuses revert.
            let deposit = vault.deposit(account).value(ether(stake)).from(account);
            let _ = deposit.gas(GAS).send().await?;
            let digest = self.domain().registration_digest(account, key.address());
            let proof = Bytes::copy_from_slice(key.sign(digest)?.as_bytes());
            let registration = registry.registerOperator(key.address(), proof);
            let _ = registration.from(account).gas(GAS).send().await?;
        }
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

/// What is on the home chain.
struct HomeContracts {
    epoch_manager: Address,
    directory: Address,
    vault: Address,
    registry: Address,
    judge: Address,
}

impl HomeContracts {
    async fn deploy(
        provider: &DynProvider,
        owner: Address,
        options: &DeploymentOptions,
    ) -> Result<Self> {
        let epochs = EpochManager::deploy_builder(provider, options.epoch_length, options.grace);
        let epoch_manager = deploy(epochs.from(owner).deploy().await, "EpochManager")?;
        let directory = ChainDirectory::deploy_builder(provider, owner).from(owner);
        let directory = deploy(directory.deploy().await, "ChainDirectory")?;
        let decider = OwnerSlashingDecider::deploy_builder(provider, owner).from(owner);
        let decider = deploy(decider.deploy().await, "OwnerSlashingDecider")?;
        // Vault and registry name each other, so the vault is told where the registry will be: the next
        // contract of the same account.
        let nonce = provider.get_transaction_count(owner).await?;
        let next = owner.create(nonce + 1);
        let blocks = options.reach * (options.epoch_length + options.grace);
        let block_time = options.block_time.map_or(1, |time| time.as_secs().max(1));
        let vault =
            StakeVault::deploy_builder(provider, epoch_manager, next, blocks, blocks * block_time);
        let vault = deploy(vault.from(owner).deploy().await, "StakeVault")?;
        let registry = StakeRegistry::deploy_builder(
            provider,
            epoch_manager,
            vault,
            ether(1),
            decider,
            directory,
        );
        let registry = deploy(registry.from(owner).deploy().await, "StakeRegistry")?;
        let judge = StakeRegistry::new(registry, provider)
            .judge()
            .call()
            .await?;
        Ok(Self {
            epoch_manager,
            directory,
            vault,
            registry,
            judge,
        })
    }
}

/// Account and signing key of one of a crowd.
fn stranger(number: usize) -> Result<(Address, SecretKey)> {
    let secret = |what: &str| -> [u8; 32] {
        Sha256::digest(format!("quorate local network, stranger {number}, {what}")).into()
    };
    let account = SecretKey::from_bytes(&secret("account"))?.address();
    Ok((account, SecretKey::from_bytes(&secret("signing"))?))
}

pub(crate) fn ether(amount: u64) -> U256 {
    U256::from(amount) * U256::from(10).pow(U256::from(18))
}

pub(crate) fn deploy(
    address: Result<Address, alloy::contract::Error>,
    name: &str,
) -> Result<Address> {
    address.with_context(|| format!("{name} was not deployed"))
}
