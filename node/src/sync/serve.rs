//! Answers what other nodes ask on the sync stream.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use libp2p::{PeerId, Stream};
use prost::Message as _;
use quorate_proto::wire::sync_answer::Kind as ReplyKind;
use quorate_proto::wire::sync_query::Kind as RequestKind;
use quorate_proto::{Epoch, Fingerprint, TaskId, TaskState, Timestamp, limits, wire};
use quorate_protocols::limiter::{Rate, RateLimiter};
use quorate_storage::Store;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::items;
use crate::gossip::known_peers::KnownPeers;
use crate::home::set_history::Sets;
use crate::network::stream_limits::{StreamLimit, StreamSlot, StreamSlots};
use crate::network::{NetworkHandle, Offence};
use crate::tasks::handover::certificate_over;
use crate::tasks::inventory::TaskInventory;
use crate::{NodeError, clock};
use quorate_client::frame;

/// Streams of one peer: one, and the one that replaces it when it broke.
const STREAMS_PER_PEER: usize = 2;
/// Streams of all peers: as many as a node follows, twice.
const STREAMS: usize = 128;
/// Of these, kept for peers that speak for an operator or are configured.
const STREAMS_FOR_REGULARS: usize = STREAMS / 2;
/// Streams of one range of addresses: half of all.
const STREAMS_PER_RANGE: usize = 64;
/// Questions that are worked on at a time, each on a blocking thread; the same again for unknown peers,
/// who so never stand in line before the others.
const WORKING: usize = 1;
/// Bytes that one peer gets: a second, 35,000 tasks of five operators, more than it can verify; at once, 10,000
/// tasks of ten operators.
const RATE: Rate = Rate {
    per_second: 16_777_216,
    burst: 16_777_216,
};
/// What a question costs beside its reply: a look at the store.
const QUESTION: usize = 4_096;
/// Peers whose rate is remembered.
const METERED: usize = 1_024;
/// A stream on which the peer asks nothing is closed; followers ask every few seconds.
const IDLE: Duration = Duration::from_secs(120);
/// The same for unknown peers, whose places are few.
const IDLE_STRANGER: Duration = Duration::from_secs(10);

/// What is read for an answer.
pub(crate) struct Library {
    pub(crate) store: Store,
    pub(crate) inventory: TaskInventory,
    pub(crate) sets: Sets,
}

/// The task that serves.
pub(crate) struct Serving {
    network: NetworkHandle,
    protocol: libp2p::StreamProtocol,
    shared: Arc<ServeShared>,
    places: StreamSlots,
}

struct ServeShared {
    library: Arc<Library>,
    working: Semaphore,
    working_for_strangers: Semaphore,
    regulars: KnownPeers,
    meters: Meters,
    network: NetworkHandle,
}

impl Serving {
    pub(crate) fn new(
        network: NetworkHandle,
        network_id: &quorate_proto::NetworkId,
        library: Library,
        regulars: KnownPeers,
    ) -> Result<Self, NodeError> {
        let shared = ServeShared {
            library: Arc::new(library),
            working: Semaphore::new(WORKING),
            working_for_strangers: Semaphore::new(WORKING),
            regulars,
            meters: Meters::default(),
            network: network.clone(),
        };
        Ok(Self {
            protocol: super::protocol(network_id)?,
            network,
            shared: Arc::new(shared),
            places: StreamSlots::new(StreamLimit {
                per_peer: STREAMS_PER_PEER,
                per_range: STREAMS_PER_RANGE,
                in_all: STREAMS,
                for_regulars: STREAMS_FOR_REGULARS,
            }),
        })
    }

    /// Runs until `token` is cancelled.
    pub(crate) async fn run(self, token: CancellationToken) -> Result<(), NodeError> {
        let mut incoming = self.network.accept(self.protocol.clone());
        let mut serving = JoinSet::new();
        loop {
            tokio::select! {
                Some((peer, stream)) = incoming.recv() => {
                    let is_regular = self.shared.regulars.contains(&peer);
                    let range = self.network.range_of(&peer);
                    if let Some(place) = self.places.take(peer, range, is_regular) {
                        serving.spawn(serve(self.shared.clone(), peer, stream, place));
                    }
                }
                Some(_) = serving.join_next() => {}
                () = token.cancelled() => return Ok(()),
            }
        }
    }
}

