//! The nonces of one lane: each that is reserved gets mined, or closed by a transaction that does nothing.

use quorate_proto::Timestamp;

use super::bounds::{ANSWER_MS, MAX_GAPS, MAX_UNREAD, Scheme};
use super::entry::Phase;
use super::fees::Fees;
use super::flight::{Flight, Step};
use super::io::{Alert, Effect, Found, OnChain, Output, TxKey, View};
use super::lane::{Lane, Turn, keep};
use super::record::{Class, NonceRecord, Reason, RecordKey};

impl Lane {
    /// Reserved and not mined.
    pub(super) fn unmined(&self) -> impl Iterator<Item = &Flight> {
        let view = self.view.as_ref();
        let flights = self.flights.values();
        flights.filter(move |flight| !flight.is_mined(&self.policy, view))
    }

    /// What those may cost.
    pub(super) fn owed(&self) -> u128 {
        self.unmined()
            .fold(0, |sum, flight| sum.saturating_add(flight.cost()))
    }

    /// Reserves a nonce: written first, sent then.
    pub(super) fn take_off(&mut self, turn: &mut Turn<'_>, record: NonceRecord) {
        let nonce = record.nonce;
        let mut flight = Flight::new(record, &self.policy);
        flight.made_at = self.view.map_or(0, |view| view.height);
        turn.outputs.push(flight.keep());
        turn.outputs.push(flight.send(turn.now, &self.policy));
        self.flights.insert(nonce, flight);
    }

    pub(super) fn viewed(&mut self, turn: &mut Turn<'_>, view: View) {
        self.look_at = turn.now.plus_millis(self.policy.poll_ms.max(1));
        self.view = Some(view);
    }

    /// Does what is due for each nonce.
    pub(super) fn fly(&mut self, turn: &mut Turn<'_>) {
        let Some(view) = self.view else {
            return;
        };
        self.close_gaps(turn, &view);
        for flight in self.flights.values_mut() {
            if flight.lead(turn.now, &self.policy, &view) {
                turn.outputs.push(flight.keep());
            }
        }
        let nonces: Vec<u64> = self.flights.keys().copied().collect();
        for nonce in nonces {
            while let Some(step) = self.due_step(turn.now, nonce, &view) {
                self.step(turn, nonce, step, &view);
            }
        }
    }

    /// Each step puts off its own time.
    fn due_step(&self, now: Timestamp, nonce: u64, view: &View) -> Option<Step> {
        let flight = self.flights.get(&nonce)?;
        let (at, step) = flight.next(&self.policy, view)?;
        (at <= now).then_some(step)
    }

    fn step(&mut self, turn: &mut Turn<'_>, nonce: u64, step: Step, view: &View) {
        let Some(flight) = self.flights.get_mut(&nonce) else {
            return;
        };
        match step {
            Step::AskReceipt => turn.outputs.push(flight.ask(turn.now, &self.policy)),
            Step::Send => {
                if self.policy.scheme == Scheme::Lifetimes {
                    turn.outputs.push(flight.ask(turn.now, &self.policy));
                }
                turn.outputs.push(flight.send(turn.now, &self.policy));
            }
            Step::Bump => self.bump(turn, nonce, view),
        }
    }

    /// Not mined in time. Before it pays more, the contract is asked whether that is still needed.
    fn bump(&mut self, turn: &mut Turn<'_>, nonce: u64, view: &View) {
        let Some(flight) = self.flights.get_mut(&nonce) else {
            return;
        };
        let Some(id) = flight.record.delivery.filter(|_| !flight.is_cancelling()) else {
            return self.pay_more(turn, nonce, view);
        };
        let entry = self.entries.get(&id);
        if entry.is_none_or(|entry| entry.is_expired(turn.now)) {
            return self.cancel(turn, nonce, Reason::new(Class::Expired, ""));
        }
        if flight.is_stuck(turn.now, view) {
            // Paying what blocks take and yet not mined is no matter of fees.
            let pays = flight.record.fees.max_fee >= view.base_fee.saturating_add(view.tip);
            let class = if pays {
                Class::Lapsed
            } else {
                Class::OverBudget
            };
            let reason = Reason::new(class, "its transaction is not mined");
            return self.cancel(turn, nonce, reason);
        }
        if flight.unread >= MAX_UNREAD {
            let reason = Reason::new(Class::Unreachable, "the contract's record");
            return self.cancel(turn, nonce, reason);
        }
        flight.unread = flight.unread.saturating_add(1);
        flight.checking = true;
        flight.bump_at = turn.now.plus_millis(ANSWER_MS);
        turn.outputs.push(Output::AskRecord(id));
    }

