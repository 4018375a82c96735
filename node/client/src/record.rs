//! A task's record as it is told: from the wire to what people and scripts read.

use quorate_proto::wire::timeline_event::Kind;
use quorate_proto::wire::{
    self, RefusalCode, TaskState, TimelineItem, TimelineOutcome, TimelineReason, TimelineReply,
};
use quorate_proto::{Address, B256, Domain, ReadBasis, Statement, U256, WireError};

use crate::api::{
    EventKind, LiveLine, OperatorReport, StatementReport, TaskReport, Timeline, TimelineEvent,
};

impl Timeline {
    /// Reads what a node told.
    ///
    /// # Errors
    /// [`WireError`] where a field does not have its form.
    pub fn read(reply: &TimelineReply, domain: &Domain) -> Result<Self, WireError> {
        let began = began(reply);
        let events = reply.events.iter().map(|event| read_event(event, began));
        let events: Vec<TimelineEvent> = events.collect::<Result<_, _>>()?;
        let mut task = task_report(reply, domain)?;
        for operator in &mut task.operators {
            operator.seen_ms = seen(&events, &operator.operator).or(operator.after_ms);
        }
        Ok(Self {
            task,
            node_operator: address_of(&reply.node_operator)?,
            events,
            cut: reply.cut,
        })
    }
}

/// The last beginning of the task: what happened earlier was another attempt.
fn began(reply: &TimelineReply) -> u64 {
    let opened = |event: &&wire::TimelineEvent| matches!(event.kind, Some(Kind::Opened(_)));
    let opened = reply.events.iter().rev().find(opened);
    opened.map_or(reply.created_ms.saturating_mul(1_000), |event| {
        event.at_micros
    })
}

/// When anything of an operator was first heard about the task.
fn seen(events: &[TimelineEvent], operator: &str) -> Option<f64> {
    let mut of_operator = events.iter().filter(|event| match &event.what {
        EventKind::Announced { operator: of, .. } | EventKind::Answered { operator: of, .. } => {
            of == operator
        }
        EventKind::Opened { heard_of, .. } => heard_of.as_deref() == Some(operator),
        _ => false,
    });
    of_operator
        .find(|event| event.after_ms >= 0.0)
        .map(|event| event.after_ms)
}

fn task_report(reply: &TimelineReply, domain: &Domain) -> Result<TaskReport, WireError> {
    let statement = Statement::try_from(present("statement", reply.statement.as_ref())?)?;
    if statement.task_id().0.as_slice() != reply.task_id {
        return Err(WireError::new("task_id", "is of another statement"));
    }
    let operators = reply.operators.iter().map(operator_report);
    let operators: Vec<OperatorReport> = operators.collect::<Result<_, _>>()?;
    let threshold = weight_of("threshold", &reply.threshold)?;
    let [signed, refused] = weights(reply)?;
    let completed = reply.state() == TaskState::Completed;
    let missing = threshold.map(|threshold| match completed {
        true => U256::ZERO,
        false => threshold.saturating_sub(signed),
    });
    let signers = reply.operators.iter().zip(&operators);
    let signers = signers.filter(|(line, _)| line.in_certificate);
    Ok(TaskReport {
        task_id: statement.task_id().to_string(),
        status: state_word(reply.state()).into(),
        failure: Some(reply.failure.clone()).filter(|text| !text.is_empty()),
        statement: statement_report(&statement, domain),
        created_ms: reply.created_ms,
        ended_ms: Some(reply.ended_ms).filter(|at| *at > 0),
        entry: reply.entry,
        announced_by: address_of(&reply.announced_by)?,
        attempts: reply.attempts,
        read_ms: Some(millis(reply.read_micros)).filter(|ms| *ms > 0.0),
        read_at_block: hash_of(&reply.read_at_block)?,
        read_at_number: Some(reply.read_at_number).filter(|number| *number > 0),
        read_basis: basis_word(reply.read_basis()),
        // Whom a node asks is its own business.
        providers: Vec::new(),
        certified_ms: completed.then(|| millis(reply.certified_micros)),
        signed_weight: signed.to_string(),
        refused_weight: refused.to_string(),
        threshold: threshold.map(|weight| weight.to_string()),
        total_weight: weight_of("total_weight", &reply.total_weight)?.map(|w| w.to_string()),
        missing_weight: missing.map(|weight| weight.to_string()),
        certificate_signers: signers.map(|(_, report)| report.operator.clone()).collect(),
        operators,
    })
}

