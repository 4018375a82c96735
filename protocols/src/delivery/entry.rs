//! One delivery on its way.

use std::cmp::Reverse;

use quorate_proto::Timestamp;

use super::bounds::{
    ANSWER_MS, FEES_MS, FEES_PATIENCE_MS, FUNDS_MS, GAS_MARGIN_PERCENT, LanePolicy,
    RETRY_PAUSES_MS, SETTLE_MS,
};
use super::fees::Fees;
use super::io::{OnChain, View};
use super::record::{Class, Delivery, DeliveryRecord, Reason};

/// Where a delivery is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// Until its record's `until`, and for its turn.
    Waiting,
    /// The contract's record was asked for; where the delivery's record has a verdict, whether that stands.
    Asking { since: Timestamp },
    /// Its gas was asked for.
    Estimating { since: Timestamp, limit: u64 },
    /// Waits for a nonce.
    Ready { asked: Timestamp, gas: u64 },
    /// Has this nonce. It keeps it until a confirmed block has closed the nonce, so it never has two.
    Flying { nonce: u64 },
    /// Done, but not confirmed.
    Settling { until: Timestamp },
}

/// What a delivery wants of its lane.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// Nothing.
    Stay,
    /// Its record has changed.
    Keep,
    /// Ask for the contract's record.
    AskRecord,
    /// Ask for its gas, with this limit.
    Estimate(u64),
    /// It is done.
    Done,
    /// It is a dead letter.
    Dead(Reason),
    /// It waits, and so does everything else of its route.
    Stop(Reason),
}

#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) record: DeliveryRecord,
    pub(super) phase: Phase,
    /// When the contract's record was read last.
    asked: Timestamp,
    /// Answers in a row that did not come.
    unanswered: usize,
}

impl Entry {
    pub(super) fn new(delivery: Delivery, place: u64) -> Self {
        Self::restored(DeliveryRecord {
            delivery,
            place,
            until: delivery.not_before,
            failures: 0,
            spent: 0,
            gas: 0,
            dear_since: None,
            last: None,
            verdict: None,
        })
    }

    /// A verdict is asked about at the next wake.
    pub(super) const fn restored(record: DeliveryRecord) -> Self {
        let since = Timestamp(0);
        let phase = match record.verdict {
            Some(_) => Phase::Asking { since },
            None => Phase::Waiting,
        };
        Self {
            record,
            phase,
            asked: Timestamp(0),
            unanswered: 0,
        }
    }

    /// Who goes first.
    pub(super) const fn order(&self) -> (Reverse<u8>, u64) {
        (Reverse(self.record.delivery.priority), self.record.place)
    }

    /// Whether it takes one of the places for those that are prepared.
    pub(super) const fn is_preparing(&self) -> bool {
        matches!(
            self.phase,
            Phase::Asking { .. } | Phase::Estimating { .. } | Phase::Ready { .. }
        )
    }

    pub(super) fn is_expired(&self, now: Timestamp) -> bool {
        let deadline = self.record.delivery.deadline;
        deadline.is_some_and(|deadline| deadline <= now)
    }

    /// What is left of its budget for each unit of gas, within the lane's limit.
    pub(super) fn ceiling(&self, policy: &LanePolicy, gas: u64) -> u128 {
        let left = self
            .record
            .delivery
            .budget
            .saturating_sub(self.record.spent);
        let each = left.checked_div(u128::from(gas)).unwrap_or(left);
        each.min(policy.max_fee)
    }

    /// The fees that it begins with. What lapsed before pays more, if it can.
    pub(super) fn fees(&self, policy: &LanePolicy, view: &View, gas: u64) -> Option<Fees> {
        let ceiling = self.ceiling(policy, gas);
        let begin = Fees::within(view.base_fee, view.tip, ceiling)?;
        let lapsed = match &self.record.last {
            Some(reason) if reason.class == Class::Lapsed => self.record.failures,
            _ => 0,
        };
        let raise = |fees: Fees, _| {
            let tip = fees.tip.saturating_mul(2);
            Fees::within(view.base_fee, tip, ceiling).unwrap_or(fees)
        };
        Some((0..lapsed).fold(begin, raise))
    }

    pub(super) fn ask(&mut self, now: Timestamp, verdict: Option<Reason>) -> Next {
        self.record.verdict = verdict;
        self.phase = Phase::Asking { since: now };
        Next::AskRecord
    }

    /// Fees are above its budget.
    pub(super) fn too_dear(&mut self, now: Timestamp) -> Next {
        self.record.dear_since.get_or_insert(now);
        if self.is_too_long_dear(now) {
            return self.ask(now, Some(Reason::new(Class::OverBudget, "for hours")));
        }
        self.pause(now, FEES_MS)
    }

    fn is_too_long_dear(&self, now: Timestamp) -> bool {
        let since = self.record.dear_since;
        since.is_some_and(|since| now >= since.plus_millis(FEES_PATIENCE_MS))
    }

    /// The sender has too little.
    pub(super) fn too_poor(&mut self, now: Timestamp) -> Next {
        self.pause(now, FUNDS_MS)
    }