    /// What the contract's record says of a delivery that has this nonce.
    pub(super) fn judged_in_flight(&mut self, turn: &mut Turn<'_>, nonce: u64, says: OnChain) {
        let (Some(view), Some(flight)) = (self.view, self.flights.get(&nonce)) else {
            return;
        };
        let replaces = self.policy.scheme == Scheme::Nonces;
        if flight.is_mined(&self.policy, Some(&view)) || (replaces && !flight.checking) {
            return;
        }
        match says {
            OnChain::Open if replaces => self.pay_more(turn, nonce, &view),
            OnChain::Open => {}
            OnChain::Done { .. } => {
                let reason = Reason::new(Class::Taken, "by another transaction");
                self.cancel(turn, nonce, reason);
            }
            OnChain::Gone(text) => self.cancel(turn, nonce, Reason::new(Class::Gone, &text)),
        }
    }

    /// What the last transaction with this nonce may pay for a unit of gas.
    fn ceiling(&self, flight: &Flight) -> u128 {
        let id = flight.record.delivery.filter(|_| !flight.is_cancelling());
        match id.and_then(|id| self.entries.get(&id)) {
            Some(entry) => entry.ceiling(&self.policy, flight.record.gas),
            None => self.policy.max_fee.saturating_mul(2),
        }
    }

    fn pay_more(&mut self, turn: &mut Turn<'_>, nonce: u64, view: &View) {
        let owed = self.owed();
        let Some(flight) = self.flights.get(&nonce) else {
            return;
        };
        let (ceiling, cancelling) = (self.ceiling(flight), flight.is_cancelling());
        let fees = flight
            .record
            .fees
            .replaced(view.base_fee, view.tip, ceiling)
            .filter(|fees| {
                let others = owed.saturating_sub(flight.cost());
                others.saturating_add(fees.cost(flight.record.gas)) <= view.balance
            });
        let Some(flight) = self.flights.get_mut(&nonce) else {
            return;
        };
        match fees {
            Some(fees) => {
                let outputs = flight.replace(turn.now, fees, &self.policy, view.height);
                turn.outputs.extend(outputs);
            }
            None => {
                flight.capped(turn.now, &self.policy);
            }
        }
        if fees.is_none() && cancelling {
            let reason = Reason::new(Class::OverBudget, "no more may be paid to close it");
            self.stuck(turn, nonce, reason);
        }
    }

    fn stuck(&mut self, turn: &mut Turn<'_>, nonce: u64, reason: Reason) {
        if let Some(flight) = self.flights.get_mut(&nonce)
            && !std::mem::replace(&mut flight.told, true)
        {
            let alert = Alert::Stuck(self.id, nonce, reason);
            turn.outputs.push(Output::Alert(alert));
        }
    }

    /// Gives a nonce up. A transaction that does nothing takes it, since those behind wait for it; where there are only
    /// lifetimes, it is not sent any more and lapses.
    pub(super) fn cancel(&mut self, turn: &mut Turn<'_>, nonce: u64, reason: Reason) {
        let ceiling = self.policy.max_fee.saturating_mul(2);
        let view = self.view.unwrap_or_default();
        let Some(flight) = self.flights.get_mut(&nonce) else {
            return;
        };
        if flight.is_cancelling() || flight.is_mined(&self.policy, Some(&view)) {
            return;
        }
        let from = flight.record.attempt.saturating_add(1);
        flight.record.cancel = Some((from, reason));
        if self.policy.scheme == Scheme::Lifetimes {
            turn.outputs.push(flight.keep());
            return;
        }
        flight.record.gas = self.policy.cancel_gas;
        let before = flight.record.fees;
        let wanted = before.replaced(view.base_fee, view.tip, ceiling);
        let fees = wanted.unwrap_or_else(|| before.least_more());
        let outputs = flight.replace(turn.now, fees, &self.policy, view.height);
        turn.outputs.extend(outputs);
    }

