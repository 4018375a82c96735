//! Of which epochs the entries of a message are, and what that says of it.

use std::sync::Arc;

use quorate_proto::{Address, Certificate, Epoch, OperatorSet, Sealed, Statement};

use super::{Checked, FAR, OVER};
use crate::gossip::verified::ValidationOutcome;
use crate::home::EpochView;

/// The newest set that the author is in: of those whose tasks may be under way, or, where the message holds
/// nothing but what past sets may still sign, of those.
pub(super) fn set_of<'a>(
    view: &'a EpochView,
    author: Address,
    sealed: &Sealed,
) -> Option<&'a Arc<OperatorSet>> {
    let is_member = |set: &&Arc<OperatorSet>| set.get(author).is_some();
    let live = view.sets().iter().rev().find(is_member);
    live.or_else(|| {
        let is_late = |statement: &Statement| {
            view.set(statement.epoch()).is_none() && view.signers_of(statement).is_some()
        };
        let is_bridge = sealed.batch().evidence.is_empty() && statements(sealed).all(is_late);
        let past = view.past_sets().iter().rev();
        past.filter(|_| is_bridge).find(is_member)
    })
}

/// The epochs of all entries.
pub(super) fn epochs(sealed: &Sealed) -> impl Iterator<Item = Epoch> {
    statements(sealed).map(Statement::epoch)
}

/// What all entries are about, apart from evidence.
fn statements(sealed: &Sealed) -> impl Iterator<Item = &Statement> {
    let batch = sealed.batch();
    let tasks = batch.tasks.iter().map(|task| &task.statement);
    let responses = batch.responses.iter().map(|response| &response.statement);
    let results = batch.results.iter().map(Certificate::statement);
    tasks.chain(responses).chain(results)
}

/// Entries of an epoch that is over, or far away, are left out; a batch of nothing else is useless, and
/// bad where its epoch has been over for long everywhere: no honest node still forwards it.
pub(super) fn check_epochs(view: &EpochView, sealed: &Sealed) -> Checked {
    // Evidence is of any epoch.
    if !sealed.batch().evidence.is_empty() {
        return Ok(());
    }
    let is_live = |statement: &Statement| {
        view.is_coming(statement.epoch()) || view.signers_of(statement).is_some()
    };
    if statements(sealed).any(is_live) {
        return Ok(());
    }
    // Either this node is far behind, or the sender makes epochs up.
    if epochs(sealed).any(|epoch| view.is_far(epoch)) {
        return Err(ValidationOutcome::Useless(FAR));
    }
    match epochs(sealed).any(|epoch| view.may_end(epoch)) {
        true => Err(ValidationOutcome::Useless(OVER)),
        false => Err(ValidationOutcome::Bad("epoch is long over")),
    }
}
