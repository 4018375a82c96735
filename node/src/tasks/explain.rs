//! What this node knows of a task, from its store.

use std::collections::BTreeMap;

use quorate_proto::store::{
    ProviderQuestion, ProviderWord, ResponseRecord, TaskRecord, TaskStatus,
};
use quorate_proto::wire::{TaskState, TimelineOperator, TimelineReply};
use quorate_proto::{
    Address, Certificate, Domain, OperatorSet, Outcome, Response, Statement, StatementJson, TaskId,
    U256, limits,
};
use quorate_storage::{Page, Store, schema};

use crate::NodeError;
use crate::api::{SaidByProvider, TaskLine, Timeline};
use crate::process::measures::millis;
use quorate_client::record::state_word;

/// All that the store has about a task, as it is told on the wire; `None` where it has nothing.
/// `me` is the operator whose node this is.
pub(crate) fn gather(
    store: &Store,
    me: Option<Address>,
    id: TaskId,
) -> Result<Option<TimelineReply>, NodeError> {
    let Some(record) = store.get(schema::TASKS, &id.0.0)? else {
        return Ok(None);
    };
    let epoch = statement_of(&record)?.epoch();
    let set = store.get(schema::SETS, &epoch.0)?;
    let set = set.as_ref().map(OperatorSet::try_from);
    let set = set.transpose().map_err(NodeError::damaged)?;
    let operators = operators_of(store, id, set.as_ref())?;
    let word = |weight: U256| weight.to_be_bytes_vec();
    let mut reply = TimelineReply {
        task_id: id.0.to_vec(),
        state: state_of(&record).into(),
        node_operator: me.map(|operator| operator.to_vec()).unwrap_or_default(),
        created_ms: record.created_ms,
        ended_ms: record.ended_ms,
        entry: record.entry,
        attempts: record.attempts,
        read_micros: record.read_micros,
        read_at_number: record.read_at_number,
        read_basis: record.read_basis,
        certified_micros: record.certified_micros,
        threshold: set
            .as_ref()
            .map(|set| word(set.threshold()))
            .unwrap_or_default(),
        total_weight: set
            .as_ref()
            .map(|set| word(set.total_weight()))
            .unwrap_or_default(),
        operators,
        statement: record.statement,
        announced_by: record.announced_by,
        read_at_block: record.read_at_block,
        failure: cut(record.failure),
        ..TimelineReply::default()
    };
    for row in store.rows(schema::TIMELINES, &id.0.0) {
        let (_, row) = row?;
        reply.events.extend(row.events);
        reply.cut = reply.cut.saturating_add(row.cut);
    }
    Ok(Some(reply))
}

fn cut(mut text: String) -> String {
    text.truncate(text.floor_char_boundary(limits::MAX_FAILURE_BYTES));
    text
}

/// As [`gather`], for people and scripts of this node: they hear of its providers, too.
pub(crate) fn explain(
    store: &Store,
    domain: &Domain,
    me: Option<Address>,
    id: TaskId,
) -> Result<Option<Timeline>, NodeError> {
    let Some(reply) = gather(store, me, id)? else {
        return Ok(None);
    };
    let mut timeline = Timeline::read(&reply, domain).map_err(NodeError::damaged)?;
    if let Some(record) = store.get(schema::TASKS, &id.0.0)? {
        let words = record.provider_words.iter();
        timeline.task.providers = words.map(provider_line).collect();
    }
    Ok(Some(timeline))
}

fn provider_line(word: &ProviderWord) -> SaidByProvider {
    let question = match word.question() {
        ProviderQuestion::Header => "header",
        ProviderQuestion::Value => "value",
        ProviderQuestion::Proof => "proof",
        ProviderQuestion::Unspecified => "?",
    };
    SaidByProvider {
        provider: word.provider.clone(),
        question: question.into(),
        answer: crate::tasks::driver::answer_word(word.answer()).into(),
        detail: Some(word.detail.clone()).filter(|text| !text.is_empty()),
        ms: millis(word.micros),
    }
}

/// The tasks whose ids begin with these hexadecimal digits, `limit` at most.
pub(crate) fn beginning_with(
    store: &Store,
    prefix: &Prefix,
    limit: usize,
) -> Result<Vec<TaskId>, NodeError> {
    let before = prefix.first.checked_sub(U256::from(1));
    let page = Page::first(limit).after(before.map(|id| id.to_be_bytes()));
    let rows = store.scan(schema::TASKS, &(), page)?.rows;
    let ids = rows.into_iter().map(|(id, _)| id);
    let fits = |id: &[u8; 32]| U256::from_be_bytes(*id) <= prefix.last;
    Ok(ids.take_while(fits).map(|id| TaskId(id.into())).collect())
}

/// The beginning of a task id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Prefix {
    first: U256,
    last: U256,
}

impl Prefix {
    /// Fewer digits name too many tasks.
    const LEAST: usize = 4;
    const DIGITS: usize = 64;

    /// Reads 4 to 64 hexadecimal digits, with or without 0x.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let digits = text.strip_prefix("0x").unwrap_or(text);
        let known = digits.bytes().all(|digit| digit.is_ascii_hexdigit());
        if !known || !(Self::LEAST..=Self::DIGITS).contains(&digits.len()) {
            return None;
        }
        let filled = |with: &str| {
            let missing = with.repeat(Self::DIGITS.saturating_sub(digits.len()));
            U256::from_str_radix(&format!("{digits}{missing}"), 16).ok()
        };
        Some(Self {
            first: filled("0")?,
            last: filled("f")?,
        })
    }

    /// The one id that it is, where it is whole.
    pub(crate) fn whole(&self) -> Option<TaskId> {
        (self.first == self.last).then(|| TaskId(self.first.to_be_bytes().into()))
    }
}

