//! Five operators with an in-memory chain: network, crypto and disk only.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::Result;
use futures::future::BoxFuture;
use quorate_chain::{
    At, BlockRef, ChainConfig, ChainEntry, ChainError, ChainFamily, Finality, HomeReader, ReadLog,
    Reading, Registration, StateReader, Withdrawal, configure,
};
use quorate_node::client::{Client, StateQuestion};
use quorate_node::keys::LocalSigner;
use quorate_node::settings::{HomeSettings, Limits, Policy, Reach, Retention, Role, Settings};
use quorate_node::{ChainReaders, LogClaim, Node, NodeParts, Submitters, TransferReaders};
use quorate_proto::{Address, B256, Epoch, Operator, OperatorSet, ReadBasis, U256};
use tokio_util::sync::CancellationToken;

use super::BenchOptions;
use super::figures::ms;
use super::load::throughput;
use crate::OperatorKeys;
use crate::deployment::{HOME_CHAIN, SOURCE_CHAIN};
use crate::process::cpu_of;

const OPERATORS: usize = 5;
const HEAD: BlockRef = BlockRef {
    number: 1_000_000_000,
    hash: B256::repeat_byte(1),
    timestamp: 1_700_000_000,
};

/// A chain on which every user has the value of the key at every block.
pub(super) struct SourceDouble;

impl StateReader for SourceDouble {
    fn chain_id(&self) -> u64 {
        SOURCE_CHAIN
    }

    fn final_head(&self) -> Option<BlockRef> {
        Some(HEAD)
    }

    fn agreed_ago(&self) -> Option<Duration> {
        Some(Duration::ZERO)
    }

    fn locate(&self, _at: At) -> BoxFuture<'_, Result<BlockRef, ChainError>> {
        Box::pin(std::future::ready(Ok(HEAD)))
    }

    fn read<'a>(
        &'a self,
        _user: Address,
        key: U256,
        block: u64,
        _log: &'a ReadLog,
    ) -> BoxFuture<'a, Result<Reading, ChainError>> {
        let block = BlockRef {
            number: block,
            ..HEAD
        };
        let reading = Reading {
            value: key,
            block,
            read_at: HEAD,
            // It has no providers: nothing is voted or proven here.
            basis: ReadBasis::Unspecified,
        };
        Box::pin(std::future::ready(Ok(reading)))
    }
}

/// A registry with five operators and an epoch that does not end.
pub(super) struct HomeDouble(pub(super) OperatorSet);

impl HomeReader for HomeDouble {
    fn chain_id(&self) -> u64 {
        HOME_CHAIN
    }

    fn registry(&self) -> Address {
        Address::repeat_byte(7)
    }

    fn final_head(&self) -> Option<BlockRef> {
        Some(BlockRef { number: 1, ..HEAD })
    }

    fn refresh(&self) -> BoxFuture<'_, Result<BlockRef, ChainError>> {
        Box::pin(std::future::ready(Ok(BlockRef { number: 1, ..HEAD })))
    }

    fn schedule(&self) -> BoxFuture<'_, Result<quorate_proto::EpochSchedule, ChainError>> {
        let schedule = quorate_proto::EpochSchedule {
            genesis: 0,
            length: 1_000_000,
            grace: 10,
        };
        Box::pin(std::future::ready(Ok(schedule)))
    }

    fn registrations(
        &self,
        _from: u64,
        _to: u64,
    ) -> BoxFuture<'_, Result<Vec<Registration>, ChainError>> {
        Box::pin(std::future::ready(Ok(Vec::new())))
    }

    fn operator_set(
        &self,
        _epoch: Epoch,
        _at: B256,
    ) -> BoxFuture<'_, Result<OperatorSet, ChainError>> {
        Box::pin(std::future::ready(Ok(self.0.clone())))
    }

    fn members<'a>(
        &'a self,
        _epoch: Epoch,
        _operators: &'a [Address],
        _at: B256,
    ) -> BoxFuture<'a, Result<OperatorSet, ChainError>> {
        Box::pin(std::future::ready(Ok(self.0.clone())))
    }

    fn is_within_reach(&self, _: Epoch, _: B256) -> BoxFuture<'_, Result<bool, ChainError>> {
        Box::pin(std::future::ready(Ok(true)))
    }

    fn chain_entry(&self, _: u32) -> BoxFuture<'_, Result<Option<ChainEntry>, ChainError>> {
        Box::pin(std::future::ready(Ok(None)))
    }

    fn operator(
        &self,
        _epoch: Epoch,
        operator: Address,
        _at: B256,
    ) -> BoxFuture<'_, Result<Operator, ChainError>> {
        let nobody = Operator {
            address: operator,
            signing_key: Address::ZERO,
            weight: U256::ZERO,
        };
        let found = self.0.get(operator).copied().unwrap_or(nobody);
        Box::pin(std::future::ready(Ok(found)))
    }

    fn minimum_weight(&self) -> BoxFuture<'_, Result<U256, ChainError>> {
        Box::pin(std::future::ready(Ok(U256::from(1))))
    }

    fn withdrawal(&self) -> BoxFuture<'_, Result<Withdrawal, ChainError>> {
        let withdrawal = Withdrawal {
            blocks: 2_000_020,
            seconds: 2_000_020,
            certificate_lifetime: 1_000_010,
        };
        Box::pin(std::future::ready(Ok(withdrawal)))
    }

    fn block_time(&self, _number: u64) -> BoxFuture<'_, Result<u64, ChainError>> {
        Box::pin(std::future::ready(Ok(HEAD.timestamp)))
    }
}

