//! The driver of the pipeline: feeds it, writes what it says, then has it sent.
//!
//! One task owns the machine. Everything else about a task of the network (reads, signatures,
//! commits, publishing) happens elsewhere and comes back as an [`Event`].

mod catching_up;
mod conflicts;
mod evidence;
mod handle;
mod outputs;
mod record;
mod round;
mod trace;

use std::collections::HashMap;
use std::sync::Arc;

use quorate_proto::{
    Address, Epoch, Kind, OperatorSet, ReadBasis, Response, Statement, TaskId, Timestamp, limits,
};
use quorate_protocols::authors::Totals;
use quorate_protocols::pipeline::{ClientId, Input, Pipeline, Refused, Verdict};
use quorate_protocols::task::Times;
use quorate_storage::WriteQueue;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

pub(crate) use handle::{DriverHandle, Event, Subscription, Update};
pub(crate) use record::Channels;
use record::FlightRecord;
use round::RoundBatch;
pub(crate) use trace::{ReadTrace, answer_word, proven_chains};

use crate::NodeError;
use crate::clock;
use crate::gossip::publisher::Item;
use crate::gossip::{Allowances, Verified};
use crate::home::HomeHandle;
use crate::home::set_history::Sets;
use crate::registry::members::{Attendance, MembersHandle};
use crate::services::Observer;
use crate::tasks::attestor::AttestHandle;
use crate::tasks::evidence::EvidenceStore;
use crate::tasks::inventory::TaskInventory;
use crate::tasks::outbox::{Effect, OutboxHandle};

/// Events that wait for the task driver.
const QUEUE: usize = 4_096;
/// Epochs end one at a time; the task driver is never that far behind.
const ENDED: usize = 16;
/// Events handled before what they caused is written and sent.
const GROUP: usize = 256;
/// Progress is left out when few places of a client are free, so that the end of a task always finds one.
const CLIENT_RESERVE: usize = 8;

/// The task driver.
pub(crate) struct TaskDriver {
    pipeline: Pipeline,
    me: Option<OwnOperator>,
    ledger: RoundBatch,
    record: FlightRecord,
    book: EvidenceStore,
    clients: HashMap<ClientId, mpsc::Sender<Update>>,
    effects: Vec<Effect>,
    /// Of the own read that the present event brought; the answer to it is signed with this.
    basis: ReadBasis,
    outbox: OutboxHandle,
    observer: Observer,
    home: HomeHandle,
    /// The epoch of which was said that the key is not the operator's: once, not for each task.
    muted: Option<Epoch>,
    sets: Sets,
    events: mpsc::Receiver<Event>,
    ended: mpsc::Receiver<Epoch>,
    handle: DriverHandle,
    /// At a registry: who answers, and whom that is told.
    attendance: Option<(Attendance, MembersHandle)>,
    allowances: Option<Allowances>,
}

/// The operator for whom this node signs.
#[derive(Clone)]
pub(crate) struct OwnOperator {
    pub(crate) operator: Address,
    pub(crate) signing_key: Address,
    pub(crate) attestor: AttestHandle,
}

/// Where the task driver writes, and what it looks up.
pub(crate) struct DriverStores {
    pub(crate) writes: WriteQueue,
    pub(crate) inventory: TaskInventory,
    pub(crate) sets: Sets,
    pub(crate) evidence: EvidenceStore,
}

impl TaskDriver {
    /// Channels for events and for epochs whose tasks cannot finish any more: first, because those who send
    /// are made before the task driver.
    pub(crate) fn channel() -> (DriverHandle, mpsc::Sender<Epoch>, DriverInbox) {
        let (handle, events) = mpsc::channel(QUEUE);
        let (ended_sender, ended) = mpsc::channel(ENDED);
        let inbox = DriverInbox { events, ended };
        (DriverHandle::new(handle), ended_sender, inbox)
    }

    pub(crate) fn new(
        inbox: DriverInbox,
        handle: DriverHandle,
        me: Option<OwnOperator>,
        observer: Observer,
        home: HomeHandle,
        books: DriverStores,
        outbox: OutboxHandle,
    ) -> Self {
        let DriverStores {
            writes,
            inventory,
            sets,
            evidence,
        } = books;
        let operator = me.as_ref().map(|me| me.operator);
        Self {
            pipeline: Pipeline::new(operator, Times::default()),
            me,
            ledger: RoundBatch::new(writes, inventory),
            record: FlightRecord::new(operator, Channels::default()),
            sets,
            book: evidence,
            clients: HashMap::new(),
            effects: Vec::new(),
            basis: ReadBasis::Unspecified,
            outbox,
            observer,
            home,
            muted: None,
            events: inbox.events,
            ended: inbox.ended,
            handle,
            attendance: None,
            allowances: None,
        }
    }

