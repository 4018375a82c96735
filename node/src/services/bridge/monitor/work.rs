//! What a relayer has to deliver and has delivered, by direction, as its store has it.

use std::collections::{BTreeMap, HashMap, HashSet};

use quorate_proto::store::DeliveryRow;
use quorate_proto::{B256, Timestamp};
use quorate_protocols::delivery::{Class, STUCK_MS};
use quorate_storage::{Store, schema};

use crate::NodeError;
use crate::delivery::reason_of;
use crate::services::bridge::direction::Direction;
use crate::services::bridge::transfer_store::TransferKey;
use crate::services::bridge::{TransferStore, words};

/// Transfers of a route that wait for their certificate and are counted.
const MOST_OPEN: usize = 1_000;
/// Delivered transfers that are listed, the newest.
const SHOWN: usize = 100;
/// Dead letters that are listed, the newest.
const SHOWN_DEAD: usize = 1_000;

/// How far a transfer is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Stage {
    Pending,
    Processing,
    Completed,
    Failed,
}

impl Stage {
    /// The word of the interface.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Processing => "processing",
            Self::Completed => "completed",
            Self::Failed => "failed",
        }
    }
}

/// One transfer's way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Job {
    pub(crate) key: TransferKey,
    pub(crate) stage: Stage,
    /// `None` while nothing is queued.
    pub(crate) delivery: Option<B256>,
    pub(crate) retries: u32,
    /// Unix milliseconds.
    pub(crate) ended_ms: Option<u64>,
    /// Why the last attempt failed, or it is a dead letter.
    pub(crate) reason: Option<String>,
    /// The reserved number of its transaction, with chain and sender.
    pub(crate) flight: Option<(u64, [u8; 32], u64)>,
}

/// The transfers of one direction.
#[derive(Clone, Debug, Default)]
pub(crate) struct Work {
    pub(crate) counts: BTreeMap<Stage, u64>,
    /// All that are open; the newest of those that have ended.
    pub(crate) jobs: Vec<Job>,
    /// Everything that has ended and is kept, with whether it failed.
    pub(crate) ended: HashMap<B256, Ended>,
}

/// A delivery that has ended.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ended {
    pub(super) key: TransferKey,
    pub(super) at_ms: u64,
    pub(super) failed: bool,
}

impl Work {
    pub(crate) fn count(&self, stage: Stage) -> u64 {
        self.counts.get(&stage).copied().unwrap_or_default()
    }

    /// Transfers that wait or are on their way.
    pub(crate) fn backlog(&self) -> u64 {
        self.count(Stage::Pending) + self.count(Stage::Processing)
    }
}

/// Something that does not go on by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Stop {
    pub(crate) chain: u64,
    /// `None` for all routes there.
    pub(crate) route: Option<B256>,
    /// The contract refuses this relayer.
    pub(crate) is_refused: bool,
    /// By its operator, or for its balance.
    pub(crate) is_held: bool,
    pub(crate) reason: String,
}

/// All of it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Picture {
    pub(crate) works: BTreeMap<Direction, Work>,
    pub(crate) stops: Vec<Stop>,
    /// (chain, nonce) that has been the next one for longer than the machine waits.
    pub(crate) stuck: Vec<(u64, u64)>,
}

/// Reads it. The deliveries that have ended are read as a whole: a week of them.
///
/// # Errors
/// A store that cannot be read.
pub(crate) fn look(
    store: &Store,
    transfers: &TransferStore,
    routes: &BTreeMap<B256, Direction>,
    now: Timestamp,
) -> Result<Picture, NodeError> {
    let (flights, stuck) = flights(store, now)?;
    let mut jobs: BTreeMap<TransferKey, Job> = BTreeMap::new();
    let mut works: BTreeMap<Direction, Work> = BTreeMap::new();
    for row in store.rows(schema::ENDED_DELIVERIES, &()) {
        let (id, row) = row?;
        let Some((direction, job)) = job_of(routes, id.into(), &row, &HashMap::new())? else {
            continue;
        };
        let ended = Ended {
            key: job.key,
            at_ms: row.ended / 1_000,
            failed: job.stage == Stage::Failed,
        };
        works
            .entry(direction)
            .or_default()
            .ended
            .insert(id.into(), ended);
        jobs.insert(job.key, job);
    }
    for row in store.rows(schema::DELIVERIES, &()) {
        let (id, row) = row?;
        if let Some((_, job)) = job_of(routes, id.into(), &row, &flights)? {
            jobs.insert(job.key, job);
        }
    }
    for route in routes.keys() {
        for key in transfers.open(*route, MOST_OPEN)? {
            jobs.entry(key).or_insert_with(|| waiting(key));
        }
    }
    for job in jobs.into_values() {
        if let Some(direction) = routes.get(&B256::from(job.key.0)) {
            let work = works.entry(*direction).or_default();
            *work.counts.entry(job.stage).or_default() += 1;
            work.jobs.push(job);
        }
    }
    works.values_mut().for_each(shorten);
    let stops = stops(store)?;
    Ok(Picture {
        works,
        stops,
        stuck,
    })
}

