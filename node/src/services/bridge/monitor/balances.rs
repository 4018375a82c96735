//! What the payers have, and which of them may not go on.

use std::collections::BTreeSet;

use quorate_chain::{ChainFamily, Submitter};
use quorate_protocols::delivery::LaneId;

use super::super::Submitters;
use super::super::settings::BridgeSection;
use super::super::units::coins_text;
use crate::delivery::DeliveryHandle;

/// Who pays on a chain, and what for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Payer {
    pub(crate) lane: LaneId,
    pub(crate) family: ChainFamily,
    /// In the unit of fees; `None` until it was read.
    pub(crate) balance: Option<u128>,
    /// The least that it must have; 0 where nothing is set.
    pub(crate) minimum: u128,
}

/// How a payer stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Funds {
    Good,
    /// Below twice the minimum.
    Low,
    /// Below the minimum: nothing is sent.
    Critical,
}

impl Payer {
    pub(crate) fn funds(&self) -> Funds {
        match self.balance {
            Some(balance) if balance < self.minimum => Funds::Critical,
            Some(balance) if balance < self.minimum.saturating_mul(2) => Funds::Low,
            _ => Funds::Good,
        }
    }

    /// For people.
    pub(crate) fn describe(&self) -> String {
        let (balance, least) = (self.balance.unwrap_or_default(), self.minimum);
        let (has, least) = (
            coins_text(balance, self.family),
            coins_text(least, self.family),
        );
        format!("{} has {has}, and must have {least}", self.lane)
    }
}

/// Reads balances, and holds lanes whose payer has too little.
pub(super) struct Balances {
    submitters: Submitters,
    deliveries: DeliveryHandle,
    pub(super) payers: Vec<Payer>,
    held: BTreeSet<LaneId>,
}

impl Balances {
    pub(super) fn new(
        section: &BridgeSection,
        submitters: Submitters,
        deliveries: DeliveryHandle,
    ) -> Self {
        let payer = |submitter: &dyn Submitter| {
            let family = submitter.family();
            Some(Payer {
                lane: deliveries.lane(submitter.chain_id())?,
                family,
                balance: None,
                minimum: section.min_balance(family).unwrap_or_default(),
            })
        };
        let payers = submitters
            .values()
            .filter_map(|submitter| payer(submitter.as_ref()));
        let payers = payers.collect();
        Self {
            submitters,
            deliveries,
            payers,
            held: BTreeSet::new(),
        }
    }

    /// Looks at all of them at once. One that cannot be read stays as it was.
    pub(super) async fn check(&mut self) {
        let reads = self.payers.iter().map(|payer| async {
            let submitter = self.submitters.get(&payer.lane.chain)?;
            match submitter.account(payer.lane.sender).await {
                Ok(account) => Some(account.balance.saturating_to::<u128>()),
                Err(error) => {
                    tracing::warn!(lane = %payer.lane, %error, "the balance cannot be read now");
                    None
                }
            }
        });
        let read = futures::future::join_all(reads).await;
        for (payer, balance) in self.payers.iter_mut().zip(read) {
            payer.balance = balance.or(payer.balance);
        }
        self.hold().await;
    }

    /// Whether one that is to be checked could not be read yet.
    pub(super) fn lacks_any(&self) -> bool {
        let mut unread = self.payers.iter().filter(|payer| payer.balance.is_none());
        unread.any(|payer| payer.minimum > 0)
    }

    async fn hold(&mut self) {
        for (lane, poor) in changes(&self.payers, &mut self.held) {
            match poor {
                true => {
                    tracing::error!(%lane, "its payer has too little: nothing is sent there until it has more")
                }
                false => tracing::info!(%lane, "its payer has enough again: deliveries go on"),
            }
            self.deliveries.hold(lane, poor).await;
        }
    }

    /// Lanes that a former run may have left held are taken for held.
    pub(super) fn recall(&mut self, held: impl Iterator<Item = u64>) {
        for chain in held {
            self.held.extend(self.deliveries.lane(chain));
        }
    }
}

/// Lanes that are to be held or let go now. One whose balance is not known stays as it is.
pub(super) fn changes(payers: &[Payer], held: &mut BTreeSet<LaneId>) -> Vec<(LaneId, bool)> {
    let mut change = |payer: &Payer| {
        payer.balance?;
        let poor = payer.funds() == Funds::Critical;
        let changed = match poor {
            true => held.insert(payer.lane),
            false => held.remove(&payer.lane),
        };
        changed.then_some((payer.lane, poor))
    };
    payers.iter().filter_map(&mut change).collect()
}
