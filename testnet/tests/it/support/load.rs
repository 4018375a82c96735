//! Requests under way in the background.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, Result};
use quorate_node::client::{Answer, At, Client, ClientError, StateQuestion};
use quorate_proto::U256;
use quorate_testnet::network::CONFIRMATIONS;
use quorate_testnet::{LocalNetwork, wait};
use tokio::task::JoinSet;

use super::SOON;

/// What is asked about; every question is about another key or block.
const KEYS: u64 = 100;
const BLOCKS: u64 = 200;
const FIRST_KEY: u64 = 1_000;

/// Keeps a number of requests under way until it is finished.
pub(crate) struct Load {
    shared: Arc<LoadState>,
    workers: JoinSet<()>,
}

struct LoadState {
    over: AtomicBool,
    first: u64,
    next: AtomicU64,
    result: Mutex<LoadResult>,
}

/// What came of it.
#[derive(Clone, Debug, Default)]
pub(crate) struct LoadResult {
    /// Every certificate that a client was delivered.
    pub(crate) answers: Vec<Delivered>,
    /// Every other end, and at which operator.
    pub(crate) failures: Vec<(usize, ClientError)>,
}

/// A certificate and the operator that gave it.
#[derive(Clone, Debug)]
pub(crate) struct Delivered {
    pub(crate) by: usize,
    pub(crate) answer: Answer,
}

impl Load {
    /// Spreads `in_flight` requests over the operators `entries`. Who loses its operator stops.
    pub(crate) async fn start(
        network: &LocalNetwork,
        entries: &[usize],
        in_flight: usize,
    ) -> Result<Self> {
        let keys = FIRST_KEY..FIRST_KEY + KEYS;
        let values: Vec<_> = keys.map(|key| (U256::from(key), U256::from(77))).collect();
        let (source, contract) = (&network.deployment.source, network.deployment.state_manager);
        let first = source.set_values(contract, network.user(), &values).await?;
        source.mine(BLOCKS + CONFIRMATIONS).await?;
        let shared = Arc::new(LoadState {
            over: AtomicBool::new(false),
            first,
            next: AtomicU64::new(0),
            result: Mutex::default(),
        });
        let mut clients = Vec::new();
        for entry in entries {
            clients.push((*entry, network.client(*entry).await?));
        }
        let mut workers = JoinSet::new();
        for number in 0..in_flight {
            let (entry, client) = clients
                .get(number % clients.len())
                .context("no entry")?
                .clone();
            let question = network.question(FIRST_KEY, first);
            workers.spawn(ask_on(shared.clone(), entry, client, question));
        }
        Ok(Self { shared, workers })
    }

    /// How many certificates were delivered out.
    pub(crate) fn count(&self) -> usize {
        self.shared.result().answers.len()
    }

    /// Waits until so many more are delivered out.
    pub(crate) async fn goes_on(&self, more: usize) -> Result<()> {
        let wanted = self.count() + more;
        let done = || std::future::ready((self.count() >= wanted).then_some(()));
        wait::until(&format!("{more} more certificates"), SOON, done).await
    }

    /// Asks nothing new and waits for what is under way.
    pub(crate) async fn finish(mut self) -> LoadResult {
        self.shared.over.store(true, Ordering::SeqCst);
        while self.workers.join_next().await.is_some() {}
        self.shared.result().clone()
    }
}

impl LoadState {
    fn result(&self) -> std::sync::MutexGuard<'_, LoadResult> {
        self.result.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn ask_on(shared: Arc<LoadState>, by: usize, client: Client, mut question: StateQuestion) {
    while !shared.over.load(Ordering::SeqCst) {
        let number = shared.next.fetch_add(1, Ordering::SeqCst);
        question.key = U256::from(FIRST_KEY + number % KEYS);
        question.at = At::Block(shared.first + number / KEYS % BLOCKS);
        match client.request_state(&question, |_| {}).await {
            Ok(answer) => shared.result().answers.push(Delivered { by, answer }),
            Err(error) => {
                let lost = matches!(error, ClientError::Lost(_));
                shared.result().failures.push((by, error));
                if lost {
                    return;
                }
            }
        }
    }
}
