//! One open task and this node's part in it.

use quorate_proto::{Outcome, Response, SlotId};

use super::room::Origin;
use super::{ClientId, Output};
use crate::task::Task;

#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) task: Task,
    pub(super) slot: SlotId,
    pub(super) own: Own,
    pub(super) clients: Vec<ClientId>,
    /// Against whose share it counts.
    pub(super) origin: Origin,
}

/// How far this node's own answer is.
#[derive(Clone, Debug)]
pub(super) enum Own {
    /// It has no weight in this epoch.
    Spectator,
    /// A response was heard, but no announcement yet; or the answer could not be signed.
    Idle,
    /// It reads.
    Observing,
    /// It signs and writes.
    Answering,
    /// This is its answer.
    Answered(Box<Response>),
}

impl Entry {
    /// No operator but its author has signed it, and this node had no part in it.
    pub(super) fn is_lonely(&self) -> bool {
        matches!(self.own, Own::Idle | Own::Spectator) && self.task.report().progress.signed <= 1
    }

    /// An announcement does not come back to its author, so it asks itself.
    pub(super) fn ask_myself_again(&mut self) -> Option<Output> {
        if !self.own.asks_again() && !matches!(self.own, Own::Idle) {
            return None;
        }
        self.own = Own::Observing;
        Some(Output::Observe(self.task.statement().clone()))
    }
}

impl Own {
    /// Whether the answer may become another one when the task is announced again.
    pub(super) fn asks_again(&self) -> bool {
        match self {
            Self::Answered(response) => match &response.outcome {
                Outcome::Refused(refusal) => refusal.code.is_retryable(),
                Outcome::Signed(_) => false,
            },
            _ => false,
        }
    }

    /// Whether this node has refused it as not true.
    pub(super) fn contradicts(&self) -> bool {
        match self {
            Self::Answered(response) => match &response.outcome {
                Outcome::Refused(refusal) => super::contradicts(refusal.code),
                Outcome::Signed(_) => false,
            },
            _ => false,
        }
    }

    /// Its signature, where it has signed.
    pub(super) fn signature(self) -> Option<Response> {
        match self {
            Self::Answered(response) if is_signed(&response) => Some(*response),
            _ => None,
        }
    }
}

pub(super) const fn is_signed(response: &Response) -> bool {
    matches!(response.outcome, Outcome::Signed(_))
}
