//! Speaking to the task driver.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use quorate_proto::wire::TimelineOutcome;
use quorate_proto::{Certificate, OperatorSet, Response, Statement, TaskId};
use quorate_protocols::pipeline::{ClientId, Verdict};
use quorate_protocols::task::Report;
use tokio::sync::{mpsc, oneshot};

use super::trace::ReadTrace;
use crate::gossip::Verified;
use crate::tasks::imported::{Imported, ImportedTask};

/// Updates that wait for one client.
const CLIENT_QUEUE: usize = 64;

/// What a waiting user hears.
#[derive(Clone, Debug)]
pub(crate) enum Update {
    Progress(Report),
    Certified(Arc<Certificate>),
    Ended(Report),
    /// The node takes no more.
    Overloaded(String),
}

/// What happens to the task driver.
#[derive(Debug)]
pub(crate) enum Event {
    Ask {
        client: ClientId,
        updates: mpsc::Sender<Update>,
        statement: Statement,
        set: Arc<OperatorSet>,
        read: ReadTrace,
    },
    Verified(Verified),
    Observed(TaskId, Verdict, ReadTrace),
    Answered(Response),
    /// What was to be signed for a task was not.
    Unsigned(TaskId),
    /// A user has its answer, or went away.
    Left(ClientId, TaskId, TimelineOutcome),
    /// Tasks of one epoch that another node had, verified.
    CaughtUp {
        tasks: Vec<ImportedTask>,
        set: Arc<OperatorSet>,
        /// Hears of it once it is written.
        done: oneshot::Sender<Imported>,
    },
}

/// Speaks to the task driver.
#[derive(Clone)]
pub(crate) struct DriverHandle {
    events: mpsc::Sender<Event>,
    next_client: Arc<AtomicU64>,
    open_tasks: Arc<AtomicUsize>,
}

/// A user's place at the task driver; leaving it withdraws the question.
pub(crate) struct Subscription {
    driver: DriverHandle,
    client: ClientId,
    task: TaskId,
    outcome: TimelineOutcome,
    pub(crate) updates: mpsc::Receiver<Update>,
}

impl Subscription {
    /// The answer is on its way to the user, who does not wait any more.
    pub(crate) fn leave(mut self, outcome: TimelineOutcome) {
        self.outcome = outcome;
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        // A full queue leaves the place taken until the task ends, at most 15 s.
        let _ = self
            .driver
            .events
            .try_send(Event::Left(self.client, self.task, self.outcome));
    }
}

impl DriverHandle {
    pub(super) fn new(events: mpsc::Sender<Event>) -> Self {
        Self {
            events,
            next_client: Arc::default(),
            open_tasks: Arc::default(),
        }
    }

    pub(crate) async fn send(&self, event: Event) {
        // An error means that the task driver has ended, and with it the node.
        let _ = self.events.send(event).await;
    }

    pub(crate) async fn verified(&self, entry: Verified) {
        self.send(Event::Verified(entry)).await;
    }

    /// Asks the network about a statement that this node has read.
    pub(crate) async fn ask(
        &self,
        statement: Statement,
        set: Arc<OperatorSet>,
        read: ReadTrace,
    ) -> Subscription {
        let client = ClientId(self.next_client.fetch_add(1, Ordering::Relaxed));
        let (updates, receiver) = mpsc::channel(CLIENT_QUEUE);
        let seat = Subscription {
            driver: self.clone(),
            client,
            task: statement.task_id(),
            outcome: TimelineOutcome::Gone,
            updates: receiver,
        };
        self.send(Event::Ask {
            client,
            updates,
            statement,
            set,
            read,
        })
        .await;
        seat
    }

    /// Hands over verified tasks of one epoch; returns once they are written. `None` where the node
    /// ends.
    pub(crate) async fn caught_up(
        &self,
        tasks: Vec<ImportedTask>,
        set: Arc<OperatorSet>,
    ) -> Option<Imported> {
        let (done, written) = oneshot::channel();
        self.send(Event::CaughtUp { tasks, set, done }).await;
        written.await.ok()
    }

    pub(super) fn show_open_tasks(&self, count: usize) {
        self.open_tasks.store(count, Ordering::Relaxed);
    }

    /// Tasks under way.
    pub(crate) fn open_tasks(&self) -> usize {
        self.open_tasks.load(Ordering::Relaxed)
    }
}
