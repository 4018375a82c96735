//! One nonce that is reserved, until a confirmed block has closed it.

use quorate_proto::Timestamp;

use super::bounds::{
    ANSWER_MS, GAP_MS, LanePolicy, MAX_REJECTIONS, SOON_MS, STUCK_BLOCKS, STUCK_MS, Scheme,
};
use super::fees::Fees;
use super::io::{Effect, Found, Output, TxKey, View};
use super::record::{Class, NonceRecord, Reason, Record};

/// What is due for a nonce.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Step {
    /// It is used up at a confirmed block, or its lifetime is over: by what?
    AskReceipt,
    /// Send the same again.
    Send,
    /// It should have been mined by now.
    Bump,
}

#[derive(Clone, Debug)]
pub(super) struct Flight {
    pub(super) record: NonceRecord,
    /// When the same is sent again.
    pub(super) resend_at: Timestamp,
    /// When it is replaced.
    pub(super) bump_at: Timestamp,
    ask_at: Timestamp,
    /// How often it was sent; `None` after a restart.
    round: Option<u32>,
    /// Refusals of the last attempt in a row.
    rejections: u32,
    /// A provider finds its fee too low.
    underpriced: bool,
    /// The contract's record was asked for, so often without answer.
    pub(super) unread: u32,
    pub(super) checking: bool,
    /// The head when its last transaction was made: that can be mined in a later block only.
    pub(super) made_at: u64,
    /// The operator knows that it is stuck.
    pub(super) told: bool,
}

impl Flight {
    /// Just reserved. Where it only fills a gap, who used the nonce before may be mined again meanwhile.
    pub(super) fn new(record: NonceRecord, policy: &LanePolicy) -> Self {
        let send_at = match record.delivery {
            Some(_) => record.made,
            None => record.made.plus_millis(GAP_MS),
        };
        Self {
            record,
            resend_at: send_at,
            bump_at: send_at.plus_millis(policy.bump_ms.max(1)),
            ask_at: send_at,
            round: None,
            rejections: 0,
            underpriced: false,
            unread: 0,
            checking: false,
            made_at: 0,
            told: false,
        }
    }

    pub(super) const fn tx(&self) -> TxKey {
        TxKey {
            lane: self.record.lane,
            nonce: self.record.nonce,
            attempt: self.record.attempt,
        }
    }

    /// Whether its last transaction only closes the nonce.
    pub(super) const fn is_cancelling(&self) -> bool {
        self.record.delivery.is_none() || self.record.cancel.is_some()
    }

    /// Whether a block has it, as far as nonces tell.
    pub(super) fn is_mined(&self, policy: &LanePolicy, view: Option<&View>) -> bool {
        policy.scheme == Scheme::Nonces && view.is_some_and(|view| self.record.nonce < view.nonce)
    }

    /// What its last transaction may cost while it is not mined.
    pub(super) const fn cost(&self) -> u128 {
        self.record.fees.cost(self.record.gas)
    }

    /// What is due next, and when.
    pub(super) fn next(&self, policy: &LanePolicy, view: &View) -> Option<(Timestamp, Step)> {
        match policy.scheme {
            Scheme::Lifetimes => {
                let lapsed = |height| view.height > height;
                let over = self.record.valid_until.is_some_and(lapsed);
                let step = match over || self.is_cancelling() {
                    true => Step::AskReceipt,
                    false => Step::Send,
                };
                Some((self.resend_at, step))
            }
            Scheme::Nonces if self.record.nonce < view.confirmed_nonce => {
                Some((self.ask_at, Step::AskReceipt))
            }
            Scheme::Nonces if self.record.nonce < view.nonce => None,
            Scheme::Nonces => {
                let send = (self.resend_at, Step::Send);
                let bump = (self.bump_at, Step::Bump);
                Some(if self.may_bump(view) {
                    send.min(bump)
                } else {
                    send
                })
            }
        }
    }

    /// Those behind the first one wait for it, and paying more would not help them.
    fn may_bump(&self, view: &View) -> bool {
        let helps = self.record.nonce == view.nonce
            || self.underpriced
            || self.record.fees.max_fee < view.base_fee;
        helps && view.height > self.made_at
    }

    /// The next one to be mined gets its time anew once those before it are. Whether that is to be written.
    pub(super) fn lead(&mut self, now: Timestamp, policy: &LanePolicy, view: &View) -> bool {
        let leads = policy.scheme == Scheme::Nonces && self.record.nonce == view.nonce;
        if leads == self.record.leads.is_some() {
            return false;
        }
        self.record.leads = leads.then_some((now, view.height));
        if leads {
            self.bump_at = self.bump_at.max(now.plus_millis(policy.bump_ms));
        }
        leads
    }

