//! A whole network on this machine: two chains, registries and operators as processes.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};
use libp2p::Multiaddr;
use quorate_node::client::{At, Client, StateQuestion};
use quorate_node::keys::{KeyKind, KeyStore, Password, Saving, Secret, Strength};
use quorate_proto::{Address, U256};

use crate::deployment::{HOME_CHAIN, SOURCE_CHAIN};
use crate::process::{NodeProcess, free_ports};
use crate::{Deployment, DeploymentOptions, OperatorKeys, wait};

/// Password of every key of a local network.
pub const PASSWORD: &str = "local network";

/// Confirmations after which the local chains count as final.
pub const CONFIRMATIONS: u64 = 2;

/// What a local network is to be.
#[derive(Clone, Debug)]
pub struct NetworkOptions {
    /// Chains and stakes.
    pub deployment: DeploymentOptions,
    /// Registries.
    pub registries: usize,
    /// `rocksdb` or `sled`.
    pub engine: String,
    /// What the nodes log.
    pub log: String,
    /// RPC URLs of the source chain for single operators, by number, where they differ.
    pub source_rpc: Vec<(usize, Vec<String>)>,
}

impl Default for NetworkOptions {
    fn default() -> Self {
        Self {
            deployment: DeploymentOptions::default(),
            registries: 1,
            engine: "rocksdb".into(),
            log: "info,libp2p=warn,libp2p_swarm=warn".into(),
            source_rpc: Vec::new(),
        }
    }
}

/// A running local network. Everything ends when it is dropped.
pub struct LocalNetwork {
    /// The chains and contracts.
    pub deployment: Deployment,
    /// Registry processes.
    pub registries: Vec<NodeProcess>,
    /// Operator processes, in the order of the stakes.
    pub operators: Vec<NodeProcess>,
    dir: PathBuf,
    _temporary: Option<tempfile::TempDir>,
}

impl LocalNetwork {
    /// Starts everything in a temporary folder and waits until all nodes are healthy and meshed.
    ///
    /// # Errors
    /// What did not start, with the end of its log.
    pub async fn start(options: NetworkOptions) -> Result<Self> {
        let temporary = tempfile::Builder::new().prefix("quorate-").tempdir()?;
        let dir = temporary.path().to_owned();
        let mut network = Self::prepare(options, &dir).await?;
        network._temporary = Some(temporary);
        network.start_nodes().await?;
        Ok(network)
    }

    /// Starts the chains and writes the nodes' folders below `dir`; no node runs yet.
    ///
    /// # Errors
    /// No anvil, a transaction that failed, a folder that cannot be written.
    pub async fn prepare(options: NetworkOptions, dir: &Path) -> Result<Self> {
        let deployment = Deployment::start(&options.deployment).await?;
        let mut network = Self {
            deployment,
            registries: Vec::new(),
            operators: Vec::new(),
            dir: dir.to_owned(),
            _temporary: None,
        };
        let mut bootstrap: Vec<Multiaddr> = Vec::new();
        for number in 0..options.registries {
            let node = network.prepare_node(&options, number, None, &bootstrap)?;
            bootstrap.push(node.address.clone());
            network.registries.push(node);
        }
        for number in 0..options.deployment.stakes.len() {
            let node = network.prepare_node(&options, number, Some(number), &bootstrap)?;
            network.operators.push(node);
        }
        Ok(network)
    }

