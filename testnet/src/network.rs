//! A whole network on this machine: two chains, registries and operators as processes.

use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use alloy::providers::Provider as _;
use anyhow::{Context, Result};
use libp2p::Multiaddr;
use quorate_node::client::{At, Client, StateQuestion};
use quorate_proto::{Address, U256};

use crate::deployment::SOURCE_CHAIN;
use crate::folder::NodeFolder;
pub use crate::folder::{CONFIRMATIONS, PASSWORD, relayer_account};
use crate::process::{NodeProcess, free_ports};
use crate::{Deployment, DeploymentOptions, wait};

/// What a local network is to be.
#[derive(Clone, Debug)]
pub struct NetworkOptions {
    /// Chains and stakes.
    pub deployment: DeploymentOptions,
    /// Registries.
    pub registries: usize,
    /// Relayers; each has 100 coins on both chains.
    pub relayers: usize,
    /// `rocksdb` or `sled`.
    pub engine: String,
    /// What the nodes log.
    pub log: String,
    /// RPC URLs of the source chain for single operators, by number, where they differ.
    pub source_rpc: Vec<(usize, Vec<String>)>,
    /// How many providers of the source chain the other operators have; all of them are the chain.
    pub source_providers: usize,
    /// How operators read the source chain, where that is not left to them: "auto", "proof", "vote".
    pub reads: Option<String>,
    /// Where single nodes live, registries first, then operators; this machine where there is none.
    pub seats: Vec<NodeHost>,
    /// Operators that do not run, by number.
    pub absent: Vec<usize>,
    /// Further arguments of all nodes.
    pub arguments: Vec<String>,
}

/// Where a node lives, and whom it asks.
#[derive(Clone, Debug)]
pub struct NodeHost {
    /// Where other nodes reach it.
    pub mesh: IpAddr,
    /// Where users and this program reach it.
    pub control: IpAddr,
    /// The Linux network namespace that it runs in.
    pub namespace: Option<String>,
    /// RPC URLs of the home chain; the chain itself where there are none.
    pub home_rpc: Vec<String>,
    /// RPC URLs of the source chain; the chain itself where there are none.
    pub source_rpc: Vec<String>,
}

impl Default for NodeHost {
    fn default() -> Self {
        Self {
            mesh: Ipv4Addr::LOCALHOST.into(),
            control: Ipv4Addr::LOCALHOST.into(),
            namespace: None,
            home_rpc: Vec::new(),
            source_rpc: Vec::new(),
        }
    }
}

impl Default for NetworkOptions {
    fn default() -> Self {
        Self {
            deployment: DeploymentOptions::default(),
            registries: 1,
            relayers: 0,
            engine: "rocksdb".into(),
            log: "info,libp2p=warn,libp2p_swarm=warn".into(),
            source_rpc: Vec::new(),
            source_providers: 1,
            reads: None,
            seats: Vec::new(),
            absent: Vec::new(),
            arguments: Vec::new(),
        }
    }
}

/// So many providers that are the same chain: a URL may be named once only.
fn providers_of(chain: &str, count: usize) -> Vec<String> {
    match count {
        1 => vec![chain.to_owned()],
        _ => (1..=count)
            .map(|number| format!("{chain}/?provider={number}#by=runner-{number}"))
            .collect(),
    }
}

/// What a node of a local network does.
#[derive(Clone, Copy, PartialEq, Eq)]
enum NodeRole {
    Registry,
    Operator,
    Relayer,
}

/// Where a node will be, before its folder is written.
struct NodeAddresses {
    seat: NodeHost,
    http: String,
    listen: Vec<String>,
    /// For other nodes.
    mesh: Multiaddr,
    /// For users.
    control: Multiaddr,
}