    /// Whether it holds up all others for too long.
    pub(super) fn is_stuck(&self, now: Timestamp, view: &View) -> bool {
        let is_long = |(since, height): (Timestamp, u64)| {
            let blocks = view.height.saturating_sub(height);
            now >= since.plus_millis(STUCK_MS) && blocks >= STUCK_BLOCKS
        };
        self.record.leads.is_some_and(is_long)
    }

    pub(super) fn send(&mut self, now: Timestamp, policy: &LanePolicy) -> Output {
        self.resend_at = now.plus_millis(policy.resend_ms.max(1));
        let round = self.round.unwrap_or_else(|| self.rounds(now, policy));
        self.round = Some(round.saturating_add(1));
        Output::Send {
            tx: self.tx(),
            delivery: self.record.delivery.filter(|_| !self.is_cancelling()),
            fees: self.record.fees,
            gas: self.record.gas,
            round,
        }
    }

    /// How often it was sent by now, if nothing has disturbed that: who restarts all the time still asks all providers.
    fn rounds(&self, now: Timestamp, policy: &LanePolicy) -> u32 {
        let passed = now.micros_since(self.record.made) / 1_000;
        let rounds = passed.checked_div(policy.resend_ms).unwrap_or_default();
        u32::try_from(rounds).unwrap_or(u32::MAX)
    }

    pub(super) fn ask(&mut self, now: Timestamp, policy: &LanePolicy) -> Output {
        self.ask_at = now.plus_millis(ANSWER_MS);
        self.resend_at = now.plus_millis(policy.resend_ms.max(1));
        Output::AskReceipt(self.record.lane, self.record.nonce)
    }

    /// Another transaction with this nonce.
    pub(super) fn replace(
        &mut self,
        now: Timestamp,
        fees: Fees,
        policy: &LanePolicy,
        height: u64,
    ) -> [Output; 2] {
        self.record.attempt = self.record.attempt.saturating_add(1);
        self.record.fees = fees;
        self.record.made = now;
        self.bump_at = now.plus_millis(policy.bump_ms.max(1));
        self.round = None;
        self.rejections = 0;
        self.underpriced = false;
        self.checking = false;
        self.unread = 0;
        self.made_at = height;
        [self.keep(), self.send(now, policy)]
    }

    pub(super) fn keep(&self) -> Output {
        Output::Keep(Record::Nonce(self.record.clone()))
    }

    /// It may not pay more.
    pub(super) fn capped(&mut self, now: Timestamp, policy: &LanePolicy) {
        self.bump_at = now.plus_millis(policy.bump_ms.max(1));
        self.checking = false;
        self.unread = 0;
    }

    /// A provider has taken it.
    pub(super) const fn taken(&mut self) {
        self.rejections = 0;
    }

    /// A provider has not taken it: what it says is a hint. Whether so many have said so that it should be given up.
    pub(super) fn refused(&mut self, now: Timestamp, class: Class) -> bool {
        let soon = now.plus_millis(SOON_MS);
        match class {
            Class::Underpriced => {
                self.underpriced = true;
                self.bump_at = self.bump_at.min(soon);
                false
            }
            Class::NonceUsed | Class::Funds => false,
            Class::Unreachable => {
                self.resend_at = self.resend_at.min(soon);
                false
            }
            _ => {
                self.resend_at = self.resend_at.min(soon);
                self.rejections = self.rejections.saturating_add(1);
                self.rejections >= MAX_REJECTIONS
            }
        }
    }

    /// Why the delivery is where it was before, if it is: `None` where no party is to blame.
    pub(super) fn outcome(&self, found: Found, scheme: Scheme) -> Option<Reason> {
        let cancel = self.record.cancel.as_ref();
        let given_up = |by: Option<u32>| {
            let since = |(from, reason): &(u32, Reason)| {
                let is_meant = by.is_none_or(|attempt| attempt >= *from);
                (is_meant || !reason.class.is_retryable()).then(|| reason.clone())
            };
            cancel.and_then(since)
        };
        match found {
            Found::Mined {
                attempt, effect, ..
            } => given_up(Some(attempt)).or_else(|| {
                Some(match effect {
                    Effect::Success => Reason::new(Class::NoEffect, ""),
                    Effect::Reverted => Reason::new(Class::Reverted, "its transaction was undone"),
                    Effect::OutOfGas => Reason::new(Class::GasTooLow, "its transaction ran out"),
                })
            }),
            Found::Unconfirmed | Found::Missing { .. } | Found::Unsigned => {
                let lapsed = || Reason::new(Class::Lapsed, "");
                let nobody = given_up(None);
                match scheme {
                    Scheme::Nonces => nobody,
                    Scheme::Lifetimes => nobody.or_else(|| Some(lapsed())),
                }
            }
        }
    }
}
