//! The life of one task: announced, asked again, certified, expired or failed.
//!
//! # Design Decisions
//!
//! - Time is an argument. A task says in [`Task::next_wake`] when its window closes.
//! - Only the entry node asks again; the others answer each announcement. An operator that has
//!   signed sends the same response again, so a lost message costs one window, not the task.
//! - A certified task stays until the window closes in which it was certified, so that late
//!   responses are still seen: an operator that answers within the window did not miss the task.

use std::sync::Arc;

use quorate_proto::{
    Address, Certificate, OperatorSet, Outcome, Response, Statement, TaskId, Timestamp, limits,
};

use crate::quorum::{Ignored, Output as Tallied, Progress, Quorum, RefusalReport};

/// Times of a task, in milliseconds.
#[derive(Clone, Copy, Debug)]
pub struct Times {
    /// How long an announcement waits for responses.
    pub window: u64,
    /// How long the task may take altogether.
    pub deadline: u64,
}

impl Default for Times {
    fn default() -> Self {
        Self {
            window: limits::RESPONSE_WINDOW_MS,
            deadline: limits::TASK_DEADLINE_MS,
        }
    }
}

impl Times {
    /// A window of nothing would wake for ever, and one longer than the deadline would end late.
    fn bounded(self) -> Self {
        let deadline = self.deadline.max(1);
        let window = self.window.clamp(1, deadline);
        Self { window, deadline }
    }
}

/// How a task stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// Responses are being collected.
    Pending,
    /// The threshold was reached.
    Certified,
    /// Time ran out.
    Expired,
    /// The threshold cannot be reached any more.
    Failed,
}

/// What a task wants done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// Announce it to the mesh; the number of the attempt goes along.
    Announce(u32),
    /// It is certified. Said once.
    Certified(Certificate),
    /// It ended without certificate. Said once.
    Ended(Status),
    /// Nothing more will happen; forget it.
    Close,
}

/// One task at one node.
#[derive(Clone, Debug)]
pub struct Task {
    id: TaskId,
    quorum: Quorum,
    times: Times,
    started: Timestamp,
    window_ends: Timestamp,
    attempt: u32,
    entry: bool,
    status: Status,
    certificate: Option<Certificate>,
    learned: bool,
}

impl Task {
    /// A task that begins now. `entry` where a user asked this node for it.
    #[must_use]
    pub fn new(
        now: Timestamp,
        statement: Statement,
        set: Arc<OperatorSet>,
        times: Times,
        entry: bool,
    ) -> Self {
        let times = times.bounded();
        Self {
            id: statement.task_id(),
            quorum: Quorum::new(statement, set),
            times,
            started: now,
            window_ends: now.plus_millis(times.window),
            attempt: 0,
            entry,
            status: Status::Pending,
            certificate: None,
            learned: false,
        }
    }

    /// A user asked for a task that another node had announced: this node now asks again, too.
    /// Where too many have refused it for good already, it fails at once.
    pub fn become_entry(&mut self) -> Vec<Output> {
        self.entry = true;
        if self.status == Status::Pending && self.quorum.is_unreachable() {
            return self.end(Status::Failed);
        }
        Vec::new()
    }

    /// Counts a verified response.
    ///
    /// # Errors
    /// [`Ignored`] where it changes nothing.
    pub fn count(&mut self, response: Response) -> Result<Vec<Output>, Ignored> {
        let tallied = self.quorum.handle(response)?;
        Ok(match tallied {
            _ if self.status != Status::Pending => Vec::new(),
            Some(Tallied::Certified(certificate)) => self.certify(certificate),
            Some(Tallied::Unreachable) if self.entry => self.end(Status::Failed),
            Some(Tallied::Unreachable) | None => Vec::new(),
        })
    }

    /// Takes a certificate that was verified elsewhere.
    pub fn learn(&mut self, certificate: Certificate) -> Vec<Output> {
        if self.status != Status::Pending {
            return Vec::new();
        }
        self.learned = true;
        self.certify(certificate)
    }

    fn certify(&mut self, certificate: Certificate) -> Vec<Output> {
        self.status = Status::Certified;
        self.certificate = Some(certificate.clone());
        vec![Output::Certified(certificate)]
    }

    /// The time that [`Task::next_wake`] named has come.
    pub fn wake(&mut self, now: Timestamp) -> Vec<Output> {
        if now < self.next_wake() {
            return Vec::new();
        }
        match self.status {
            Status::Certified | Status::Expired | Status::Failed => vec![Output::Close],
            Status::Pending if now >= self.deadline() => self.end(Status::Expired),
            Status::Pending => self.ask_again(now),
        }
    }

    fn ask_again(&mut self, now: Timestamp) -> Vec<Output> {
        let next = self.attempt.saturating_add(1);
        if next >= limits::MAX_ATTEMPTS {
            self.window_ends = self.deadline();
            return Vec::new();
        }
        self.window_ends = now.plus_millis(self.times.window).min(self.deadline());
        if !self.entry {
            return Vec::new();
        }
        self.attempt = next;
        vec![Output::Announce(next)]
    }

    fn end(&mut self, status: Status) -> Vec<Output> {
        self.status = status;
        vec![Output::Ended(status), Output::Close]
    }

    fn deadline(&self) -> Timestamp {
        self.started.plus_millis(self.times.deadline)
    }

    /// When to call [`Task::wake`].
    #[must_use]
    pub const fn next_wake(&self) -> Timestamp {
        self.window_ends
    }

    /// Names it.
    #[must_use]
    pub const fn id(&self) -> TaskId {
        self.id
    }

    /// What is to be certified.
    #[must_use]
    pub const fn statement(&self) -> &Statement {
        self.quorum.statement()
    }

    /// When this node first heard of it.
    #[must_use]
    pub const fn started(&self) -> Timestamp {
        self.started
    }

    /// How it stands.
    #[must_use]
    pub const fn status(&self) -> Status {
        self.status
    }

    /// The certificate, once there is one.
    #[must_use]
    pub const fn certificate(&self) -> Option<&Certificate> {
        self.certificate.as_ref()
    }

    /// Whether the certificate was verified elsewhere, before this node had counted enough.
    #[must_use]
    pub const fn has_learned(&self) -> bool {
        self.learned
    }

    /// Whether a user asked this node for it.
    #[must_use]
    pub const fn is_entry(&self) -> bool {
        self.entry
    }

    /// The signature that counts for an operator, with its statement.
    #[must_use]
    pub fn signed_by(&self, operator: Address) -> Option<&Response> {
        let answer = self.quorum.answer(operator)?;
        matches!(answer.outcome, Outcome::Signed(_)).then_some(answer)
    }

    /// All that is known about it.
    #[must_use]
    pub fn report(&self) -> Report {
        Report {
            task: self.id,
            statement: self.statement().clone(),
            status: self.status,
            attempt: self.attempt,
            progress: self.quorum.progress(),
            refusals: self.quorum.refusals(),
            missing: self.quorum.missing(),
        }
    }
}

/// What is known about a task.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// Which task.
    pub task: TaskId,
    /// What it is about.
    pub statement: Statement,
    /// How it stands.
    pub status: Status,
    /// Number of the last announcement.
    pub attempt: u32,
    /// The count.
    pub progress: Progress,
    /// Who refused, and why.
    pub refusals: Vec<RefusalReport>,
    /// Who has not answered.
    pub missing: Vec<Address>,
}

#[cfg(test)]
mod tests;
