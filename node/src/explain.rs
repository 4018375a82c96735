//! What this node knows of a task, from its store.

use quorate_proto::store::{ResponseRecord, TaskRecord, TaskStatus};
use quorate_proto::{Address, Domain, OperatorSet, Outcome, Response, Statement, TaskId, U256};
use quorate_protocols::task::{Report, Status};
use quorate_storage::{Page, Store, schema};

use crate::NodeError;
use crate::api::{OperatorReport, StatementReport, TaskLine, TaskReport};
use crate::figures::millis;

/// Why a task ended without certificate, naming the weight that is missing.
pub(crate) fn failure_of(report: &Report) -> String {
    let progress = &report.progress;
    let missing = progress.threshold.saturating_sub(progress.signed_weight);
    let cause = match report.status {
        Status::Failed => "the threshold cannot be reached",
        _ => "the threshold was not reached in time",
    };
    let mut reasons: Vec<String> = Vec::new();
    for refusal in &report.refusals {
        reasons.push(format!("{} {}", refusal.operator, refusal.code.describe()));
    }
    if !report.missing.is_empty() {
        let silent: Vec<String> = report.missing.iter().map(ToString::to_string).collect();
        reasons.push(format!("no answer from {}", silent.join(", ")));
    }
    format!(
        "{cause}: weight {} of {} signed, {} is needed, {missing} is missing; {}",
        progress.signed_weight,
        progress.total_weight,
        progress.threshold,
        reasons.join("; ")
    )
}

/// All that the store has about a task; `None` where it has nothing.
pub(crate) fn explain(
    store: &Store,
    domain: &Domain,
    id: TaskId,
) -> Result<Option<TaskReport>, NodeError> {
    let Some(record) = store.get(schema::TASKS, &id.0.0)? else {
        return Ok(None);
    };
    let statement = statement_of(&record)?;
    let set = store.get(schema::SETS, &statement.epoch().0)?;
    let set = set
        .as_ref()
        .map(OperatorSet::try_from)
        .transpose()
        .map_err(damaged)?;
    let responses = responses_of(store, id)?;
    let certificate = store.get(schema::CERTIFICATES, &id.0.0)?;
    let certificate = certificate.as_ref().map(crate::desk::decode).transpose()?;
    let signers = certificate.map(|c| {
        c.signatures()
            .iter()
            .map(|s| s.operator.to_string())
            .collect()
    });
    let operators = operators_of(set.as_ref(), &responses);
    let [signed, refused] = weights_of(set.as_ref(), &responses);
    let completed = record.status() == TaskStatus::Completed;
    let missing = set.as_ref().map(|set| match completed {
        true => U256::ZERO,
        false => set.threshold().saturating_sub(signed),
    });
    Ok(Some(TaskReport {
        task_id: id.to_string(),
        status: status_word(&record).into(),
        failure: Some(record.failure.clone()).filter(|text| !text.is_empty()),
        statement: statement_report(&statement, domain),
        created_ms: record.created_ms,
        ended_ms: Some(record.ended_ms).filter(|at| *at > 0),
        entry: record.entry,
        announced_by: address_text(&record.announced_by),
        attempts: record.attempts,
        read_ms: Some(millis(record.read_micros)).filter(|ms| *ms > 0.0),
        read_at_block: Some(hex_text(&record.read_at_block))
            .filter(|_| !record.read_at_block.is_empty()),
        certified_ms: completed.then(|| millis(record.certified_micros)),
        signed_weight: signed.to_string(),
        refused_weight: refused.to_string(),
        threshold: set.as_ref().map(|set| set.threshold().to_string()),
        total_weight: set.as_ref().map(|set| set.total_weight().to_string()),
        missing_weight: missing.map(|weight| weight.to_string()),
        operators,
        certificate_signers: signers.unwrap_or_default(),
    }))
}

/// The newest tasks.
pub(crate) fn newest(store: &Store, limit: usize) -> Result<Vec<TaskLine>, NodeError> {
    let rows = store.scan(schema::TASK_TIMES, &(), Page::newest(limit))?;
    let mut lines = Vec::with_capacity(rows.rows.len());
    for ((_, id), _) in rows.rows {
        if let Some(record) = store.get(schema::TASKS, &id)? {
            lines.push(task_line(&id, &record)?);
        }
    }
    Ok(lines)
}

fn responses_of(store: &Store, id: TaskId) -> Result<Vec<(Response, ResponseRecord)>, NodeError> {
    let mut responses = Vec::new();
    for row in store.rows(schema::RESPONSES, &id.0.0) {
        let (_, record) = row?;
        if let Some(message) = &record.response {
            responses.push((Response::try_from(message).map_err(damaged)?, record));
        }
    }
    Ok(responses)
}

