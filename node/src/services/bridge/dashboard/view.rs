//! What an interface shows, made from what the monitor saw last and what the store has.

use std::collections::BTreeMap;

use quorate_chain::{ChainFamily, Providers};
use quorate_proto::store::TransferRecord;
use quorate_proto::{B256, Route, Statement, Transfer};
use quorate_protocols::delivery::LaneId;
use quorate_storage::{Store, schema};

use super::shapes::{
    AddressPart, ApiPart, BalancePart, ChainConfigPart, ChainPart, ConfigPage, EventData,
    HealthPage, LogLine, NoncePage, QueuePage, RelayerPart, SourceNonces, StatusPage, TargetNonces,
    TaskLine, TaskPage,
};
use crate::NodeError;
use crate::clock::{self, iso8601};
use crate::delivery::delivery_id;
use crate::services::bridge::TransferStore;
use crate::services::bridge::base58;
use crate::services::bridge::direction::Direction;
use crate::services::bridge::monitor::Board;
use crate::services::bridge::monitor::conditions::Level;
use crate::services::bridge::monitor::figures::by_family;
use crate::services::bridge::monitor::work::{Job, Stage, Work, job_at};
use crate::services::bridge::settings::contract_text;
use crate::services::bridge::transfer_store::TransferKey;
use crate::tasks::handover::newest_certificate;

/// Without a look at the store for this long the monitor counts as stopped, in milliseconds.
const STALE_MS: u64 = 60_000;

/// A chain as a route has it.
#[derive(Clone, Debug)]
pub(super) struct End {
    pub(super) chain: u64,
    pub(super) family: ChainFamily,
    pub(super) contract: B256,
}

/// The newest final block of a chain, if it was heard of, and its providers.
pub(super) type ChainNow = (Option<u64>, Providers);

impl End {
    fn name(&self) -> String {
        format!("{}-{}", family_name(self.family), self.chain)
    }

    fn now(&self, (head, providers): &ChainNow) -> ChainPart {
        let heights = providers.providers.iter().filter_map(|one| one.height);
        ChainPart {
            name: self.name(),
            rpc: hosts(providers),
            connected: providers.spare.is_some(),
            last_block: head.or_else(|| heights.max()).unwrap_or_default(),
        }
    }

    fn config(&self, (_, providers): &ChainNow) -> ChainConfigPart {
        ChainConfigPart {
            name: self.name(),
            chain_id: self.chain,
            rpc: hosts(providers),
            contract: place_text(self.family, self.contract),
        }
    }
}

const fn family_name(family: ChainFamily) -> &'static str {
    match family {
        ChainFamily::Svm => "svm",
        ChainFamily::Cardano => "cardano",
        ChainFamily::Evm => "evm",
    }
}

/// Scheme, host and port of each provider: no secret.
fn hosts(providers: &Providers) -> String {
    let hosts = providers.providers.iter().map(|one| one.provider.as_str());
    hosts.collect::<Vec<_>>().join(",")
}

/// A contract or account, as its chain writes it.
pub(super) fn place_text(family: ChainFamily, place: B256) -> String {
    match family {
        ChainFamily::Svm => base58::encode(place.as_slice()),
        _ => contract_text(place),
    }
}

/// What one interface is about.
pub(super) struct View {
    pub(super) direction: Direction,
    /// All routes of the direction; the pages that have room for one show the first.
    pub(super) routes: Vec<Route>,
    pub(super) source: End,
    pub(super) target: End,
    pub(super) payer: Option<LaneId>,
    pub(super) store: Store,
    pub(super) transfers: TransferStore,
    /// Unix microseconds.
    pub(super) started: quorate_proto::Timestamp,
    pub(super) api: (u16, Vec<String>),
}

