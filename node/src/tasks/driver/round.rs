//! What the task driver writes: gathered in one batch per round, or in several where a round is large.

mod import;
mod pending_signatures;

use std::collections::HashMap;
use std::sync::Arc;

use quorate_proto::store::{Empty, ResponseRecord, TaskRecord, TaskRef, TaskStatus, TimelineRow};
use quorate_proto::wire::{self, TimelineEvent};
use quorate_proto::{
    Address, Certificate, Epoch, OperatorSet, Outcome, Response, Statement, TaskId, TaskState,
    Timestamp,
};
use quorate_protocols::task::{Report, Status};
use quorate_storage::{Ack, Batch, Durability, MAX_BATCH_BYTES, Overlay, Page, WriteQueue, schema};

use super::conflicts::ConflictingTasks;
use super::trace::{ProvenChains, ReadTrace};
use crate::tasks::inventory::TaskInventory;
use crate::tasks::recorder::{ResumedTask, Row, event, framed_len};
use crate::{NodeError, clock};

/// How long responses to a task that ended are late rather than new: the longest read and some
/// time on the way.
const LATE_MS: u64 = 5_000;

/// A round goes on in another batch when one has this much: one event may end all tasks that are open,
/// and what one task adds at once stays far below the other half.
const PART: usize = MAX_BATCH_BYTES / 2;

use pending_signatures::PendingSignatures;

pub(super) struct RoundBatch {
    writes: WriteQueue,
    inventory: TaskInventory,
    batch: Batch,
    /// Earlier parts of the round.
    parts: Vec<Batch>,
    /// Records of tasks that are not over, as they are or will be on disk.
    live: HashMap<TaskId, TaskRecord>,
    /// Certificates whose commit is under way.
    certificates: Overlay<TaskId, Certificate>,
    signatures: PendingSignatures,
    rivals: ConflictingTasks,
    proven: ProvenChains,
}

impl RoundBatch {
    pub(super) fn new(writes: WriteQueue, inventory: TaskInventory) -> Self {
        Self {
            writes,
            inventory,
            batch: Batch::new(),
            parts: Vec::new(),
            live: HashMap::new(),
            certificates: Overlay::default(),
            signatures: PendingSignatures::default(),
            rivals: ConflictingTasks::default(),
            proven: ProvenChains::default(),
        }
    }

    /// Tasks that were pending when an earlier run ended are over: their users are gone. Those whose
    /// signatures sufficed get their certificate, if their set is known.
    pub(super) fn close_interrupted(
        &mut self,
        set_of: impl Fn(Epoch) -> Result<Option<Arc<OperatorSet>>, NodeError>,
    ) -> Result<(), NodeError> {
        let newest = Page::newest(quorate_proto::limits::MAX_OPEN_TASKS);
        let rows = self.writes.store().scan(schema::TASK_TIMES, &(), newest)?;
        for ((_, id), _) in rows.rows {
            let Some(mut record) = self.writes.store().get(schema::TASKS, &id)? else {
                continue;
            };
            if record.status() != TaskStatus::Pending {
                continue;
            }
            self.begin_part();
            self.interrupted(TaskId(id.into()))?;
            let statement = record.statement.as_ref().map(Statement::try_from);
            let statement = statement.transpose().map_err(NodeError::damaged)?;
            if let Some(statement) = &statement {
                if let Some(set) = set_of(statement.epoch())?
                    && self.certify_ended(statement, &set)?
                {
                    continue;
                }
                self.index_uncertified(statement);
            }
            record.set_status(TaskStatus::Expired);
            record.ended_ms = clock::now().millis();
            record.failure = "the node was restarted while the task was under way".into();
            self.batch.put(schema::TASKS, &id, &record);
        }
        Ok(())
    }

    fn interrupted(&mut self, task: TaskId) -> Result<(), NodeError> {
        let after = self.held(task)?.last.0.saturating_add(1);
        let now = clock::now();
        let event = TimelineEvent {
            at_micros: now.0,
            kind: Some(event::interrupted()),
        };
        let row = TimelineRow {
            events: vec![event],
            cut: 0,
        };
        let at = Timestamp(now.0.max(after));
        self.timeline(&Row { task, at, row });
        Ok(())
    }

