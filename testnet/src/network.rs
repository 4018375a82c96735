//! A whole network on this machine: two chains, registries and operators as processes.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};
use libp2p::Multiaddr;
use quorate_node::client::{At, Client, StateQuestion};
use quorate_proto::{Address, U256};

use crate::deployment::SOURCE_CHAIN;
use crate::folder::NodeFolder;
pub use crate::folder::{CONFIRMATIONS, PASSWORD};
use crate::process::{NodeProcess, free_ports};
use crate::{Deployment, DeploymentOptions, wait};

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

/// Where a node will be, before its folder is written.
struct Place {
    port: u16,
    http: u16,
    address: Multiaddr,
}

impl Place {
    /// Of the node with the keys of this number.
    fn of(number: usize) -> Result<Self> {
        let [port, http] = free_ports()?;
        let peer = crate::folder::peer_id_of(number)?;
        let address = format!("/ip4/127.0.0.1/tcp/{port}/p2p/{peer}").parse()?;
        Ok(Self {
            port,
            http,
            address,
        })
    }

    fn of_registry(number: usize) -> Result<Self> {
        Self::of(crate::folder::REGISTRY_KEYS + number)
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
        // All registries are known to all nodes, to each other too.
        let places = (0..options.registries).map(Place::of_registry);
        let places = places.collect::<Result<Vec<_>>>()?;
        let bootstrap: Vec<Multiaddr> = places.iter().map(|p| p.address.clone()).collect();
        for (number, place) in places.into_iter().enumerate() {
            let mut others = bootstrap.clone();
            others.remove(number);
            let node = network.prepare_node(&options, number, None, &others, place)?;
            network.registries.push(node);
        }
        for number in 0..options.deployment.stakes.len() {
            let place = Place::of(number)?;
            let node = network.prepare_node(&options, number, Some(number), &bootstrap, place)?;
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
        place: Place,
    ) -> Result<NodeProcess> {
        let Place {
            port,
            http,
            address,
        } = place;
        let own = |(n, _): &&(usize, Vec<String>)| Some(*n) == operator;
        let own = options.source_rpc.iter().find(own);
        let source = own.map_or_else(
            || vec![self.deployment.source.endpoint()],
            |(_, urls)| urls.clone(),
        );
        let folder = NodeFolder {
            number,
            operator,
            engine: &options.engine,
            log: &options.log,
            http: format!("127.0.0.1:{http}"),
            listen: vec![
                format!("/ip4/127.0.0.1/tcp/{port}"),
                format!("/ip4/127.0.0.1/udp/{port}/quic-v1"),
            ],
            bootstrap,
            source,
        };
        let dir = folder.write(&self.dir, &self.deployment)?;
        Ok(NodeProcess::new(folder.name(), dir, address, folder.http))
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
