//! `node epoch`: how epochs hand over, and what carries that to other chains.

mod anchor;
mod push;
mod seal;
mod show;

use std::path::PathBuf;
use std::time::Duration;

use alloy::providers::DynProvider;
use anyhow::Context as _;
use clap::{Args, Subcommand};
use libp2p::Multiaddr;
use quorate_node::client::{Client, ClientError, HandedOver};
use quorate_node::keys::{KeyKind, KeyStore};
use quorate_proto::wire::ErrorCode;
use quorate_proto::{Address, Domain, Epoch};

use crate::certificate::domain_of;
use crate::exit::NegativeAnswer;
use crate::options::{SecretUrl, expand_home};
use crate::password::{PasswordArgs, obtain};
use crate::transaction::wallet;

#[derive(Debug, Subcommand)]
pub(crate) enum EpochCommand {
    /// Show an epoch: its set, how that was learned and handed over, and what was certified in it
    Show(Box<show::EpochShowArgs>),
    /// Bring a light registry on another chain up to date
    Push(push::PushArgs),
    /// Begin anew at a light registry that has expired: for its guardian
    Anchor(anchor::AnchorArgs),
    /// Store the set of an epoch at the home registry, for certificates in the short form
    Seal(seal::SealArgs),
}

/// Whom to ask.
#[derive(Args, Debug)]
struct PeerArgs {
    /// Multiaddr of an operator or registry, such as /ip4/192.0.2.1/tcp/9000/p2p/<peer id>
    #[arg(long, value_name = "MULTIADDR", env = "QUORATE_TO")]
    to: Multiaddr,

    /// Network id (home chain id and registry), where the peer serves several
    #[arg(long, value_name = "ID", env = "QUORATE_NETWORK")]
    network: Option<String>,

    /// Seconds to wait for each answer
    #[arg(long, value_name = "SECONDS", default_value_t = 30)]
    timeout: u64,

    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Who pays, and through whom.
#[derive(Args, Debug)]
pub(crate) struct PayerArgs {
    /// JSON-RPC URL of the contract's chain
    #[arg(long, value_name = "URL")]
    rpc: SecretUrl,

    /// Name or path of the keystore (v3) of the account that pays; any account may
    #[arg(long, value_name = "KEY", env = "QUORATE_ACCOUNT_KEY")]
    key: String,

    /// Folder of the key files
    #[arg(
        long,
        value_name = "DIR",
        env = "QUORATE_KEY_DIR",
        default_value = "~/.quorate/keys"
    )]
    key_dir: PathBuf,

    #[command(flatten)]
    password: PasswordArgs,
}

pub(crate) async fn run(command: EpochCommand) -> anyhow::Result<()> {
    match command {
        EpochCommand::Show(args) => show::run(&args).await,
        EpochCommand::Push(args) => push::run(&args).await,
        EpochCommand::Anchor(args) => anchor::run(&args).await,
        EpochCommand::Seal(args) => seal::run(&args).await,
    }
}

impl PayerArgs {
    pub(crate) fn connect(&self) -> anyhow::Result<(DynProvider, Address)> {
        let store = KeyStore::open(expand_home(&self.key_dir)?);
        store.locate(KeyKind::Signing, &self.key)?;
        let file = self.password.password_file.as_deref();
        let password = obtain(file, "Password of the paying key", false)?;
        wallet(&self.rpc, &store.load_signing(&self.key, &password)?)
    }
}

/// A peer that tells of epochs.
struct EpochPeer {
    client: Client,
    domain: Domain,
    limit: Duration,
}

impl PeerArgs {
    async fn connect(&self) -> anyhow::Result<EpochPeer> {
        EpochPeer::connect(&self.to, self.network.as_deref(), self.timeout).await
    }
}

impl EpochPeer {
    async fn connect(to: &Multiaddr, network: Option<&str>, seconds: u64) -> anyhow::Result<Self> {
        let client = Client::connect(to, network)
            .await
            .context("no answer; correct --to, or ask another operator")?;
        let domain = domain_of(client.network())
            .with_context(|| format!("{:?} is no network id", client.network()))?;
        Ok(Self {
            client,
            domain,
            limit: Duration::from_secs(seconds),
        })
    }

    /// The epoch that the peer is in.
    async fn current(&self) -> anyhow::Result<Epoch> {
        let list = self.limited(self.client.operators()).await??;
        Ok(Epoch(list.epoch))
    }

    /// `None` where the set is not fixed yet.
    async fn find(&self, epoch: Epoch) -> anyhow::Result<Option<HandedOver>> {
        self.find_by(epoch, None).await
    }

    /// The newest set that is fixed.
    async fn newest(&self) -> anyhow::Result<HandedOver> {
        let current = self.current().await?;
        let found = match self.find(current.next()).await? {
            Some(found) => Some(found),
            None => self.find(current).await?,
        };
        found.with_context(|| format!("the set of epoch {current} is not known at this operator"))
    }

    /// As [`Self::find`], with the certificate by the set of one epoch.
    async fn find_by(&self, epoch: Epoch, by: Option<Epoch>) -> anyhow::Result<Option<HandedOver>> {
        match self.limited(self.client.epoch_update_by(epoch, by)).await? {
            Ok(found) => Ok(Some(found)),
            Err(ClientError::Failed(failure)) => match failure.code {
                ErrorCode::NotFinal => Ok(None),
                ErrorCode::UnknownEpoch => Err(NegativeAnswer(failure.message).into()),
                _ => Err(ClientError::Failed(failure).into()),
            },
            Err(error) => Err(error.into()),
        }
    }

    async fn limited<T>(&self, answer: impl Future<Output = T>) -> anyhow::Result<T> {
        tokio::time::timeout(self.limit, answer)
            .await
            .with_context(|| {
                let seconds = self.limit.as_secs();
                format!("no answer within {seconds} s; ask again, or another operator")
            })
    }
}
