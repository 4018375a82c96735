//! How deliveries of one lane begin: looked up in their turn, then given a nonce.

use quorate_proto::Timestamp;

use super::bounds::{FRESH_MS, MAX_PREPARING, Scheme};
use super::entry::{Entry, Next, Phase};
use super::io::{Alert, Output, View};
use super::lane::{Lane, Turn, keep};
use super::record::{DeliveryId, NonceRecord};

impl Lane {
    /// Whether a waiting delivery may begin, apart from its time.
    pub(super) fn may_begin(&self, turn: &Turn<'_>, entry: &Entry) -> bool {
        let delivery = &entry.record.delivery;
        entry.phase == Phase::Waiting
            && !self.is_stopped(delivery.route)
            && delivery.needs.is_none_or(|id| !turn.is_open(id))
    }

    pub(super) fn has_places(&self) -> usize {
        let taken = self.entries.values().filter(|entry| entry.is_preparing());
        match self.view {
            Some(_) => MAX_PREPARING.saturating_sub(taken.count()),
            None => 0,
        }
    }

    /// Asks for the contract's record and the gas of those whose turn it is.
    pub(super) fn prepare(&mut self, turn: &mut Turn<'_>) {
        let (places, Some(view)) = (self.has_places(), self.view) else {
            return;
        };
        let is_due = |entry: &&Entry| entry.record.until <= turn.now && self.may_begin(turn, entry);
        let mut due: Vec<&Entry> = self.entries.values().filter(is_due).collect();
        due.sort_by_key(|entry| entry.order());
        let due = due.into_iter().map(|entry| entry.record.delivery.id);
        for id in due.take(places).collect::<Vec<_>>() {
            let Some(entry) = self.entries.get_mut(&id) else {
                continue;
            };
            let gas = entry.record.gas;
            let next = match entry.fees(&self.policy, &view, gas) {
                None if gas > 0 => entry.too_dear(turn.now),
                _ => entry.ask(turn.now, None),
            };
            self.apply(turn, id, next);
        }
    }

    /// Gives nonces to those that are ready.
    pub(super) fn reserve(&mut self, turn: &mut Turn<'_>) {
        let Some(view) = self.view else {
            return;
        };
        let is_ready = |entry: &&Entry| matches!(entry.phase, Phase::Ready { .. });
        let mut ready: Vec<&Entry> = self.entries.values().filter(is_ready).collect();
        ready.sort_by_key(|entry| entry.order());
        let ready = ready.into_iter().map(|entry| entry.record.delivery.id);
        for id in ready.collect::<Vec<_>>() {
            if self.unmined().count() >= self.policy.in_flight {
                return;
            }
            let next = self.launch(turn, id, &view);
            self.apply(turn, id, next);
        }
    }

    fn launch(&mut self, turn: &mut Turn<'_>, id: DeliveryId, view: &View) -> Next {
        let (owed, nonce) = (self.owed(), self.next_nonce(turn.now, view));
        let route = self
            .entries
            .get(&id)
            .map(|entry| entry.record.delivery.route);
        let stopped = route.is_none_or(|route| self.is_stopped(route));
        let Some(entry) = self.entries.get_mut(&id) else {
            return Next::Stay;
        };
        let Phase::Ready { asked, gas } = entry.phase else {
            return Next::Stay;
        };
        if stopped || turn.now > asked.plus_millis(FRESH_MS) {
            entry.phase = Phase::Waiting;
            return Next::Stay;
        }
        let Some(fees) = entry.fees(&self.policy, view, gas) else {
            return entry.too_dear(turn.now);
        };
        let needed = owed.saturating_add(fees.cost(gas));
        if needed > view.balance {
            let next = entry.too_poor(turn.now);
            self.starve(turn, needed);
            return next;
        }
        self.starved = false;
        entry.phase = Phase::Flying { nonce };
        if entry.record.dear_since.take().is_some() {
            turn.outputs.push(keep(&entry.record));
        }
        let record = NonceRecord {
            lane: self.id,
            nonce,
            delivery: Some(id),
            attempt: 0,
            cancel: None,
            made: turn.now,
            leads: (nonce == view.nonce).then_some((turn.now, view.height)),
            fees,
            gas,
            valid_until: None,
        };
        self.take_off(turn, record);
        Next::Stay
    }

    pub(super) fn starve(&mut self, turn: &mut Turn<'_>, needed: u128) {
        if !std::mem::replace(&mut self.starved, true) {
            let lane = self.id;
            let balance = self.view.map_or(0, |view| view.balance);
            turn.outputs.push(Output::Alert(Alert::Starved {
                lane,
                balance,
                needed,
            }));
        }
    }

    /// Above what was mined and what is reserved; serial numbers follow the clock.
    fn next_nonce(&self, now: Timestamp, view: &View) -> u64 {
        let free = match self.policy.scheme {
            Scheme::Nonces => view.nonce,
            Scheme::Lifetimes => now.0,
        };
        let last = self.flights.last_key_value();
        free.max(last.map_or(0, |(nonce, _)| nonce.saturating_add(1)))
    }
}
