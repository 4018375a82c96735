//! Begins the bridge's tasks.
//!
//! Every operator would begin the same task, so they take turns, by the order of their addresses, rotated by a number
//! that each question has: see [`AnnouncementTurns`]. What its epoch did not certify is announced in the next one.

use std::collections::BTreeSet;
use std::sync::Arc;

use quorate_proto::{Address, Certificate, Epoch, OperatorSet, SlotId, Statement};
use quorate_storage::Store;

use crate::home::HomeHandle;
use crate::tasks::driver::{DriverHandle, ReadTrace};
use crate::tasks::handover::{AnnouncementTurns, newest_certificate};
use crate::{NodeError, clock};

/// Speaks for this operator.
#[derive(Clone)]
pub(crate) struct TaskStarter {
    me: Address,
    home: HomeHandle,
    driver: DriverHandle,
    store: Store,
    turns: AnnouncementTurns<(SlotId, Epoch)>,
}

/// When a task is announced for the first time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum First {
    /// At once: nobody but this operator knows that it has something to say.
    AtOnce,
    /// When it is its turn: all see the same at about the same time.
    ByTurn,
}

impl TaskStarter {
    pub(crate) fn new(me: Address, home: HomeHandle, driver: DriverHandle, store: Store) -> Self {
        Self {
            me,
            home,
            driver,
            store,
            turns: AnnouncementTurns::default(),
        }
    }

    /// The set that signs now.
    pub(super) fn set(&self) -> Option<Arc<OperatorSet>> {
        self.home.view().current
    }

    /// What was certified about a slot, by the latest epoch.
    pub(super) fn certificate(&self, slot: SlotId) -> Result<Option<Certificate>, NodeError> {
        newest_certificate(&self.store, slot)
    }

    /// Where it is this operator's turn. The task runs on by itself; whether it was certified is seen in the store.
    pub(super) async fn announce(
        &mut self,
        statement: Statement,
        set: &Arc<OperatorSet>,
        number: u64,
        first: First,
    ) {
        if set.get(self.me).is_none() {
            return;
        }
        let epoch = set.epoch();
        let (key, rotation) = (
            (statement.slot(), epoch),
            number.wrapping_add(u64::from(epoch.0)),
        );
        let at_once = first == First::AtOnce && !self.turns.knows(&key);
        let is_turn = self.turns.take(clock::now(), self.me, set, key, rotation);
        if at_once || is_turn {
            tracing::debug!(%epoch, task = %statement.task_id(), "announcing for the bridge");
            let asked = self
                .driver
                .ask(statement, set.clone(), ReadTrace::default());
            drop(asked.await);
        }
    }

    /// Forgets the turns of all that is not `open`.
    pub(super) fn keep(&mut self, set: &OperatorSet, open: &BTreeSet<SlotId>) {
        let current = set.epoch();
        self.turns
            .retain(|(slot, epoch)| *epoch == current && open.contains(slot));
    }
}
