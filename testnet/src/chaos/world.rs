//! The network that is disturbed: nodes, their providers, the links between them.

use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use quorate_proto::U256;
use tokio::task::JoinHandle;

use super::ChaosOptions;
use super::plan::{Chain, Fault, PROVIDERS};
use crate::miner::Miner;
use crate::namespaces::{Namespaces, Side};
use crate::{
    DeploymentOptions, FaultyProvider, LocalNetwork, NetworkOptions, NodeHost, ProviderBehaviour,
};

/// One block of the home chain; an epoch of 120 takes 30 s.
const BLOCK_TIME: Duration = Duration::from_millis(250);
const EPOCH: u64 = 120;
const GRACE: u64 = 24;
/// How long a node may take until it answers after its start, on a machine that is busy with all others.
const RESTART: Duration = Duration::from_secs(60);

/// Everything.
pub(super) struct ChaosNetwork {
    pub(super) network: LocalNetwork,
    /// Of each node, the registry first: of the home chain, of the source chain.
    providers: Vec<[Vec<FaultyProvider>; 2]>,
    namespaces: Option<Namespaces>,
    partitions: String,
    restarts: Vec<JoinHandle<Option<Duration>>>,
    slowest_restart: Duration,
    _miner: Miner,
    _writer: Writer,
}

/// The audit wants all tasks; epochs are short here, and nodes would forget those of the first ones.
fn keep_all(network: &LocalNetwork) -> Result<()> {
    for node in network.registries.iter().chain(&network.operators) {
        let config = node.dir.join("config.toml");
        let settings = std::fs::read_to_string(&config)?;
        std::fs::write(&config, format!("retain_epochs = \"all\"\n{settings}"))?;
    }
    Ok(())
}

impl ChaosNetwork {
    pub(super) async fn start(options: &ChaosOptions, dir: &Path) -> Result<Self> {
        let operators = usize::try_from(options.operators)?;
        let (namespaces, partitions) = hosts(&options.partitions, operators + 1)?;
        let mut providers = Vec::new();
        let mut seats = Vec::new();
        for number in 0..=operators {
            let host = namespaces.as_ref().and_then(|n| n.hosts().get(number));
            let here = host.map_or(IpAddr::from(Ipv4Addr::LOCALHOST), |host| host.gateway);
            let own = [listen(here).await?, listen(here).await?];
            let [home_rpc, source_rpc] = own
                .each_ref()
                .map(|all| all.iter().map(FaultyProvider::url).collect());
            let seat = NodeHost {
                home_rpc,
                source_rpc,
                ..NodeHost::default()
            };
            seats.push(match host {
                Some(host) => NodeHost {
                    mesh: host.mesh,
                    control: host.control,
                    namespace: Some(host.name.clone()),
                    ..seat
                },
                None => seat,
            });
            providers.push(own);
        }
        let options = NetworkOptions {
            deployment: DeploymentOptions {
                // No operator alone can stop the network, nor any two of the lighter ones.
                stakes: (0..options.operators).map(|number| 30 - number).collect(),
                epoch_length: EPOCH,
                grace: GRACE,
                ..DeploymentOptions::default()
            },
            seats,
            ..NetworkOptions::default()
        };
        let mut network = LocalNetwork::prepare(options, dir).await?;
        for [home, source] in &providers {
            home.iter()
                .for_each(|p| p.forward_to(network.deployment.home.endpoint()));
            source
                .iter()
                .for_each(|p| p.forward_to(network.deployment.source.endpoint()));
        }
        keep_all(&network)?;
        network.start_nodes().await?;
        Ok(Self {
            _miner: Miner::start(&network.deployment.home, BLOCK_TIME),
            _writer: Writer::start(&network).await?,
            network,
            providers,
            namespaces,
            partitions,
            restarts: Vec::new(),
            slowest_restart: Duration::ZERO,
        })
    }

    /// Whether nodes can be cut off, and why not.
    pub(super) fn partitions(&self) -> &str {
        &self.partitions
    }

    pub(super) const fn can_partition(&self) -> bool {
        self.namespaces.is_some()
    }

    pub(super) const fn slowest_restart(&self) -> Duration {
        self.slowest_restart
    }

    pub(super) async fn apply(&mut self, fault: &Fault) -> Result<()> {
        match fault {
            Fault::Kill(n) => self.network.operators[*n].kill(),
            Fault::Stop(n) => {
                // A graceful end may take its drain time; what matters is that it is one.
                let status = self.network.operators[*n].stop().await?;
                anyhow::ensure!(
                    status.success(),
                    "operator {n} ended with {status} on SIGTERM"
                );
                Ok(())
            }
            Fault::Pause(n) => self.network.operators[*n].pause(),
            Fault::KillRegistry => self.network.registries[0].kill(),
            Fault::Providers(n, chain, count, manner) => {
                self.behave(*n, *chain, *count, *manner);
                Ok(())
            }
            Fault::CutOff(n) => self.put(&[*n], Side::Nowhere),
            Fault::Split(group) => self.put(group, Side::Other),
        }
    }

