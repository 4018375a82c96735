//! How often bridges were stopped or let go on.

use std::collections::BTreeMap;

use quorate_chain::BlockRef;

use super::Bridge;
use super::settings::BridgePlace;

/// What bridges have counted, read once for each final block at most.
pub(super) struct ChangeCounts {
    bridge: Bridge,
    /// The count, and the block at which it was read.
    read: BTreeMap<BridgePlace, (BlockRef, u64)>,
}

impl ChangeCounts {
    pub(super) const fn new(bridge: Bridge) -> Self {
        Self {
            bridge,
            read: BTreeMap::new(),
        }
    }

    /// Of one bridge; `None` where it cannot be read now.
    pub(super) async fn of(&mut self, place: &BridgePlace) -> Option<u64> {
        let head = self.bridge.reader(place.chain)?.final_head()?;
        if let Some((at, count)) = self.read.get(place)
            && *at == head
        {
            return Some(*count);
        }
        match self.bridge.changes_of(place).await {
            Ok(count) => {
                self.read.insert(*place, (head, count));
                Some(count)
            }
            Err(error) => {
                tracing::warn!(bridge = %place, %error, "a bridge cannot be read now; trying again");
                None
            }
        }
    }
}
