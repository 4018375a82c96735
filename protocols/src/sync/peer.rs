//! How far this node is with one peer.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use quorate_proto::{Epoch, TaskId, Timestamp, limits};

use super::io::{EpochPair, Query, Root};
use super::turns::Turns;
use super::{COMPARE_AGAIN_MS, COMPARE_MS, FOLLOW_MS, PAGE_MS, RETRY_MS, SHUN_MS};

#[derive(Clone, Debug)]
pub(super) struct State {
    /// A question is under way.
    pub(super) busy: bool,
    pub(super) pass: Pass,
    /// When to begin the next comparison.
    pub(super) compare_at: Timestamp,
    compared_at: Option<Timestamp>,
    /// What it held when all of it had been taken over. Where that differs from what this node holds,
    /// this node has more.
    pub(super) absorbed: BTreeMap<Epoch, Root>,
    /// Tasks that it has more than this node, as far as was compared.
    pub(super) behind: u64,
    /// The last comparison ended well.
    pub(super) agreed: bool,
    /// How it counts its changes, and how far they are known; none before the first answer.
    cursor: Option<(u64, u64)>,
    /// Not before that, and when it is its turn.
    follow_at: Timestamp,
    /// More changes wait there, which are asked for out of turn.
    page_at: Option<Timestamp>,
    /// Known from following.
    wanted: Vec<(Epoch, TaskId)>,
    shunned_until: Option<Timestamp>,
    lies: u32,
}

/// A comparison.
#[derive(Clone, Debug)]
pub(super) enum Pass {
    Idle,
    Comparing(Comparison),
}

#[derive(Clone, Debug)]
pub(super) struct Comparison {
    /// The second time: what is missing now is asked of this peer alone.
    pub(super) is_second: bool,
    /// The summary to ask for.
    summary: Option<Epoch>,
    /// A summary is under way.
    summarising: bool,
    /// Epochs whose buckets are to be asked for.
    epochs: VecDeque<EpochPair>,
    /// What it said of the epochs that were compared.
    compared: BTreeMap<Epoch, Root>,
    /// Epochs of which something was left out.
    lacking: BTreeSet<Epoch>,
    /// After how many milliseconds that may be taken.
    again_after: Option<u64>,
}

impl Comparison {
    fn new(first: Epoch, is_second: bool) -> Self {
        Self {
            is_second,
            summary: Some(first),
            summarising: false,
            epochs: VecDeque::new(),
            compared: BTreeMap::new(),
            lacking: BTreeSet::new(),
            again_after: None,
        }
    }

    /// A page of an epoch has come; `after` where something of it was left out.
    pub(super) fn leave_out(&mut self, epoch: Epoch, after: Option<u64>) {
        if after.is_some() {
            self.lacking.insert(epoch);
            self.again_after = self.again_after.max(after);
        }
    }

    /// A summary has come; `last` where more may follow.
    pub(super) fn summarised(&mut self, last: Option<Epoch>) {
        self.summarising = false;
        self.summary = last.map(Epoch::next);
    }

    pub(super) fn differ(&mut self, pair: EpochPair) {
        self.epochs.push_back(pair);
    }

    /// Without the set nothing of its epoch can be verified.
    pub(super) fn set(&mut self, epoch: Epoch, known: bool) {
        match self.epochs.front_mut() {
            Some(pair) if pair.epoch == epoch && known => pair.set_known = true,
            Some(pair) if pair.epoch == epoch => drop(self.epochs.pop_front()),
            _ => {}
        }
    }

    /// `room` says whether more buckets may wait to be fetched.
    pub(super) fn next_query(&mut self, room: bool) -> Option<Query> {
        if let Some(pair) = self.epochs.front().copied() {
            if !pair.set_known {
                return Some(Query::Set(pair.epoch));
            }
            if !room {
                return None;
            }
            self.epochs.pop_front();
            self.compared.insert(pair.epoch, pair.theirs);
            return Some(Query::Buckets(pair.epoch));
        }
        let first = self.summary.take()?;
        self.summarising = true;
        Some(Query::Summary(first))
    }

    /// Whether nothing is left to ask but what waits to be fetched.
    pub(super) fn is_asked(&self) -> bool {
        self.summary.is_none() && !self.summarising && self.epochs.is_empty()
    }
}

impl State {
    pub(super) fn new(now: Timestamp) -> Self {
        Self {
            busy: false,
            pass: Pass::Idle,
            compare_at: now,
            compared_at: None,
            absorbed: BTreeMap::new(),
            behind: 0,
            agreed: false,
            cursor: None,
            follow_at: now,
            page_at: None,
            wanted: Vec::new(),
            shunned_until: None,
            lies: 0,
        }
    }