    /// Tells there what happens to tasks.
    pub(crate) fn recording(self, channels: Channels) -> Self {
        let operator = self.me.as_ref().map(|me| me.operator);
        Self {
            record: FlightRecord::new(operator, channels),
            ..self
        }
    }

    /// Tells a registry's members who answered.
    pub(crate) fn telling(self, members: Option<MembersHandle>) -> Self {
        Self {
            attendance: members.map(|members| (Attendance::default(), members)),
            ..self
        }
    }

    /// Keeps to what operators may publish, and tells there whose tasks come to nothing.
    pub(crate) fn within(self, totals: Totals, allowances: Allowances) -> Self {
        Self {
            pipeline: self.pipeline.with_totals(totals),
            allowances: Some(allowances),
            ..self
        }
    }

    /// Runs until `token` is cancelled.
    ///
    /// # Errors
    /// A store that cannot be read or written.
    pub(crate) async fn run(mut self, token: CancellationToken) -> Result<(), NodeError> {
        let sets = &self.sets;
        self.ledger.close_interrupted(|epoch| sets.of(epoch))?;
        self.flush().await;
        let mut group = Vec::with_capacity(GROUP);
        loop {
            let wake = self.next_wake().map(clock::instant_of);
            tokio::select! {
                count = self.events.recv_many(&mut group, GROUP) => {
                    if count == 0 {
                        return Ok(());
                    }
                    for event in group.drain(..) {
                        self.on_event(event)?;
                    }
                }
                Some(epoch) = self.ended.recv() => self.on_epoch_ended(epoch)?,
                () = clock::sleep_until(wake) => self.on_wake()?,
                () = token.cancelled() => return Ok(()),
            }
            self.flush().await;
        }
    }

    fn next_wake(&self) -> Option<Timestamp> {
        let attendance = self.attendance.as_ref();
        let closes = attendance.and_then(|(attendance, _)| attendance.next_wake());
        let wakes = [self.pipeline.next_wake(), self.record.next_wake(), closes];
        wakes.into_iter().flatten().min()
    }

    fn on_wake(&mut self) -> Result<(), NodeError> {
        if let Some((attendance, members)) = &mut self.attendance {
            for closed in attendance.close(clock::now()) {
                members.closed(closed);
            }
        }
        self.feed(Input::Wake)
    }

    fn on_event(&mut self, event: Event) -> Result<(), NodeError> {
        self.basis = ReadBasis::Unspecified;
        match event {
            Event::Ask {
                client,
                updates,
                statement,
                set,
                read,
            } => self.on_ask(client, updates, statement, set, read),
            Event::Verified(Verified::Response { response, set }) => {
                let heard = response.clone();
                self.on_verified(Verified::Response { response, set })?;
                self.heard(&heard);
                self.compare(&heard)
            }
            Event::Verified(Verified::Evidence { author, evidence }) => {
                self.heard_evidence(author, *evidence);
                Ok(())
            }
            Event::Verified(entry) => self.on_verified(entry),
            Event::Observed(task, verdict, read) => {
                self.ledger.observed(task, &read)?;
                self.record.read(task, &read, &verdict);
                self.basis = read.basis;
                self.feed(Input::Observed(task, verdict))
            }
            Event::Answered(response) => self.feed(Input::Answered(response)),
            Event::Unsigned(task) => self.feed(Input::Unsigned(task)),
            Event::Left(client, task, outcome) => {
                self.clients.remove(&client);
                self.record.left(task, client, outcome);
                self.feed(Input::Left(client, task))
            }
            Event::CaughtUp { tasks, set, done } => self.on_caught_up(tasks, &set, done),
        }
    }

    fn on_epoch_ended(&mut self, epoch: Epoch) -> Result<(), NodeError> {
        self.remind(epoch)?;
        self.feed(Input::EpochEnded(epoch))
    }

    fn on_ask(
        &mut self,
        client: ClientId,
        updates: mpsc::Sender<Update>,
        statement: Statement,
        set: Arc<OperatorSet>,
        read: ReadTrace,
    ) -> Result<(), NodeError> {
        let task = statement.task_id();
        let asked = Input::Ask {
            client,
            statement: statement.clone(),
            set,
        };
        match self.pipeline.handle(clock::now(), asked) {
            Ok(outputs) => {
                self.clients.insert(client, updates);
                self.basis = read.basis;
                self.apply(outputs)?;
                // Otherwise the node asks itself.
                if statement.is_asked_by_users() {
                    self.record.asked(task, client);
                    self.record.read(task, &read, &Verdict::Agree);
                }
                self.ledger.observed(task, &read)
            }
            Err(refused) => {
                self.record.refused(task, &refused);
                let update = Update::Overloaded(refused.to_string());
                self.effects.push(Effect::Tell(updates, update));
                Ok(())
            }
        }
    }

