//! Which operators take part: from registration over join and service to suspension and exit.
//!
//! # Design Decisions
//!
//! - The chain says who is registered from which epoch on and who has enough weight; a join says
//!   which peer speaks for an operator; answers say who does its work. The status follows from
//!   these three and is never set by itself, so it cannot contradict them.
//! - An operator's events are taken once, by their place on the chain: after a restart the driver
//!   may tell a range of blocks again. A registration before the exit is effective cancels it. An
//!   exit that was effective ends binding, misses and suspension: who returns joins again.
//! - Silence is a miss, a refusal is not. A miss counts only if at least the threshold weight
//!   answered that very task here within the window: a registry that is cut off hears no operator, and
//!   that is not the operators' fault. Nor does one count against who was not active yet when
//!   the task began.
//! - Misses need not follow each other. They are counted from when the operator became active
//!   or was reinstated; where epochs reinstate ([`Reinstatement::NextEpoch`]), each epoch starts at
//!   none for all. Good answers do not make up for misses; they are counted apart.
//! - Registries that count differently meet at what more than half of all of them say, those that
//!   are silent counted as disagreeing. So a minority that lies suspends no operator and reinstates
//!   none, and a registry that lost its disk learns again what the others know.
//! - Nothing here falls due by time: epochs begin and windows close elsewhere, so there is no
//!   `next_wake`.

mod io;
mod lifecycle;

use std::collections::BTreeMap;
use std::sync::Arc;

use quorate_proto::{
    Address, B256, Binding, Epoch, LifecycleCause, LogPosition, Member, OperatorSet,
    OperatorStatus, RegistrationChange, Timestamp, Transition, U256, keccak256, limits,
};

pub use self::io::{ClosedTask, Input, Output, Policy, Refused, Reinstatement};
use self::lifecycle::{Now, Step};

/// The operators of a network as one registry sees them.
#[derive(Clone, Debug)]
pub struct Membership {
    policy: Policy,
    members: BTreeMap<Address, Member>,
    /// The set of the current epoch; `None` until one has begun.
    set: Option<Arc<OperatorSet>>,
    /// The newest block that was heard of.
    block: u64,
}

impl Membership {
    /// A registry that knows no operator.
    #[must_use]
    pub const fn new(policy: Policy) -> Self {
        Self {
            policy,
            members: BTreeMap::new(),
            set: None,
            block: 0,
        }
    }

    /// A registry that knows what it kept. Statuses stay as they are until the current epoch is
    /// told again.
    #[must_use]
    pub fn restore(policy: Policy, members: impl IntoIterator<Item = Member>) -> Self {
        let members = members.into_iter().map(|member| (member.operator, member));
        let members: BTreeMap<Address, Member> = members.collect();
        let block = members.values().map(|member| member.log.block).max();
        Self {
            members,
            block: block.unwrap_or_default(),
            ..Self::new(policy)
        }
    }

    /// From now on another policy holds. No operator is looked at again because of it alone.
    pub const fn set_policy(&mut self, policy: Policy) {
        self.policy = policy;
    }

    /// All that is known, ascending by operator: what [`Membership::restore`] takes.
    pub fn members(&self) -> impl ExactSizeIterator<Item = &Member> {
        self.members.values()
    }

    /// What is known of one operator.
    #[must_use]
    pub fn get(&self, operator: Address) -> Option<&Member> {
        self.members.get(&operator)
    }

    /// The current epoch; `None` until one has begun here.
    #[must_use]
    pub fn epoch(&self) -> Option<Epoch> {
        self.set.as_ref().map(|set| set.epoch())
    }

    /// Takes one input.
    ///
    /// # Errors
    /// [`Refused`]; the input then changed nothing.
    pub fn handle(&mut self, now: Timestamp, input: Input) -> Result<Vec<Output>, Refused> {
        match input {
            Input::Registered {
                operator,
                log,
                active_epoch,
            } => self.registered(now, operator, log, active_epoch),
            Input::Deregistered {
                operator,
                log,
                exit_epoch,
            } => Ok(self.deregistered(now, operator, log, exit_epoch)),
            Input::Joined {
                operator,
                peer_key,
                sequence,
                counts,
            } => self.joined(now, operator, peer_key, (sequence, counts)),
            Input::EpochBegan { set, block } => Ok(self.epoch_began(now, set, block)),
            Input::TaskClosed(closed) => Ok(self.task_closed(now, &closed)),
            Input::Witnessed {
                operator,
                misses,
                registries,
            } => Ok(self.witnessed(now, operator, misses, registries)),
            Input::Reinstated { operator, by } => self.reinstated(now, operator, &by),
        }
    }