impl NodeAddresses {
    /// Of the node with the keys of this number.
    fn of(number: usize, seat: Option<&NodeHost>) -> Result<Self> {
        let seat = seat.cloned().unwrap_or_default();
        let [port, http] = free_ports()?;
        let peer = crate::folder::peer_id_of(number)?;
        let at = |ip: IpAddr| format!("/ip4/{ip}/tcp/{port}/p2p/{peer}").parse();
        let mut ips = vec![seat.mesh, seat.control];
        ips.dedup();
        let listen = ips.iter().flat_map(|ip| {
            [
                format!("/ip4/{ip}/tcp/{port}"),
                format!("/ip4/{ip}/udp/{port}/quic-v1"),
            ]
        });
        Ok(Self {
            http: format!("{}:{http}", seat.control),
            listen: listen.collect(),
            mesh: at(seat.mesh)?,
            control: at(seat.control)?,
            seat,
        })
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
    /// Relayer processes.
    pub relayers: Vec<NodeProcess>,
    dir: PathBuf,
    absent: Vec<usize>,
    arguments: Vec<String>,
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
            relayers: Vec::new(),
            dir: dir.to_owned(),
            absent: options.absent.clone(),
            arguments: options.arguments.clone(),
            _temporary: None,
        };
        // All registries are known to all nodes, to each other too.
        let places = (0..options.registries).map(|number| {
            let seat = options.seats.get(number);
            NodeAddresses::of(crate::folder::REGISTRY_KEYS + number, seat)
        });
        let places = places.collect::<Result<Vec<_>>>()?;
        let bootstrap: Vec<Multiaddr> = places.iter().map(|place| place.mesh.clone()).collect();
        for (number, place) in places.into_iter().enumerate() {
            let mut others = bootstrap.clone();
            others.remove(number);
            let role = NodeRole::Registry;
            let node = network.prepare_node(&options, number, role, &others, place)?;
            network.registries.push(node);
        }
        for number in 0..options.deployment.stakes.len() {
            let seat = options.seats.get(options.registries + number);
            let place = NodeAddresses::of(number, seat)?;
            let role = NodeRole::Operator;
            let node = network.prepare_node(&options, number, role, &bootstrap, place)?;
            network.operators.push(node);
        }
        for number in 0..options.relayers {
            network.fund(relayer_account(number)).await?;
            let place = NodeAddresses::of(crate::keys::RELAYER_KEYS + number, None)?;
            let role = NodeRole::Relayer;
            let node = network.prepare_node(&options, number, role, &bootstrap, place)?;
            network.relayers.push(node);
        }
        Ok(network)
    }

    /// Gives an account 100 coins on both chains.
    async fn fund(&self, account: Address) -> Result<()> {
        for chain in [&self.deployment.home, &self.deployment.source] {
            let balance = crate::deployment::ether(100);
            let set = chain
                .provider()
                .raw_request::<_, ()>("anvil_setBalance".into(), (account, balance));
            set.await?;
        }
        Ok(())
    }

    fn prepare_node(
        &self,
        options: &NetworkOptions,
        number: usize,
        role: NodeRole,
        bootstrap: &[Multiaddr],
        place: NodeAddresses,
    ) -> Result<NodeProcess> {
        let deployment = &self.deployment;
        let operator = (role == NodeRole::Operator).then_some(number);
        let own = |(n, _): &&(usize, Vec<String>)| Some(*n) == operator;
        let own = options.source_rpc.iter().find(own);
        let source = own.map_or(&place.seat.source_rpc, |(_, urls)| urls);
        let or_chain = |urls: &[String], chain: String| match urls {
            [] => vec![chain],
            urls => urls.to_vec(),
        };
        let chain = deployment.source.endpoint();
        let source = match source.as_slice() {
            [] => providers_of(&chain, options.source_providers),
            urls => urls.to_vec(),
        };
        let folder = NodeFolder {
            number,
            operator,
            relayer: role == NodeRole::Relayer,
            relayers: options.relayers,
            engine: &options.engine,
            log: &options.log,
            http: place.http,
            listen: place.listen,
            bootstrap,
            home: or_chain(&place.seat.home_rpc, deployment.home.endpoint()),
            source,
            reads: options.reads.as_deref(),
        };
        let dir = folder.write(&self.dir, deployment)?;
        let node = NodeProcess::new(folder.name(), dir, place.control, folder.http);
        Ok(node.within(place.seat.namespace))
    }

    /// Starts all nodes and waits until they are healthy and see each other.
    ///
    /// # Errors
    /// The first node that did not start.
    pub async fn start_nodes(&mut self) -> Result<()> {
        let absent = self.absent.clone();
        let operators = self.operators.iter_mut().enumerate();
        let operators = operators.filter(|(number, _)| !absent.contains(number));
        let operators = operators.map(|(_, node)| node);
        let relayers = self.relayers.iter_mut();
        let mut nodes: Vec<_> = self
            .registries
            .iter_mut()
            .chain(operators)
            .chain(relayers)
            .collect();
        let arguments: Vec<&str> = self.arguments.iter().map(String::as_str).collect();
        for node in &mut nodes {
            node.start_with(&arguments)?;
        }
        for node in nodes {
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
                .chain(&self.relayers)
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