impl View {
    fn work<'a>(&self, board: &'a Board) -> Option<&'a Work> {
        board.picture.works.get(&self.direction)
    }

    /// What keeps this direction from its job.
    fn problems(&self, board: &Board, chains: [&ChainNow; 2]) -> Vec<String> {
        let mut problems: Vec<String> = self
            .store
            .failed()
            .into_iter()
            .map(|cause| format!("the store takes no writes: {cause}"))
            .collect();
        let late = clock::now().micros_since(board.taken) / 1_000;
        if late > STALE_MS {
            problems.push("the queue was not looked at for a minute, or not yet".to_owned());
        }
        for (end, (_, providers)) in [&self.source, &self.target].into_iter().zip(chains) {
            if providers.spare.is_none() {
                problems.push(format!(
                    "too few providers of chain {} answer: `node providers` shows why",
                    end.chain
                ));
            }
        }
        let critical = board
            .conditions
            .iter()
            .filter(|(what, (level, _))| *level == Level::Critical && self.concerns(what));
        problems.extend(critical.map(|(what, (_, detail))| format!("{what}: {detail}")));
        problems
    }

    /// Whether a condition is about this direction.
    fn concerns(&self, what: &str) -> bool {
        let chain = format!("chain {}", self.target.chain);
        let ids = self.routes.iter().map(|route| route.id().to_string());
        what.ends_with(&chain)
            || what == format!("{chain} stopped")
            || ids.into_iter().any(|id| what.contains(&id))
    }

    pub(super) fn health(&self, board: &Board, chains: [&ChainNow; 2]) -> HealthPage {
        let problems = self.problems(board, chains);
        let now = clock::now();
        HealthPage {
            status: if problems.is_empty() {
                "healthy"
            } else {
                "unhealthy"
            },
            service: self.direction.name(),
            version: env!("CARGO_PKG_VERSION"),
            uptime: now.micros_since(self.started) / 1_000_000,
            timestamp: iso8601(now.millis()),
            reason: (!problems.is_empty()).then(|| problems.join("; ")),
        }
    }

    pub(super) fn status(&self, board: &Board, [source, target]: [&ChainNow; 2]) -> StatusPage {
        let balances = by_family(&board.payers);
        let own = |route: &Option<B256>| {
            route.is_none_or(|id| self.routes.iter().any(|route| route.id() == id))
        };
        let refused = board
            .picture
            .stops
            .iter()
            .any(|stop| stop.is_refused && stop.chain == self.target.chain && own(&stop.route));
        StatusPage {
            service: self.direction.name(),
            listening: source.0.is_some() && source.1.spare.is_some(),
            source_chain: self.source.now(source),
            target_chain: self.target.now(target),
            relayer: RelayerPart {
                address: self.address(),
                whitelisted: !refused,
                balance: BalancePart {
                    svm: balances.get("svm").copied(),
                    evm: balances.get("evm").copied(),
                },
            },
        }
    }

    fn address(&self) -> String {
        let payer = self
            .payer
            .map(|lane| place_text(self.target.family, lane.sender));
        payer.unwrap_or_default()
    }

    pub(super) fn config(&self, [source, target]: [&ChainNow; 2]) -> ConfigPage {
        ConfigPage {
            service: self.direction.name(),
            source_chain: self.source.config(source),
            target_chain: self.target.config(target),
            relayer: AddressPart {
                address: self.address(),
            },
            api: ApiPart {
                port: self.api.0,
                cors: self.api.1.clone(),
            },
        }
    }

    /// # Errors
    /// A store that cannot be read.
    pub(super) fn queue(&self, board: &Board) -> Result<QueuePage, NodeError> {
        let none = Work::default();
        let work = self.work(board).unwrap_or(&none);
        let line = |job: &Job| {
            let seen_ms = self.transfers.seen_ms(&job.key)?;
            Ok(TaskLine {
                id: id_of(&job.key),
                nonce: job.key.1,
                status: job.stage.name(),
                created_at: seen_ms.map(iso8601),
                retries: job.retries,
            })
        };
        let tasks: Result<_, NodeError> = work.jobs.iter().map(line).collect();
        Ok(QueuePage {
            pending: work.count(Stage::Pending),
            processing: work.count(Stage::Processing),
            completed: work.count(Stage::Completed),
            failed: work.count(Stage::Failed),
            tasks: tasks?,
        })
    }

    /// # Errors
    /// A store that cannot be read.
    pub(super) fn nonce(&self, board: &Board) -> Result<NoncePage, NodeError> {
        let route = self.routes.first().map(Route::id).unwrap_or_default();
        let current = self.transfers.newest(route)?.unwrap_or_default();
        let jobs = self.work(board).map(|work| work.jobs.as_slice());
        let jobs = jobs.unwrap_or_default().iter();
        Ok(nonces(
            current,
            jobs.filter(|job| B256::from(job.key.0) == route),
        ))
    }

    /// `None` of a task that is not there.
    ///
    /// # Errors
    /// A store that cannot be read.
    pub(super) fn task(&self, id: &str) -> Result<Option<TaskPage>, NodeError> {
        let Some((route, key)) = self.key_of(id) else {
            return Ok(None);
        };
        let record = self.transfers.record_of(&key)?;
        let Some((record, transfer)) = record.zip(self.transfers.of(&key)?) else {
            return Ok(None);
        };
        let certificate = newest_certificate(&self.store, Transfer::slot_of(route, key.1))?;
        let (mut delivery, mut signature) = (None, None);
        if let Some(certificate) = &certificate {
            let fact = Statement::fact(certificate.statement());
            delivery = Some(delivery_id(fact, route.target_chain, route.target_contract));
            signature = Some(format!("0x{}", hex::encode(certificate.signature_data())));
        }
        let directions = BTreeMap::from([(route.id(), self.direction)]);
        let job = job_at(&self.store, &directions, key, delivery)?;
        Ok(Some(TaskPage {
            id: id_of(&key),
            nonce: key.1,
            status: job.stage.name(),
            event_data: self.event(route, &record, &transfer),
            signature,
            transaction_hash: self.hash(&job)?,
            created_at: iso8601(record.seen_ms),
            completed_at: job.ended_ms.map(iso8601),
            retries: job.retries,
            logs: logs(&record, &job),
        }))
    }

    /// Reads an id: the route's, and the number.
    fn key_of(&self, id: &str) -> Option<(&Route, TransferKey)> {
        let (route, nonce) = id.rsplit_once('-')?;
        let id: B256 = route.parse().ok()?;
        let route = self.routes.iter().find(|route| route.id() == id)?;
        Some((route, (id.0, nonce.parse().ok()?)))
    }

    fn event(&self, route: &Route, record: &TransferRecord, transfer: &Transfer) -> EventData {
        let receiver = transfer.receiver.as_ref();
        EventData {
            source_contract: place_text(self.source.family, route.source_contract),
            target_contract: place_text(self.target.family, route.target_contract),
            amount: transfer.amount.to_string(),
            receiver_address: match self.target.family {
                ChainFamily::Svm => base58::encode(receiver),
                _ => format!("0x{}", hex::encode(receiver)),
            },
            block_height: record.block_number,
        }
    }

    /// Of the last transaction that was signed for it and is kept.
    fn hash(&self, job: &Job) -> Result<Option<String>, NodeError> {
        let Some((chain, sender, nonce)) = job.flight else {
            return Ok(None);
        };
        let key = ((chain, sender), nonce);
        let rows = self.store.rows(schema::DELIVERY_TRANSACTIONS, &key);
        let Some(last) = rows.last() else {
            return Ok(None);
        };
        let hash = last?.1.hash;
        Ok(Some(match self.target.family {
            ChainFamily::Svm => base58::encode(&hash),
            _ => format!("0x{}", hex::encode(&hash)),
        }))
    }
}

