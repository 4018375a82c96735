//! The deliveries of one lane.

use std::collections::BTreeMap;

use quorate_proto::Timestamp;

use super::bounds::{LanePolicy, MAX_GAPS, MAX_STOPPED};
use super::entry::{Entry, Next, Phase};
use super::flight::Flight;
use super::io::{Alert, OnChain, Output, Refused, View};
use super::record::{
    Class, Delivery, DeliveryId, DeliveryRecord, LaneId, Reason, Record, RecordKey, Route,
};

/// One input's way through the machine.
#[derive(Debug)]
pub(super) struct Turn<'a> {
    pub(super) now: Timestamp,
    /// Deliveries that were under way when the turn began.
    pub(super) known: &'a BTreeMap<DeliveryId, LaneId>,
    pub(super) ended: Vec<DeliveryId>,
    pub(super) outputs: Vec<Output>,
}

impl Turn<'_> {
    pub(super) fn is_open(&self, id: DeliveryId) -> bool {
        self.known.contains_key(&id) && !self.ended.contains(&id)
    }
}

/// A sender on a chain, with what it has to send.
#[derive(Clone, Debug)]
pub(super) struct Lane {
    pub(super) id: LaneId,
    pub(super) policy: LanePolicy,
    /// The whole lane (`None`), or routes of it.
    stopped: BTreeMap<Option<Route>, Reason>,
    pub(super) view: Option<View>,
    pub(super) look_at: Timestamp,
    pub(super) entries: BTreeMap<DeliveryId, Entry>,
    pub(super) flights: BTreeMap<u64, Flight>,
    /// The operator knows that the sender has too little.
    pub(super) starved: bool,
    next_place: u64,
}

impl Lane {
    pub(super) const fn new(id: LaneId, policy: LanePolicy) -> Self {
        Self {
            id,
            policy,
            stopped: BTreeMap::new(),
            view: None,
            look_at: Timestamp(0),
            entries: BTreeMap::new(),
            flights: BTreeMap::new(),
            starved: false,
            next_place: 0,
        }
    }

    /// Before the first turn.
    pub(super) fn restore(&mut self, record: Record) {
        match record {
            Record::Delivery(record) => {
                self.next_place = self.next_place.max(record.place.saturating_add(1));
                let id = record.delivery.id;
                self.entries.insert(id, Entry::restored(record));
            }
            Record::Nonce(record) => {
                let flight = Flight::new(record, &self.policy);
                self.flights.insert(flight.record.nonce, flight);
            }
            Record::Stopped(_, route, reason) => {
                self.stopped.insert(route, reason);
            }
        }
    }

    /// After the last record.
    pub(super) fn reunite(&mut self) {
        for (nonce, flight) in &self.flights {
            let id = flight.record.delivery;
            if let Some(entry) = id.and_then(|id| self.entries.get_mut(&id)) {
                entry.phase = Phase::Flying { nonce: *nonce };
            }
        }
    }

    pub(super) fn queue(&mut self, turn: &mut Turn<'_>, delivery: Delivery) -> Result<(), Refused> {
        if self.entries.len() >= self.policy.queued {
            let (lane, most) = (self.id, self.policy.queued);
            return Err(Refused::Full { lane, most });
        }
        let needs = delivery.needs.filter(|id| turn.is_open(*id));
        let entry = Entry::new(Delivery { needs, ..delivery }, self.next_place);
        self.next_place = self.next_place.saturating_add(1);
        turn.outputs.push(keep(&entry.record));
        self.entries.insert(delivery.id, entry);
        Ok(())
    }

    pub(super) fn stop(&mut self, turn: &mut Turn<'_>, route: Option<Route>, reason: Reason) {
        if self.stopped.contains_key(&route) || self.stopped.len() >= MAX_STOPPED {
            return;
        }
        let record = Record::Stopped(self.id, route, reason.clone());
        turn.outputs.push(Output::Keep(record));
        let alert = Alert::Stopped(self.id, route, reason.clone());
        turn.outputs.push(Output::Alert(alert));
        self.stopped.insert(route, reason);
    }

    pub(super) fn resume(&mut self, turn: &mut Turn<'_>, route: Option<Route>) {
        if self.stopped.remove(&route).is_some() {
            let key = RecordKey::Stopped(self.id, route);
            turn.outputs.push(Output::Forget(key));
        }
    }

    pub(super) fn is_stopped(&self, route: Route) -> bool {
        self.stopped.contains_key(&None) || self.stopped.contains_key(&Some(route))
    }

    pub(super) fn retry(&mut self, turn: &mut Turn<'_>, id: DeliveryId) {
        let Some(entry) = self.entries.get_mut(&id) else {
            return;
        };
        entry.record.failures = 0;
        entry.record.dear_since = None;
        entry.record.until = turn.now;
        turn.outputs.push(keep(&entry.record));
    }

