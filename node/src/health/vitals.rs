//! The task `vitals`: how the machine fares, and how this node's clock stands against its peers'.

mod hearing;
mod skew;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, Instant};

use futures::StreamExt as _;
use libp2p::PeerId;
use quorate_proto::wire;
use tokio::time::{MissedTickBehavior, interval, timeout};
use tokio_util::sync::CancellationToken;

use crate::gossip::Bindings;
use crate::health::host::{self, Sample};
use crate::home::HomeHandle;
use crate::network::rpc::Caller;
use crate::network::{NetworkHandle, peer_id_of};
use crate::{NodeError, clock};

use hearing::Hearing;
pub(crate) use skew::Skew;
use skew::{ClockReading, median};

/// How often the machine is looked at.
const PERIOD: Duration = Duration::from_secs(5);
/// Rounds between two comparisons of clocks: one a minute. The first is in the first round in which
/// a peer is connected.
const CLOCK_ROUNDS: u32 = 12;
/// Peers that are asked for their time: with 9 the median is right while 4 of them are wrong.
const CLOCK_PEERS: usize = 9;
/// An answer that takes longer says nothing exact.
const PATIENCE: Duration = Duration::from_secs(3);

/// What the task has found; shared with the parts of the node that show it.
#[derive(Clone, Default)]
pub(crate) struct Vitals(Arc<VitalsShared>);

#[derive(Default)]
struct VitalsShared {
    sample: RwLock<Sample>,
    skew: RwLock<Option<Skew>>,
    /// Unix milliseconds; zero for never.
    signed: AtomicU64,
    hearing: Mutex<Hearing>,
}

impl Vitals {
    /// How the machine fares.
    pub(crate) fn sample(&self) -> Sample {
        let sample = self.0.sample.read().unwrap_or_else(PoisonError::into_inner);
        sample.clone()
    }

    /// How far this clock is from the peers', once that is known.
    pub(crate) fn skew(&self) -> Option<Skew> {
        *self.0.skew.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Something was signed now.
    pub(crate) fn signed(&self) {
        self.0
            .signed
            .store(clock::now().millis(), Ordering::Relaxed);
    }

    /// When this process last signed something, Unix milliseconds.
    pub(crate) fn last_signature(&self) -> Option<u64> {
        Some(self.0.signed.load(Ordering::Relaxed)).filter(|ms| *ms > 0)
    }

    /// This node speaks for an operator, by a binding with this sequence.
    pub(crate) fn speaks(&self, sequence: u64) {
        self.hearing().speaks(sequence);
    }

    /// A peer knows the operator by a binding with this sequence; zero where it knows none.
    pub(crate) fn heard(&self, peer: PeerId, sequence: u64) {
        self.hearing().note(clock::now().millis(), peer, sequence);
    }

    /// Why others do not hear this operator, and what to do.
    pub(crate) fn unheard(&self) -> Option<String> {
        let signed = self.last_signature();
        self.hearing().problem(clock::now().millis(), signed)
    }

    fn hearing(&self) -> std::sync::MutexGuard<'_, Hearing> {
        self.0
            .hearing
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn note_sample(&self, sample: Sample) {
        let problem = sample.few_files();
        if problem.is_some() && self.sample().few_files().is_none() {
            tracing::warn!("{}", problem.unwrap_or_default());
        }
        *self
            .0
            .sample
            .write()
            .unwrap_or_else(PoisonError::into_inner) = sample;
    }

    fn note_skew(&self, skew: Skew) {
        let before = self.skew().is_some_and(|skew| skew.is_large());
        if skew.is_large() && !before {
            tracing::warn!(
                offset_ms = skew.offset_ms,
                peers = skew.peers,
                "this clock differs from those of the peers; set it by NTP and restart the node"
            );
        }
        *self.0.skew.write().unwrap_or_else(PoisonError::into_inner) = Some(skew);
    }
}

/// What the task looks at.
pub(crate) struct Watch {
    pub(crate) vitals: Vitals,
    pub(crate) data_dir: PathBuf,
    pub(crate) caller: Caller,
    pub(crate) network: NetworkHandle,
    pub(crate) home: HomeHandle,
    pub(crate) bindings: Bindings,
    /// Registries among them.
    pub(crate) bootstrap: Vec<PeerId>,
}

impl Watch {
    /// Runs until `token` is cancelled.
    pub(crate) async fn run(self, token: CancellationToken) -> Result<(), NodeError> {
        let mut ticks = interval(PERIOD);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut due_in = 0_u32;
        loop {
            tokio::select! {
                _ = ticks.tick() => {}
                () = token.cancelled() => return Ok(()),
            }
            tokio::select! {
                asked = self.round(due_in == 0) => {
                    due_in = if asked { CLOCK_ROUNDS } else { due_in }.saturating_sub(1);
                }
                () = token.cancelled() => return Ok(()),
            }
        }
    }

    /// Whether clocks were compared.
    async fn round(&self, clocks: bool) -> bool {
        // A dead disk holds up one thread, and this task.
        let dir = self.data_dir.clone();
        if let Ok(sample) = tokio::task::spawn_blocking(move || host::sample(&dir)).await {
            self.vitals.note_sample(sample);
        }
        if !clocks {
            return false;
        }
        let skew = self.compare().await;
        if let Some(skew) = skew {
            self.vitals.note_skew(skew);
        }
        skew.is_some()
    }

    async fn compare(&self) -> Option<Skew> {
        let peers = self.peers().await;
        let readings: Vec<ClockReading> = futures::stream::iter(peers)
            .map(|peer| self.ask(peer))
            .buffer_unordered(CLOCK_PEERS)
            .filter_map(std::future::ready)
            .collect()
            .await;
        median(&readings)
    }

    /// Nodes of this network that are connected: operators of the current set, and registries. In
    /// an order that differs from node to node, so that no few are asked by all.
    async fn peers(&self) -> Vec<PeerId> {
        let connected: BTreeSet<PeerId> = self
            .network
            .peers()
            .await
            .iter()
            .map(|info| info.peer)
            .collect();
        let view = self.home.view();
        let members = view.current.iter().flat_map(|set| set.members());
        let operators = members.filter_map(|member| {
            let binding = self.bindings.of(member.address)?;
            peer_id_of(&binding.peer_key)
        });
        let own = self.network.peer_id();
        let known: BTreeSet<PeerId> = operators
            .chain(self.bootstrap.iter().copied())
            .filter(|peer| *peer != own && connected.contains(peer))
            .collect();
        // Those behind the own id first.
        let (before, behind): (Vec<_>, Vec<_>) = known.into_iter().partition(|peer| *peer < own);
        behind.into_iter().chain(before).take(CLOCK_PEERS).collect()
    }

    async fn ask(&self, peer: PeerId) -> Option<ClockReading> {
        let mut client = self.caller.registry(peer);
        let sent = Instant::now();
        let asked = client.health_check(wire::HealthRequest::default());
        // The first call opens the stream, which is not part of the way of the answer.
        timeout(PATIENCE, asked).await.ok()?.ok()?;
        let again = Instant::now();
        let asked = client.health_check(wire::HealthRequest::default());
        let answer = timeout(PATIENCE.saturating_sub(sent.elapsed()), asked)
            .await
            .ok()?
            .ok()?;
        Some(ClockReading::new(
            again.elapsed(),
            clock::now().millis(),
            answer.into_inner().time_ms,
        ))
    }
}
