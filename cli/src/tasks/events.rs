//! What happened to a task: one line an event.

use quorate_node::api::{EventKind, Timeline};
use quorate_proto::U256;

use crate::format::{self, printable};
use crate::table::Table;

/// What an event is called, whose it is, and what there is to say about it.
pub(super) struct Words {
    pub(super) event: &'static str,
    pub(super) operator: String,
    pub(super) text: String,
}

/// The timeline as a table, with the signed weight after each signature; nothing where the node
/// recorded nothing.
pub(super) fn table(timeline: &Timeline) -> String {
    if timeline.events.is_empty() {
        return String::new();
    }
    let mut table = Table::new(&[">MS", "EVENT", "OPERATOR", ">SIGNED", ""]);
    let mut sum = Sum::of(timeline);
    let node = timeline.node_operator.as_deref();
    for event in &timeline.events {
        let words = words(&event.what, node);
        let signed = sum.after(&event.what);
        let after = format!("{:+.2}", event.after_ms);
        table.row([
            after,
            words.event.into(),
            words.operator,
            signed,
            words.text,
        ]);
    }
    let cut = match timeline.cut {
        0 => String::new(),
        cut => format!("{cut} more were left out: the record was full\n"),
    };
    format!("{table}{cut}\n")
}

/// Adds up who signed.
struct Sum<'a> {
    timeline: &'a Timeline,
    total: Option<U256>,
    signed: U256,
}

impl<'a> Sum<'a> {
    fn of(timeline: &'a Timeline) -> Self {
        let total = timeline.task.total_weight.as_deref();
        Self {
            timeline,
            total: total.and_then(|total| total.parse().ok()),
            signed: U256::ZERO,
        }
    }

    fn after(&mut self, what: &EventKind) -> String {
        match (what, self.total) {
            // What was signed in an earlier life of the task is counted again.
            (EventKind::Opened { .. }, _) => {
                self.signed = U256::ZERO;
                String::new()
            }
            (
                EventKind::Answered {
                    operator,
                    signed: true,
                    ..
                },
                Some(total),
            ) => {
                let weight = self.weight_of(operator);
                self.signed = self.signed.saturating_add(weight);
                format::percent(self.signed, total)
            }
            _ => String::new(),
        }
    }

    fn weight_of(&self, operator: &str) -> U256 {
        let mut lines = self.timeline.task.operators.iter();
        let line = lines.find(|line| line.operator == operator);
        let weight = line.and_then(|line| line.weight.as_deref());
        weight
            .and_then(|weight| weight.parse().ok())
            .unwrap_or(U256::ZERO)
    }
}

/// `node` is the operator whose node tells this.
pub(super) fn words(what: &EventKind, node: Option<&str>) -> Words {
    let (event, operator, text) = match what {
        EventKind::Opened { heard_of, again } => opened(heard_of.as_deref(), *again),
        EventKind::Asked { user } => ("asked", "", format!("by user {user}")),
        EventKind::Announced { operator, attempt } => {
            ("announced", operator.as_str(), attempt_text(*attempt))
        }
        EventKind::Read { .. } => ("read", "", read(what)),
        EventKind::Answered {
            operator, signed, ..
        } => {
            let event = if *signed { "signed" } else { "refused" };
            (event, operator.as_str(), answer(what))
        }
        EventKind::Sent { item } => ("published", "", sent(item).into()),
        EventKind::Certified { signers, learned } => {
            ("certified", "", certified(*signers, *learned))
        }
        EventKind::Delivered { user, outcome } => ("delivered", "", delivered(*user, outcome)),
        EventKind::Ended { status, .. } => (ended_word(status), "", ended(what)),
        EventKind::Equivocated {
            operator,
            other_task,
        } => {
            let text = format!("signed another fact for this slot, in task {other_task}");
            ("equivocated", operator.as_str(), text)
        }
        EventKind::Declined { reason } => ("left out", "", declined(reason).into()),
        EventKind::Interrupted {} => ("interrupted", "", "the node was restarted".into()),
        EventKind::Unknown {} => ("unknown", "", "this node is of a later version".into()),
    };
    let operator = match node == Some(operator) && !operator.is_empty() {
        true => format!("{} (this node)", format::short(operator)),
        false => format::short(operator),
    };
    Words {
        event,
        operator,
        text,
    }
}

