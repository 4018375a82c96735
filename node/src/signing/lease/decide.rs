//! Whether the log of a store may be signed with, from all that is known at the start.

use quorate_proto::store::{LogOrigin, SignerRecord};
use quorate_proto::{Address, Epoch};
use quorate_storage::{LogStanding, covers, standing};

/// Which signing keys the home chain had for an operator in epochs that have begun.
#[derive(Clone, Debug, Default)]
pub(super) struct History {
    /// Epoch of the first of them.
    pub(super) first: u32,
    /// One for each epoch up to the present one; zero where it had none.
    pub(super) keys: Vec<Address>,
}

/// What is known.
#[derive(Clone, Copy, Debug)]
pub(super) struct LogQuestion<'a> {
    /// Of the store.
    pub(super) record: &'a SignerRecord,
    /// The key that this process has.
    pub(super) key: Address,
    /// The note that was made with the key says that it has signed nothing.
    pub(super) noted: bool,
    pub(super) history: &'a History,
    pub(super) accept_risk: bool,
    /// The newest that was made with another store, where there is any that this log should hold.
    pub(super) heard: Option<PeerReport>,
}

/// What a process with another store has said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct PeerReport {
    /// With which key.
    pub(super) key: Address,
    pub(super) sequence: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Decision {
    /// The log goes on as it is, with this key too.
    GoOn,
    /// It is whole, for this reason.
    Whole(LogOrigin),
    /// It begins with this key, and is good for what is younger.
    Young,
    Refuse(Why),
}

/// Why nothing may be signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Why {
    /// The operator may have signed, and there is no log of it.
    Missing,
    /// The store was restored, at this time in Unix milliseconds.
    Restored(u64),
    /// This sequence was made with another store.
    Behind(u64),
    /// The operator had this key in that epoch, and what it signed is not in the log.
    Stranger(Address, Epoch),
    /// The present key may have signed with another store.
    UnknownKey,
}

impl LogQuestion<'_> {
    pub(super) fn decide(&self) -> Decision {
        let alone = match standing(self.record) {
            LogStanding::Whole(_) => self.whole(),
            LogStanding::Young => self.young(),
            LogStanding::Unknown if self.is_first() => Decision::Whole(LogOrigin::NewOperator),
            LogStanding::Unknown => self.anew(Why::Missing),
            LogStanding::Restored(at) => self.anew(Why::Restored(at)),
            LogStanding::Behind(sequence) => self.anew(Why::Behind(sequence)),
        };
        let is_young = |decision| match decision {
            Decision::Young => true,
            Decision::GoOn => standing(self.record) == LogStanding::Young,
            _ => false,
        };
        match (alone, self.heard) {
            (Decision::Refuse(_), _) | (_, Some(_)) if self.accept_risk => {
                Decision::Whole(LogOrigin::RiskAccepted)
            }
            (decision, None) if self.accept_risk && is_young(decision) => {
                Decision::Whole(LogOrigin::RiskAccepted)
            }
            (Decision::Refuse(why), _) => Decision::Refuse(why),
            (decision, None) => decision,
            // It said so with this very key: that has signed elsewhere, whatever a note says.
            (_, Some(heard)) if heard.key == self.key => {
                Decision::Refuse(Why::Behind(heard.sequence))
            }
            (_, Some(heard)) => self.anew(Why::Behind(heard.sequence)),
        }
    }

    /// What the log lacks does not matter to a key that has signed nothing, but for what is older.
    fn anew(&self, why: Why) -> Decision {
        match self.is_fresh() {
            true => Decision::Young,
            false => Decision::Refuse(why),
        }
    }

    fn whole(&self) -> Decision {
        if let Some((key, epoch)) = self.stranger(self.record.seen_epoch) {
            return self.anew(Why::Stranger(key, epoch));
        }
        match (self.is_covered(), self.is_fresh()) {
            (true, _) => Decision::GoOn,
            // Another process may have gone on with the store that it came from, with the keys of then.
            (false, true) if self.record.unproven => Decision::Young,
            (false, true) => Decision::GoOn,
            (false, false) => Decision::Refuse(Why::UnknownKey),
        }
    }

    fn young(&self) -> Decision {
        let begun = self.record.beginning.as_ref().filter(|b| b.time > 0);
        let Some(beginning) = begun else {
            // Nothing was signed with it yet.
            return match self.is_covered() {
                true => Decision::GoOn,
                false => self.anew(Why::UnknownKey),
            };
        };
        let since = self.record.seen_epoch.max(beginning.epoch);
        if let Some((key, epoch)) = self.stranger(since) {
            return self.anew(Why::Stranger(key, epoch));
        }
        match self.is_covered() || self.is_fresh() {
            true => Decision::GoOn,
            false => Decision::Refuse(Why::UnknownKey),
        }
    }

    fn is_covered(&self) -> bool {
        covers(self.record, &self.key.into_array())
    }

    /// Whether nothing was ever signed with the key.
    fn is_fresh(&self) -> bool {
        self.noted || self.history.is_whole() && !self.history.keys.contains(&self.key)
    }

    /// Whether nothing was ever signed for the operator.
    fn is_first(&self) -> bool {
        let known = |key: &Address| key.is_zero() || *key == self.key;
        self.is_fresh() && self.history.is_whole() && self.history.keys.iter().all(known)
    }

    /// A key that counted after that epoch and is neither in the log nor the present one.
    fn stranger(&self, after: u32) -> Option<(Address, Epoch)> {
        let epochs = self.history.first..;
        let keys = epochs.zip(&self.history.keys);
        let of_log = |key: &Address| covers(self.record, &key.into_array());
        let mut strangers = keys.filter(|(epoch, key)| {
            *epoch > after && !key.is_zero() && **key != self.key && !of_log(key)
        });
        let found = strangers.next().map(|(epoch, key)| (*key, Epoch(epoch)));
        // Of epochs that were not looked at nothing is known.
        let unseen = self.history.first > after.saturating_add(1);
        found.or(unseen.then_some((Address::ZERO, Epoch(after.saturating_add(1)))))
    }
}

impl History {
    fn is_whole(&self) -> bool {
        self.first == 0
    }
}