fn weights(reply: &TimelineReply) -> Result<[U256; 2], WireError> {
    let mut weights = [U256::ZERO; 2];
    for line in reply.operators.iter().filter(|line| line.answered) {
        let weight = weight_of("weight", &line.weight)?.unwrap_or(U256::ZERO);
        let place = usize::from(line.refusal != 0);
        weights[place] = weights[place].saturating_add(weight);
    }
    Ok(weights)
}

fn operator_report(line: &wire::TimelineOperator) -> Result<OperatorReport, WireError> {
    let refusal = refusal_of(line.refusal);
    let outcome = match (line.answered, &refusal) {
        (false, _) => "missing",
        (true, None) => "signed",
        (true, Some(_)) => "refused",
    };
    Ok(OperatorReport {
        operator: address(&line.operator)?,
        weight: weight_of("weight", &line.weight)?.map(|weight| weight.to_string()),
        outcome: outcome.into(),
        detail: refusal.is_some().then(|| line.detail.clone()),
        code: refusal,
        after_ms: line.answered.then(|| millis(line.after_micros)),
        late: line.late,
        seen_ms: None,
        read_basis: basis_word(line.read_basis()),
    })
}

fn basis_word(basis: ReadBasis) -> Option<String> {
    match basis {
        ReadBasis::Proof => Some("proof".into()),
        ReadBasis::Vote => Some("vote".into()),
        ReadBasis::Unspecified => None,
    }
}

fn read_event(event: &wire::TimelineEvent, began: u64) -> Result<TimelineEvent, WireError> {
    let after_ms = match event.at_micros.checked_sub(began) {
        Some(after) => millis(after),
        None => -millis(began.saturating_sub(event.at_micros)),
    };
    let what = happening(event.kind.as_ref())?;
    Ok(TimelineEvent { after_ms, what })
}

fn happening(kind: Option<&Kind>) -> Result<EventKind, WireError> {
    Ok(match kind {
        None => EventKind::Unknown {},
        Some(Kind::Opened(opened)) => EventKind::Opened {
            heard_of: address_of(&opened.heard_of)?,
            again: opened.again,
        },
        Some(Kind::Asked(asked)) => EventKind::Asked { user: asked.user },
        Some(Kind::Announced(announced)) => EventKind::Announced {
            operator: address(&announced.operator)?,
            attempt: announced.attempt,
        },
        Some(Kind::Read(read)) => EventKind::Read {
            took_ms: millis(read.took_micros),
            at_block: hash_of(&read.block_hash)?,
            basis: basis_word(read.basis()),
            refusal: refusal_of(read.refusal),
            detail: text_of(&read.detail),
        },
        Some(Kind::Answered(answer)) => answered(answer)?,
        Some(Kind::Sent(sent)) => EventKind::Sent {
            item: item_word(sent.item()).into(),
        },
        Some(Kind::Certified(certified)) => EventKind::Certified {
            signers: certified.signers,
            learned: certified.learned,
        },
        Some(Kind::Delivered(delivered)) => EventKind::Delivered {
            user: delivered.user,
            outcome: outcome_word(delivered.outcome()).into(),
        },
        Some(Kind::Ended(ended)) => happened_last(ended)?,
        Some(Kind::Equivocated(found)) => EventKind::Equivocated {
            operator: address(&found.operator)?,
            other_task: hash_of(&found.other_task)?.unwrap_or_default(),
        },
        Some(Kind::Declined(declined)) => EventKind::Declined {
            reason: reason_word(declined.reason()).into(),
        },
        Some(Kind::Interrupted(_)) => EventKind::Interrupted {},
    })
}

fn answered(answer: &wire::TimelineAnswered) -> Result<EventKind, WireError> {
    let refusal = refusal_of(answer.refusal);
    Ok(EventKind::Answered {
        operator: address(&answer.operator)?,
        signed: refusal.is_none(),
        refusal,
        detail: text_of(&answer.detail),
        late: answer.late,
        took_ms: Some(millis(answer.took_micros)).filter(|ms| *ms > 0.0),
    })
}

