//! One epoch whole: its set, how that was learned, and what was certified in it.

use std::time::Duration;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use quorate_proto::store::{OperatorSetRecord, SetSource, TaskRecord, TaskStatus};
use quorate_proto::{Certificate, Epoch, OperatorSet, Statement, StatementJson};
use quorate_storage::{Page, Store, schema};
use tokio::sync::Semaphore;

use super::{HttpContext, HttpState, failure};
use crate::NodeError;
use crate::api::{EpochBlocks, EpochReport, EpochTasks, HandedOverBy};
use crate::tasks::handover::certificate_over;

/// Tasks of an epoch are counted for one reader at a time: 100,000 of them take about a second.
static COUNTING: Semaphore = Semaphore::const_new(1);
/// Tasks that are read at once.
const PAGE: usize = 1_000;
/// The schedule is read once from the home chain; who asks does not wait for a chain that is out of reach.
const SCHEDULE_TIME: Duration = Duration::from_secs(2);

pub(super) async fn page(State(facts): HttpState, Path(epoch): Path<String>) -> Response {
    let Ok(epoch) = epoch.parse().map(Epoch) else {
        let text = "an epoch is a number, as in /epoch/7";
        return failure(StatusCode::BAD_REQUEST, text);
    };
    match facts.epoch(epoch).await {
        Ok(Some(report)) => Json(report).into_response(),
        Ok(None) => facts.no_epoch(epoch),
        Err(error) => failure(StatusCode::INTERNAL_SERVER_ERROR, &error.to_string()),
    }
}

impl HttpContext {
    /// `None` where the set is not known here.
    async fn epoch(&self, epoch: Epoch) -> Result<Option<EpochReport>, NodeError> {
        let Some(record) = self.node.store.get(schema::SETS, &epoch.0)? else {
            return Ok(None);
        };
        let set = OperatorSet::try_from(&record).map_err(NodeError::damaged)?;
        let current = self.node.home.view().current.map(|set| set.epoch());
        let state = match current {
            Some(current) if epoch < current => "over",
            Some(current) if epoch > current => "fixed",
            Some(_) => "current",
            None => "unknown",
        };
        let certificate = certificate_over(&self.node.store, epoch)?;
        let mut operators = self.operators(&set);
        for line in &mut operators.operators {
            // Of the present, not of that epoch.
            line.published = None;
        }
        Ok(Some(EpochReport {
            epoch: epoch.0,
            state: state.into(),
            set_hash: set.hash().to_string(),
            learned: learned(&record).into(),
            handed_over_by: certificate.as_ref().map(handed_over_by),
            blocks: self.blocks(epoch).await,
            tasks: self.count(epoch).await?,
            pruned: epoch < self.node.inventory.floor(),
            set: operators,
        }))
    }

    fn no_epoch(&self, epoch: Epoch) -> Response {
        let (code, text) = match self.node.home.view().current.map(|set| set.epoch()) {
            None => (
                StatusCode::SERVICE_UNAVAILABLE,
                "the operator set is not known yet; /status says why".to_owned(),
            ),
            Some(current) if epoch > current => (
                StatusCode::NOT_FOUND,
                format!("the set of epoch {epoch} is not fixed yet, this is epoch {current}"),
            ),
            Some(_) => (
                StatusCode::NOT_FOUND,
                format!(
                    "the set of epoch {epoch} is not kept here, this node did not run then; ask another node"
                ),
            ),
        };
        failure(code, &text)
    }

    async fn blocks(&self, epoch: Epoch) -> Option<EpochBlocks> {
        let schedule = tokio::time::timeout(SCHEDULE_TIME, self.node.reader.schedule());
        let interval = schedule.await.ok()?.ok()?.interval(epoch);
        Some(EpochBlocks {
            first: interval.start,
            grace: interval.grace_start,
            last: interval.end.saturating_sub(1),
        })
    }

    async fn count(&self, epoch: Epoch) -> Result<EpochTasks, NodeError> {
        // It is never closed.
        let _turn = COUNTING.acquire().await;
        let store = self.node.store.clone();
        let counted = tokio::task::spawn_blocking(move || count(&store, epoch)).await;
        counted.map_err(|panic| NodeError::Panic {
            reason: panic.to_string(),
        })?
    }
}

fn learned(record: &OperatorSetRecord) -> &'static str {
    match record.source() {
        SetSource::HomeChain => "home_chain",
        SetSource::HandedOver => "handed_over",
        SetSource::Compared => "compared",
        SetSource::Unspecified => "unknown",
    }
}

fn handed_over_by(certificate: &Certificate) -> HandedOverBy {
    HandedOverBy {
        epoch: certificate.statement().epoch().0,
        task: certificate.statement().task_id().to_string(),
        signers: certificate.signatures().len(),
    }
}

fn count(store: &Store, epoch: Epoch) -> Result<EpochTasks, NodeError> {
    let mut counts = EpochTasks::default();
    let mut next = None;
    loop {
        let page = Page::first(PAGE).after(next);
        let rows = store.scan(schema::TASK_INDEX, &epoch.0, page)?;
        for ((_, id), _) in rows.rows {
            if let Some(record) = store.get(schema::TASKS, &id)? {
                add(&mut counts, &record)?;
            }
        }
        match rows.next {
            Some(key) => next = Some(key),
            None => return Ok(counts),
        }
    }
}

fn add(counts: &mut EpochTasks, record: &TaskRecord) -> Result<(), NodeError> {
    let count = match record.status() {
        TaskStatus::Completed => {
            let message = record.statement.as_ref();
            let statement = message.map(Statement::try_from).transpose();
            let kind = statement
                .map_err(NodeError::damaged)?
                .map(|statement| kind_of(&statement));
            counts
                .certified
                .entry(kind.unwrap_or_default())
                .or_default()
        }
        TaskStatus::Expired => &mut counts.expired,
        TaskStatus::Failed => &mut counts.failed,
        TaskStatus::Pending | TaskStatus::Unspecified => &mut counts.pending,
    };
    *count += 1;
    Ok(())
}

/// As its JSON names it.
fn kind_of(statement: &Statement) -> String {
    let json = serde_json::to_value(StatementJson::from(statement));
    let kind = json
        .ok()
        .and_then(|json| Some(json.get("kind")?.as_str()?.to_owned()));
    kind.unwrap_or_default()
}

#[cfg(test)]
mod tests;