    fn pause(&mut self, now: Timestamp, millis: u64) -> Next {
        self.phase = Phase::Waiting;
        self.record.until = now.plus_millis(millis);
        Next::Keep
    }

    /// What the contract's record says of a delivery that has no nonce.
    pub(super) fn judged(&mut self, now: Timestamp, says: OnChain, policy: &LanePolicy) -> Next {
        let asked = matches!(self.phase, Phase::Asking { .. });
        let verdict = self.record.verdict.take();
        match (says, verdict) {
            (OnChain::Done { confirmed: true }, _) => Next::Done,
            (OnChain::Done { confirmed: false }, _) => {
                let until = now.plus_millis(SETTLE_MS);
                self.phase = Phase::Settling { until };
                Next::Stay
            }
            (OnChain::Gone(text), _) => Next::Dead(Reason::new(Class::Gone, &text)),
            (OnChain::Open, Some(reason)) => self.failed(now, reason),
            (OnChain::Open, None) if asked => {
                self.asked = now;
                self.estimate(now, policy.first_gas, policy)
            }
            (OnChain::Open, None) => Next::Stay,
        }
    }

    fn estimate(&mut self, now: Timestamp, limit: u64, policy: &LanePolicy) -> Next {
        let limit = limit.max(self.record.gas).min(policy.max_gas);
        self.phase = Phase::Estimating { since: now, limit };
        Next::Estimate(limit)
    }

    pub(super) fn estimated(
        &mut self,
        now: Timestamp,
        answer: Result<u64, Reason>,
        policy: &LanePolicy,
    ) -> Next {
        let Phase::Estimating { limit, .. } = self.phase else {
            return Next::Stay;
        };
        match answer {
            Ok(gas) if gas > policy.max_gas => {
                let text = format!("it takes {gas}, of {} that are allowed", policy.max_gas);
                Next::Dead(Reason::new(Class::GasTooLow, &text))
            }
            Ok(gas) => self.ready(gas, policy),
            Err(reason) if reason.class == Class::GasTooLow && limit < policy.max_gas => {
                self.estimate(now, limit.saturating_mul(2), policy)
            }
            // Its record decides, not what was said on the way.
            Err(reason) if matches!(reason.class, Class::Taken | Class::NonceUsed) => {
                self.ask(now, Some(reason))
            }
            Err(reason) => self.failed(now, reason),
        }
    }

    fn ready(&mut self, estimate: u64, policy: &LanePolicy) -> Next {
        self.unanswered = 0;
        let more = estimate.saturating_mul(GAS_MARGIN_PERCENT).div_ceil(100);
        let ran_out = match &self.record.last {
            Some(reason) if reason.class == Class::GasTooLow => self.record.gas,
            _ => 0,
        };
        let gas = more.max(ran_out).min(policy.max_gas);
        self.record.gas = gas;
        let asked = self.asked;
        self.phase = Phase::Ready { asked, gas };
        Next::Stay
    }

    /// An attempt has failed.
    pub(super) fn failed(&mut self, now: Timestamp, reason: Reason) -> Next {
        self.record.last = Some(reason.clone());
        self.phase = Phase::Waiting;
        let pauses = RETRY_PAUSES_MS;
        let step = match reason.class {
            Class::Unreachable => {
                self.unanswered = self.unanswered.saturating_add(1);
                self.unanswered.min(pauses.len().saturating_sub(1))
            }
            Class::Funds => return self.too_poor(now),
            Class::OverBudget if !self.is_too_long_dear(now) => return self.too_dear(now),
            Class::OverBudget => return Next::Dead(reason),
            Class::Misconfigured => return Next::Stop(reason),
            class if !class.is_retryable() => return Next::Dead(reason),
            _ => {
                self.record.failures = self.record.failures.saturating_add(1);
                usize::try_from(self.record.failures).unwrap_or(usize::MAX)
            }
        };
        match pauses.get(step) {
            Some(pause) => self.pause(now, *pause),
            None => Next::Dead(reason),
        }
    }

    /// An answer has not come in time, or the next look is due.
    pub(super) fn wake(&mut self, now: Timestamp) -> Next {
        if self.due().is_none_or(|due| now < due) {
            return Next::Stay;
        }
        match self.phase {
            Phase::Asking { .. } if self.record.verdict.is_some() => {
                let verdict = self.record.verdict.take();
                self.ask(now, verdict)
            }
            Phase::Asking { .. } | Phase::Estimating { .. } => {
                self.failed(now, Reason::new(Class::Unreachable, "no answer in time"))
            }
            Phase::Settling { .. } => self.ask(now, None),
            Phase::Waiting | Phase::Ready { .. } | Phase::Flying { .. } => Next::Stay,
        }
    }

    /// When [`Entry::wake`] has something to do.
    pub(super) fn due(&self) -> Option<Timestamp> {
        match self.phase {
            Phase::Asking { since } | Phase::Estimating { since, .. } => {
                Some(since.plus_millis(ANSWER_MS))
            }
            Phase::Settling { until } => Some(until),
            Phase::Waiting | Phase::Ready { .. } | Phase::Flying { .. } => None,
        }
    }
}