const fn waiting(key: TransferKey) -> Job {
    Job {
        key,
        stage: Stage::Pending,
        delivery: None,
        retries: 0,
        ended_ms: None,
        reason: None,
        flight: None,
    }
}

/// A row as a transfer's way; `None` of what is none, or only prepares one.
fn job_of(
    routes: &BTreeMap<B256, Direction>,
    id: B256,
    row: &DeliveryRow,
    flights: &Flights,
) -> Result<Option<(Direction, Job)>, NodeError> {
    let route: [u8; 32] = row.route.as_slice().try_into().unwrap_or_default();
    let payload = row.payload.as_ref().filter(|payload| !payload.interim);
    let nonce = payload.and_then(|payload| words::nonce_in(&payload.about));
    let Some((direction, nonce)) = routes.get(&B256::from(route)).copied().zip(nonce) else {
        return Ok(None);
    };
    let flight = flights.get(&id).copied();
    let (stage, reason) = match (row.ended, &row.ended_by) {
        (0, _) if flight.is_some() => (Stage::Processing, &row.last),
        (0, _) => (Stage::Pending, &row.last),
        (_, None) => (Stage::Completed, &None),
        (_, reason) => (Stage::Failed, reason),
    };
    let reason = reason.as_ref().map(reason_of).transpose()?;
    let job = Job {
        stage,
        delivery: Some(id),
        retries: row.failures,
        ended_ms: (row.ended > 0).then_some(row.ended / 1_000),
        reason: reason.map(|reason| reason.to_string()),
        flight,
        ..waiting((route, nonce))
    };
    Ok(Some((direction, job)))
}

/// Reserved numbers by what they are for.
type Flights = HashMap<B256, (u64, [u8; 32], u64)>;

fn flights(store: &Store, now: Timestamp) -> Result<(Flights, Vec<(u64, u64)>), NodeError> {
    let (mut flights, mut stuck) = (Flights::new(), Vec::new());
    for row in store.rows(schema::DELIVERY_NONCES, &()) {
        let (key @ (chain, _, nonce), row) = row?;
        if let Ok(id) = B256::try_from(row.delivery.as_slice()) {
            flights.insert(id, key);
        }
        let since = row.leads_since.map(Timestamp);
        // The machine cancels it after this time; when that is over as well, it needs help.
        if since.is_some_and(|since| since.plus_millis(2 * STUCK_MS) < now) {
            stuck.push((chain, nonce));
        }
    }
    Ok((flights, stuck))
}

pub(super) fn stops(store: &Store) -> Result<Vec<Stop>, NodeError> {
    let mut stops = Vec::new();
    for row in store.rows(schema::STOPPED_DELIVERIES, &()) {
        let ((chain, _, route), row) = row?;
        let (route, reason) = (B256::from(route), reason_of(&row)?);
        stops.push(Stop {
            chain,
            route: (!route.is_zero()).then_some(route),
            is_refused: reason.class == Class::Misconfigured,
            is_held: reason.class == Class::Paused,
            reason: reason.to_string(),
        });
    }
    Ok(stops)
}

/// Leaves of those that have ended the newest.
fn shorten(work: &mut Work) {
    work.jobs
        .sort_by_key(|job| (job.stage, std::cmp::Reverse(job.ended_ms), job.key));
    let mut left = HashMap::from([(Stage::Completed, SHOWN), (Stage::Failed, SHOWN_DEAD)]);
    work.jobs.retain(|job| match left.get_mut(&job.stage) {
        None => true,
        Some(0) => false,
        Some(left) => {
            *left -= 1;
            true
        }
    });
}

/// What has ended since it was looked the last time.
pub(super) fn news<'a>(work: &'a Work, known: &HashSet<B256>) -> Vec<&'a Ended> {
    let ended = work.ended.iter().filter(|(id, _)| !known.contains(*id));
    ended.map(|(_, ended)| ended).collect()
}

/// One transfer's way, where its delivery is known.
///
/// # Errors
/// A store that cannot be read.
pub(crate) fn job_at(
    store: &Store,
    routes: &BTreeMap<B256, Direction>,
    key: TransferKey,
    delivery: Option<B256>,
) -> Result<Job, NodeError> {
    let Some(id) = delivery else {
        return Ok(waiting(key));
    };
    let under_way = store.get(schema::DELIVERIES, &id.0)?;
    let row = match under_way {
        Some(row) => Some(row),
        None => store.get(schema::ENDED_DELIVERIES, &id.0)?,
    };
    let (flights, _) = flights(store, Timestamp(0))?;
    let found = row
        .map(|row| job_of(routes, id, &row, &flights))
        .transpose()?;
    Ok(match found.flatten() {
        Some((_, job)) => job,
        None => Job {
            delivery,
            ..waiting(key)
        },
    })
}
