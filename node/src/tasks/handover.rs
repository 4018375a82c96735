//! Has each epoch's set certify the next one.
//!
//! Every operator would begin the same task, so they take turns: whose turn it is follows from
//! the order of their addresses, rotated by the epoch, [`STEP_MS`] apart. The first one is enough
//! while all is well; the others make up for it where it is down. Turns come round until there is
//! a certificate, also in the time in which the old set may still finish its tasks. After that a
//! certificate is made only where a user asks for it, see [`crate::home::EpochView::past_sets`].

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use quorate_proto::{
    Address, Certificate, Epoch, EpochUpdate, OperatorSet, SlotId, Statement, TaskId, Timestamp,
    limits,
};
use quorate_storage::{Store, schema};
use tokio_util::sync::CancellationToken;

use crate::home::{EpochView, HomeHandle};
use crate::tasks::driver::{DriverHandle, ReadTrace};
use crate::tasks::records::decode;
use crate::{NodeError, clock};

/// Between two turns: a certificate takes some milliseconds, and nodes see a final block up to a
/// poll of a second apart.
const STEP_MS: u64 = 2_000;

/// At least this long until the same operator's next turn: its task has ended by then (15 s).
const ROUND_MS: u64 = limits::TASK_DEADLINE_MS + 1_000;

/// The task that announces.
pub(crate) struct HandOver {
    me: Address,
    home: HomeHandle,
    driver: DriverHandle,
    store: Store,
    turns: AnnouncementTurns<Epoch>,
}

impl HandOver {
    pub(crate) fn new(me: Address, home: HomeHandle, driver: DriverHandle, store: Store) -> Self {
        let turns = AnnouncementTurns::default();
        Self {
            me,
            home,
            driver,
            store,
            turns,
        }
    }

    /// Runs until `token` is cancelled.
    ///
    /// # Errors
    /// A store that cannot be read.
    pub(crate) async fn run(mut self, token: CancellationToken) -> Result<(), NodeError> {
        let mut views = self.home.watch();
        loop {
            let view = views.borrow_and_update().clone();
            self.look(&view).await?;
            let wake = self.turns.next_wake().map(clock::instant_of);
            tokio::select! {
                changed = views.changed() => if changed.is_err() { return Ok(()) },
                () = clock::sleep_until(wake) => {}
                () = token.cancelled() => return Ok(()),
            }
        }
    }

    /// Announces whatever is due.
    async fn look(&mut self, view: &EpochView) -> Result<(), NodeError> {
        let mut open = BTreeSet::new();
        let mut certified = None;
        for (set, update) in hand_overs(view) {
            if set.get(self.me).is_none() {
                continue;
            }
            if certificate_by(&self.store, update.epoch, update.next_epoch)?.is_some() {
                certified = Some(update.next_epoch);
                continue;
            }
            open.insert(update.epoch);
            let (epoch, now) = (set.epoch(), clock::now());
            if self.turns.take(now, self.me, &set, epoch, epoch.0.into()) {
                self.announce(update, set).await;
            }
        }
        if let Some(epoch) = shown(view, self.me, certified) {
            metrics::gauge!("quorate_handed_over_epoch").set(f64::from(epoch.0));
        }
        let current = view.current.as_ref().map(|set| set.epoch());
        for epoch in self.turns.retain(|epoch| open.contains(epoch)) {
            if Some(epoch) < current && certificate_by(&self.store, epoch, epoch.next())?.is_none()
            {
                tracing::error!(%epoch, "the set of this epoch has not certified the next one in time; light registries that hold nothing later are carried on by `node epoch push`, as long as a set that they hold lives");
            }
        }
        Ok(())
    }

    /// The task runs on by itself; whether it was certified is seen in the store.
    async fn announce(&self, update: EpochUpdate, set: Arc<OperatorSet>) {
        let (epoch, next) = (update.epoch, update.next_epoch);
        tracing::info!(%epoch, %next, set_hash = %update.set_hash, "announcing the next operator set");
        let statement = Statement::EpochUpdate(update);
        drop(self.driver.ask(statement, set, ReadTrace::default()).await);
    }
}

/// What the figure shows: the newest epoch handed over to. It is 0 where the operator is not in the
/// current set, since the last one it took part in would look like a hand-over that is late.
fn shown(view: &EpochView, me: Address, certified: Option<Epoch>) -> Option<Epoch> {
    match &view.current {
        Some(set) if set.get(me).is_none() => Some(Epoch(0)),
        _ => certified,
    }
}

