//! The pipeline of one node: from a question or an announcement to a certificate.
//!
//! ```text
//! Ask ───────┐                        ┌─> Attest ──(signed, on disk)──> Answered ─┐
//! Announced ─┴─> task ─> Observe ─> Observed                                      ├─> count ─> Certified
//!                                     └─> Refuse ──(signed, on disk)──> Answered ─┤
//!                                                                         Heard ──┘
//! ```
//!
//! # Design Decisions
//!
//! - One machine for operators and spectators: who has no weight in a task's epoch counts, but
//!   neither reads nor signs.
//! - The driver has verified whatever comes in: authors, signatures, certificates. The machine
//!   decides, the driver writes and sends, in the order of the outputs.
//! - Who comes late does not open a task again that ended here: stragglers are dropped, and who
//!   still collects gets this node's signature once more.
//! - Equivocation is looked for among the tasks that are open at the same time; the driver compares
//!   with those that are over. The signing log keeps a node itself from it for ever.

mod bounds;
mod doubts;
mod ending;
mod entry;

mod io;
mod recent;
mod room;

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use quorate_proto::{
    Address, Certificate, OperatorSet, Outcome, RefusalCode, Response, SlotId, Statement, TaskId,
    Timestamp, limits,
};

use self::entry::{Entry, Own, is_signed};
pub use self::io::{ClientId, Input, Output, Refused, Verdict};
use self::recent::Recent;
use self::room::{Origin, Room};
use crate::authors::Totals;
use crate::limiter::Bucket;
use crate::quorum::Ignored;
use crate::task::{Report, Status, Task, Times};

/// The pipeline of one node.
#[derive(Clone, Debug)]
pub struct Pipeline {
    me: Option<Address>,
    times: Times,
    tasks: HashMap<TaskId, Entry>,
    /// Open tasks by slot, to find equivocation.
    slots: HashMap<SlotId, Vec<TaskId>>,
    wakes: BTreeSet<(Timestamp, TaskId)>,
    recent: Recent,
    room: Room,
    totals: Totals,
    /// New tasks of this node's users. Others ignore what is more than its share.
    asked: Option<Bucket>,
}

impl Pipeline {
    /// A pipeline for the operator `me`, or for a spectator.
    #[must_use]
    pub fn new(me: Option<Address>, times: Times) -> Self {
        Self {
            me,
            times,
            tasks: HashMap::new(),
            slots: HashMap::new(),
            wakes: BTreeSet::new(),
            recent: Recent::new(times.deadline),
            room: Room::default(),
            totals: Totals::default(),
            asked: None,
        }
    }

    /// The same pipeline with other totals of what operators may publish.
    #[must_use]
    pub const fn with_totals(mut self, totals: Totals) -> Self {
        self.totals = totals;
        self
    }

    /// Takes one input.
    ///
    /// # Errors
    /// [`Refused`]; the input then changed nothing.
    pub fn handle(&mut self, now: Timestamp, input: Input) -> Result<Vec<Output>, Refused> {
        match input {
            Input::Ask {
                client,
                statement,
                set,
            } => self.ask(now, client, statement, set),
            Input::Announced {
                author,
                statement,
                attempt,
                set,
            } => self.announced(now, author, statement, attempt, set),
            Input::Observed(task, verdict) => Ok(self.observed(now, task, verdict)),
            Input::Answered(response) => Ok(self.answered(now, response)),
            Input::Unsigned(task) => Ok(self.unsigned(task)),
            Input::Heard { response, set } => self.heard(now, response, set),
            Input::Learned { certificate, set } => self.learned(now, certificate, set),
            Input::Left(client, task) => Ok(self.left(client, task)),
            Input::EpochEnded(epoch) => Ok(self.epoch_ended(now, epoch)),
            Input::Wake => Ok(self.wake(now)),
        }
    }

    /// When to call [`Input::Wake`].
    #[must_use]
    pub fn next_wake(&self) -> Option<Timestamp> {
        self.wakes.first().map(|(at, _)| *at)
    }

    /// Tasks that are open here.
    #[must_use]
    pub fn open_tasks(&self) -> usize {
        self.tasks.len()
    }

    /// Whether a task is open here.
    #[must_use]
    pub fn is_open(&self, task: TaskId) -> bool {
        self.tasks.contains_key(&task)
    }

    /// What is known about an open task.
    #[must_use]
    pub fn report(&self, task: TaskId) -> Option<Report> {
        self.tasks.get(&task).map(|entry| entry.task.report())
    }