    pub(super) fn withdraw(&mut self, turn: &mut Turn<'_>, id: DeliveryId) {
        let reason = Reason::new(Class::Withdrawn, "by its operator");
        match self.entries.get(&id).map(|entry| &entry.phase) {
            Some(Phase::Flying { nonce }) => self.cancel(turn, *nonce, reason),
            Some(_) => self.apply(turn, id, Next::Dead(reason)),
            None => {}
        }
    }

    pub(super) fn judged(&mut self, turn: &mut Turn<'_>, id: DeliveryId, says: OnChain) {
        let Some(entry) = self.entries.get_mut(&id) else {
            return;
        };
        if let Phase::Flying { nonce } = entry.phase {
            return self.judged_in_flight(turn, nonce, says);
        }
        let next = entry.judged(turn.now, says, &self.policy);
        self.apply(turn, id, next);
    }

    pub(super) fn estimated(
        &mut self,
        turn: &mut Turn<'_>,
        id: DeliveryId,
        answer: Result<u64, Reason>,
    ) {
        let Some(entry) = self.entries.get_mut(&id) else {
            return;
        };
        let is_poor = matches!(&answer, Err(reason) if reason.class == Class::Funds);
        let needed = entry.record.delivery.budget;
        let next = entry.estimated(turn.now, answer, &self.policy);
        self.apply(turn, id, next);
        if is_poor {
            self.starve(turn, needed);
        }
    }

    /// What a delivery wants.
    pub(super) fn apply(&mut self, turn: &mut Turn<'_>, id: DeliveryId, next: Next) {
        let Some(entry) = self.entries.get(&id) else {
            return;
        };
        let (record, route) = (&entry.record, entry.record.delivery.route);
        match next {
            Next::Stay => {}
            Next::Keep => turn.outputs.push(keep(record)),
            Next::AskRecord => turn.outputs.push(Output::AskRecord(id)),
            Next::Estimate(limit) => turn.outputs.push(Output::Estimate { id, limit }),
            Next::Done => self.end(turn, id, Output::Done),
            Next::Dead(reason) => self.end(turn, id, |record| Output::DeadLetter(record, reason)),
            Next::Stop(reason) if self.stopped.len() >= MAX_STOPPED => {
                self.apply(turn, id, Next::Dead(reason));
            }
            Next::Stop(reason) => {
                turn.outputs.push(keep(record));
                self.stop(turn, Some(route), reason);
            }
        }
    }

    fn end(
        &mut self,
        turn: &mut Turn<'_>,
        id: DeliveryId,
        say: impl FnOnce(DeliveryRecord) -> Output,
    ) {
        if let Some(entry) = self.entries.remove(&id) {
            turn.outputs.push(say(entry.record));
            turn.ended.push(id);
        }
    }

    /// Does what is due.
    pub(super) fn pump(&mut self, turn: &mut Turn<'_>) {
        self.look(turn);
        self.fly(turn);
        let ids: Vec<DeliveryId> = self.entries.keys().copied().collect();
        for id in ids {
            let Some(entry) = self.entries.get_mut(&id) else {
                continue;
            };
            let next = match entry.phase {
                Phase::Waiting | Phase::Ready { .. } if entry.is_expired(turn.now) => {
                    entry.ask(turn.now, Some(Reason::new(Class::Expired, "")))
                }
                _ => entry.wake(turn.now),
            };
            self.apply(turn, id, next);
        }
        self.prepare(turn);
        self.reserve(turn);
    }

    fn is_busy(&self) -> bool {
        !self.entries.is_empty() || !self.flights.is_empty()
    }

    fn look(&mut self, turn: &mut Turn<'_>) {
        if self.is_busy() && self.look_at <= turn.now {
            self.look_at = turn.now.plus_millis(self.policy.poll_ms.max(1));
            turn.outputs.push(Output::Look(self.id));
        }
    }

    pub(super) fn is_bounded(&self) -> bool {
        let entries = self.entries.len();
        entries <= self.policy.queued
            && self.flights.len() <= entries.saturating_add(MAX_GAPS)
            && self.stopped.len() <= MAX_STOPPED
    }

    /// When to wake it.
    pub(super) fn next_wake(&self, turn: &Turn<'_>) -> Option<Timestamp> {
        let places = self.has_places() > 0;
        let entry = |entry: &Entry| {
            let begins = places && self.may_begin(turn, entry);
            let waits = matches!(entry.phase, Phase::Waiting | Phase::Ready { .. });
            let begins = begins.then_some(entry.record.until);
            let deadline = entry.record.delivery.deadline.filter(|_| waits);
            [begins, deadline, entry.due()].into_iter().flatten().min()
        };
        let entries = self.entries.values().filter_map(entry);
        let look = self.is_busy().then_some(self.look_at);
        entries.chain(look).chain(self.flights_wake()).min()
    }
}

pub(super) fn keep(record: &DeliveryRecord) -> Output {
    Output::Keep(Record::Delivery(record.clone()))
}