fn opened(heard_of: Option<&str>, again: bool) -> (&'static str, &str, String) {
    let text = match heard_of {
        Some(_) => "first heard of it",
        None => "begun by this node",
    };
    let more = if again { "; it was here before" } else { "" };
    (
        "opened",
        heard_of.unwrap_or_default(),
        format!("{text}{more}"),
    )
}

fn attempt_text(attempt: u32) -> String {
    match attempt {
        0 => String::new(),
        attempt => format!("asks again, attempt {attempt}"),
    }
}

fn read(what: &EventKind) -> String {
    let EventKind::Read {
        took_ms,
        at_block,
        basis,
        refusal,
        detail,
    } = what
    else {
        return String::new();
    };
    let verdict = refusal.as_deref().map_or("the same", |refusal| refusal);
    let place = at_block.as_deref().map(format::short);
    let place = place.map(|hash| format!(" at block {hash}"));
    format!(
        "{verdict}, in {}{}{}{}",
        format::millis(*took_ms),
        place.unwrap_or_default(),
        basis
            .as_deref()
            .map_or(String::new(), |basis| format!(", by {basis}")),
        after_colon(detail.as_deref())
    )
}

fn answer(what: &EventKind) -> String {
    let EventKind::Answered {
        refusal,
        detail,
        late,
        took_ms,
        ..
    } = what
    else {
        return String::new();
    };
    let late = late.then(|| "late".to_owned());
    let took =
        took_ms.map(|took| format!("decided, recorded and signed in {}", format::millis(took)));
    let reason = refusal
        .as_deref()
        .map(|reason| format!("{reason}{}", after_colon(detail.as_deref())));
    let parts: Vec<String> = [late, reason, took].into_iter().flatten().collect();
    parts.join("; ")
}

fn after_colon(detail: Option<&str>) -> String {
    detail
        .map(|detail| format!(": {}", printable(detail)))
        .unwrap_or_default()
}

fn sent(item: &str) -> &'static str {
    match item {
        "result" => "the certificate, for those that missed answers",
        "answer_again" => "the own answer once more",
        _ => "something",
    }
}

fn certified(signers: u32, learned: bool) -> String {
    let from = if learned {
        ", learned from another operator"
    } else {
        ""
    };
    format!("by {}{from}", format::count(signers as usize, "signature"))
}

fn delivered(user: u32, outcome: &str) -> String {
    match outcome {
        "certificate" => format!("the certificate to user {user}"),
        "error" => format!("an error to user {user}"),
        _ => format!("nothing: user {user} went away"),
    }
}

fn ended_word(status: &str) -> &'static str {
    match status {
        "failed" => "failed",
        _ => "expired",
    }
}

fn ended(what: &EventKind) -> String {
    let EventKind::Ended {
        signed_weight,
        threshold,
        missing,
        ..
    } = what
    else {
        return String::new();
    };
    let weights = format!(
        "{} signed, {} needed",
        format::amount_text(signed_weight),
        format::amount_text(threshold)
    );
    match missing.is_empty() {
        true => weights,
        false => {
            let missing: Vec<String> = missing
                .iter()
                .map(|operator| format::short(operator))
                .collect();
            format!("{weights}; no answer from {}", missing.join(", "))
        }
    }
}

fn declined(reason: &str) -> &'static str {
    match reason {
        "too_many_users" => "a user: as many wait for this task as it takes",
        "key_not_registered" => "the own answer: the home chain knows another key, or no stake",
        "signer_busy" => "the own answer: too much waits to be signed",
        _ => "something",
    }
}

#[cfg(test)]
mod tests;