    /// A hash over what does not come from the chain, to compare registries by. keccak256 over 65
    /// bytes for each operator that a peer speaks for or that has misses, ascending by operator:
    /// operator 20 ‖ peer key 32, zero without a peer ‖ sequence 8 ‖ misses 4, both big endian ‖
    /// 1 if suspended, else 0.
    #[must_use]
    pub fn state_hash(&self) -> B256 {
        let mut bytes = Vec::new();
        for member in self.members.values() {
            if member.binding.is_none() && member.misses == 0 {
                continue;
            }
            let peer_key = member.binding.map(|b| b.peer_key).unwrap_or_default();
            let sequence = member.binding.map(|b| b.sequence).unwrap_or_default();
            bytes.extend(member.operator);
            bytes.extend(peer_key);
            bytes.extend(sequence.to_be_bytes());
            bytes.extend(member.misses.to_be_bytes());
            bytes.push(u8::from(member.status == OperatorStatus::Suspended));
        }
        keccak256(bytes)
    }

    fn registered(
        &mut self,
        now: Timestamp,
        operator: Address,
        log: LogPosition,
        epoch: Epoch,
    ) -> Result<Vec<Output>, Refused> {
        self.block = self.block.max(log.block);
        let known = self.members.get(&operator);
        if known.is_some_and(|member| log <= member.log) {
            return Ok(Vec::new());
        }
        if known.is_none() && self.members.len() >= limits::MAX_MEMBERS {
            return Err(Refused::TooManyMembers);
        }
        let mut news = Vec::new();
        let newcomer = || lifecycle::newcomer(operator, now);
        if known.is_none() {
            news.push(transition(&newcomer(), None, self.block));
        }
        let member = self.members.entry(operator).or_insert_with(newcomer);
        let registered = true;
        lifecycle::change(member, RegistrationChange { epoch, registered });
        member.log = log;
        news.extend(self.settle(now, operator, LifecycleCause::Registered));
        Ok(self.keep(operator, news))
    }

    /// Who is not known never registered here, and has nothing to leave.
    fn deregistered(
        &mut self,
        now: Timestamp,
        operator: Address,
        log: LogPosition,
        epoch: Epoch,
    ) -> Vec<Output> {
        self.block = self.block.max(log.block);
        let Some(member) = self.members.get_mut(&operator).filter(|m| log > m.log) else {
            return Vec::new();
        };
        let registered = false;
        lifecycle::change(member, RegistrationChange { epoch, registered });
        member.log = log;
        let news = self.settle(now, operator, LifecycleCause::Deregistered);
        self.keep(operator, news)
    }

    fn joined(
        &mut self,
        now: Timestamp,
        operator: Address,
        peer_key: [u8; 32],
        (sequence, counts): (u64, bool),
    ) -> Result<Vec<Output>, Refused> {
        let unknown = Refused::UnknownOperator(operator);
        let member = self.members.get_mut(&operator).ok_or(unknown)?;
        if lifecycle::is_gone(member) {
            return Err(Refused::Deregistered(operator));
        }
        let old = member.binding;
        if old.is_some_and(|old| (old.peer_key, old.sequence) == (peer_key, sequence)) {
            return Ok(Vec::new());
        }
        if let Some(old) = old.filter(|old| !counts && sequence <= old.sequence) {
            let known = old.sequence;
            return Err(Refused::StaleJoin { known, sequence });
        }
        member.binding = Some(Binding {
            peer_key,
            sequence,
            at: now,
        });
        let other = |old: Binding| (old.peer_key != peer_key).then_some(old.peer_key);
        let mut news = vec![Output::Bound {
            operator,
            peer_key,
            replaced: old.and_then(other),
        }];
        news.extend(self.settle(now, operator, LifecycleCause::Joined));
        Ok(self.keep(operator, news))
    }

    /// An epoch that is not later than the current one has begun already.
    fn epoch_began(&mut self, now: Timestamp, set: Arc<OperatorSet>, block: u64) -> Vec<Output> {
        self.block = self.block.max(block);
        let epoch = set.epoch();
        if Some(epoch) <= self.epoch() {
            return Vec::new();
        }
        self.set = Some(set);
        let forgives = self.policy.reinstatement == Reinstatement::NextEpoch;
        let operators: Vec<Address> = self.members.keys().copied().collect();
        let mut outputs = Vec::new();
        for operator in operators {
            let before = self.members.get(&operator).cloned();
            if let Some(member) = self.members.get_mut(&operator)
                && forgives
                && member.missed_in < epoch
            {
                member.misses = 0;
            }
            let news = self.settle(now, operator, LifecycleCause::EpochBegan);
            if before.as_ref() != self.members.get(&operator) {
                outputs.extend(self.keep(operator, news));
            }
        }
        outputs
    }

    fn task_closed(&mut self, now: Timestamp, closed: &ClosedTask) -> Vec<Output> {
        let ClosedTask {
            asked,
            signed,
            refused,
            ..
        } = closed;
        let certified = weight(asked, signed.iter()) >= asked.threshold();
        let heard = weight(asked, signed.union(refused)) >= asked.threshold();
        let mut outputs = Vec::new();
        for operator in asked.members().iter().map(|member| member.address) {
            let answered = signed.contains(&operator) || refused.contains(&operator);
            if certified && signed.contains(&operator) {
                self.succeeded(operator);
            } else if heard && !answered {
                outputs.extend(self.missed(now, closed, operator));
            }
        }
        outputs
    }