/// Tasks named where the beginning of an id fits several.
const CANDIDATES: usize = 5;

/// Why the beginning of an id names no task.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Unnamed {
    #[error("a task id has 64 hexadecimal digits, with or without 0x; its first 4 may be enough")]
    NoId,
    #[error("no task of this node begins with {0}")]
    None(String),
    #[error("several tasks begin with {0}, such as {1}; give more digits")]
    Several(String, String),
}

/// The one task whose id is this, or begins like this.
pub(crate) fn named(store: &Store, text: &str) -> Result<Result<TaskId, Unnamed>, NodeError> {
    let Some(prefix) = Prefix::parse(text) else {
        return Ok(Err(Unnamed::NoId));
    };
    if let Some(id) = prefix.whole() {
        return Ok(Ok(id));
    }
    let found = beginning_with(store, &prefix, CANDIDATES)?;
    Ok(match found.as_slice() {
        [id] => Ok(*id),
        [] => Err(Unnamed::None(text.into())),
        several => {
            let several: Vec<String> = several.iter().map(ToString::to_string).collect();
            Err(Unnamed::Several(text.into(), several.join(", ")))
        }
    })
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

/// Every member of the set, and every operator that answered, ascending by address.
fn operators_of(
    store: &Store,
    id: TaskId,
    set: Option<&OperatorSet>,
) -> Result<Vec<TimelineOperator>, NodeError> {
    let mut operators = BTreeMap::new();
    for member in set.map(OperatorSet::members).unwrap_or_default() {
        let line = TimelineOperator {
            operator: member.address.to_vec(),
            ..TimelineOperator::default()
        };
        operators.insert(member.address, line);
    }
    for row in store.rows(schema::RESPONSES, &id.0.0) {
        let (_, record) = row?;
        if let Some(message) = &record.response {
            let response = Response::try_from(message).map_err(NodeError::damaged)?;
            operators.insert(response.operator, answer_of(&response, &record));
        }
    }
    let certificate = store.get(schema::CERTIFICATES, &id.0.0)?;
    let certificate = certificate
        .as_ref()
        .map(crate::tasks::records::decode)
        .transpose()?;
    for signer in certificate.iter().flat_map(Certificate::signatures) {
        let line = operators.entry(signer.operator).or_default();
        line.operator = signer.operator.to_vec();
        line.in_certificate = true;
    }
    for (operator, line) in &mut operators {
        let weight = set.map(|set| set.weight_of(*operator).to_be_bytes_vec());
        line.weight = weight.unwrap_or_default();
    }
    Ok(operators.into_values().collect())
}

fn answer_of(response: &Response, record: &ResponseRecord) -> TimelineOperator {
    let mut line = TimelineOperator {
        operator: response.operator.to_vec(),
        answered: true,
        after_micros: record.after_micros,
        late: record.late,
        read_basis: response.basis.into(),
        ..TimelineOperator::default()
    };
    if let Outcome::Refused(refusal) = &response.outcome {
        line.refusal = refusal.code.into();
        line.detail.clone_from(&refusal.detail);
    }
    line
}

/// Where this node was there.
fn certified_ms(record: &TaskRecord) -> Option<f64> {
    let counted = record.status() == TaskStatus::Completed && record.certified_micros > 0;
    counted.then(|| millis(record.certified_micros))
}

fn task_line(id: &[u8], record: &TaskRecord) -> Result<TaskLine, NodeError> {
    let statement = statement_of(record)?;
    // Of every kind what its JSON has.
    let fields = serde_json::to_value(StatementJson::from(&statement)).unwrap_or_default();
    let number = |name| fields.get(name).and_then(serde_json::Value::as_u64);
    let short = |name| number(name).and_then(|number| u32::try_from(number).ok());
    let kind = fields.get("kind").and_then(serde_json::Value::as_str);
    Ok(TaskLine {
        task_id: hex_text(id),
        status: state_word(state_of(record)).into(),
        created_ms: record.created_ms,
        certified_ms: certified_ms(record),
        kind: kind.unwrap_or_default().into(),
        chain_id: short("chain_id"),
        block_number: number("block_number"),
        next_epoch: short("next_epoch"),
        epoch: statement.epoch().0,
    })
}

fn statement_of(record: &TaskRecord) -> Result<Statement, NodeError> {
    let damage = || NodeError::Stored {
        reason: "a stored task has no statement".into(),
    };
    let message = record.statement.as_ref().ok_or_else(damage)?;
    Statement::try_from(message).map_err(NodeError::damaged)
}

fn state_of(record: &TaskRecord) -> TaskState {
    match record.status() {
        TaskStatus::Completed => TaskState::Completed,
        TaskStatus::Expired => TaskState::Expired,
        TaskStatus::Failed => TaskState::Failed,
        TaskStatus::Pending | TaskStatus::Unspecified => TaskState::Pending,
    }
}

fn hex_text(bytes: &[u8]) -> String {
    format!("0x{}", hex::encode(bytes))
}

#[cfg(test)]
mod tests;