    /// Entries about tasks that are over here are not worked on again: they are answered from the
    /// store, or noted.
    fn on_verified(&mut self, entry: Verified) -> Result<(), NodeError> {
        let Some(task) = entry.task() else {
            return Ok(());
        };
        if let Verified::Task {
            author, attempt, ..
        } = &entry
        {
            self.record.announced(task, *author, *attempt);
        }
        if !self.pipeline.is_open(task)
            && let Some(certificate) = self.ledger.certificate(task)?
        {
            match entry {
                Verified::Task { .. } => {
                    self.record.sent_result(task);
                    self.publish(Item::Result(certificate));
                }
                Verified::Response { response, set } => self.late(task, &response, &set)?,
                Verified::Result { .. } | Verified::Evidence { .. } => {}
            }
            return Ok(());
        }
        if let Verified::Response { response, set } = &entry
            && !self.pipeline.is_open(task)
            && self.ledger.ended_recently(task)?
        {
            return self.late(task, response, set);
        }
        let input = match entry {
            Verified::Task {
                author,
                statement,
                attempt,
                set,
            } => Input::Announced {
                author,
                statement,
                attempt,
                set,
            },
            Verified::Response { response, set } => Input::Heard { response, set },
            Verified::Result { certificate, set } => Input::Learned { certificate, set },
            Verified::Evidence { .. } => return Ok(()),
        };
        self.feed_about(Some(task), input)
    }

    fn late(
        &mut self,
        task: TaskId,
        response: &Response,
        set: &OperatorSet,
    ) -> Result<(), NodeError> {
        if self.ledger.late_response(task, response, set)? {
            self.record.late(&self.ledger, response)?;
        }
        Ok(())
    }

    fn feed(&mut self, input: Input) -> Result<(), NodeError> {
        self.feed_about(None, input)
    }

    /// As [`Self::feed`], with the task that the input may begin.
    fn feed_about(&mut self, task: Option<TaskId>, input: Input) -> Result<(), NodeError> {
        let asked_again = matches!(input, Input::Announced { .. });
        match self.pipeline.handle(clock::now(), input) {
            Ok(outputs) => {
                if asked_again {
                    self.record.answers_again(&outputs);
                }
                self.apply(outputs)
            }
            Err(Refused::Ignored(reason)) => {
                tracing::trace!(%reason, "ignored");
                Ok(())
            }
            Err(refused) => {
                if let Some(task) = task {
                    self.record.refused(task, &refused);
                }
                self.note_refused(&refused);
                Ok(())
            }
        }
    }

    /// An author's task was not taken. A flood of them is shown by figures, not in the log.
    fn note_refused(&self, refused: &Refused) {
        metrics::counter!("quorate_tasks_refused_total").increment(1);
        let (author, reason) = match refused {
            Refused::TooManyOfAuthor { author, .. } => {
                (author, "more open tasks than the author's share")
            }
            Refused::Doubted { author, .. } => {
                let view = self.home.view();
                if let (Some(allowances), Some(set)) = (&self.allowances, &view.current) {
                    allowances.doubt(Kind::Task, set, *author);
                }
                (author, "its tasks came to nothing")
            }
            _ => return tracing::debug!(%refused, "task not taken"),
        };
        metrics::counter!("quorate_operator_ignored_total", "operator" => author.to_string(), "reason" => reason)
            .increment(1);
        tracing::debug!(%refused, "task not taken");
    }

    /// Writes before it sends. While the disk is slower than what comes, the task driver waits here.
    async fn flush(&mut self) {
        self.record.write(&mut self.ledger);
        let acks = self.ledger.commit().await;
        let effects = std::mem::take(&mut self.effects);
        if !acks.is_empty() || !effects.is_empty() {
            self.outbox.post(acks, effects).await;
        }
    }
}

/// The receiving end of a task driver that is yet to be made.
pub(crate) struct DriverInbox {
    events: mpsc::Receiver<Event>,
    ended: mpsc::Receiver<Epoch>,
}

#[cfg(test)]
impl DriverInbox {
    /// What the network was asked about since the last look.
    pub(crate) fn asked(&mut self) -> Vec<Statement> {
        let mut asked = Vec::new();
        while let Ok(event) = self.events.try_recv() {
            if let Event::Ask { statement, .. } = event {
                asked.push(statement);
            }
        }
        asked
    }
}

const _: () = assert!(QUEUE >= GROUP && limits::MAX_OPEN_TASKS >= GROUP);
