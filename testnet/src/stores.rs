//! What a node that has ended left on its disk.

use std::collections::HashMap;

use anyhow::Result;
use quorate_proto::Address;
use quorate_storage::{Identity, Store, WriteQueue};

use crate::{Deployment, NodeProcess};

/// Its store. No other process may have it open.
///
/// # Errors
/// It runs still, or its store is damaged.
pub fn open(deployment: &Deployment, node: &NodeProcess) -> Result<Store> {
    let engine = "rocksdb".parse().map_err(anyhow::Error::msg)?;
    let identity = Identity::new(deployment.domain().network().to_string());
    Ok(Store::open(node.dir.join("data/store"), engine, &identity)?)
}

/// What its signing log has of this operator: facts by slot.
///
/// # Errors
/// A record that cannot be read.
pub fn signing_log(store: Store, operator: Address) -> Result<HashMap<[u8; 32], [u8; 32]>> {
    let (queue, guard) = WriteQueue::new(store)?;
    let log = queue.signing_log();
    let mut facts = HashMap::new();
    for entry in log.signed_by(&operator.into_array()) {
        let entry = entry?;
        facts.insert(entry.slot, entry.fact);
    }
    drop((log, queue));
    guard.close()?;
    Ok(facts)
}