    fn succeeded(&mut self, operator: Address) {
        let active = |m: &&mut Member| m.status == OperatorStatus::Active;
        if let Some(member) = self.members.get_mut(&operator).filter(active) {
            member.successful_responses = member.successful_responses.saturating_add(1);
        }
    }

    fn missed(&mut self, now: Timestamp, closed: &ClosedTask, operator: Address) -> Vec<Output> {
        let asked_in = closed.asked.epoch();
        let epoch = self.epoch().map_or(asked_in, |now| now.max(asked_in));
        let due = |m: &&mut Member| m.status == OperatorStatus::Active && m.since <= closed.began;
        let Some(member) = self.members.get_mut(&operator).filter(due) else {
            return Vec::new();
        };
        member.misses = member.misses.saturating_add(1);
        member.missed_in = epoch;
        let mut news = self.settle(now, operator, LifecycleCause::Missed);
        note(&mut news, LifecycleCause::Missed, &closed.task.to_string());
        self.keep(operator, news)
    }

    /// More than half of the registries must say so, whichever way.
    fn witnessed(
        &mut self,
        now: Timestamp,
        operator: Address,
        mut counts: Vec<u32>,
        registries: usize,
    ) -> Vec<Output> {
        let serves = |m: &&mut Member| {
            matches!(m.status, OperatorStatus::Active | OperatorStatus::Suspended)
        };
        let Some(epoch) = self.epoch() else {
            return Vec::new();
        };
        let Some(member) = self.members.get_mut(&operator).filter(serves) else {
            return Vec::new();
        };
        let own = member.misses;
        counts.push(own);
        counts.sort_unstable();
        // The half that is not enough: with the next one it is.
        let half = registries.max(counts.len()) / 2;
        let at_most = counts.get(half).copied();
        let at_least = counts.iter().rev().nth(half).copied();
        let raised = at_least.filter(|count| *count > own);
        let lowered = at_most.filter(|count| *count < own);
        let Some(agreed) = raised.or(lowered) else {
            return Vec::new();
        };
        member.misses = agreed;
        let cause = match raised {
            Some(_) => {
                member.missed_in = epoch;
                LifecycleCause::Missed
            }
            None => LifecycleCause::Reinstated,
        };
        let mut news = self.settle(now, operator, cause);
        note(&mut news, cause, "as most registries say");
        self.keep(operator, news)
    }

    fn reinstated(
        &mut self,
        now: Timestamp,
        operator: Address,
        by: &str,
    ) -> Result<Vec<Output>, Refused> {
        let suspended = |m: &&mut Member| m.status == OperatorStatus::Suspended;
        let unknown = Refused::UnknownOperator(operator);
        let member = self.members.get_mut(&operator).ok_or(unknown)?;
        let member = Some(member).filter(suspended);
        member.ok_or(Refused::NotSuspended(operator))?.misses = 0;
        let mut news = self.settle(now, operator, LifecycleCause::Reinstated);
        let end = by.floor_char_boundary(limits::MAX_DETAIL_BYTES);
        note(&mut news, LifecycleCause::Reinstated, &by[..end]);
        Ok(self.keep(operator, news))
    }

    /// Takes the steps that are due for one operator.
    fn settle(
        &mut self,
        now: Timestamp,
        operator: Address,
        because: LifecycleCause,
    ) -> Vec<Output> {
        let Some(member) = self.members.get_mut(&operator) else {
            return Vec::new();
        };
        let circumstances = Now {
            set: self.set.as_deref(),
            misses: self.policy.misses,
            at: now,
        };
        let block = self.block;
        let steps = lifecycle::settle(member, circumstances, because);
        let said = |Step { from, to, cause }: Step| {
            Output::Transition(Transition {
                operator,
                from: Some(from),
                to,
                cause,
                note: String::new(),
                at: now,
                block,
            })
        };
        steps.into_iter().map(said).collect()
    }

    /// Written first, said then.
    fn keep(&self, operator: Address, news: Vec<Output>) -> Vec<Output> {
        let record = self.members.get(&operator).cloned().map(Output::Keep);
        record.into_iter().chain(news).collect()
    }
}

/// Says more about the transitions of this cause.
fn note(news: &mut [Output], cause: LifecycleCause, text: &str) {
    for output in news {
        if let Output::Transition(transition) = output
            && transition.cause == cause
        {
            transition.note = text.to_owned();
        }
    }
}

fn weight<'a>(set: &OperatorSet, who: impl Iterator<Item = &'a Address>) -> U256 {
    who.fold(U256::ZERO, |sum, operator| {
        sum.saturating_add(set.weight_of(*operator))
    })
}

fn transition(member: &Member, from: Option<OperatorStatus>, block: u64) -> Output {
    Output::Transition(Transition {
        operator: member.operator,
        from,
        to: member.status,
        cause: member.cause,
        note: String::new(),
        at: member.since,
        block,
    })
}

#[cfg(test)]
mod tests;
