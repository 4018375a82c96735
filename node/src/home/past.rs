//! Sets of epochs that are over, as long as their certificates hold.
//!
//! A light registry learns a set from any that it holds and that still lives. Where the set after the one that
//! it holds was never certified there, or cannot be installed, one of these names a later set instead.

use std::collections::BTreeMap;
use std::sync::Arc;

use quorate_chain::BlockRef;
use quorate_proto::{Epoch, OperatorSet};
use quorate_storage::schema;

use super::{Home, HomeFollower};
use crate::NodeError;

/// Sets that are kept at most, the newest: 64 of 500 operators are 3 MB. Where more epochs than that lie in the
/// lifetime of a certificate, older ones are not needed: a light registry that was told nothing for that long can
/// be told of all epochs in between.
const MAX_SETS: u32 = 64;

/// What was looked up.
#[derive(Debug, Default)]
pub(super) struct Past {
    /// Seconds for which certificates hold, once they were read.
    lifetime: Option<u64>,
    /// The epoch before which sets were looked up.
    before: Option<Epoch>,
    sets: BTreeMap<Epoch, Arc<OperatorSet>>,
}

impl Home {
    /// Finds the sets before the present one that still live, as the chain's clock says.
    pub(super) async fn look_back(
        &self,
        follower: &mut HomeFollower,
        head: BlockRef,
    ) -> Result<(), NodeError> {
        let Some(current) = follower.machine.current() else {
            return Ok(());
        };
        let past = &mut follower.past;
        let lifetime = match past.lifetime {
            Some(lifetime) => lifetime,
            None => {
                let read = self.reader.withdrawal().await?.certificate_lifetime;
                *past.lifetime.insert(read)
            }
        };
        if past.before != Some(current) {
            past.sets = self.sets_before(current)?;
            past.before = Some(current);
        }
        past.sets.retain(|_, set| lives(set, lifetime, head));
        let sets: Vec<_> = past.sets.values().cloned().collect();
        let epochs = |sets: &[Arc<OperatorSet>]| -> Vec<Epoch> {
            sets.iter().map(|set| set.epoch()).collect()
        };
        self.view.send_if_modified(|view| {
            let is_new = epochs(&view.past) != epochs(&sets);
            view.past = sets;
            is_new
        });
        Ok(())
    }

    fn sets_before(&self, epoch: Epoch) -> Result<BTreeMap<Epoch, Arc<OperatorSet>>, NodeError> {
        let mut sets = BTreeMap::new();
        for number in epoch.0.saturating_sub(MAX_SETS)..epoch.0 {
            if let Some(record) = self.store.get(schema::SETS, &number)? {
                let set = OperatorSet::try_from(&record).map_err(NodeError::damaged)?;
                sets.insert(Epoch(number), Arc::new(set));
            }
        }
        Ok(sets)
    }
}

/// Whether certificates of the set hold at this block.
fn lives(set: &OperatorSet, lifetime: u64, head: BlockRef) -> bool {
    head.timestamp <= set.fixed_at().saturating_add(lifetime)
}
