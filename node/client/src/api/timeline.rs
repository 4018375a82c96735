//! What became of a task and when, as JSON.

use serde::{Deserialize, Serialize};

use super::{StatementReport, TaskReport};

/// `GET /tasks/{id}/timeline`: all of `GET /tasks/{id}`, and what happened in its order.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Timeline {
    /// How the task stands.
    #[serde(flatten)]
    pub task: TaskReport,
    /// The operator whose node tells this; `None` at a registry.
    pub node_operator: Option<String>,
    /// In their order at this node.
    pub events: Vec<TimelineEvent>,
    /// Events that were left out, since the record was full.
    pub cut: u32,
}

/// Something that happened to a task.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TimelineEvent {
    /// Milliseconds after the task's last beginning at this node; less than zero where it had been here
    /// before.
    pub after_ms: f64,
    /// What it was.
    #[serde(flatten)]
    pub what: EventKind,
}

/// What can happen to a task; `event` says which.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum EventKind {
    /// It began at this node.
    Opened {
        /// Operator that it was first heard of; `None` where this node began it.
        heard_of: Option<String>,
        /// It had ended here before.
        again: bool,
    },
    /// A user asked this node.
    Asked {
        /// Number of the user within this task, from 1.
        user: u32,
    },
    /// The task was announced to the mesh.
    Announced {
        /// Which operator did.
        operator: String,
        /// From 1 on: who has not answered is asked again.
        attempt: u32,
    },
    /// This node looked at the chain.
    Read {
        /// How long that took.
        took_ms: f64,
        /// Hash of the final block at which it read.
        at_block: Option<String>,
        /// `proof` or `vote`: what the read rests on.
        #[serde(default)]
        basis: Option<String>,
        /// Why it will not sign; `None` where it read the same.
        refusal: Option<String>,
        /// The same for people.
        detail: Option<String>,
    },
    /// An operator's answer was counted.
    Answered {
        /// Whose.
        operator: String,
        /// Whether it signed.
        signed: bool,
        /// Why not.
        refusal: Option<String>,
        /// The same for people.
        detail: Option<String>,
        /// The threshold had been reached, or the task had ended, before.
        late: bool,
        /// For the node's own answer: from its decision until it was signed and recorded.
        took_ms: Option<f64>,
    },
    /// This node published something.
    Sent {
        /// `result` or `answer_again`.
        item: String,
    },
    /// The threshold was reached.
    Certified {
        /// Signatures in the certificate.
        signers: u32,
        /// The certificate came from another operator.
        learned: bool,
    },
    /// A user got its answer, or went away.
    Delivered {
        /// As in `asked`.
        user: u32,
        /// `certificate`, `error` or `gone`.
        outcome: String,
    },
    /// The task ended without certificate.
    Ended {
        /// `expired` or `failed`.
        status: String,
        /// Weight that had signed.
        signed_weight: String,
        /// Weight that was needed.
        threshold: String,
        /// Operators that had not answered.
        missing: Vec<String>,
    },
    /// An operator signed another fact for the same question.
    Equivocated {
        /// Which one.
        operator: String,
        /// The task of the other fact.
        other_task: String,
    },
    /// This node left its part out.
    Declined {
        /// `too_many_users`, `key_not_registered` or `signer_busy`.
        reason: String,
    },
    /// The node was restarted while the task was under way.
    Interrupted {},
    /// Something that this version does not know.
    Unknown {},
}

/// One line of `GET /tasks/refused`: what never became a task here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefusedLine {
    /// When it was refused first.
    pub at_ms: u64,
    /// When last.
    pub last_ms: u64,
    /// `request`, `gossip` or `pipeline`.
    pub origin: String,
    /// Why, for machines.
    pub code: String,
    /// Why, for people.
    pub detail: String,
    /// Which task it would have been, where that is known.
    pub task_id: Option<String>,
    /// How often the same was refused.
    pub times: u64,
}

/// One line of `GET /tasks/live`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum LiveLine {
    /// Something happened to a task.
    Task {
        /// Which one.
        task_id: String,
        /// Unix milliseconds.
        at_ms: f64,
        /// What happened.
        #[serde(flatten)]
        what: EventKind,
        /// What it is about; with its first event only.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        statement: Option<StatementReport>,
    },
    /// Something was refused before it became a task. Only over HTTP.
    Refused {
        /// What, and why.
        #[serde(flatten)]
        line: RefusedLine,
    },
    /// The reader was too slow: so many lines were left out before the next one.
    Skipped {
        /// How many.
        count: u64,
    },
}