    fn prepare_node(
        &self,
        options: &NetworkOptions,
        number: usize,
        operator: Option<usize>,
        bootstrap: &[Multiaddr],
    ) -> Result<NodeProcess> {
        let role = if operator.is_some() {
            "operator"
        } else {
            "registry"
        };
        let name = format!("{role}-{number}");
        let dir = self.dir.join(&name);
        // Registries have keys of their own numbers.
        let keys = OperatorKeys::of(operator.unwrap_or(1_000 + number));
        write_keys(&dir.join("keys"), &keys, operator.is_some())?;
        let [port, http] = free_ports()?;
        let peer =
            quorate_node::peer_id_of(&quorate_proto::PeerSecret::from_bytes(&keys.peer).public())
                .context("no peer id")?;
        let address: Multiaddr = format!("/ip4/127.0.0.1/tcp/{port}/p2p/{peer}").parse()?;
        let http = format!("127.0.0.1:{http}");
        let mut config = format!(
            "role = \"{role}\"\ndata_dir = {data:?}\nengine = \"{engine}\"\nhttp = \"{http}\"\nlog = \"{log}\"\n\
             key_dir = {keys:?}\nlisten = [\"/ip4/127.0.0.1/tcp/{port}\", \"/ip4/127.0.0.1/udp/{port}/quic-v1\"]\n\
             home_chain_id = {HOME_CHAIN}\nhome_rpc = [\"{home}\"]\nregistry = \"{registry}\"\n\
             epoch_manager = \"{epochs}\"\nhome_finality = {CONFIRMATIONS}\nhome_poll_ms = 200\n",
            data = dir.join("data"),
            engine = options.engine,
            log = options.log,
            keys = dir.join("keys"),
            home = self.deployment.home.endpoint(),
            registry = self.deployment.registry,
            epochs = self.deployment.epoch_manager,
        );
        if !bootstrap.is_empty() {
            let peers: Vec<String> = bootstrap
                .iter()
                .map(|peer| format!("{:?}", peer.to_string()))
                .collect();
            writeln!(config, "bootstrap = [{}]", peers.join(", "))?;
        }
        if let Some(number) = operator {
            let (account, _) = self
                .deployment
                .operators
                .get(number)
                .context("no such operator")?;
            writeln!(config, "operator = \"{account}\"")?;
            let own = options
                .source_rpc
                .iter()
                .find(|(n, _)| *n == number)
                .map(|(_, urls)| urls.clone());
            let urls = own.unwrap_or_else(|| vec![self.deployment.source.endpoint()]);
            write!(
                config,
                "\n[[chains]]\nchain_id = {SOURCE_CHAIN}\nrpc = {urls:?}\nstate_manager = \"{}\"\n\
                 finality = {CONFIRMATIONS}\npoll_ms = 200\n",
                self.deployment.state_manager
            )?;
        }
        std::fs::write(dir.join("config.toml"), config)?;
        Ok(NodeProcess::new(name, dir, address, http))
    }

    /// Starts all nodes and waits until they are healthy and see each other.
    ///
    /// # Errors
    /// The first node that did not start.
    pub async fn start_nodes(&mut self) -> Result<()> {
        for node in self.registries.iter_mut().chain(&mut self.operators) {
            node.start()?;
        }
        for node in self.registries.iter_mut().chain(&mut self.operators) {
            node.ready().await?;
        }
        self.meshed().await
    }

    /// Waits until every running node is connected to every other one.
    ///
    /// # Errors
    /// They are not within 20 s.
    pub async fn meshed(&self) -> Result<()> {
        let running = || {
            self.registries
                .iter()
                .chain(&self.operators)
                .filter(|n| n.pid().is_some())
        };
        let others = running().count().saturating_sub(1);
        wait::until("the mesh", Duration::from_secs(20), || async {
            for node in running() {
                let status = node.status().await.ok()?;
                if status.peers < others {
                    return None;
                }
            }
            Some(())
        })
        .await
    }

    /// Stores a value on the source chain and makes its block final; the number of that block.
    ///
    /// # Errors
    /// The chain is gone.
    pub async fn set_value(&self, key: u64, value: u64) -> Result<u64> {
        let values = [(U256::from(key), U256::from(value))];
        let chain = &self.deployment.source;
        let block = chain
            .set_values(self.deployment.state_manager, self.user(), &values)
            .await?;
        chain.mine(CONFIRMATIONS).await?;
        Ok(block)
    }

    /// The account that stores values.
    #[must_use]
    pub fn user(&self) -> Address {
        self.deployment.user()
    }

    /// The question for a value at a block.
    #[must_use]
    pub fn question(&self, key: u64, block: u64) -> StateQuestion {
        StateQuestion {
            chain_id: u32::try_from(SOURCE_CHAIN).unwrap_or_default(),
            user: self.user(),
            key: U256::from(key),
            at: At::Block(block),
        }
    }

    /// A user's connection to an operator.
    ///
    /// # Errors
    /// The operator is not reachable.
    pub async fn client(&self, operator: usize) -> Result<Client> {
        let node = self.operators.get(operator).context("no such operator")?;
        Ok(Client::connect(&node.address, None).await?)
    }

    /// Where the nodes' folders are.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }
}

fn write_keys(dir: &Path, keys: &OperatorKeys, operator: bool) -> Result<()> {
    let store = KeyStore::open(dir);
    let password = Password::new(PASSWORD)?;
    let saving = Saving {
        strength: Strength::Light,
        overwrite: true,
    };
    store.import(
        KeyKind::Peer,
        "default",
        &Secret::new(keys.peer),
        &password,
        saving,
    )?;
    if operator {
        let signing = Secret::new(keys.signing.to_bytes());
        store.import(KeyKind::Signing, "default", &signing, &password, saving)?;
        store.import(
            KeyKind::Ed25519,
            "default",
            &Secret::new(keys.ed25519),
            &password,
            saving,
        )?;
    }
    Ok(())
}