    /// What the record of a task holds in the store.
    pub(super) fn held(&self, task: TaskId) -> Result<ResumedTask, NodeError> {
        let mut held = ResumedTask::default();
        for row in self.writes.store().rows(schema::TIMELINES, &task.0.0) {
            let ((_, at), row) = row?;
            held.events = held.events.saturating_add(row.events.len());
            let bytes: usize = row.events.iter().map(framed_len).sum();
            held.bytes = held.bytes.saturating_add(bytes);
            held.last = Timestamp(at);
        }
        Ok(held)
    }

    pub(super) fn timeline(&mut self, row: &Row) {
        let key = (row.task.0.0, row.at.0);
        self.batch.put(schema::TIMELINES, &key, &row.row);
    }

    /// Bytes of records that this round still takes: what must be written comes first.
    pub(super) fn room(&self) -> usize {
        PART.saturating_sub(self.batch.bytes())
    }

    /// Before each change: where a round is cut, a crash leaves what a shorter round would have.
    fn begin_part(&mut self) {
        if self.batch.bytes() >= PART {
            self.parts.push(std::mem::take(&mut self.batch));
        }
    }

    /// Records a new task. Where it had been here before and ended, its signatures of that time
    /// still hold: they are returned, to be counted again. `None` where it had not.
    pub(super) fn opened(
        &mut self,
        statement: &Statement,
        announced_by: Option<Address>,
        set: Option<&OperatorSet>,
    ) -> Result<Option<Vec<Response>>, NodeError> {
        self.begin_part();
        let id = statement.task_id();
        self.hold(statement, set, |_, _| {})?;
        let key = id.0.0;
        let mut signatures = None;
        if let Some(earlier) = self.writes.store().get(schema::TASKS, &key)? {
            self.batch
                .delete(schema::TASK_TIMES, &(earlier.created_ms, key));
            signatures = Some(self.stored_signatures(id)?);
        }
        let record = TaskRecord {
            statement: Some(statement.into()),
            status: TaskStatus::Pending.into(),
            created_ms: clock::now().millis(),
            entry: announced_by.is_none(),
            announced_by: announced_by.map(|a| a.to_vec()).unwrap_or_default(),
            ..TaskRecord::default()
        };
        self.batch.put(schema::TASKS, &key, &record);
        self.batch
            .put(schema::TASK_TIMES, &(record.created_ms, key), &Empty {});
        self.live.insert(id, record);
        let rivals = self.signatures.rivals(statement);
        self.rivals
            .opened(self.writes.store(), statement, &rivals)?;
        Ok(signatures)
    }

    /// Forgets the rivals of tasks that are not open any more.
    pub(super) fn sweep(&mut self, is_open: impl Fn(TaskId) -> bool) {
        self.rivals.sweep(is_open);
    }

    /// Whether other tasks that are or were here answer the question of this one otherwise.
    pub(super) fn has_rivals(&self, statement: &Statement) -> Result<bool, NodeError> {
        let rivals = self.rivals.of(self.writes.store(), statement)?;
        Ok(!rivals.is_empty())
    }

    /// As [`Self::contradiction`], among what cannot be read from the store yet.
    pub(super) fn fresh_contradiction(&self, response: &Response) -> Option<Response> {
        self.signatures.contradiction(response)
    }

    /// Another fact that the same operator signed for the same slot, under a task that is or was here.
    pub(super) fn contradiction(&self, response: &Response) -> Result<Option<Response>, NodeError> {
        if let Some(earlier) = self.fresh_contradiction(response) {
            return Ok(Some(earlier));
        }
        let store = self.writes.store();
        for rival in self.rivals.of(store, &response.statement)? {
            let key = (rival.0.0, response.operator.into_array());
            let earlier = store.get(schema::RESPONSES, &key)?;
            let Some(message) = earlier.and_then(|record| record.response) else {
                continue;
            };
            let earlier = Response::try_from(&message).map_err(NodeError::damaged)?;
            if matches!(earlier.outcome, Outcome::Signed(_)) {
                return Ok(Some(earlier));
            }
        }
        Ok(None)
    }

    /// What is written with this round.
    pub(super) fn batch(&mut self) -> &mut Batch {
        self.begin_part();
        &mut self.batch
    }

