//! Deliveries: a certificate's way to one place, for bridges, bundles, settlements, claims, epoch updates and feeds.
//!
//! ```text
//! Queue ─> waiting ─AskRecord─> asking ─open, Estimate─> estimating ─> ready ─Keep, Send─> flying ─┐
//!             ^                  │  ^                                      nonce closed by a        │
//!             │ pause            │  └────────────── AskRecord ────────────── confirmed block ───────┘
//!             └──open, failed────┤
//!                                ├──done at the head──> settling ──done and confirmed──> Done
//!                                └──never, or the fifth failure──> DeadLetter
//! ```
//!
//! # Design Decisions
//!
//! - The contract's record is the judge: it is asked before a transaction is signed, before one is replaced, and
//!   after each. A delivery is done when that record says so at a confirmed block, by whichever sender.
//! - A delivery keeps its nonce until a confirmed block has closed the nonce, so it never has two transactions that could
//!   both be executed, a reorg gives it back what it had, and nothing has to be undone.
//! - Nonces are closed by what the chain counts, not by what providers answered: whatever they say of a transaction
//!   leads to a question, to the next provider, or after three of them to a cancelling transaction.
//! - Cancelling transactions may pay twice what any delivery of the lane may, so that none stands in the way of others.
//! - What providers fail to answer never makes a dead letter; the pauses are the same.

mod bounds;
mod entry;
mod fees;
mod flight;
mod io;
mod lane;
mod nonces;
mod ranks;
mod record;
mod start;

use std::collections::BTreeMap;

use quorate_proto::Timestamp;

pub use self::bounds::{
    ANSWER_MS, FEES_PATIENCE_MS, FRESH_MS, GAP_MS, LanePolicy, MAX_GAPS, MAX_IN_FLIGHT,
    MAX_PREPARING, MAX_QUEUED, RETRY_PAUSES_MS, STUCK_MS, Scheme,
};
use self::entry::Phase;
pub use self::fees::Fees;
pub use self::io::{Alert, Effect, Found, Input, OnChain, Output, Refused, TxKey, View};
use self::lane::{Lane, Turn};
pub use self::ranks::{STAGE_MS, STAGES, stage_delay};
pub use self::record::{
    Class, Delivery, DeliveryId, DeliveryRecord, LaneId, NonceRecord, Reason, Record, RecordKey,
    Route,
};

/// All deliveries of a relayer, in lanes of one chain and sender each.
#[derive(Clone, Debug, Default)]
pub struct Dispatcher {
    lanes: BTreeMap<LaneId, Lane>,
    /// Which lane has a delivery that is not done.
    known: BTreeMap<DeliveryId, LaneId>,
}

impl Dispatcher {
    /// A dispatcher for these lanes that goes on with what was written; call [`Input::Wake`] next.
    ///
    /// # Errors
    /// [`Refused::UnknownLane`] where a record is of another lane: its nonces would never be closed.
    pub fn restore(
        lanes: impl IntoIterator<Item = (LaneId, LanePolicy)>,
        records: impl IntoIterator<Item = Record>,
    ) -> Result<Self, Refused> {
        let lanes = lanes.into_iter();
        let mut machine = Self {
            lanes: lanes
                .map(|(id, policy)| (id, Lane::new(id, policy)))
                .collect(),
            known: BTreeMap::new(),
        };
        for record in records {
            let id = match &record {
                Record::Delivery(record) => record.delivery.lane,
                Record::Nonce(record) => record.lane,
                Record::Stopped(lane, ..) => *lane,
            };
            if let Record::Delivery(record) = &record {
                machine.known.insert(record.delivery.id, id);
            }
            let lane = machine.lanes.get_mut(&id);
            lane.ok_or(Refused::UnknownLane(id))?.restore(record);
        }
        machine.lanes.values_mut().for_each(Lane::reunite);
        Ok(machine)
    }

    /// Takes one input.
    ///
    /// # Errors
    /// [`Refused`]; the input then changed nothing.
    pub fn handle(&mut self, now: Timestamp, input: Input) -> Result<Vec<Output>, Refused> {
        let id = match &input {
            Input::Queue(delivery) if self.known.contains_key(&delivery.id) => {
                return Err(Refused::Known(delivery.id));
            }
            Input::Queue(delivery) => delivery.lane,
            Input::Viewed(lane, _) | Input::Pause(lane, _) | Input::Resume(lane, _) => *lane,
            Input::Sent { tx, .. } => tx.lane,
            Input::Receipt { lane, .. } => *lane,
            Input::Retry(id) | Input::Withdraw(id) => {
                let lane = self.known.get(id).copied();
                lane.ok_or(Refused::UnknownDelivery(*id))?
            }
            // Of one that has ended meanwhile.
            Input::Judged(id, _) | Input::Estimated(id, _) => match self.known.get(id) {
                Some(lane) => *lane,
                None => return Ok(Vec::new()),
            },
            Input::Wake => return Ok(self.wake(now)),
        };
        let mut turn = turn(now, &self.known);
        let lane = self.lanes.get_mut(&id).ok_or(Refused::UnknownLane(id))?;
        let queued = match &input {
            Input::Queue(delivery) => Some(delivery.id),
            _ => None,
        };
        tell(lane, &mut turn, input)?;
        lane.pump(&mut turn);
        let Turn { ended, outputs, .. } = turn;
        self.known.extend(queued.map(|delivery| (delivery, id)));
        Ok(self.settle(now, ended, outputs))
    }