    fn ask(
        &mut self,
        now: Timestamp,
        client: ClientId,
        statement: Statement,
        set: Arc<OperatorSet>,
    ) -> Result<Vec<Output>, Refused> {
        let id = statement.task_id();
        let waiting = self.tasks.get(&id).map_or(0, |entry| entry.clients.len());
        if waiting >= limits::MAX_TASK_CLIENTS {
            return Err(Refused::TooManyClients);
        }
        let mut outputs = Vec::new();
        if !self.tasks.contains_key(&id) {
            self.keep_to_share(now, &set)?;
            self.open(now, statement.clone(), set, Origin::Own)?;
            outputs.push(Output::Opened {
                statement: statement.clone(),
                announced_by: None,
            });
            outputs.push(Output::Announce(statement, 0));
        }
        outputs.extend(self.attest(id));
        let Some(entry) = self.tasks.get_mut(&id) else {
            return Ok(outputs);
        };
        let before = std::mem::replace(&mut entry.origin, Origin::Own);
        self.room.turn(before, Origin::Own);
        let consequences = entry.task.become_entry();
        if let Some(certificate) = entry.task.certificate() {
            outputs.push(Output::Answer(client, certificate.clone()));
            return Ok(outputs);
        }
        entry.clients.push(client);
        if consequences.is_empty() {
            outputs.push(Output::Progress(vec![client], entry.task.report()));
        }
        outputs.extend(self.apply(now, id, consequences));
        Ok(outputs)
    }

    /// What is more than this operator's share of new tasks would be ignored by the others: the user
    /// is told at once.
    fn keep_to_share(&mut self, now: Timestamp, set: &OperatorSet) -> Result<(), Refused> {
        let Some(me) = self.me else {
            return Ok(());
        };
        let rate = self.totals.share(set, me).tasks.kept_below();
        let bucket = self.asked.get_or_insert_with(|| Bucket::full(now, rate));
        if bucket.take(now, rate, 1) {
            return Ok(());
        }
        Err(Refused::TooFast {
            per_second: rate.per_second,
        })
    }

    fn announced(
        &mut self,
        now: Timestamp,
        author: Address,
        statement: Statement,
        attempt: u32,
        set: Arc<OperatorSet>,
    ) -> Result<Vec<Output>, Refused> {
        let id = statement.task_id();
        let mut outputs = Vec::new();
        if !self.tasks.contains_key(&id) {
            if let Some(over) = self.recent.get(now, id).filter(|over| over.certified) {
                return Ok(over
                    .signed
                    .clone()
                    .map(Output::Respond)
                    .into_iter()
                    .collect());
            }
            self.open(now, statement.clone(), set, Origin::Of(author))?;
            outputs.push(Output::Opened {
                statement: statement.clone(),
                announced_by: Some(author),
            });
        } else {
            self.adopt(now, id, author, &set)?;
        }
        let Some(entry) = self.tasks.get_mut(&id) else {
            return Ok(outputs);
        };
        match &entry.own {
            Own::Answered(_) if attempt == 0 => {}
            own @ Own::Answered(response) if !own.asks_again() => {
                outputs.push(Output::Respond(response.as_ref().clone()));
            }
            Own::Answered(_) | Own::Idle => {
                entry.own = Own::Observing;
                outputs.push(Output::Observe(statement));
            }
            Own::Spectator | Own::Observing | Own::Answering => {}
        }
        Ok(outputs)
    }

    /// An operator announces what was known by refusals only.
    fn adopt(
        &mut self,
        now: Timestamp,
        id: TaskId,
        author: Address,
        set: &OperatorSet,
    ) -> Result<(), Refused> {
        let Some(entry) = self.tasks.get_mut(&id) else {
            return Ok(());
        };
        if entry.origin == Origin::Orphan {
            self.room.enter(now, Origin::Of(author), set)?;
            self.room.leave(Origin::Orphan);
            entry.origin = Origin::Of(author);
        }
        Ok(())
    }

    fn open(
        &mut self,
        now: Timestamp,
        statement: Statement,
        set: Arc<OperatorSet>,
        origin: Origin,
    ) -> Result<(), Refused> {
        self.room.enter(now, origin, &set)?;
        let own = match self.me {
            Some(me) if set.get(me).is_some() => Own::Idle,
            _ => Own::Spectator,
        };
        let task = Task::new(
            now,
            statement.clone(),
            set,
            self.times,
            origin == Origin::Own,
        );
        let id = task.id();
        self.recent.remove(id);
        self.wakes.insert((task.next_wake(), id));
        let slot = statement.slot();
        self.slots.entry(slot).or_default().push(id);
        let entry = Entry {
            task,
            slot,
            own,
            clients: Vec::new(),
            origin,
        };
        self.tasks.insert(id, entry);
        Ok(())
    }

    /// This node's own read agrees. The entry node has read before it asked, so it signs at once.
    fn attest(&mut self, id: TaskId) -> Option<Output> {
        let entry = self.tasks.get_mut(&id)?;
        match &entry.own {
            Own::Idle | Own::Observing => {}
            own if own.asks_again() => {}
            Own::Spectator | Own::Answering | Own::Answered(_) => return None,
        }
        entry.own = Own::Answering;
        Some(Output::Attest(entry.task.statement().clone()))
    }