/// The hand-overs that can be made now, with the sets that sign them. To a set that lacks members
/// there is none: its hash is not that of the epoch's set.
fn hand_overs(view: &EpochView) -> impl Iterator<Item = (Arc<OperatorSet>, EpochUpdate)> {
    view.sets().iter().filter_map(|set| {
        let next = view
            .set(set.epoch().next())
            .filter(|next| next.is_whole())?;
        Some((set.clone(), EpochUpdate::hand_over(set.epoch(), next)?))
    })
}

/// When it is this operator's turn, by what is to be announced: each operator has one by the order of their addresses,
/// [`STEP_MS`] apart, again and again.
#[derive(Clone, Debug)]
pub(crate) struct AnnouncementTurns<K>(BTreeMap<K, Timestamp>);

impl<K> Default for AnnouncementTurns<K> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

impl<K: Ord + Copy> AnnouncementTurns<K> {
    /// Whether it is the turn of `me` to announce `key` to `set`; the next one is then a round later. Who is first
    /// follows from `rotation`.
    pub(crate) fn take(
        &mut self,
        now: Timestamp,
        me: Address,
        set: &OperatorSet,
        key: K,
        rotation: u64,
    ) -> bool {
        let first = || now.plus_millis(rank_of(me, set, rotation).saturating_mul(STEP_MS));
        let turn = self.0.entry(key).or_insert_with(first);
        if *turn > now {
            return false;
        }
        let members = set.members().len() as u64;
        *turn = now.plus_millis(members.saturating_mul(STEP_MS).max(ROUND_MS));
        true
    }

    /// Whether it was asked for before.
    pub(crate) fn knows(&self, key: &K) -> bool {
        self.0.contains_key(key)
    }

    fn next_wake(&self) -> Option<Timestamp> {
        self.0.values().min().copied()
    }

    /// Forgets all others and says which ones these were.
    pub(crate) fn retain(&mut self, is_open: impl Fn(&K) -> bool) -> Vec<K> {
        let known: Vec<K> = self.0.keys().copied().collect();
        self.0.retain(|key, _| is_open(key));
        known.into_iter().filter(|key| !is_open(key)).collect()
    }
}

/// The place in the order of turns; operators outside the set come last.
fn rank_of(me: Address, set: &OperatorSet, rotation: u64) -> u64 {
    let members = set.members().len() as u64;
    let Some(position) = set.position(me) else {
        return members;
    };
    let first = rotation % members.max(1);
    (position as u64 + members - first) % members.max(1)
}

/// The certificate by which the set of `epoch` names that of `next`.
pub(crate) fn certificate_by(
    store: &Store,
    epoch: Epoch,
    next: Epoch,
) -> Result<Option<Certificate>, NodeError> {
    certificate_in(store, EpochUpdate::slot_of(next), epoch)
}

/// The certificate over the set of `next`, by the latest epoch where there are several.
pub(crate) fn certificate_over(
    store: &Store,
    next: Epoch,
) -> Result<Option<Certificate>, NodeError> {
    newest_certificate(store, EpochUpdate::slot_of(next))
}

/// The certificate about a slot, by the latest epoch where there are several.
pub(crate) fn newest_certificate(
    store: &Store,
    slot: SlotId,
) -> Result<Option<Certificate>, NodeError> {
    let mut newest = None;
    for row in store.rows(schema::QUESTIONS, &slot.0.0) {
        newest = newest.max(Some(row?.0.1));
    }
    match newest {
        Some(epoch) => certificate_in(store, slot, Epoch(epoch)),
        None => Ok(None),
    }
}

fn certificate_in(
    store: &Store,
    slot: SlotId,
    epoch: Epoch,
) -> Result<Option<Certificate>, NodeError> {
    let Some(answer) = store.get(schema::QUESTIONS, &(slot.0.0, epoch.0))? else {
        return Ok(None);
    };
    let task = TaskId::try_from(answer.task_id.as_slice()).map_err(NodeError::damaged)?;
    let stored = store.get(schema::CERTIFICATES, &task.0.0)?;
    stored.as_ref().map(decode).transpose()
}

#[cfg(test)]
mod tests;