    fn wake(&mut self, now: Timestamp) -> Vec<Output> {
        let mut turn = turn(now, &self.known);
        for lane in self.lanes.values_mut() {
            lane.pump(&mut turn);
        }
        let Turn { ended, outputs, .. } = turn;
        self.settle(now, ended, outputs)
    }

    /// Others may have waited for what has ended. What is to be written comes first.
    fn settle(
        &mut self,
        now: Timestamp,
        ended: Vec<DeliveryId>,
        mut outputs: Vec<Output>,
    ) -> Vec<Output> {
        if !ended.is_empty() {
            self.known.retain(|id, _| !ended.contains(id));
            outputs.extend(self.wake(now));
        }
        outputs.sort_by_key(|output| !output.is_write());
        outputs
    }

    /// When to call [`Input::Wake`].
    #[must_use]
    pub fn next_wake(&self) -> Option<Timestamp> {
        let turn = turn(Timestamp(0), &self.known);
        let wakes = self.lanes.values().filter_map(|lane| lane.next_wake(&turn));
        wakes.min()
    }

    /// What is known of a delivery that is not done.
    #[must_use]
    pub fn report(&self, id: DeliveryId) -> Option<(&DeliveryRecord, Stage)> {
        let lane = self.lanes.get(self.known.get(&id)?)?;
        let entry = lane.entries.get(&id)?;
        let stage = match entry.phase {
            Phase::Waiting => Stage::Waiting,
            Phase::Asking { .. } | Phase::Estimating { .. } | Phase::Ready { .. } => {
                Stage::Preparing
            }
            Phase::Flying { nonce } => Stage::Sent(nonce),
            Phase::Settling { .. } => Stage::Settling,
        };
        Some((&entry.record, stage))
    }

    /// Deliveries that are not done, by their ids.
    pub fn open(&self) -> impl Iterator<Item = DeliveryId> {
        self.known.keys().copied()
    }

    /// Nonces of a lane that are reserved and not closed.
    #[must_use]
    pub fn reserved(&self, lane: LaneId) -> usize {
        self.lanes.get(&lane).map_or(0, |lane| lane.flights.len())
    }

    /// Whether what is kept in memory is within its bounds; for the simulator, which checks that it always is.
    #[must_use]
    pub fn is_bounded(&self) -> bool {
        let lanes = self.lanes.values();
        let entries: usize = lanes.map(|lane| lane.entries.len()).sum();
        self.known.len() == entries && self.lanes.values().all(Lane::is_bounded)
    }
}

/// How far a delivery is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// For its time, its turn, or another delivery.
    Waiting,
    /// The contract's record or its gas was asked for, or it waits for a nonce.
    Preparing,
    /// With this nonce.
    Sent(u64),
    /// Done, but not confirmed.
    Settling,
}

const fn turn(now: Timestamp, known: &BTreeMap<DeliveryId, LaneId>) -> Turn<'_> {
    Turn {
        now,
        known,
        ended: Vec::new(),
        outputs: Vec::new(),
    }
}

fn tell(lane: &mut Lane, turn: &mut Turn<'_>, input: Input) -> Result<(), Refused> {
    match input {
        Input::Queue(delivery) => lane.queue(turn, delivery)?,
        Input::Viewed(_, view) => lane.viewed(turn, view),
        Input::Judged(id, says) => lane.judged(turn, id, says),
        Input::Estimated(id, answer) => lane.estimated(turn, id, answer),
        Input::Sent {
            tx,
            valid_until,
            answer,
        } => lane.sent(turn, tx, valid_until, answer),
        Input::Receipt { nonce, found, .. } => lane.receipt(turn, nonce, found),
        Input::Retry(id) => lane.retry(turn, id),
        Input::Withdraw(id) => lane.withdraw(turn, id),
        Input::Pause(_, route) => {
            lane.stop(turn, route, Reason::new(Class::Paused, ""));
        }
        Input::Resume(_, route) => lane.resume(turn, route),
        Input::Wake => {}
    }
    Ok(())
}

#[cfg(test)]
mod tests;
