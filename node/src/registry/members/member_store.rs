//! The machine with its stores: members, the event log, and the updates for subscribers.

use std::collections::BTreeSet;

use quorate_proto::store::{Empty, MembershipRecord};
use quorate_proto::{Address, B256, LifecycleCause, Member, OperatorStatus, Timestamp, wire};
use quorate_protocols::membership::{Input, Membership, Output, Policy, Refused};
use quorate_storage::{Batch, Page, Store, schema};

use super::{MemberList, MemberPage, MemberSummary, PageFilter};
use crate::NodeError;

/// Updates kept for subscribers that were away: at most 300 bytes each, 5 MB. Who was away for
/// longer takes the whole state.
pub(super) const KEPT_UPDATES: u64 = 16_384;

pub(super) struct MemberStore {
    machine: Membership,
    /// Numbers of the newest event and update.
    events: u64,
    updates: u64,
    state_hash: B256,
    /// The member whose outputs are being entered, and the events so far.
    open: Option<(Member, Vec<wire::LifecycleEvent>)>,
    /// Whose good answers were counted since the last write.
    counted: BTreeSet<Address>,
}

impl MemberStore {
    pub(super) fn recall(store: &Store, policy: Policy) -> Result<Self, NodeError> {
        let mut members = Vec::new();
        for row in store.rows(schema::MEMBERS, &()) {
            members.push(Member::try_from(&row?.1).map_err(damaged)?);
        }
        let machine = Membership::restore(policy, members);
        let newest_event = store.scan(schema::EVENTS, &(), Page::newest(1))?;
        let newest_update = store.scan(schema::UPDATES, &(), Page::newest(1))?;
        Ok(Self {
            state_hash: machine.state_hash(),
            machine,
            events: newest_event.rows.first().map_or(0, |(number, _)| *number),
            updates: newest_update.rows.first().map_or(0, |(number, _)| *number),
            open: None,
            counted: BTreeSet::new(),
        })
    }

    pub(super) const fn set_policy(&mut self, policy: Policy) {
        self.machine.set_policy(policy);
    }

    pub(super) fn sequence(&self) -> u64 {
        self.updates
    }

    pub(super) fn roll(&self) -> MemberList {
        self.roll_of(self.machine.members().cloned().collect())
    }

    pub(super) fn page(&self, filter: &PageFilter) -> MemberPage {
        let is_wanted = |member: &&Member| {
            let statuses = &filter.statuses;
            Some(member.operator) > filter.after
                && (statuses.is_empty() || statuses.contains(&member.status))
        };
        let mut members = self.machine.members().filter(is_wanted);
        let page = members.by_ref().take(filter.limit).cloned().collect();
        MemberPage {
            roll: self.roll_of(page),
            more: members.next().is_some(),
        }
    }

    fn roll_of(&self, members: Vec<Member>) -> MemberList {
        MemberList {
            epoch: self.machine.epoch(),
            members,
            sequence: self.updates,
            state_hash: self.state_hash,
        }
    }

    pub(super) fn summary(&self) -> MemberSummary {
        let mut summary = MemberSummary {
            sequence: self.updates,
            state_hash: self.state_hash,
            ..MemberSummary::default()
        };
        for member in self.machine.members() {
            let count = summary.statuses.entry(member.status).or_default();
            *count = count.saturating_add(1);
        }
        summary
    }

    pub(super) fn member(&self, operator: Address) -> Option<Member> {
        self.machine.get(operator).cloned()
    }

    pub(super) fn handle(&mut self, now: Timestamp, input: Input) -> Result<Vec<Output>, Refused> {
        if let Input::TaskClosed(closed) = &input {
            self.counted.extend(closed.signed.iter().copied());
        }
        let outputs = self.machine.handle(now, input)?;
        // Events of operators that no peer speaks for do not change it, and come by the thousand.
        let matters = |output: &Output| match output {
            Output::Keep(member) => member.binding.is_some() || member.misses > 0,
            Output::Bound { .. } => true,
            Output::Transition(transition) => transition.cause != LifecycleCause::Registered,
        };
        if outputs.iter().any(matters) {
            self.state_hash = self.machine.state_hash();
        }
        Ok(outputs)
    }

    /// Whether the outputs of another operator begin with this one.
    pub(super) const fn begins(output: &Output) -> bool {
        matches!(output, Output::Keep(_))
    }

    pub(super) fn enter(&mut self, output: Output, batch: &mut Batch) {
        match output {
            Output::Keep(member) => {
                self.close_page(batch);
                batch.put(
                    schema::MEMBERS,
                    &member.operator.into_array(),
                    &MembershipRecord::from(&member),
                );
                self.open = Some((member, Vec::new()));
            }
            Output::Bound {
                operator, replaced, ..
            } => tracing::info!(%operator, replaced = replaced.is_some(), "a peer joined"),
            Output::Transition(transition) => {
                tell(&transition);
                self.events = self.events.saturating_add(1);
                let event = transition.to_event(self.events);
                let operator = transition.operator.into_array();
                batch.put(schema::EVENTS, &self.events, &event);
                let place = (operator, self.events);
                batch.put(schema::OPERATOR_EVENTS, &place, &Empty {});
                if let Some((_, events)) = &mut self.open {
                    events.push(event);
                }
            }
        }
    }

    /// Numbers the updates of the member that was entered last.
    pub(super) fn close_page(&mut self, batch: &mut Batch) {
        let Some((member, events)) = self.open.take() else {
            return;
        };
        let state = wire::OperatorState::from(&member);
        if events.is_empty() {
            return self.update(state, None, batch);
        }
        for event in events {
            self.update(state.clone(), Some(event), batch);
        }
    }

    fn update(
        &mut self,
        state: wire::OperatorState,
        event: Option<wire::LifecycleEvent>,
        batch: &mut Batch,
    ) {
        self.updates = self.updates.saturating_add(1);
        let update = wire::StateUpdate {
            sequence: self.updates,
            operator: Some(state),
            event,
            state_hash: self.state_hash.to_vec(),
        };
        batch.put(schema::UPDATES, &self.updates, &update);
        if let Some(old) = self.updates.checked_sub(KEPT_UPDATES) {
            batch.delete(schema::UPDATES, &old);
        }
    }

    /// Good answers change nothing that subscribers are told of.
    pub(super) fn keep_counts(&mut self, batch: &mut Batch) {
        for operator in std::mem::take(&mut self.counted) {
            if let Some(member) = self.machine.get(operator) {
                let record = MembershipRecord::from(member);
                batch.put(schema::MEMBERS, &operator.into_array(), &record);
            }
        }
    }
}

fn tell(transition: &quorate_proto::Transition) {
    let quorate_proto::Transition {
        operator,
        to,
        cause,
        note,
        ..
    } = transition;
    let cause_text = cause.describe();
    metrics::counter!("quorate_lifecycle_events_total", "status" => to.name()).increment(1);
    if *to == OperatorStatus::Suspended {
        tracing::warn!(%operator, status = to.name(), cause = cause_text, %note, "operator");
    } else {
        tracing::info!(%operator, status = to.name(), cause = cause_text, %note, "operator");
    }
}

/// Members that [`MemberStore::recall`] finds damaged end the node.
fn damaged(error: impl std::fmt::Display) -> NodeError {
    NodeError::Stored {
        reason: format!("a stored member is damaged: {error}"),
    }
}