    pub(super) async fn mend(&mut self, fault: &Fault) -> Result<()> {
        match fault {
            Fault::Kill(n) | Fault::Stop(n) => {
                self.network.operators[*n].start()?;
                self.watch(self.network.operators[*n].http.clone());
                Ok(())
            }
            Fault::Pause(n) => self.network.operators[*n].resume(),
            Fault::KillRegistry => {
                self.network.registries[0].start()?;
                self.watch(self.network.registries[0].http.clone());
                Ok(())
            }
            Fault::Providers(n, chain, ..) => {
                self.behave(*n, *chain, PROVIDERS, ProviderBehaviour::Honest);
                Ok(())
            }
            Fault::CutOff(n) => self.put(&[*n], Side::Main),
            Fault::Split(group) => self.put(group, Side::Main),
        }
    }

    fn behave(&self, operator: usize, chain: Chain, count: usize, manner: ProviderBehaviour) {
        let [home, source] = &self.providers[operator + 1];
        let providers = match chain {
            Chain::Home => home,
            Chain::Source => source,
        };
        providers
            .iter()
            .take(count)
            .for_each(|provider| provider.behave(manner));
    }

    fn put(&self, operators: &[usize], side: Side) -> Result<()> {
        let namespaces = self.namespaces.as_ref().context("no namespaces")?;
        operators
            .iter()
            .try_for_each(|operator| namespaces.put(operator + 1, side))
    }

    /// How long the node takes until it answers.
    fn watch(&mut self, http: String) {
        let began = Instant::now();
        self.restarts.push(tokio::spawn(async move {
            while began.elapsed() < RESTART {
                if crate::http::get(&http, "/status").await.is_ok() {
                    return Some(began.elapsed());
                }
                crate::wait::tick().await;
            }
            None
        }));
    }

    /// No node may end that was not made to.
    pub(super) async fn look(&mut self) -> Result<()> {
        let nodes = self
            .network
            .registries
            .iter_mut()
            .chain(&mut self.network.operators);
        for node in nodes.filter(|node| node.pid().is_some()) {
            if let Some(status) = node.exited()? {
                bail!(
                    "{} ended by itself with {status}:\n{}",
                    node.name,
                    node.log_tail()
                );
            }
        }
        Ok(())
    }

    /// Waits until all nodes are healthy and see each other again.
    pub(super) async fn mend_all(&mut self) -> Result<()> {
        for restart in std::mem::take(&mut self.restarts) {
            // Who was killed again meanwhile is measured by its last restart.
            if let Some(took) = restart.await? {
                self.slowest_restart = self.slowest_restart.max(took);
            }
        }
        for node in self
            .network
            .registries
            .iter_mut()
            .chain(&mut self.network.operators)
        {
            node.ready().await?;
        }
        crate::wait::until("the mesh after the chaos", RESTART, || async {
            self.network.meshed().await.ok()
        })
        .await
    }

    pub(super) async fn stop(&mut self) -> Result<()> {
        for node in self
            .network
            .registries
            .iter_mut()
            .chain(&mut self.network.operators)
        {
            let status = node.stop().await?;
            anyhow::ensure!(status.success(), "{} ended with {status}", node.name);
        }
        Ok(())
    }
}

fn hosts(wanted: &str, count: usize) -> Result<(Option<Namespaces>, String)> {
    if wanted == "no" {
        return Ok((None, "none, as asked".into()));
    }
    match Namespaces::create(count) {
        Ok(namespaces) => Ok((Some(namespaces), "by network namespaces".into())),
        Err(error) if wanted == "yes" => Err(error.context("no network namespaces")),
        Err(error) => Ok((
            None,
            format!("none, this machine does not allow them ({error:#})"),
        )),
    }
}

async fn listen(ip: IpAddr) -> Result<Vec<FaultyProvider>> {
    let mut all = Vec::new();
    for _ in 0..PROVIDERS {
        all.push(FaultyProvider::listen_at(ip, ProviderBehaviour::Honest).await?);
    }
    Ok(all)
}

/// Stores new values all the time, so that the chain moves on and histories grow.
struct Writer(JoinHandle<()>);

impl Writer {
    async fn start(network: &LocalNetwork) -> Result<Self> {
        use quorate_chain::anvil::AnvilChain;
        const PERIOD: Duration = Duration::from_secs(1);
        let chain = AnvilChain::attach(&network.deployment.source.endpoint()).await?;
        let (contract, user) = (network.deployment.state_manager, network.user());
        Ok(Self(tokio::spawn(async move {
            let mut ticks = tokio::time::interval(PERIOD);
            for number in 0_u64.. {
                ticks.tick().await;
                let value = [(
                    U256::from(number % super::KEYS),
                    U256::from(10_000 + number),
                )];
                let _ = chain.set_values(contract, user, &value).await;
            }
        })))
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.0.abort();
    }
}