pub(super) fn operator_set() -> Result<OperatorSet> {
    let weights = [40_u64, 30, 20, 15, 10];
    let member = |number: usize| Operator {
        address: account(number),
        signing_key: OperatorKeys::of(number).signing.address(),
        weight: U256::from(weights[number]),
    };
    let total = U256::from(weights.iter().sum::<u64>());
    let members = (0..OPERATORS).map(member).collect();
    Ok(OperatorSet::new(Epoch(0), members, total, HEAD.timestamp)?)
}

pub(super) fn account(number: usize) -> Address {
    Address::repeat_byte(u8::try_from(number + 1).unwrap_or_default())
}

pub(super) async fn run(options: &BenchOptions) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let stop = CancellationToken::new();
    let mut nodes = tokio::task::JoinSet::new();
    let mut addresses = Vec::new();
    for number in 0..OPERATORS {
        let settings = settings(number, folder.path(), &addresses)?;
        let keys = OperatorKeys::of(number);
        let parts = NodeParts {
            settings,
            peer_secret: keys.peer,
            signer: Some(Arc::new(LocalSigner::new(keys.signing.clone()))),
            svm_secret: None,
            claim: LogClaim {
                accept_risk: true,
                ..LogClaim::default()
            },
            metrics: None,
        };
        let ledgers = ChainReaders {
            home: Arc::new(HomeDouble(operator_set()?)),
            sources: vec![Arc::new(SourceDouble)],
            transfers: TransferReaders::new(),
            submitters: Submitters::new(),
            followers: Vec::new(),
            home_poll: Duration::from_secs(1),
        };
        let node = Node::start_with(parts, ledgers).await?;
        node.ready().await;
        addresses.extend(node.listen_addresses());
        nodes.spawn(node.run(stop.clone()));
    }
    let mut clients = Vec::new();
    for address in &addresses {
        clients.push(Client::connect(address, None).await?);
    }
    warm_up(&clients).await?;
    let title = "Throughput, five operators in one process, chain double";
    let before = cpu_of(std::process::id())?;
    let certified = throughput(title, options, &clients, question).await?;
    let spent = cpu_of(std::process::id())?.saturating_sub(before);
    let each = spent / u32::try_from(certified.max(1))?;
    println!(
        "Processor time of a certificate, at all nodes together: {}\n",
        ms(each)
    );
    stop.cancel();
    while let Some(node) = nodes.join_next().await {
        node??;
    }
    Ok(())
}

pub(super) fn settings(
    number: usize,
    folder: &std::path::Path,
    bootstrap: &[libp2p::Multiaddr],
) -> Result<Settings> {
    let url = "http://127.0.0.1:1".parse()?;
    let family =
        configure(ChainFamily::Evm, &|_| None).map_err(|_| anyhow::anyhow!("no family"))?;
    let data_dir = folder.join(number.to_string());
    std::fs::create_dir_all(&data_dir)?;
    Ok(Settings {
        role: Role::Operator,
        data_dir,
        engine: "rocksdb"
            .parse()
            .map_err(|_| anyhow::anyhow!("no such engine"))?,
        listen: vec!["/ip4/127.0.0.1/tcp/0".parse()?],
        external: Vec::new(),
        bootstrap: bootstrap.to_vec(),
        reach: Reach::default(),
        policy: Policy::default(),
        http: None,
        http_hosts: Vec::new(),
        operator: Some(account(number)),
        home: HomeSettings {
            chain: ChainConfig::new(HOME_CHAIN, vec![url], Finality::Confirmations(0), family),
            registry: Address::repeat_byte(7),
            epoch_manager: Address::repeat_byte(8),
        },
        chains: Vec::new(),
        drain: Duration::from_secs(1),
        sections: Default::default(),
        retention: Retention::ALL,
        limits: Limits::default(),
    })
}

static NEXT: AtomicU64 = AtomicU64::new(1);

fn question() -> StateQuestion {
    StateQuestion {
        chain_id: u32::try_from(SOURCE_CHAIN).unwrap_or_default(),
        user: Address::repeat_byte(9),
        key: U256::from(5),
        at: At::Block(NEXT.fetch_add(1, Ordering::Relaxed)),
    }
}

/// The mesh stands when each operator certifies.
async fn warm_up(clients: &[Client]) -> Result<()> {
    for client in clients {
        crate::wait::until("the first certificate", Duration::from_secs(60), || async {
            client.request_state(&question(), |_| {}).await.ok()
        })
        .await?;
    }
    Ok(())
}
