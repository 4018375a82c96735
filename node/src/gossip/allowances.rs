//! What operators may publish, shared between the gossip task and the parts of the node that show it.

use std::sync::{Arc, Mutex, PoisonError};

use quorate_proto::{Address, OperatorSet};
use quorate_protocols::authors::{Authors, Excess, Standing, Totals};

use crate::clock;

/// The buckets and the faults of all operators.
#[derive(Clone)]
pub(crate) struct Allowances(Arc<Mutex<Authors>>);

impl Allowances {
    pub(crate) fn new(totals: Totals) -> Self {
        Self(Arc::new(Mutex::new(Authors::new(totals))))
    }

    /// What is known of an operator.
    pub(crate) fn standing(&self, operator: Address) -> Standing {
        self.with(|authors| authors.standing(clock::now(), operator))
    }

    /// Whether a message in this name is worth to be verified.
    pub(super) fn look(
        &self,
        set: &OperatorSet,
        author: Address,
        tasks: u32,
    ) -> Result<(), Excess> {
        self.with(|authors| authors.look(clock::now(), set, author, tasks))
    }

    /// Takes a verified message off its author's share: its announcements, and all its entries.
    pub(super) fn admit(
        &self,
        set: &OperatorSet,
        author: Address,
        counts: (u32, u32),
    ) -> Result<(), Excess> {
        self.with(|authors| authors.admit(clock::now(), set, author, counts))
    }

    /// Charges signatures that were recovered for its author.
    pub(super) fn charge(&self, set: &OperatorSet, author: Address, recovered: u32) {
        self.with(|authors| authors.charge(clock::now(), set, author, recovered));
    }

    /// Counts a verified message that no honest operator signs. True where it is not listened to from
    /// now on.
    pub(super) fn fault(&self, set: &OperatorSet, author: Address) -> bool {
        self.with(|authors| authors.fault(clock::now(), set, author))
    }

    /// Counts a task that was not taken, because those of its author before it came to nothing.
    pub(crate) fn doubt(&self, set: &OperatorSet, author: Address) {
        self.with(|authors| authors.doubt(clock::now(), set, author));
    }

    /// Whether a message that came from its author itself is far beyond its share.
    pub(super) fn is_gross(&self, set: &OperatorSet, author: Address) -> bool {
        self.with(|authors| authors.is_gross(clock::now(), set, author))
    }

    fn with<T>(&self, work: impl FnOnce(&mut Authors) -> T) -> T {
        work(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