/// The id of a task: its route's and its number.
pub(super) fn id_of((route, nonce): &TransferKey) -> String {
    format!("{}-{nonce}", B256::from(*route))
}

/// From the jobs of one route, of whose transfers `current` were seen.
pub(super) fn nonces<'a>(current: u64, jobs: impl Iterator<Item = &'a Job>) -> NoncePage {
    let (done, open): (Vec<&Job>, Vec<&Job>) = jobs.partition(|job| job.stage == Stage::Completed);
    let mut pending: Vec<u64> = open.iter().map(|job| job.key.1).collect();
    pending.sort_unstable();
    let last_processed = pending
        .first()
        .map_or(current, |first| first.saturating_sub(1));
    let last = done.iter().map(|job| job.key.1).max();
    NoncePage {
        source_chain: SourceNonces {
            current,
            last_processed,
        },
        target_chain: TargetNonces {
            last_nonce: last.unwrap_or_default().max(last_processed),
            pending,
        },
    }
}

/// What is known of its way.
fn logs(record: &TransferRecord, job: &Job) -> Vec<LogLine> {
    let line = |ms, level, message| LogLine {
        timestamp: iso8601(ms),
        level,
        message,
    };
    let seen = format!("seen at block {} of its source", record.block_number);
    let mut lines = vec![line(record.seen_ms, "info", seen)];
    let reason = job.reason.clone();
    lines.extend(match (job.ended_ms, reason) {
        (Some(ended), None) => Some(line(ended, "info", "delivered".to_owned())),
        (Some(ended), Some(reason)) => {
            Some(line(ended, "error", format!("a dead letter: {reason}")))
        }
        (None, Some(reason)) => Some(line(
            clock::now().millis(),
            "warn",
            format!("the last attempt failed: {reason}"),
        )),
        (None, None) => None,
    });
    lines
}