    /// Reserves what is below a reserved nonce and of no transaction: used from outside, then undone by a reorg.
    fn close_gaps(&mut self, turn: &mut Turn<'_>, view: &View) {
        let Some((last, _)) = self.flights.last_key_value() else {
            return;
        };
        if self.policy.scheme == Scheme::Lifetimes {
            return;
        }
        let fillers = self
            .flights
            .values()
            .filter(|f| f.record.delivery.is_none());
        let places = MAX_GAPS.saturating_sub(fillers.count());
        let gap = (view.nonce..*last).filter(|nonce| !self.flights.contains_key(nonce));
        let fees = Fees::within(view.base_fee, view.tip, self.policy.max_fee);
        for nonce in gap.take(places).collect::<Vec<u64>>() {
            let record = NonceRecord {
                lane: self.id,
                nonce,
                delivery: None,
                attempt: 0,
                cancel: None,
                made: turn.now,
                leads: None,
                fees: fees.unwrap_or_default(),
                gas: self.policy.cancel_gas,
                valid_until: None,
            };
            let flight = Flight::new(record, &self.policy);
            turn.outputs.push(flight.keep());
            self.flights.insert(nonce, flight);
        }
    }

    pub(super) fn sent(
        &mut self,
        turn: &mut Turn<'_>,
        tx: TxKey,
        valid_until: Option<u64>,
        answer: Result<(), Reason>,
    ) {
        let Some(flight) = self.flights.get_mut(&tx.nonce).filter(|f| f.tx() == tx) else {
            return;
        };
        if valid_until.is_some() && flight.record.valid_until.is_none() {
            flight.record.valid_until = valid_until;
            turn.outputs.push(flight.keep());
        }
        let Err(reason) = answer else {
            return flight.taken();
        };
        if matches!(reason.class, Class::NonceUsed | Class::Funds) {
            self.look_at = turn.now;
        }
        if !flight.refused(turn.now, reason.class) {
            return;
        }
        let text = format!("{}: {}", reason.class.describe(), reason.text);
        let reason = Reason::new(Class::Rejected, &text);
        match flight.is_cancelling() {
            true => self.stuck(turn, tx.nonce, reason),
            false => self.cancel(turn, tx.nonce, reason),
        }
    }

    pub(super) fn receipt(&mut self, turn: &mut Turn<'_>, nonce: u64, found: Found) {
        let Some(flight) = self.flights.get_mut(&nonce) else {
            return;
        };
        if let Found::Missing { valid_until, .. } = found
            && valid_until.is_some()
            && flight.record.valid_until.is_none()
        {
            flight.record.valid_until = valid_until;
            turn.outputs.push(flight.keep());
        }
        let confirmed = self.view.is_some_and(|view| nonce < view.confirmed_nonce);
        let closed = match (self.policy.scheme, found) {
            (_, Found::Unconfirmed) => false,
            (_, Found::Mined { .. }) => true,
            (Scheme::Nonces, Found::Missing { .. } | Found::Unsigned) => confirmed,
            (Scheme::Lifetimes, Found::Unsigned) => flight.is_cancelling(),
            (Scheme::Lifetimes, Found::Missing { height, .. }) => {
                flight.record.valid_until.is_some_and(|last| height > last)
            }
        };
        if closed {
            self.close(turn, nonce, found);
        }
    }

    fn close(&mut self, turn: &mut Turn<'_>, nonce: u64, found: Found) {
        let Some(flight) = self.flights.remove(&nonce) else {
            return;
        };
        turn.outputs
            .push(Output::Forget(RecordKey::Nonce(self.id, nonce)));
        let Some(id) = flight.record.delivery else {
            return;
        };
        let Some(entry) = self.entries.get_mut(&id) else {
            return;
        };
        if entry.phase != (Phase::Flying { nonce }) {
            return;
        }
        if let Found::Mined { cost, effect, .. } = found {
            entry.record.spent = entry.record.spent.saturating_add(cost);
            if effect == Effect::OutOfGas {
                let more = flight.record.gas.saturating_mul(2);
                entry.record.gas = more.min(self.policy.max_gas);
            }
        }
        let failed = flight.outcome(found, self.policy.scheme);
        entry.record.last = failed.clone();
        let next = entry.ask(turn.now, failed);
        turn.outputs.push(keep(&entry.record));
        self.apply(turn, id, next);
    }

    pub(super) fn flights_wake(&self) -> Option<Timestamp> {
        let view = self.view?;
        let next = |flight: &Flight| flight.next(&self.policy, &view);
        let flights = self.flights.values().filter_map(next);
        flights.map(|(at, _)| at).min()
    }
}
