//! Tasks that another node had.

use quorate_proto::store::{Empty, ResponseRecord, TaskRecord, TaskStatus};
use quorate_proto::{
    Certificate, OperatorSet, Outcome, Response, SignerSignature, Statement, TaskState,
};
use quorate_storage::schema;

use super::{RoundBatch, answer};
use crate::tasks::imported::{Imported, ImportedTask};
use crate::{NodeError, clock};

impl RoundBatch {
    /// Writes down what a task that is not under way here has more than is known.
    pub(in crate::tasks::driver) fn take_over(
        &mut self,
        task: &ImportedTask,
        set: &OperatorSet,
        taken: &mut Imported,
    ) -> Result<(), NodeError> {
        let statement = &task.statement;
        let (epoch, id) = (statement.epoch(), statement.task_id());
        self.begin_part();
        // Since it was asked for it may have been pruned.
        if epoch < self.inventory.floor() {
            return Ok(());
        }
        let before = self.inventory.state(epoch, id)?;
        if before.is_some() && !self.inventory.is_written(id) {
            taken.later += 1;
            return Ok(());
        }
        let known = before.clone().unwrap_or_default();
        let fresh: Vec<&Response> = task
            .responses
            .iter()
            .filter(|response| adds(&known, set, response))
            .collect();
        if fresh.is_empty() {
            return Ok(());
        }
        for response in &fresh {
            self.put_taken(response);
        }
        taken.responses += fresh.len();
        taken.tasks += usize::from(before.is_none());
        self.hold(statement, Some(set), |set, state| {
            for response in &fresh {
                answer(set, state, response);
            }
        })?;
        self.rivals.met(statement);
        let certified = self.certify_taken(statement, set, before.is_some(), &fresh)?;
        taken.certificates += usize::from(certified);
        let signed = |response: &&Response| matches!(response.outcome, Outcome::Signed(_));
        if !certified && fresh.iter().any(signed) {
            self.index_uncertified(statement);
        }
        match before {
            None => self.put_task(task, certified),
            Some(_) if certified => self.complete(statement)?,
            Some(_) => {}
        }
        Ok(())
    }

    fn put_taken(&mut self, response: &Response) {
        let record = ResponseRecord {
            response: Some(response.into()),
            received_ms: clock::now().millis(),
            after_micros: 0,
            late: true,
            caught_up: true,
        };
        let id = response.statement.task_id();
        let key = (id.0.0, response.operator.into_array());
        self.batch.put(schema::RESPONSES, &key, &record);
        self.signatures.add(&mut self.batch, response);
    }

    /// Makes the certificate, where there is none and the signatures suffice now.
    fn certify_taken(
        &mut self,
        statement: &Statement,
        set: &OperatorSet,
        known: bool,
        fresh: &[&Response],
    ) -> Result<bool, NodeError> {
        let id = statement.task_id();
        let mut stored = Vec::new();
        if known {
            if self.certificate(id)?.is_some() {
                return Ok(false);
            }
            stored = self.stored_signatures(id)?;
        }
        let all = stored.iter().chain(fresh.iter().copied());
        match certificate_of(statement, set, all) {
            Some(certificate) => self.put_certificate(&certificate, Some(set))?,
            None => return Ok(false),
        }
        Ok(true)
    }

    /// Makes the certificate of a task that ended here without one, where the signatures suffice by now.
    /// No peer sends again what is complete but for that.
    pub(super) fn certify_ended(
        &mut self,
        statement: &Statement,
        set: &OperatorSet,
    ) -> Result<bool, NodeError> {
        // First: what is committed in between is in the store.
        let pending = self.signatures.of_task(statement);
        let stored = self.stored_signatures(statement.task_id())?;
        let all = stored.iter().chain(&pending);
        let Some(certificate) = certificate_of(statement, set, all) else {
            return Ok(false);
        };
        self.put_certificate(&certificate, Some(set))?;
        self.complete(statement)?;
        Ok(true)
    }

    fn put_task(&mut self, task: &ImportedTask, certified: bool) {
        let key = task.statement.task_id().0.0;
        let now = clock::now().millis();
        let (status, failure) = match certified {
            true => (TaskStatus::Completed, ""),
            false => (
                TaskStatus::Expired,
                "taken over from other nodes, which have no certificate either",
            ),
        };
        let record = TaskRecord {
            statement: Some((&task.statement).into()),
            status: status.into(),
            created_ms: task.created_ms.min(now),
            ended_ms: now,
            failure: failure.into(),
            caught_up: true,
            ..TaskRecord::default()
        };
        self.batch.put(schema::TASKS, &key, &record);
        self.batch
            .put(schema::TASK_TIMES, &(record.created_ms, key), &Empty {});
    }

    /// A task that had ended here without certificate.
    fn complete(&mut self, statement: &Statement) -> Result<(), NodeError> {
        let key = statement.task_id().0.0;
        if let Some(mut record) = self.writes.store().get(schema::TASKS, &key)? {
            record.set_status(TaskStatus::Completed);
            record.failure.clear();
            record.caught_up = true;
            if record.ended_ms == 0 {
                record.ended_ms = clock::now().millis();
            }
            self.batch.put(schema::TASKS, &key, &record);
        }
        Ok(())
    }
}

/// The certificate that the signatures among these responses make, if they suffice.
fn certificate_of<'a>(
    statement: &Statement,
    set: &OperatorSet,
    responses: impl Iterator<Item = &'a Response>,
) -> Option<Certificate> {
    let signer = |response: &Response| match response.outcome {
        Outcome::Signed(signature) => Some(SignerSignature {
            operator: response.operator,
            signature,
        }),
        Outcome::Refused(_) => None,
    };
    Certificate::fewest(statement.clone(), set, responses.filter_map(signer))
}

/// Whether a response is of a member, and more than what is known.
fn adds(known: &TaskState, set: &OperatorSet, response: &Response) -> bool {
    let Some(member) = set.position(response.operator) else {
        return false;
    };
    let signed = known.signed.has(member);
    match response.outcome {
        Outcome::Signed(_) => !signed,
        Outcome::Refused(_) => !signed && !known.refused.has(member),
    }
}