    pub(super) fn is_shunned(&self, now: Timestamp) -> bool {
        self.shunned_until.is_some_and(|until| now < until)
    }

    pub(super) const fn follow_at(&self) -> Timestamp {
        self.follow_at
    }

    /// Whether it has said from where on it counts its changes.
    pub(super) const fn is_followed(&self) -> bool {
        self.cursor.is_some()
    }

    /// `turn` is when the next peer may be followed.
    pub(super) fn next_wake(&self, turn: Timestamp) -> Option<Timestamp> {
        if self.busy {
            return None;
        }
        let mut due = self.follow_at.max(turn);
        if let Some(page) = self.page_at {
            due = due.min(page);
        }
        if matches!(self.pass, Pass::Idle) && self.is_followed() {
            due = due.min(self.compare_at);
        }
        Some(self.shunned_until.map_or(due, |until| until.max(due)))
    }

    /// First of all, so that what changes during a comparison is not missed.
    pub(super) fn follow(&mut self, now: Timestamp, turns: &mut Turns) -> Option<Query> {
        if !self.wanted.is_empty() {
            return Some(Query::Tasks(std::mem::take(&mut self.wanted)));
        }
        let waits = self.page_at.is_some_and(|page| page <= now);
        if !waits && (now < self.follow_at || !turns.take(now)) {
            return None;
        }
        self.page_at = None;
        self.follow_at = now.plus_millis(FOLLOW_MS);
        let (instance, after) = self.cursor.unwrap_or_default();
        Some(Query::Recent { instance, after })
    }

    pub(super) fn recent(
        &mut self,
        now: Timestamp,
        cursor: (u64, u64),
        missing: Vec<(Epoch, TaskId)>,
    ) {
        self.busy = false;
        // At first everything is new, and a comparison is due anyway.
        if self.cursor.is_none() {
            self.compared_at = Some(now);
        }
        self.cursor = Some(cursor);
        self.wanted = missing;
        self.wanted.truncate(limits::MAX_SYNC_TASKS);
    }

    /// Changes were left out, or wait.
    pub(super) fn hurry(&mut self, now: Timestamp, gap: bool, more: bool) {
        if gap {
            self.compare_within(now, 0);
        }
        self.page_at = more.then(|| now.plus_millis(PAGE_MS));
    }

    /// The next comparison begins after so many milliseconds, where it would begin later; but never
    /// soon after the last one.
    pub(super) fn compare_within(&mut self, now: Timestamp, millis: u64) {
        let soonest = self
            .compared_at
            .map_or(now, |at| at.plus_millis(COMPARE_AGAIN_MS));
        let wanted = soonest.max(now.plus_millis(millis));
        self.compare_at = self.compare_at.min(wanted);
    }

    pub(super) fn begin(&mut self, first: Epoch, is_second: bool) {
        self.behind = 0;
        self.pass = Pass::Comparing(Comparison::new(first, is_second));
    }

    /// Everything that was found is fetched. After a first comparison that found something the second
    /// one shows what the others did not have.
    pub(super) fn end_pass(&mut self, now: Timestamp, floor: Epoch) {
        let Pass::Comparing(pass) = std::mem::replace(&mut self.pass, Pass::Idle) else {
            return;
        };
        self.behind = 0;
        if !pass.is_second && !pass.compared.is_empty() {
            return self.begin(floor, true);
        }
        self.absorbed.retain(|epoch, _| *epoch >= floor);
        let whole = pass.compared.into_iter();
        let whole = whole.filter(|(epoch, _)| !pass.lacking.contains(epoch));
        self.absorbed.extend(whole);
        while self.absorbed.len() > limits::MAX_SYNC_EPOCHS {
            self.absorbed.pop_first();
        }
        self.agreed = pass.again_after.is_none();
        self.compared_at = Some(now);
        self.compare_at = now.plus_millis(pass.again_after.unwrap_or(COMPARE_MS));
    }

    pub(super) fn failed(&mut self, now: Timestamp, fault: bool) {
        self.busy = false;
        self.pass = Pass::Idle;
        self.wanted.clear();
        self.behind = 0;
        self.agreed = false;
        let pause = match fault {
            true => SHUN_MS << self.lies.min(6),
            false => RETRY_MS,
        };
        let until = now.plus_millis(pause);
        self.compare_at = until;
        self.follow_at = until;
        self.page_at = None;
        if fault {
            self.lies = self.lies.saturating_add(1);
            self.shunned_until = Some(until);
        }
    }
}
