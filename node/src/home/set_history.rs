//! Operator sets of all epochs that this node knows.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use quorate_proto::{Epoch, OperatorSet};
use quorate_storage::{Store, schema};

use crate::NodeError;
use crate::home::HomeHandle;

/// Sets that are kept in memory: 16 of 500 operators are 1 MB.
const KEPT: usize = 16;

/// From the home chain, or kept from there.
#[derive(Clone)]
pub(crate) struct Sets {
    home: HomeHandle,
    store: Store,
    kept: Arc<Mutex<BTreeMap<Epoch, Arc<OperatorSet>>>>,
}

impl Sets {
    pub(crate) fn new(home: HomeHandle, store: Store) -> Self {
        Self {
            home,
            store,
            kept: Arc::default(),
        }
    }

    /// The set of an epoch; `None` where it is not known here.
    pub(crate) fn of(&self, epoch: Epoch) -> Result<Option<Arc<OperatorSet>>, NodeError> {
        if let Some(set) = self.home.set(epoch) {
            return Ok(Some(set));
        }
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(set) = kept.get(&epoch) {
            return Ok(Some(set.clone()));
        }
        let Some(record) = self.store.get(schema::SETS, &epoch.0)? else {
            return Ok(None);
        };
        let set = Arc::new(OperatorSet::try_from(&record).map_err(NodeError::damaged)?);
        if kept.len() >= KEPT {
            kept.pop_first();
        }
        kept.insert(epoch, set.clone());
        Ok(Some(set))
    }
}