    fn index_uncertified(&mut self, statement: &Statement) {
        let key = (statement.slot().0.0, statement.task_id().0.0);
        self.batch.put(schema::UNCERTIFIED, &key, &Empty {});
    }

    fn stored_signatures(&self, id: TaskId) -> Result<Vec<Response>, NodeError> {
        let mut signatures = Vec::new();
        for row in self.writes.store().rows(schema::RESPONSES, &id.0.0) {
            let Some(message) = row?.1.response else {
                continue;
            };
            let response = Response::try_from(&message).map_err(NodeError::damaged)?;
            if matches!(response.outcome, Outcome::Signed(_)) {
                signatures.push(response);
            }
        }
        Ok(signatures)
    }

    /// Whether a task ended here without certificate a moment ago: what still comes in about it is
    /// late, and does not begin it anew.
    pub(super) fn ended_recently(&self, id: TaskId) -> Result<bool, NodeError> {
        let record = self.writes.store().get(schema::TASKS, &id.0.0)?;
        Ok(record.is_some_and(|record| {
            record.ended_ms > 0 && clock::now().millis() < record.ended_ms + LATE_MS
        }))
    }

    pub(super) fn announced(&mut self, id: TaskId, attempt: u32) {
        self.begin_part();
        if let Some(record) = self.live.get_mut(&id) {
            record.attempts = attempt.saturating_add(1);
            record.entry = true;
            self.batch.put(schema::TASKS, &id.0.0, record);
        }
    }

    /// This node's own read ended, perhaps after the task did.
    pub(super) fn observed(&mut self, id: TaskId, read: &ReadTrace) -> Result<(), NodeError> {
        self.begin_part();
        self.proven
            .note(self.writes.store(), read, &mut self.batch)?;
        if let Some(record) = self.live.get_mut(&id) {
            read.write_to(record);
        } else if !self.certificates.contains(&id)
            && let Some(mut record) = self.writes.store().get(schema::TASKS, &id.0.0)?
        {
            read.write_to(&mut record);
            self.batch.put(schema::TASKS, &id.0.0, &record);
        }
        Ok(())
    }

    /// Changes what the index says of a task of this set.
    fn hold(
        &mut self,
        statement: &Statement,
        set: Option<&OperatorSet>,
        change: impl FnOnce(&OperatorSet, &mut TaskState),
    ) -> Result<(), NodeError> {
        let members = set.map_or(0, |set| set.members().len());
        let task = (statement.epoch(), statement.task_id());
        let change = |state: &mut TaskState| {
            if let Some(set) = set {
                change(set, state);
            }
        };
        Ok(self
            .inventory
            .note(&mut self.batch, task, members, change)?)
    }

    pub(super) fn counted(
        &mut self,
        response: &Response,
        set: Option<&OperatorSet>,
        after_micros: u64,
        late: bool,
    ) -> Result<(), NodeError> {
        self.begin_part();
        let record = ResponseRecord {
            response: Some(response.into()),
            received_ms: clock::now().millis(),
            after_micros,
            late,
            caught_up: false,
        };
        self.hold(&response.statement, set, |set, state| {
            answer(set, state, response);
        })?;
        let key = (
            response.statement.task_id().0.0,
            response.operator.into_array(),
        );
        self.batch.put(schema::RESPONSES, &key, &record);
        self.signatures.add(&mut self.batch, response);
        Ok(())
    }

    /// A response to a task that is over here. The first one of an operator stands; whether this is it.
    pub(super) fn late_response(
        &mut self,
        id: TaskId,
        response: &Response,
        set: &OperatorSet,
    ) -> Result<bool, NodeError> {
        self.begin_part();
        let store = self.writes.store();
        let key = (id.0.0, response.operator.into_array());
        if self.signatures.has(response) || store.get(schema::RESPONSES, &key)?.is_some() {
            return Ok(false);
        }
        let created = store
            .get(schema::TASKS, &id.0.0)?
            .map_or(0, |record| record.created_ms);
        let after = clock::now()
            .millis()
            .saturating_sub(created)
            .saturating_mul(1_000);
        let signed = matches!(response.outcome, Outcome::Signed(_));
        let adds = signed && self.certificate(id)?.is_none();
        self.counted(response, Some(set), after, true)?;
        if signed {
            self.rivals.met(&response.statement);
        }
        if adds && !self.certify_ended(&response.statement, set)? {
            self.index_uncertified(&response.statement);
        }
        Ok(true)
    }

