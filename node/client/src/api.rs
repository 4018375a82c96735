//! What the HTTP interface says, as JSON; the command line reads the same types.
//!
//! Hashes and addresses are 0x-prefixed hexadecimal, weights and values decimal strings, times
//! Unix milliseconds.

mod bridge;
mod epoch;
mod evidence;
mod operators;
mod providers;
mod status;
mod tasks;
mod timeline;
mod transfer;

use serde::{Deserialize, Serialize};

pub use bridge::{BridgeReport, DeliveryLine, RescanReport, RouteReport, VoteLine};
pub use epoch::{EpochBlocks, EpochReport, EpochTasks, HandedOverBy};
pub use evidence::{EvidencePage, EvidenceReport, SignedReport};
pub use operators::{EventLine, Events, MemberLine, OperatorLine, Operators, PeerLine, Published};
pub use providers::{ChainProviders, ProviderLine};
pub use status::{
    ChainStatus, Health, Live, Machine, NotReady, Reachability, Ready, RegistryLine, Status,
    SyncEpoch, SyncLie, SyncReport,
};
pub use tasks::{OperatorReport, SaidByProvider, StatementReport, TaskLine, TaskReport};
pub use timeline::{EventKind, LiveLine, RefusedLine, Timeline, TimelineEvent};
pub use transfer::{
    CertifiedReport, DeliveryReport, FeeReport, PlaceReport, StageLine, TransferPage,
    TransferReport,
};

/// The body of every error response.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ErrorBody {
    /// What is wrong, and what to do.
    pub error: String,
}
