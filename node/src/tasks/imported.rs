//! Tasks that another node had, and what came of them here.

use quorate_proto::{OperatorSet, Outcome, Response, Statement, U256};

/// A task of another node, its responses verified against the set of its epoch.
#[derive(Clone, Debug)]
pub(crate) struct ImportedTask {
    pub(crate) statement: Statement,
    /// When the other node first saw it, as it says.
    pub(crate) created_ms: u64,
    /// Whether this node knew the task when it asked.
    pub(crate) is_known: bool,
    pub(crate) responses: Vec<Response>,
}

impl ImportedTask {
    /// Whether its signatures make a certificate.
    pub(crate) fn is_certified(&self, set: &OperatorSet) -> bool {
        let signed = self
            .responses
            .iter()
            .filter(|response| matches!(response.outcome, Outcome::Signed(_)));
        let weights = signed.map(|response| set.weight_of(response.operator));
        let weight = weights.fold(U256::ZERO, |sum, weight| sum.saturating_add(weight));
        weight >= set.threshold()
    }
}

/// What came of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Imported {
    /// Tasks that were not known.
    pub(crate) tasks: usize,
    /// Responses of tasks that are over.
    pub(crate) responses: usize,
    /// Certificates that this made.
    pub(crate) certificates: usize,
    /// Responses of tasks that are under way.
    pub(crate) healed: usize,
    /// Tasks that were just being written, or found no room, and are looked at again later.
    pub(crate) later: usize,
}