/// One question after the other, until the peer goes away or breaks the protocol.
async fn serve(shared: Arc<ServeShared>, peer: PeerId, mut stream: Stream, _place: StreamSlot) {
    loop {
        // It may become one, or cease to be one, while its stream stands.
        let is_regular = shared.regulars.contains(&peer);
        let idle = if is_regular { IDLE } else { IDLE_STRANGER };
        let read = frame::read::<wire::SyncQuery>(&mut stream, limits::MAX_SYNC_REQUEST_FRAME);
        let request = match tokio::time::timeout(idle, read).await {
            Ok(Ok(request)) => request,
            Ok(Err(error)) if error.is_fault() => {
                return shared.network.offence(peer, Offence::InvalidFrame).await;
            }
            _ => return,
        };
        let reply = shared.reply(request, is_regular).await;
        let pause = shared.meters.take(clock::now(), peer, reply.encoded_len());
        // A peer that asks for more than its share waits for it.
        tokio::time::sleep(pause).await;
        let replies = [reply];
        let write = frame::write(&mut stream, &replies);
        if !matches!(tokio::time::timeout(idle, write).await, Ok(Ok(()))) {
            return;
        }
    }
}

impl ServeShared {
    async fn reply(&self, request: wire::SyncQuery, is_regular: bool) -> wire::SyncAnswer {
        let id = request.id;
        let working = match is_regular {
            true => &self.working,
            false => &self.working_for_strangers,
        };
        let Ok(_turn) = working.acquire().await else {
            return refusal(id, wire::ErrorCode::Unavailable, "the node ends");
        };
        let library = self.library.clone();
        let work = tokio::task::spawn_blocking(move || library.answer(request.kind));
        match work.await {
            Ok(Ok(kind)) => wire::SyncAnswer {
                id,
                kind: Some(kind),
            },
            Ok(Err(error)) => {
                tracing::error!(%error, "a sync question is not answered");
                refusal(id, wire::ErrorCode::Unavailable, "this node's store failed")
            }
            Err(_) => refusal(id, wire::ErrorCode::Unavailable, "the answer failed"),
        }
    }
}

impl Library {
    pub(super) fn answer(&self, kind: Option<RequestKind>) -> Result<ReplyKind, NodeError> {
        Ok(match kind {
            Some(RequestKind::Summary(query)) => self.summary(Epoch(query.first_epoch)),
            Some(RequestKind::Buckets(query)) => self.buckets(Epoch(query.epoch)),
            Some(RequestKind::Range(query)) => self.range(&query)?,
            Some(RequestKind::Recent(query)) => self.recent(&query)?,
            Some(RequestKind::Tasks(query)) => {
                ReplyKind::Items(items::of_tasks(&self.store, &self.sets, &query.tasks)?)
            }
            Some(RequestKind::Set(query)) => self.set(Epoch(query.next_epoch))?,
            None => error(wire::ErrorCode::Invalid, "the request has no kind"),
        })
    }

    fn summary(&self, first: Epoch) -> ReplyKind {
        let floor = self.inventory.floor();
        let epochs = self
            .inventory
            .summary(first.max(floor), limits::MAX_SYNC_EPOCHS);
        let line = |(epoch, all): (Epoch, Fingerprint)| wire::SyncEpoch {
            epoch: epoch.0,
            tasks: all.tasks,
            fingerprint: all.digest().to_vec(),
        };
        ReplyKind::Summary(wire::SyncSummary {
            floor: floor.0,
            epochs: epochs.into_iter().map(line).collect(),
        })
    }

    fn buckets(&self, epoch: Epoch) -> ReplyKind {
        let mut reply = wire::SyncBuckets::default();
        for bucket in self.inventory.buckets(epoch) {
            reply.tasks.push(bucket.tasks);
            if bucket.tasks > 0 {
                reply.fingerprints.extend(bucket.digest());
            }
        }
        ReplyKind::Buckets(reply)
    }

    fn range(&self, query: &wire::SyncRangeQuery) -> Result<ReplyKind, NodeError> {
        let invalid = |text| Ok(error(wire::ErrorCode::Invalid, text));
        let (have, rest) = query.have.as_chunks::<{ Fingerprint::BYTES }>();
        if !rest.is_empty() || have.len() > limits::MAX_SYNC_HAVE {
            return invalid("have must be at most 4,096 times 16 bytes");
        }
        let after = match query.after.as_slice() {
            [] => None,
            bytes => match TaskId::try_from(bytes) {
                Ok(task) => Some(task),
                Err(_) => return invalid("after must be empty or have 32 bytes"),
            },
        };
        let Ok(until) = TaskId::try_from(query.until.as_slice()) else {
            return invalid("until must have 32 bytes");
        };
        let Some(set) = self.sets.of(Epoch(query.epoch))? else {
            let text = "the set of that epoch is not kept here";
            return Ok(error(wire::ErrorCode::UnknownEpoch, text));
        };
        let have: HashSet<_> = have.iter().copied().collect();
        let range = (after, until);
        let items = items::of_range(&self.store, &self.inventory, &set, range, &have)?;
        Ok(ReplyKind::Items(items))
    }

