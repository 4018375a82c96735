//! What happens, and when.

use std::collections::BTreeMap;
use std::sync::Arc;

use quorate_proto::{Certificate, Epoch, Response, Statement, TaskId, Timestamp};

/// Something that happens at a node.
#[derive(Debug)]
pub(super) struct Event {
    pub(super) node: usize,
    pub(super) what: What,
}

#[derive(Debug)]
pub(super) enum What {
    /// Its home chain provider shows the next final block.
    Block,
    /// A message arrives.
    Deliver(Arc<Parcel>),
    /// A user asks, by number of the request.
    Request(usize),
    /// The node dies.
    Crash,
    /// It comes back.
    Restart,
    /// It dies, and its disk.
    LoseDisk,
    /// It gets its signing log back.
    ImportLog,
    /// Something that this life of the node began is done; it dies with it.
    Own { life: u32, done: Done },
}

#[derive(Debug)]
pub(super) enum Done {
    /// The time that a machine named has come.
    Wake,
    /// An operator set was read.
    Set(Epoch),
    /// The chain was read for a user.
    Asked(usize),
    /// The chain was read for a task.
    Read(Statement),
    /// A response is on disk.
    Written(Box<Response>),
}

/// A message on its way to many.
#[derive(Debug)]
pub(super) struct Parcel {
    /// Which message of the story; the same when it is repeated.
    pub(super) number: u64,
    pub(super) from: usize,
    pub(super) task: TaskId,
    pub(super) message: Message,
    /// Whether another operator sends it once more.
    pub(super) replayed: bool,
}

/// What nodes tell each other.
#[derive(Clone, Debug)]
pub(super) enum Message {
    Announce(Statement, u32),
    Response(Response),
    Result(Certificate),
}

impl Message {
    pub(super) const fn statement(&self) -> &Statement {
        match self {
            Self::Announce(statement, _) => statement,
            Self::Response(response) => &response.statement,
            Self::Result(certificate) => certificate.statement(),
        }
    }
}

/// What is to happen, by time; at the same time, in the order in which it was planned.
#[derive(Debug, Default)]
pub(super) struct Queue {
    events: BTreeMap<(Timestamp, u64), Event>,
    planned: u64,
}

impl Queue {
    pub(super) fn plan(&mut self, at: Timestamp, node: usize, what: What) {
        self.planned += 1;
        self.events.insert((at, self.planned), Event { node, what });
    }

    pub(super) fn pop(&mut self) -> Option<(Timestamp, Event)> {
        let ((at, _), event) = self.events.pop_first()?;
        Some((at, event))
    }
}
