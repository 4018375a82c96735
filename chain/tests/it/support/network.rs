//! The contracts of a home chain, and operators in them.

use alloy::primitives::{Address, B256, Bytes, U256};
use alloy::providers::DynProvider;
use alloy::signers::SignerSync;
use alloy::signers::local::PrivateKeySigner;
use alloy::sol_types::{SolStruct, SolValue, eip712_domain};
use ed25519_dalek::{Signer, SigningKey};
use quorate_chain::anvil::{AnvilChain, AnvilOptions};
use quorate_chain::contracts::{EpochManager, StakeRegistry, StakeVault};
use quorate_chain::evm::{EvmConfig, EvmHome, Finality, RpcUrl};

type Failed = Box<dyn std::error::Error + Send + Sync>;

pub(crate) const EPOCH: u64 = 100;
pub(crate) const GRACE: u64 = 20;

mod registration {
    alloy::sol! {
        struct OperatorRegistration { address operator; address signingKey; bytes32 ed25519Key; }
    }
}

/// A home chain with all contracts.
pub(crate) struct Network {
    pub anvil: AnvilChain,
    pub registry: Address,
    pub epoch_manager: Address,
    vault: Address,
}

/// Keys of one operator.
pub(crate) struct Member {
    pub operator: Address,
    pub signing: PrivateKeySigner,
    pub ed25519: SigningKey,
}

impl Member {
    pub(crate) fn ed25519_key(&self) -> [u8; 32] {
        self.ed25519.verifying_key().to_bytes()
    }
}

impl Network {
    pub(crate) async fn start() -> Result<Self, Failed> {
        let anvil = AnvilChain::start(AnvilOptions::default()).await?;
        let provider = anvil.provider().clone();
        let manager = EpochManager::deploy(provider.clone(), EPOCH, GRACE).await?;
        let vault = StakeVault::deploy(provider.clone(), *manager.address(), 10).await?;
        let minimum = U256::from(5);
        let registry =
            StakeRegistry::deploy(provider, *manager.address(), *vault.address(), minimum).await?;
        let set = vault.setRegistry(*registry.address()).send().await?;
        set.get_receipt().await?;
        Ok(Self {
            registry: *registry.address(),
            epoch_manager: *manager.address(),
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
            ed25519: SigningKey::from_bytes(&secret.0),
        }
    }

    pub(crate) async fn register(&self, member: &Member) -> Result<(), Failed> {
        let registry = self.contract();
        let key = B256::from(member.ed25519_key());
        let proof = self.key_proof(member.operator, &member.signing, key)?;
        let message = registry
            .ed25519RegistrationMessage(member.operator, member.signing.address())
            .call()
            .await?;
        let ed25519_proof = Bytes::copy_from_slice(&member.ed25519.sign(&message).to_bytes());
        let call = registry.registerOperator(member.signing.address(), proof, key, ed25519_proof);
        call.from(member.operator)
            .send()
            .await?
            .get_receipt()
            .await?;
        Ok(())
    }

    fn key_proof(
        &self,
        operator: Address,
        signing: &PrivateKeySigner,
        key: B256,
    ) -> Result<Bytes, Failed> {
        let content = registration::OperatorRegistration {
            operator,
            signingKey: signing.address(),
            ed25519Key: key,
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
        let proof = self.key_proof(member.operator, &signing, member.ed25519_key().into())?;
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
        let config = EvmConfig::new(self.anvil.chain_id(), rpc, Finality::Confirmations(0));
        EvmHome::connect(config, self.registry, self.epoch_manager)
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
