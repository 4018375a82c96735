//! What operators may publish, shared between the gossip task and the parts of the node that show it.

use std::sync::{Arc, Mutex, PoisonError};

use quorate_proto::{Address, Kind, OperatorSet};
use quorate_protocols::authors::{Authors, Excess, Standing, Totals};

use crate::clock;

/// The buckets and the faults of all operators. Each service's topic has shares of its own, as large as those of the
/// other topics together: whatever happens on one takes nothing away on another.
#[derive(Clone)]
pub(crate) struct Allowances(Arc<Mutex<[Authors; SHARES]>>);

/// Of the topics that all kinds share, and of the bridge's.
const SHARES: usize = 2;

/// Whose shares a topic takes.
const fn share_of(kind: Kind) -> usize {
    match kind {
        Kind::Task | Kind::Response | Kind::Result | Kind::Evidence => 0,
        Kind::Bridge => 1,
    }
}

impl Allowances {
    pub(crate) fn new(totals: Totals) -> Self {
        let shares = std::array::from_fn(|_| Authors::new(totals));
        Self(Arc::new(Mutex::new(shares)))
    }

    /// What is known of an operator.
    pub(crate) fn standing(&self, operator: Address) -> Standing {
        self.with(Kind::Task, |authors| {
            authors.standing(clock::now(), operator)
        })
    }

    /// Whether a message in this name is worth to be verified.
    pub(super) fn look(
        &self,
        kind: Kind,
        set: &OperatorSet,
        author: Address,
        tasks: u32,
    ) -> Result<(), Excess> {
        self.with(kind, |authors| {
            authors.look(clock::now(), set, author, tasks)
        })
    }

    /// Takes a verified message off its author's share: its announcements, and all its entries.
    pub(super) fn admit(
        &self,
        kind: Kind,
        set: &OperatorSet,
        author: Address,
        counts: (u32, u32),
    ) -> Result<(), Excess> {
        self.with(kind, |authors| {
            authors.admit(clock::now(), set, author, counts)
        })
    }

    /// Charges signatures that were recovered for its author.
    pub(super) fn charge(&self, kind: Kind, set: &OperatorSet, author: Address, recovered: u32) {
        self.with(kind, |authors| {
            authors.charge(clock::now(), set, author, recovered)
        });
    }

    /// Counts a verified message that no honest operator signs. True where it is not listened to
    /// on that topic from now on.
    pub(super) fn fault(&self, kind: Kind, set: &OperatorSet, author: Address) -> bool {
        self.with(kind, |authors| authors.fault(clock::now(), set, author))
    }

    /// Counts a task that was not taken, because those of its author before it came to nothing.
    pub(crate) fn doubt(&self, kind: Kind, set: &OperatorSet, author: Address) {
        self.with(kind, |authors| authors.doubt(clock::now(), set, author));
    }

    /// Whether a message that came from its author itself is far beyond its share.
    pub(super) fn is_gross(&self, kind: Kind, set: &OperatorSet, author: Address) -> bool {
        self.with(kind, |authors| authors.is_gross(clock::now(), set, author))
    }

    fn with<T>(&self, kind: Kind, work: impl FnOnce(&mut Authors) -> T) -> T {
        let mut shares = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        work(&mut shares[share_of(kind)])
    }
}

#[cfg(test)]
mod tests {
    use quorate_proto::{Epoch, Operator, U256};

    use super::*;

    #[test]
    fn a_flood_on_the_topic_of_a_service_takes_nothing_from_the_others() {
        let author = Address::repeat_byte(1);
        let member = Operator {
            address: author,
            signing_key: author,
            weight: U256::from(10),
        };
        let set = OperatorSet::new(Epoch(1), vec![member], U256::from(10), 0).expect("a set");
        let allowances = Allowances::new(Totals {
            messages: 1,
            entries: 1,
            tasks: 1,
        });
        let admit = |kind| allowances.admit(kind, &set, author, (1, 1));
        let admitted = (0..10_000).take_while(|_| admit(Kind::Bridge).is_ok());
        assert!(admitted.count() < 10_000, "the share ends");
        assert!(allowances.look(Kind::Bridge, &set, author, 1).is_err());
        assert!(allowances.look(Kind::Task, &set, author, 1).is_ok());
        assert_eq!(admit(Kind::Result), Ok(()));
    }
}
