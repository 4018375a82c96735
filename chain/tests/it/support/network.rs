//! The contracts of a home chain, and operators in them.

use alloy::primitives::{Address, B256, Bytes, U256};
use alloy::providers::{DynProvider, Provider};
use alloy::signers::SignerSync;
use alloy::signers::local::PrivateKeySigner;
use alloy::sol_types::{SolStruct, SolValue, eip712_domain};
use quorate_chain::Finality;
use quorate_chain::anvil::{AnvilChain, AnvilOptions};
use quorate_chain::contracts::{
    ChainDirectory, EpochManager, OwnerSlashingDecider, StakeRegistry, StakeVault,
};
use quorate_chain::evm::{EvmHome, EvmSettings};
use quorate_chain::rpc::RpcUrl;

use super::chain_config;

type Failed = Box<dyn std::error::Error + Send + Sync>;

pub(crate) const EPOCH: u64 = 100;
pub(crate) const GRACE: u64 = 20;
/// Blocks and seconds for which stake stays within reach.
pub(crate) const REACH: (u64, u64) = (400, 4_800);

mod registration {
    alloy::sol! {
        struct OperatorRegistration { address operator; address signingKey; }
    }
}

/// A home chain with all contracts.
pub(crate) struct Network {
    pub anvil: AnvilChain,
    pub registry: Address,
    pub epoch_manager: Address,
    pub directory: Address,
    pub vault: Address,
}

/// Keys of one operator.
pub(crate) struct Member {
    pub operator: Address,
    pub signing: PrivateKeySigner,
}

impl Network {
    pub(crate) async fn start() -> Result<Self, Failed> {
        let anvil = AnvilChain::start(AnvilOptions::default()).await?;
        let provider = anvil.provider().clone();
        let deployer = anvil.accounts()[0];
        let manager = EpochManager::deploy(provider.clone(), EPOCH, GRACE).await?;
        let directory = ChainDirectory::deploy(provider.clone(), deployer).await?;
        let decider = OwnerSlashingDecider::deploy(provider.clone(), deployer).await?;
        // The vault is told where its registry will be: the next contract.
        let nonce = provider.get_transaction_count(deployer).await?;
        let registry = deployer.create(nonce + 1);
        let (blocks, seconds) = REACH;
        let vault = StakeVault::deploy(
            provider.clone(),
            *manager.address(),
            registry,
            blocks,
            seconds,
        )
        .await?;
        let registry = StakeRegistry::deploy(
            provider,
            *manager.address(),
            *vault.address(),
            U256::from(5),
            *decider.address(),
            *directory.address(),
        )
        .await?;
        Ok(Self {
            registry: *registry.address(),
            epoch_manager: *manager.address(),
            directory: *directory.address(),
            vault: *vault.address(),
            anvil,
        })
    }

    pub(crate) fn contract(&self) -> StakeRegistry::StakeRegistryInstance<DynProvider> {
        StakeRegistry::new(self.registry, self.anvil.provider().clone())
    }

    /// The operator of the chain's account with this number.
    pub(crate) fn member(&self, account: u8) -> Member {
        let secret = B256::repeat_byte(account + 1);
        Member {
            operator: self.anvil.accounts()[usize::from(account)],
            signing: PrivateKeySigner::from_bytes(&secret).expect("a key"),
        }
    }

    /// Registers with the stake that it has, or with the least if that is none.
    pub(crate) async fn register(&self, member: &Member) -> Result<(), Failed> {
        let registry = self.contract();
        let vault = StakeVault::new(self.vault, self.anvil.provider());
        if vault.weightOf(member.operator).call().await?.is_zero() {
            self.stake(member, 5).await?;
        }
        let proof = self.key_proof(member.operator, &member.signing)?;
        let call = registry.registerOperator(member.signing.address(), proof);
        let sent = call.from(member.operator).send().await?;
        match sent.get_receipt().await?.status() {
            true => Ok(()),
            false => Err("the registration reverted".into()),
        }
    }

    pub(crate) fn key_proof(
        &self,
        operator: Address,
        signing: &PrivateKeySigner,
    ) -> Result<Bytes, Failed> {
        let content = registration::OperatorRegistration {
            operator,
            signingKey: signing.address(),
        };
        let domain = eip712_domain! {
            name: "Quorate",
            version: "1",
            chain_id: self.anvil.chain_id(),
            verifying_contract: self.registry,
        };
        let digest = content.eip712_signing_hash(&domain);
        Ok(signing.sign_hash_sync(&digest)?.as_bytes().to_vec().into())
    }

    pub(crate) async fn rotate(&self, member: &mut Member, secret: u8) -> Result<(), Failed> {
        let signing = PrivateKeySigner::from_bytes(&B256::repeat_byte(secret))?;
        let proof = self.key_proof(member.operator, &signing)?;
        let registry = self.contract();
        let call = registry.updateSigningKey(signing.address(), proof);
        call.from(member.operator)
            .send()
            .await?
            .get_receipt()
            .await?;
        member.signing = signing;
        Ok(())
    }

    pub(crate) async fn deregister(&self, member: &Member) -> Result<(), Failed> {
        let registry = self.contract();
        registry
            .deregisterOperator()
            .from(member.operator)
            .send()
            .await?
            .get_receipt()
            .await?;
        Ok(())
    }

    pub(crate) async fn stake(&self, member: &Member, amount: u64) -> Result<(), Failed> {
        let vault = StakeVault::new(self.vault, self.anvil.provider());
        let call = vault.deposit(member.operator).value(U256::from(amount));
        call.from(member.operator)
            .send()
            .await?
            .get_receipt()
            .await?;
        Ok(())
    }

    /// Mines up to the first block of this epoch.
    pub(crate) async fn enter(&self, epoch: u32) -> Result<(), Failed> {
        let manager = EpochManager::new(self.epoch_manager, self.anvil.provider());
        let start = manager.getEpochInterval(epoch).call().await?.start;
        let height = self.anvil.height().await?;
        assert!(height <= start, "epoch {epoch} is past");
        self.anvil.mine(start - height).await?;
        Ok(())
    }

    pub(crate) async fn home(&self) -> EvmHome {
        self.home_over(vec![self.anvil.url().expect("a URL")]).await
    }

    pub(crate) async fn home_over(&self, rpc: Vec<RpcUrl>) -> EvmHome {
        let config = chain_config(self.anvil.chain_id(), rpc, Finality::Confirmations(0));
        EvmHome::connect(
            &config,
            EvmSettings::default(),
            self.registry,
            self.epoch_manager,
        )
        .await
        .expect("a reader")
    }
}

/// A certificate of these operators for a digest, in their order.
pub(crate) fn certificate(digest: B256, members: &[&Member], epoch: u32) -> Vec<u8> {
    let operators: Vec<Address> = members.iter().map(|member| member.operator).collect();
    let sign = |member: &&Member| member.signing.sign_hash_sync(&digest).expect("a signature");
    let signatures: Vec<Bytes> = members
        .iter()
        .map(|member| sign(member).as_bytes().to_vec().into())
        .collect();
    (operators, signatures, epoch).abi_encode_params()
}
