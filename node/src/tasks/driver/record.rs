//! Keeps the flight record of what the task driver does.

use quorate_proto::wire::timeline_event::Kind;
use quorate_proto::wire::{TimelineEvent, TimelineItem, TimelineOutcome, TimelineReason};
use quorate_proto::{Address, Response, Statement, TaskId, Timestamp};
use quorate_protocols::pipeline::{ClientId, Output, Refused, Verdict};

use super::ReadTrace;
use super::round::RoundBatch;
use crate::tasks::recorder::{LiveEvent, LiveFeed, Origin, Recorder, Refusals, event};
use crate::{NodeError, clock};

/// Where what happens is told beside the store.
#[derive(Clone)]
pub(crate) struct Channels {
    pub(crate) live: LiveFeed,
    pub(crate) refusals: Refusals,
}

impl Default for Channels {
    fn default() -> Self {
        let live = LiveFeed::default();
        Self {
            refusals: Refusals::new(live.clone()),
            live,
        }
    }
}

/// The task driver's pen.
pub(super) struct FlightRecord {
    recorder: Recorder,
    channels: Channels,
    me: Option<Address>,
}

impl FlightRecord {
    pub(super) fn new(me: Option<Address>, channels: Channels) -> Self {
        Self {
            recorder: Recorder::default(),
            channels,
            me,
        }
    }

    /// What follows from an output of the pipeline, before it is carried out.
    pub(super) fn output(&mut self, output: &Output) {
        match output {
            Output::Attest(statement) | Output::Refuse(statement, ..) => {
                self.recorder.decides(clock::now(), statement.task_id());
            }
            Output::Announce(statement, attempt) => {
                if let Some(me) = self.me {
                    self.note(statement.task_id(), event::announced(me, *attempt));
                }
            }
            Output::Counted { response, late, .. } => self.answered(response, *late),
            Output::Certified {
                certificate,
                publish,
                learned,
                ..
            } => {
                let task = certificate.statement().task_id();
                self.note(task, event::certified(certificate, *learned));
                if *publish {
                    self.note(task, event::sent(TimelineItem::Result));
                }
            }
            Output::Ended { report, .. } => self.note(report.task, event::ended(report)),
            Output::Equivocation(first, second) => {
                self.note(second.statement.task_id(), event::equivocated(first));
            }
            Output::Opened { .. }
            | Output::Observe(_)
            | Output::Respond(_)
            | Output::Progress(..)
            | Output::Answer(..) => {}
        }
    }

    /// A task begins; where it ended here before, its record goes on.
    pub(super) fn opened(
        &mut self,
        ledger: &RoundBatch,
        statement: &Statement,
        heard_of: Option<Address>,
        again: bool,
    ) -> Result<(), NodeError> {
        let task = statement.task_id();
        if again {
            self.recall(ledger, task)?;
        }
        self.note_with(
            task,
            event::opened(heard_of, again),
            Some(statement.clone()),
        );
        Ok(())
    }

    pub(super) fn asked(&mut self, task: TaskId, client: ClientId) {
        if let Some(user) = self.recorder.user_asks(task, client) {
            self.note(task, event::asked(user));
        }
    }

    pub(super) fn left(&mut self, task: TaskId, client: ClientId, outcome: TimelineOutcome) {
        if let Some(user) = self.recorder.user_leaves(task, client) {
            self.note(task, event::delivered(user, outcome));
        }
    }

    /// This node's own read of a task that began here.
    pub(super) fn read(&mut self, task: TaskId, trace: &ReadTrace, verdict: &Verdict) {
        self.note_known(task, event::read(trace, verdict));
    }

    /// Another operator announced a task that is known here.
    pub(super) fn announced(&mut self, task: TaskId, author: Address, attempt: u32) {
        self.note_known(task, event::announced(author, attempt));
    }

    /// What an announcement led to: the own answer may go out once more.
    pub(super) fn answers_again(&mut self, outputs: &[Output]) {
        for output in outputs {
            if let Output::Respond(response) = output {
                let task = response.statement.task_id();
                self.note_known(task, event::sent(TimelineItem::AnswerAgain));
            }
        }
    }

    /// A peer that missed the certificate gets it.
    pub(super) fn sent_result(&mut self, task: TaskId) {
        self.note_known(task, event::sent(TimelineItem::Result));
    }

    fn answered(&mut self, response: &Response, late: bool) {
        let task = response.statement.task_id();
        let took = match self.me == Some(response.operator) {
            true => self.recorder.decided(clock::now(), task),
            false => 0,
        };
        self.note(task, event::answered(response, late, took));
    }

    /// An answer to a task that is over.
    pub(super) fn late(
        &mut self,
        ledger: &RoundBatch,
        response: &Response,
    ) -> Result<(), NodeError> {
        self.recall(ledger, response.statement.task_id())?;
        self.answered(response, true);
        Ok(())
    }

    /// This node leaves something out of a task.
    pub(super) fn declined(&mut self, task: TaskId, reason: TimelineReason) {
        self.note_known(task, event::declined(reason));
    }

    /// The pipeline did not take something.
    pub(super) fn refused(&mut self, task: TaskId, refused: &Refused) {
        let code = match refused {
            Refused::TooManyTasks => "too_many_tasks",
            Refused::TooManyOfAuthor { .. } => "too_many_tasks_of_one",
            Refused::Doubted { .. } => "doubted",
            Refused::TooFast { .. } => "too_fast",
            Refused::TooManyClients => "too_many_users",
            Refused::Ignored(_) => return,
        };
        if matches!(refused, Refused::TooManyClients) {
            self.declined(task, TimelineReason::TooManyUsers);
        }
        let detail = refused.to_string();
        let refusals = &self.channels.refusals;
        refusals.note(clock::now(), Origin::Pipeline, code, &detail, Some(task));
    }

    /// Puts the rows that are due into the round.
    pub(super) fn write(&mut self, ledger: &mut RoundBatch) {
        for row in self.recorder.rows(clock::now(), ledger.room()) {
            ledger.timeline(&row);
        }
    }

    pub(super) fn next_wake(&self) -> Option<Timestamp> {
        self.recorder.next_wake()
    }

    /// Learns what the store has of a task that was forgotten here.
    fn recall(&mut self, ledger: &RoundBatch, task: TaskId) -> Result<(), NodeError> {
        if !self.recorder.knows(task) {
            let held = ledger.held(task)?;
            self.recorder.resume(clock::now(), task, held);
        }
        Ok(())
    }

    /// Only of tasks that are under way or ended a moment ago: not worth a look into the store.
    fn note_known(&mut self, task: TaskId, kind: Kind) {
        if self.recorder.knows(task) {
            self.note(task, kind);
        }
    }

    fn note(&mut self, task: TaskId, kind: Kind) {
        self.note_with(task, kind, None);
    }

    fn note_with(&mut self, task: TaskId, kind: Kind, begins: Option<Statement>) {
        let now = clock::now();
        if self.channels.live.is_followed() {
            let event = TimelineEvent {
                at_micros: now.0,
                kind: Some(kind.clone()),
            };
            self.channels
                .live
                .tell(LiveEvent::Task(task, event, begins));
        }
        self.recorder.note(now, task, kind);
    }
}
