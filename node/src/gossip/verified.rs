//! What validation makes of a message.

use std::sync::Arc;

use quorate_proto::{
    Address, Certificate, Epoch, EquivocationEvidence, OperatorSet, PeerBinding, Response,
    Statement, TaskId,
};

/// An entry whose author, form and signatures were checked.
#[derive(Clone, Debug)]
pub(crate) enum Verified {
    Task {
        author: Address,
        statement: Statement,
        attempt: u32,
        set: Arc<OperatorSet>,
    },
    Response {
        response: Response,
        set: Arc<OperatorSet>,
    },
    Result {
        certificate: Certificate,
        set: Arc<OperatorSet>,
    },
    Evidence {
        author: Address,
        evidence: Box<EquivocationEvidence>,
    },
}

impl Verified {
    /// Which task it is about, if it is about one.
    pub(crate) fn task(&self) -> Option<TaskId> {
        match self {
            Self::Task { statement, .. } => Some(statement.task_id()),
            Self::Response { response, .. } => Some(response.statement.task_id()),
            Self::Result { certificate, .. } => Some(certificate.statement().task_id()),
            Self::Evidence { .. } => None,
        }
    }
}

/// What validation says of a message.
pub(crate) enum ValidationOutcome {
    /// Forward it, and work with its entries.
    Good(Vec<Verified>),
    /// No party is to blame, but it is of no use.
    Useless(&'static str),
    /// More than this operator's share.
    Excess(Address, &'static str),
    /// No honest node forwards this.
    Bad(&'static str),
    /// No honest operator signs this.
    Guilty(Box<Blame>),
    /// Of the epoch after the newest that is known here.
    Ahead(Epoch),
}

/// Who signed what.
pub(crate) struct Blame {
    pub(super) author: PeerBinding,
    /// It is not listened to from now on.
    pub(super) muted: bool,
    pub(super) reason: &'static str,
}
