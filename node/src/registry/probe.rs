//! Asks every operator at an interval how it is, and remembers when it last answered.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use futures::StreamExt as _;
use libp2p::PeerId;
use quorate_proto::{Address, OperatorStatus, Timestamp, wire};
use tokio_util::sync::CancellationToken;

use crate::network::peer_id_of;
use crate::network::rpc::{Caller, RegistryClient};
use crate::registry::members::MembersHandle;
use crate::{NodeError, clock};

/// How often each is asked.
const PERIOD: Duration = Duration::from_secs(5);
/// How many at a time: 500 operators in a quarter of the period, at 80 ms each.
const AT_ONCE: usize = 32;
/// An operator that takes longer is not seen.
const PATIENCE: Duration = Duration::from_secs(3);

/// When an operator last answered, and how fast.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sighting {
    pub(crate) at: Timestamp,
    pub(crate) latency: Duration,
}

/// Shared with the pages that show it.
#[derive(Clone, Default)]
pub(crate) struct Sightings(Arc<RwLock<HashMap<Address, Sighting>>>);

impl Sightings {
    /// The last one of an operator.
    pub(crate) fn of(&self, operator: Address) -> Option<Sighting> {
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner);
        known.get(&operator).copied()
    }

    fn note(&self, operator: Address, sighting: Sighting) {
        let mut known = self.0.write().unwrap_or_else(PoisonError::into_inner);
        known.insert(operator, sighting);
    }
}

/// The probing task of a registry.
pub(crate) struct Prober {
    members: MembersHandle,
    caller: Caller,
    sightings: Sightings,
    /// Their streams stay open between probes.
    clients: HashMap<PeerId, RegistryClient<tonic::transport::Channel>>,
}

impl Prober {
    pub(crate) fn new(members: MembersHandle, caller: Caller) -> (Self, Sightings) {
        let sightings = Sightings::default();
        let prober = Self {
            members,
            caller,
            sightings: sightings.clone(),
            clients: HashMap::new(),
        };
        (prober, sightings)
    }

    /// Runs until `token` is cancelled.
    pub(crate) async fn run(mut self, token: CancellationToken) -> Result<(), NodeError> {
        let mut period = tokio::time::interval(PERIOD);
        period.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = period.tick() => {}
                () = token.cancelled() => return Ok(()),
            }
            tokio::select! {
                () = self.round() => {}
                () = token.cancelled() => return Ok(()),
            }
        }
    }

    async fn round(&mut self) {
        let serving = [OperatorStatus::Active, OperatorStatus::Suspended];
        let mut due = Vec::new();
        let mut clients = HashMap::new();
        for member in self.members.roll().await.members {
            let peer = member.binding.and_then(|b| peer_id_of(&b.peer_key));
            let Some(peer) = peer.filter(|_| serving.contains(&member.status)) else {
                continue;
            };
            let known = self.clients.remove(&peer);
            let client = known.unwrap_or_else(|| self.caller.registry(peer));
            clients.insert(peer, client.clone());
            due.push((member.operator, client));
        }
        self.clients = clients;
        let sightings = &self.sightings;
        futures::stream::iter(due)
            .for_each_concurrent(AT_ONCE, |(operator, client)| async move {
                if let Some(sighting) = probe(client).await {
                    sightings.note(operator, sighting);
                }
            })
            .await;
    }
}

async fn probe(mut client: RegistryClient<tonic::transport::Channel>) -> Option<Sighting> {
    let begin = Instant::now();
    let asked = client.health_check(wire::HealthRequest::default());
    let answered = tokio::time::timeout(PATIENCE, asked).await;
    let latency = begin.elapsed();
    match answered {
        Ok(Ok(_)) => {
            metrics::histogram!("quorate_probe_seconds").record(latency.as_secs_f64());
            let at = clock::now();
            Some(Sighting { at, latency })
        }
        Ok(Err(_)) | Err(_) => {
            metrics::counter!("quorate_probes_failed_total").increment(1);
            None
        }
    }
}