    fn observed(&mut self, now: Timestamp, id: TaskId, verdict: Verdict) -> Vec<Output> {
        let Some(entry) = self.tasks.get_mut(&id) else {
            return Vec::new();
        };
        let origin = entry.origin;
        let Verdict::Refuse(code, detail) = verdict else {
            if let Origin::Of(author) = origin {
                self.room.doubts.agreed(now, author);
            }
            return self.attest(id).into_iter().collect();
        };
        let Own::Observing = &entry.own else {
            return Vec::new();
        };
        if let Origin::Of(author) = origin
            && contradicts(code)
        {
            self.room.doubts.failed(now, author);
        }
        entry.own = Own::Answering;
        vec![Output::Refuse(entry.task.statement().clone(), code, detail)]
    }

    fn answered(&mut self, now: Timestamp, response: Response) -> Vec<Output> {
        let id = response.statement.task_id();
        let mut outputs = vec![Output::Respond(response.clone())];
        if let Some(entry) = self.tasks.get_mut(&id) {
            entry.own = Own::Answered(Box::new(response.clone()));
            outputs.extend(self.count(now, id, response).unwrap_or_default());
        }
        outputs
    }

    /// Without an answer it is as if this node had not been asked yet.
    fn unsigned(&mut self, id: TaskId) -> Vec<Output> {
        if let Some(entry) = self.tasks.get_mut(&id)
            && matches!(entry.own, Own::Answering)
        {
            entry.own = Own::Idle;
        }
        Vec::new()
    }

    /// A response opens its task: the announcement may come later, or be lost.
    fn heard(
        &mut self,
        now: Timestamp,
        response: Response,
        set: Arc<OperatorSet>,
    ) -> Result<Vec<Output>, Refused> {
        let statement = response.statement.clone();
        let id = statement.task_id();
        let mut outputs = Vec::new();
        if !self.tasks.contains_key(&id) {
            if set.get(response.operator).is_none() {
                return Err(Ignored::NotAMember(response.operator).into());
            }
            if self.recent.get(now, id).is_some() {
                return Ok(outputs);
            }
            // A signature is its operator's own doing; a refusal is another operator's task.
            let origin = match response.outcome {
                Outcome::Signed(_) => Origin::Of(response.operator),
                Outcome::Refused(_) => Origin::Orphan,
            };
            self.open(now, statement.clone(), set, origin)?;
            outputs.push(Output::Opened {
                statement,
                announced_by: Some(response.operator),
            });
        }
        outputs.extend(self.equivocation(id, &response));
        outputs.extend(self.count(now, id, response)?);
        Ok(outputs)
    }

    fn count(
        &mut self,
        now: Timestamp,
        id: TaskId,
        response: Response,
    ) -> Result<Vec<Output>, Refused> {
        let Some(entry) = self.tasks.get_mut(&id) else {
            return Ok(Vec::new());
        };
        let late = entry.task.status() != Status::Pending;
        let after_micros = now.micros_since(entry.task.started());
        let consequences = entry.task.count(response.clone())?;
        let mut outputs = vec![Output::Counted {
            response,
            after_micros,
            late,
        }];
        if !entry.clients.is_empty() && !late && consequences.is_empty() {
            outputs.push(Output::Progress(entry.clients.clone(), entry.task.report()));
        }
        outputs.extend(self.apply(now, id, consequences));
        Ok(outputs)
    }

    fn learned(
        &mut self,
        now: Timestamp,
        certificate: Certificate,
        set: Arc<OperatorSet>,
    ) -> Result<Vec<Output>, Refused> {
        let statement = certificate.statement().clone();
        let id = statement.task_id();
        let mut outputs = Vec::new();
        if !self.tasks.contains_key(&id) {
            if self.recent.get(now, id).is_some_and(|over| over.certified) {
                return Ok(outputs);
            }
            self.open(now, statement.clone(), set, Origin::Settled)?;
            outputs.push(Output::Opened {
                statement,
                announced_by: None,
            });
        }
        let Some(entry) = self.tasks.get_mut(&id) else {
            return Ok(outputs);
        };
        let consequences = entry.task.learn(certificate);
        outputs.extend(self.apply(now, id, consequences));
        Ok(outputs)
    }

    fn left(&mut self, client: ClientId, id: TaskId) -> Vec<Output> {
        if let Some(entry) = self.tasks.get_mut(&id) {
            entry.clients.retain(|waiting| *waiting != client);
        }
        Vec::new()
    }

    /// Another fact that the same operator signed for the slot of this task.
    fn equivocation(&self, id: TaskId, response: &Response) -> Option<Output> {
        let tasks = self.slots.get(&self.tasks.get(&id)?.slot)?;
        if tasks.len() < 2 || !is_signed(response) {
            return None;
        }
        let fact = response.statement.fact();
        let signed = |id| self.tasks.get(id)?.task.signed_by(response.operator);
        let other = tasks
            .iter()
            .filter_map(signed)
            .find(|other| other.statement.fact() != fact)?;
        Some(Output::Equivocation(other.clone(), response.clone()))
    }
}

/// Whether a refusal says that the statement is not true, rather than that this node cannot tell.
const fn contradicts(code: RefusalCode) -> bool {
    matches!(
        code,
        RefusalCode::ValueDiffers | RefusalCode::TimestampDiffers | RefusalCode::NoEntry
    )
}

#[cfg(test)]
mod tests;