fn operators_of(
    set: Option<&OperatorSet>,
    responses: &[(Response, ResponseRecord)],
) -> Vec<OperatorReport> {
    let answered = |operator: &Address| responses.iter().any(|(r, _)| r.operator == *operator);
    let members = set.map(OperatorSet::members).unwrap_or_default();
    let silent = members
        .iter()
        .map(|m| m.address)
        .filter(|operator| !answered(operator));
    let weight = |operator| set.map(|set| set.weight_of(operator).to_string());
    let mut reports: Vec<(Address, OperatorReport)> = silent
        .map(|operator| (operator, missing_report(operator, weight(operator))))
        .collect();
    for (response, record) in responses {
        let operator = response.operator;
        reports.push((operator, answer_report(response, record, weight(operator))));
    }
    reports.sort_by_key(|(operator, _)| *operator);
    reports.into_iter().map(|(_, report)| report).collect()
}

fn missing_report(operator: Address, weight: Option<String>) -> OperatorReport {
    OperatorReport {
        operator: operator.to_string(),
        weight,
        outcome: "missing".into(),
        code: None,
        detail: None,
        after_ms: None,
        late: false,
    }
}

fn answer_report(
    response: &Response,
    record: &ResponseRecord,
    weight: Option<String>,
) -> OperatorReport {
    let mut report = OperatorReport {
        outcome: "signed".into(),
        after_ms: Some(millis(record.after_micros)),
        late: record.late,
        ..missing_report(response.operator, weight)
    };
    if let Outcome::Refused(refusal) = &response.outcome {
        report.outcome = "refused".into();
        report.code = Some(refusal.code.describe().into());
        report.detail = Some(refusal.detail.clone());
    }
    report
}

fn weights_of(set: Option<&OperatorSet>, responses: &[(Response, ResponseRecord)]) -> [U256; 2] {
    let mut weights = [U256::ZERO; 2];
    for (response, _) in responses {
        let weight = set.map_or(U256::ZERO, |set| set.weight_of(response.operator));
        let place = usize::from(matches!(response.outcome, Outcome::Refused(_)));
        weights[place] = weights[place].saturating_add(weight);
    }
    weights
}

fn statement_report(statement: &Statement, domain: &Domain) -> StatementReport {
    let digest = statement.digest(domain).to_string();
    match statement {
        Statement::StateProof(proof) => StatementReport::StateProof {
            chain_id: proof.chain_id,
            user: proof.user.to_string(),
            key: proof.key.to_string(),
            value: proof.value.to_string(),
            block_number: proof.block_number,
            timestamp: proof.timestamp,
            epoch: proof.epoch.0,
            digest,
        },
        Statement::EpochUpdate(update) => StatementReport::EpochUpdate {
            epoch: update.epoch.0,
            next_epoch: update.next_epoch.0,
            set_hash: update.set_hash.to_string(),
            digest,
        },
    }
}

fn task_line(id: &[u8], record: &TaskRecord) -> Result<TaskLine, NodeError> {
    let statement = statement_of(record)?;
    let (kind, proof, update) = match &statement {
        Statement::StateProof(proof) => ("state_proof", Some(proof), None),
        Statement::EpochUpdate(update) => ("epoch_update", None, Some(update)),
    };
    Ok(TaskLine {
        task_id: hex_text(id),
        status: status_word(record).into(),
        created_ms: record.created_ms,
        certified_ms: (record.status() == TaskStatus::Completed)
            .then(|| millis(record.certified_micros)),
        kind: kind.into(),
        chain_id: proof.map(|proof| proof.chain_id),
        block_number: proof.map(|proof| proof.block_number),
        next_epoch: update.map(|update| update.next_epoch.0),
        epoch: statement.epoch().0,
    })
}

fn statement_of(record: &TaskRecord) -> Result<Statement, NodeError> {
    let damage = || NodeError::Stored {
        reason: "a stored task has no statement".into(),
    };
    let message = record.statement.as_ref().ok_or_else(damage)?;
    Statement::try_from(message).map_err(damaged)
}

pub(crate) fn damaged(error: quorate_proto::WireError) -> NodeError {
    NodeError::Stored {
        reason: format!("a stored record is damaged: {error}"),
    }
}

const fn status_word(record: &TaskRecord) -> &'static str {
    const COMPLETED: i32 = TaskStatus::Completed as i32;
    const EXPIRED: i32 = TaskStatus::Expired as i32;
    const FAILED: i32 = TaskStatus::Failed as i32;
    match record.status {
        COMPLETED => "completed",
        EXPIRED => "expired",
        FAILED => "failed",
        _ => "pending",
    }
}

fn address_text(bytes: &[u8]) -> Option<String> {
    Address::try_from(bytes)
        .ok()
        .map(|address| address.to_string())
}

fn hex_text(bytes: &[u8]) -> String {
    format!("0x{}", hex::encode(bytes))
}