    fn recent(&self, query: &wire::SyncRecentQuery) -> Result<ReplyKind, NodeError> {
        let news = self
            .inventory
            .news(clock::now(), query.instance, query.after);
        let mut tasks = Vec::with_capacity(news.tasks.len());
        for (epoch, task) in news.tasks {
            let state = self.inventory.state(epoch, task)?;
            let Some(state) = state.filter(|state| !state.is_empty()) else {
                continue;
            };
            tasks.push(state_of(epoch, task, &state));
        }
        Ok(ReplyKind::Recent(wire::SyncRecent {
            instance: news.instance,
            next: news.next,
            gap: news.gap,
            more: news.more,
            tasks,
        }))
    }

    fn set(&self, epoch: Epoch) -> Result<ReplyKind, NodeError> {
        let Some(set) = self.sets.of(epoch)? else {
            let text = "the set of that epoch is not kept here";
            return Ok(error(wire::ErrorCode::UnknownEpoch, text));
        };
        let certificate = certificate_over(&self.store, epoch)?;
        Ok(ReplyKind::Set(wire::EpochUpdateReply {
            set: Some(set.as_ref().into()),
            certificate: certificate.as_ref().map(Into::into),
        }))
    }
}

fn state_of(epoch: Epoch, task: TaskId, state: &TaskState) -> wire::SyncTaskState {
    wire::SyncTaskState {
        epoch: epoch.0,
        task_id: task.0.to_vec(),
        signed: state.signed.as_bytes().to_vec(),
        refused: state.refused.as_bytes().to_vec(),
    }
}

fn error(code: wire::ErrorCode, message: &str) -> ReplyKind {
    ReplyKind::Error(wire::RequestError {
        code: code.into(),
        message: message.into(),
        retryable: code == wire::ErrorCode::Unavailable,
        ..wire::RequestError::default()
    })
}

fn refusal(id: u64, code: wire::ErrorCode, message: &str) -> wire::SyncAnswer {
    wire::SyncAnswer {
        id,
        kind: Some(error(code, message)),
    }
}

/// What each peer may still get.
struct Meters(Mutex<RateLimiter<PeerId>>);

impl Default for Meters {
    fn default() -> Self {
        Self(Mutex::new(RateLimiter::new(RATE, METERED)))
    }
}

impl Meters {
    /// Takes a reply of that many bytes; how long it has to wait.
    fn take(&self, now: Timestamp, peer: PeerId, bytes: usize) -> Duration {
        let mut meters = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(bucket) = meters.bucket(now, peer) else {
            return Duration::from_secs(1);
        };
        let cost = u32::try_from(bytes.saturating_add(QUESTION)).unwrap_or(u32::MAX);
        bucket.charge(now, RATE, cost);
        Duration::from_micros(bucket.micros_until(now, RATE, 0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peer_gets_its_burst_and_then_its_rate() {
        let meters = Meters::default();
        let (peer, now) = (PeerId::random(), Timestamp(1_000_000_000));
        let page = limits::MAX_SYNC_REPLY_FRAME;
        let mut pages = 0;
        while meters.take(now, peer, page).is_zero() {
            pages += 1;
        }
        assert!((30..=32).contains(&pages), "{pages} pages at once");
        assert!(!meters.take(now, peer, page).is_zero());
        assert!(
            meters.take(now, PeerId::random(), page).is_zero(),
            "others do not wait"
        );
        let later = now.plus_millis(2_000);
        assert!(meters.take(later, peer, page).is_zero(), "it comes back");
    }

    #[test]
    fn who_has_its_whole_share_again_is_forgotten() {
        let meters = Meters::default();
        let now = Timestamp(1_000_000_000);
        for _ in 0..METERED {
            meters.take(now, PeerId::random(), 1);
        }
        assert!(!meters.take(now, PeerId::random(), 1).is_zero());
        assert!(
            meters
                .take(now.plus_millis(1_100), PeerId::random(), 1)
                .is_zero()
        );
        assert_eq!(meters.0.lock().unwrap().len(), 1);
    }
}