fn happened_last(ended: &wire::TimelineEnded) -> Result<EventKind, WireError> {
    let weight = |name, bytes: &[u8]| {
        Ok::<_, WireError>(weight_of(name, bytes)?.unwrap_or(U256::ZERO).to_string())
    };
    Ok(EventKind::Ended {
        status: state_word(ended.state()).into(),
        signed_weight: weight("signed_weight", &ended.signed_weight)?,
        threshold: weight("threshold", &ended.threshold)?,
        missing: ended
            .missing
            .iter()
            .map(|operator| address(operator))
            .collect::<Result<_, _>>()?,
    })
}

/// What a follower hears of an event.
pub fn live_line(
    task_id: String,
    event: &wire::TimelineEvent,
    statement: Option<&Statement>,
    domain: &Domain,
) -> Result<LiveLine, WireError> {
    Ok(LiveLine::Task {
        task_id,
        at_ms: millis(event.at_micros),
        what: happening(event.kind.as_ref())?,
        statement: statement.map(|statement| statement_report(statement, domain)),
    })
}

/// A statement as pages and scripts show it.
#[must_use]
pub fn statement_report(statement: &Statement, domain: &Domain) -> StatementReport {
    StatementReport {
        statement: statement.into(),
        digest: statement.digest(domain).to_string(),
    }
}

/// The word for a state.
#[must_use]
pub const fn state_word(state: TaskState) -> &'static str {
    match state {
        TaskState::Completed => "completed",
        TaskState::Expired => "expired",
        TaskState::Failed => "failed",
        TaskState::Pending | TaskState::Unspecified => "pending",
    }
}

const fn item_word(item: TimelineItem) -> &'static str {
    match item {
        TimelineItem::Result => "result",
        TimelineItem::AnswerAgain => "answer_again",
        TimelineItem::Unspecified => "unknown",
    }
}

const fn outcome_word(outcome: TimelineOutcome) -> &'static str {
    match outcome {
        TimelineOutcome::Certificate => "certificate",
        TimelineOutcome::Error => "error",
        TimelineOutcome::Gone => "gone",
        TimelineOutcome::Unspecified => "unknown",
    }
}

const fn reason_word(reason: TimelineReason) -> &'static str {
    match reason {
        TimelineReason::TooManyUsers => "too_many_users",
        TimelineReason::KeyNotRegistered => "key_not_registered",
        TimelineReason::SignerBusy => "signer_busy",
        TimelineReason::Unspecified => "unknown",
    }
}

/// `None` for a signature; a code of a later version is a refusal, too.
fn refusal_of(code: i32) -> Option<String> {
    (code != 0).then(|| {
        let code = RefusalCode::try_from(code).unwrap_or(RefusalCode::Unspecified);
        code.describe().to_owned()
    })
}

fn text_of(text: &str) -> Option<String> {
    Some(text.to_owned()).filter(|text| !text.is_empty())
}

fn address(bytes: &[u8]) -> Result<String, WireError> {
    let address = Address::try_from(bytes);
    let address = address.map_err(|_| WireError::new("operator", "must have 20 bytes"))?;
    Ok(address.to_string())
}

fn address_of(bytes: &[u8]) -> Result<Option<String>, WireError> {
    (!bytes.is_empty()).then(|| address(bytes)).transpose()
}

fn hash_of(bytes: &[u8]) -> Result<Option<String>, WireError> {
    let hash = |bytes| {
        let hash = B256::try_from(bytes);
        hash.map_err(|_| WireError::new("a hash", "must have 32 bytes"))
    };
    let hash = (!bytes.is_empty()).then(|| hash(bytes)).transpose()?;
    Ok(hash.map(|hash| hash.to_string()))
}

fn weight_of(name: &'static str, bytes: &[u8]) -> Result<Option<U256>, WireError> {
    if bytes.is_empty() {
        return Ok(None);
    }
    let word = B256::try_from(bytes).map_err(|_| WireError::new(name, "must have 32 bytes"))?;
    Ok(Some(U256::from_be_bytes(word.0)))
}

fn present<T>(field: &'static str, value: Option<T>) -> Result<T, WireError> {
    value.ok_or(WireError::new(field, "is missing"))
}

/// Microseconds as milliseconds, for people.
#[allow(clippy::cast_precision_loss)]
fn millis(micros: u64) -> f64 {
    micros as f64 / 1_000.0
}
