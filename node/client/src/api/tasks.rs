//! What became of tasks: `/tasks`, `/tasks/{id}`.

use quorate_proto::{Statement, StatementJson};
use serde::{Deserialize, Serialize};

/// `GET /tasks/{id}`: all that this node knows of a task.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct TaskReport {
    /// Task id.
    pub task_id: String,
    /// `pending`, `completed`, `expired` or `failed`.
    pub status: String,
    /// Why it ended without certificate.
    pub failure: Option<String>,
    /// The statement.
    pub statement: StatementReport,
    /// When this node first saw it.
    pub created_ms: u64,
    /// When it ended here.
    pub ended_ms: Option<u64>,
    /// Whether a user asked this node.
    pub entry: bool,
    /// Who announced it.
    pub announced_by: Option<String>,
    /// Announcements so far.
    pub attempts: u32,
    /// How long this node's own read took.
    pub read_ms: Option<f64>,
    /// Hash of the block at which this node read.
    pub read_at_block: Option<String>,
    /// Number of that block.
    #[serde(default)]
    pub read_at_number: Option<u64>,
    /// `proof` or `vote`: how this node knows what it read.
    #[serde(default)]
    pub read_basis: Option<String>,
    /// What the providers said in that read, in the order in which it was heard.
    #[serde(default)]
    pub providers: Vec<SaidByProvider>,
    /// From the start until the threshold was reached here.
    pub certified_ms: Option<f64>,
    /// Weight that signed.
    pub signed_weight: String,
    /// Weight that refused.
    pub refused_weight: String,
    /// Weight needed.
    pub threshold: Option<String>,
    /// Weight of the set.
    pub total_weight: Option<String>,
    /// Weight that is missing to the threshold; zero once certified.
    pub missing_weight: Option<String>,
    /// Every operator of the set, ascending, and what came from it.
    pub operators: Vec<OperatorReport>,
    /// Operators in the certificate.
    pub certificate_signers: Vec<String>,
}

/// The statement of a task.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StatementReport {
    /// Its fields; `kind` says which.
    #[serde(flatten)]
    pub statement: StatementJson,
    /// EIP-712 digest.
    pub digest: String,
}

impl StatementReport {
    /// The statement that it is about.
    #[must_use]
    pub fn statement(&self) -> Statement {
        (&self.statement).into()
    }
}

/// One operator's part in a task.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct OperatorReport {
    /// Address.
    pub operator: String,
    /// Weight in the task's epoch; `None` where this node has lost that epoch's set.
    pub weight: Option<String>,
    /// `signed`, `refused` or `missing`.
    pub outcome: String,
    /// Reason of a refusal, for machines.
    pub code: Option<String>,
    /// Reason of a refusal, for people.
    pub detail: Option<String>,
    /// After the task's start here.
    pub after_ms: Option<f64>,
    /// It came after the threshold had been reached.
    pub late: bool,
    /// When this node first heard anything of the operator about the task.
    #[serde(default)]
    pub seen_ms: Option<f64>,
    /// `proof` or `vote`: how it says that it knows what it read.
    #[serde(default)]
    pub read_basis: Option<String>,
}

/// What one provider said to one question of a read.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SaidByProvider {
    /// Its name, without path and query of its URL.
    pub provider: String,
    /// `header`, `value` or `proof`.
    pub question: String,
    /// In a few words: `good`, `a false proof`, `timed out` …
    pub answer: String,
    /// More about that.
    pub detail: Option<String>,
    /// Until the answer, or until the node waited no more.
    pub ms: f64,
}

/// One line of `GET /tasks`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct TaskLine {
    /// Task id.
    pub task_id: String,
    /// `pending`, `completed`, `expired` or `failed`.
    pub status: String,
    /// When this node first saw it.
    pub created_ms: u64,
    /// From the start until the threshold was reached here.
    pub certified_ms: Option<f64>,
    /// `state_proof` or `epoch_update`.
    pub kind: String,
    /// Chain that was read, for a state proof.
    pub chain_id: Option<u32>,
    /// Block asked about, for a state proof.
    pub block_number: Option<u64>,
    /// The epoch that is handed over to, for an epoch update.
    pub next_epoch: Option<u32>,
    /// Birth epoch.
    pub epoch: u32,
}
