//! What goes into a pipeline and what comes out.

use std::sync::Arc;

use quorate_proto::{
    Address, Certificate, Epoch, OperatorSet, RefusalCode, Response, Statement, TaskId, limits,
};

use crate::quorum::Ignored;
use crate::task::Report;

/// What a [`Pipeline`](super::Pipeline) is told.
#[derive(Clone, Debug)]
pub enum Input {
    /// A user's question which this node has read itself, by the request driver.
    Ask {
        /// Who waits for the answer.
        client: ClientId,
        /// What this node read.
        statement: Statement,
        /// The set of the statement's epoch.
        set: Arc<OperatorSet>,
    },
    /// Another operator's announcement, by the gossip driver.
    Announced {
        /// Who announced it: an operator of the set.
        author: Address,
        /// What it read.
        statement: Statement,
        /// Number of the announcement.
        attempt: u32,
        /// The set of the statement's epoch.
        set: Arc<OperatorSet>,
    },
    /// What this node's own read says about a task, by the chain driver.
    Observed(TaskId, Verdict),
    /// This node's own response, which is on disk now, by the signing driver.
    Answered(Response),
    /// What was to be signed for a task was not, by the signing driver: a later announcement brings
    /// another try.
    Unsigned(TaskId),
    /// Another operator's response, verified, by the gossip driver.
    Heard {
        /// The response.
        response: Response,
        /// The set of the statement's epoch.
        set: Arc<OperatorSet>,
    },
    /// A certificate, verified, by the gossip driver.
    Learned {
        /// The certificate.
        certificate: Certificate,
        /// The set of the statement's epoch.
        set: Arc<OperatorSet>,
    },
    /// A user went away, by the request driver.
    Left(ClientId, TaskId),
    /// The tasks of an epoch cannot finish any more, by the epoch machine.
    EpochEnded(Epoch),
    /// The time that [`Pipeline::next_wake`](super::Pipeline::next_wake) named has come.
    Wake,
}

/// What this node's own read says about a statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It read the same.
    Agree,
    /// It did not, or could not.
    Refuse(RefusalCode, String),
}

/// What a [`Pipeline`](super::Pipeline) wants done, in this order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// A task is new here: record it.
    Opened {
        /// What it is about.
        statement: Statement,
        /// Who announced it; `None` where a user asked this node.
        announced_by: Option<Address>,
    },
    /// Read the chain and report with [`Input::Observed`].
    Observe(Statement),
    /// Sign, write, and report with [`Input::Answered`] or [`Input::Unsigned`].
    Attest(Statement),
    /// Sign a refusal, write, and report with [`Input::Answered`] or [`Input::Unsigned`].
    Refuse(Statement, RefusalCode, String),
    /// Publish an announcement.
    Announce(Statement, u32),
    /// Publish this node's own response.
    Respond(Response),
    /// Record a response that was counted.
    Counted {
        /// The response.
        response: Response,
        /// Microseconds since the task began here.
        after_micros: u64,
        /// Whether the threshold had been reached before.
        late: bool,
    },
    /// Tell the waiting users how far the task is.
    Progress(Vec<ClientId>, Report),
    /// Record the certificate, then publish it if `publish`, then give it to the users.
    Certified {
        /// The certificate.
        certificate: Certificate,
        /// Who waits for it.
        clients: Vec<ClientId>,
        /// Whether this node announced the task.
        publish: bool,
        /// Whether it came from another node; this one had not counted enough yet.
        learned: bool,
        /// Microseconds since the task began here.
        after_micros: u64,
    },
    /// Give a certificate that was recorded before to a user who came late.
    Answer(ClientId, Certificate),
    /// Record that the task ended without certificate, and tell the users.
    Ended {
        /// What is known.
        report: Report,
        /// Who waited for it.
        clients: Vec<ClientId>,
    },
    /// One operator signed two facts for one slot: keep both.
    Equivocation(Response, Response),
}

/// Why the machine takes no more tasks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// [`limits::MAX_OPEN_TASKS`].
    #[error("{max} tasks are under way, which is the most this node takes; try again soon", max = limits::MAX_OPEN_TASKS)]
    TooManyTasks,
    /// An operator has its share of open tasks.
    #[error("operator {author} has {most} tasks under way without certificate, which is its share")]
    TooManyOfAuthor {
        /// Who announced the task, or signed it first.
        author: Address,
        /// Its share.
        most: usize,
    },
    /// An operator has fewer places for open tasks, as its tasks came to nothing.
    #[error(
        "tasks of operator {author} are read otherwise here, or are signed by nobody else: {most} of them may be under way"
    )]
    Doubted {
        /// Who announced the task, or signed it first.
        author: Address,
        /// Its places.
        most: usize,
    },
    /// This operator has its share of new tasks.
    #[error(
        "{per_second} new tasks a second are this operator's share (mesh_tasks_per_second); try again soon, or ask another operator"
    )]
    TooFast {
        /// Its share.
        per_second: u32,
    },
    /// [`limits::MAX_TASK_CLIENTS`].
    #[error("{max} users wait for this task already; ask for its certificate later", max = limits::MAX_TASK_CLIENTS)]
    TooManyClients,
    /// The response was counted before, or does not fit its task.
    #[error(transparent)]
    Ignored(#[from] Ignored),
}

/// Names a waiting user within one node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClientId(pub u64);
