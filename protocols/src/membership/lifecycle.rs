//! Which status follows from what is known of one operator.
//!
//! ```text
//! Registered ─> WaitingJoin ─joined─> WaitingActive ─epoch─> Active <──────────────> Suspended
//!                    ^                      │                │   ^  misses, reinstated   │
//!                    │                      └──too light──┐  │   │ heavy enough          │
//!                    │                                    v  v   │                       │
//!                    └───────registered again────────── Unactive <──exit, from anywhere──┘
//! ```

use quorate_proto::{
    Address, Epoch, LifecycleCause as Cause, LogPosition, Member, OperatorSet,
    OperatorStatus as Status, RegistrationChange, Timestamp,
};

/// Changes kept per operator: the one in effect, those of the next two epochs (a change counts
/// from the next epoch or the one after it), and one that was in effect before, to see an exit
/// between two epochs.
const MAX_CHANGES: usize = 4;

/// What decides besides the operator itself.
#[derive(Clone, Copy, Debug)]
pub(super) struct Now<'a> {
    /// The set of the current epoch; `None` until one has begun.
    pub(super) set: Option<&'a OperatorSet>,
    /// Misses that suspend.
    pub(super) misses: u32,
    pub(super) at: Timestamp,
}

/// One step of a status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Step {
    pub(super) from: Status,
    pub(super) to: Status,
    pub(super) cause: Cause,
}

/// An operator that has just registered for the first time.
pub(super) fn newcomer(operator: Address, now: Timestamp) -> Member {
    Member {
        operator,
        status: Status::WaitingJoin,
        cause: Cause::Registered,
        since: now,
        changes: Vec::new(),
        log: LogPosition::default(),
        binding: None,
        misses: 0,
        missed_in: Epoch(0),
        successful_responses: 0,
    }
}

/// From this epoch on the operator is registered or not, whatever was said before about later ones.
pub(super) fn change(member: &mut Member, change: RegistrationChange) {
    member.changes.retain(|known| known.epoch < change.epoch);
    member.changes.push(change);
    let surplus = member.changes.len().saturating_sub(MAX_CHANGES);
    member.changes.drain(..surplus);
}

/// Takes all steps that are due. `because` is why a suspension is over, where that is so.
pub(super) fn settle(member: &mut Member, now: Now<'_>, because: Cause) -> Vec<Step> {
    let mut steps = Vec::new();
    if let Some(epoch) = now.set.map(OperatorSet::epoch) {
        if has_exited(member, epoch) && !is_gone(member) {
            steps.push(take(member, now, Status::Unactive, Cause::Deregistered));
        }
        forget_the_past(member, epoch);
    }
    while let Some((to, cause)) = next(member, now, because) {
        steps.push(take(member, now, to, cause));
    }
    steps
}

fn take(member: &mut Member, now: Now<'_>, to: Status, cause: Cause) -> Step {
    let from = member.status;
    if cause == Cause::Deregistered {
        member.binding = None;
    }
    if to == Status::Active || cause == Cause::Deregistered {
        member.misses = 0;
    }
    member.status = to;
    member.cause = cause;
    member.since = now.at;
    Step { from, to, cause }
}

/// The next step that is due. Each leads towards what the facts say, so there are few.
fn next(member: &Member, now: Now<'_>, because: Cause) -> Option<(Status, Cause)> {
    let unwanted = !is_wanted(member, now.set.map(OperatorSet::epoch));
    let place = place(member, now.set);
    match (member.status, place) {
        _ if is_gone(member) => (!unwanted).then_some((Status::WaitingJoin, Cause::Registered)),
        _ if unwanted => Some((Status::Unactive, Cause::Deregistered)),
        (Status::WaitingJoin, _) => {
            let joined = member.binding.is_some();
            joined.then_some((Status::WaitingActive, Cause::Joined))
        }
        (Status::WaitingActive | Status::Unactive, Place::Serves) => {
            Some((Status::Active, Cause::EpochBegan))
        }
        (Status::Active, _) if member.misses >= now.misses.max(1) => {
            Some((Status::Suspended, Cause::Missed))
        }
        (Status::WaitingActive | Status::Active, Place::TooLight) => {
            Some((Status::Unactive, Cause::BelowMinimum))
        }
        (Status::Suspended, Place::Serves) if member.misses == 0 => Some((Status::Active, because)),
        (Status::Suspended, Place::TooLight) if member.misses == 0 => {
            Some((Status::Unactive, Cause::BelowMinimum))
        }
        _ => None,
    }
}

/// What the current epoch has for an operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// No epoch is known, or the operator's has not begun.
    NotYet,
    Serves,
    TooLight,
}

fn place(member: &Member, set: Option<&OperatorSet>) -> Place {
    let Some(set) = set.filter(|set| is_registered(member, set.epoch())) else {
        return Place::NotYet;
    };
    match set.get(member.operator) {
        Some(_) => Place::Serves,
        None => Place::TooLight,
    }
}

fn is_registered(member: &Member, epoch: Epoch) -> bool {
    let in_effect = member.changes.iter().rfind(|change| change.epoch <= epoch);
    in_effect.is_some_and(|change| change.registered)
}

/// Registered now or later. Without an epoch nothing is known to be over.
fn is_wanted(member: &Member, epoch: Option<Epoch>) -> bool {
    let Some(epoch) = epoch else {
        let last = member.changes.last();
        return !is_gone(member) || last.is_some_and(|change| change.registered);
    };
    let later = |change: &RegistrationChange| change.epoch > epoch && change.registered;
    is_registered(member, epoch) || member.changes.iter().any(later)
}

/// Its exit is over and done with.
pub(super) fn is_gone(member: &Member) -> bool {
    (member.status, member.cause) == (Status::Unactive, Cause::Deregistered)
}

/// Registered and then not any more, until this epoch.
fn has_exited(member: &Member, epoch: Epoch) -> bool {
    let past = || member.changes.iter().filter(|c| c.epoch <= epoch);
    past().skip_while(|c| !c.registered).any(|c| !c.registered)
}

/// Of the changes until this epoch only the last one is in effect.
fn forget_the_past(member: &mut Member, epoch: Epoch) {
    let past = member.changes.iter().filter(|c| c.epoch <= epoch).count();
    member.changes.drain(..past.saturating_sub(1));
}