    pub(super) fn certified(
        &mut self,
        certificate: &Certificate,
        set: Option<&OperatorSet>,
        after_micros: u64,
    ) -> Result<(), NodeError> {
        self.begin_part();
        let statement = certificate.statement();
        let id = statement.task_id();
        let key = id.0.0;
        if let Some(mut record) = self.take(id)? {
            record.set_status(TaskStatus::Completed);
            record.ended_ms = clock::now().millis();
            record.certified_micros = after_micros;
            record.failure.clear();
            self.batch.put(schema::TASKS, &key, &record);
        }
        self.put_certificate(certificate, set)?;
        metrics::counter!("quorate_tasks_total", "status" => "completed").increment(1);
        Ok(())
    }

    fn put_certificate(
        &mut self,
        certificate: &Certificate,
        set: Option<&OperatorSet>,
    ) -> Result<(), NodeError> {
        let statement = certificate.statement();
        let id = statement.task_id();
        self.hold(statement, set, |set, state| {
            for signer in certificate.signatures() {
                if let Some(member) = set.position(signer.operator) {
                    state.sign(member);
                }
            }
        })?;
        let stored = wire::Certificate::from(certificate);
        self.batch.put(schema::CERTIFICATES, &id.0.0, &stored);
        let question = (statement.slot().0.0, statement.epoch().0);
        let answer = TaskRef {
            task_id: id.0.to_vec(),
        };
        self.batch.put(schema::QUESTIONS, &question, &answer);
        self.certificates
            .put(&mut self.batch, id, certificate.clone());
        Ok(())
    }

    pub(super) fn ended(&mut self, report: &Report) -> Result<(), NodeError> {
        self.begin_part();
        let Some(mut record) = self.take(report.task)? else {
            return Ok(());
        };
        let (status, word) = match report.status {
            Status::Failed => (TaskStatus::Failed, "failed"),
            _ => (TaskStatus::Expired, "expired"),
        };
        record.set_status(status);
        record.ended_ms = clock::now().millis();
        record.failure = crate::tasks::records::failure_of(report);
        self.batch.put(schema::TASKS, &report.task.0.0, &record);
        if report.progress.signed > 0 {
            self.index_uncertified(&report.statement);
        }
        metrics::counter!("quorate_tasks_total", "status" => word).increment(1);
        Ok(())
    }

    /// The certificate of a task, committed or about to be.
    pub(super) fn certificate(&self, id: TaskId) -> Result<Option<Certificate>, NodeError> {
        if let Some(certificate) = self.certificates.get(&id) {
            return Ok(Some(certificate));
        }
        let stored = self.writes.store().get(schema::CERTIFICATES, &id.0.0)?;
        stored
            .map(|stored| crate::tasks::records::decode(&stored))
            .transpose()
    }

    /// Hands the round over, in the order in which it came about; waits where the writer has too much.
    /// The round is written when all parts are; nothing comes back where there is none.
    pub(super) async fn commit(&mut self) -> Vec<Ack> {
        let last = std::mem::take(&mut self.batch);
        let parts = std::mem::take(&mut self.parts).into_iter().chain([last]);
        let mut acks = Vec::new();
        for part in parts.filter(|part| !part.is_empty()) {
            let submitted = self.writes.submit_in_turn(part, Durability::Buffered);
            acks.push(submitted.await);
        }
        acks
    }

    fn take(&mut self, id: TaskId) -> Result<Option<TaskRecord>, NodeError> {
        match self.live.remove(&id) {
            Some(record) => Ok(Some(record)),
            None => Ok(self.writes.store().get(schema::TASKS, &id.0.0)?),
        }
    }
}

/// What a response adds to the index.
fn answer(set: &OperatorSet, state: &mut TaskState, response: &Response) {
    if let Some(member) = set.position(response.operator) {
        match response.outcome {
            Outcome::Signed(_) => state.sign(member),
            Outcome::Refused(_) => state.refuse(member),
        };
    }
}

#[cfg(test)]
mod tests;
