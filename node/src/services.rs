//! The kinds of statements that this node checks: one module each, and a line of the list below.
//!
//! How to add one: docs/architecture.md, *Add a statement kind*.

pub(crate) mod bridge;
mod epoch_update;
mod state_proof;
mod timeouts;

use std::collections::HashMap;
use std::sync::Arc;

use quorate_chain::StateReader;
use quorate_proto::Statement;
use quorate_protocols::pipeline::Verdict;
use tokio::sync::Semaphore;

use self::bridge::Bridge;
use crate::home::HomeHandle;
use crate::tasks::driver::ReadTrace;

/// Reads of chains under way.
const MAX_READS: usize = 256;
/// Epoch updates that wait for the home chain at this node. There is one honest one at a time; those
/// beyond are answered at once, and none takes the place of a read.
const MAX_SET_WAITS: usize = 16;

/// Transfers that were announced before this node saw them, and wait for it: a block's worth. Those beyond are answered at
/// once, and asked for again.
const MAX_TRANSFER_WAITS: usize = 512;

/// The chains that this node reads, by id.
pub(crate) type Chains = HashMap<u64, Arc<dyn StateReader>>;

/// Looks at chains for this node.
#[derive(Clone)]
pub(crate) struct Observer {
    chains: Arc<Chains>,
    home: HomeHandle,
    bridge: Bridge,
    reads: Arc<Semaphore>,
    set_waits: Arc<Semaphore>,
    bridge_waits: Arc<Semaphore>,
}

impl Observer {
    pub(crate) fn new(chains: Arc<Chains>, home: HomeHandle, bridge: Bridge) -> Self {
        Self {
            chains,
            home,
            bridge,
            reads: Arc::new(Semaphore::new(MAX_READS)),
            set_waits: Arc::new(Semaphore::new(MAX_SET_WAITS)),
            bridge_waits: Arc::new(Semaphore::new(MAX_TRANSFER_WAITS)),
        }
    }

    /// What this node itself says of a statement, and what it read.
    pub(crate) async fn observe(&self, statement: &Statement) -> (Verdict, ReadTrace) {
        match statement {
            Statement::StateProof(proof) => self.value(proof).await,
            Statement::EpochUpdate(update) => self.set(update).await,
            Statement::Transfer(transfer) => self.transfer(transfer).await,
            Statement::TransferClosed(closed) => self.closed(closed).await,
            Statement::BridgePause(pause) => self.pause(pause).await,
        }
    }
}
