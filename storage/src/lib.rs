//! What survives a crash: one store with typed tables, on one of two engines.
//!
//! [`Store`] opens a folder and answers reads; [`WriteQueue`] gathers writes into groups that reach
//! the disk together; [`SigningLog`] is the only way to a [`Permit`] to sign. Every table is
//! declared in [`schema`].
//!
//! ```sh
//! cargo nextest run -p quorate-storage            # both engines, crashes, the signing log
//! cargo bench -p quorate-storage --bench commit   # what a synced commit costs on this disk
//! ```

mod engine;
mod error;
mod key;
mod overlay;
pub mod schema;
mod signer;
mod signing;
mod store;
mod table;
mod writer;

pub use engine::{Engine, EngineKind, KeyRange, Order, RawRows};
pub use error::{Conflict, StoreError};
pub use key::{EncodeKey, FixedKey, Key, PrefixOf};
pub use overlay::Overlay;
pub use signer::{Holder, Import, Lease, LogStanding, MAX_SIGNING_KEYS, Signers, covers, standing};
pub use signing::{
    Admission, Forgotten, Imported, Outdated, Permit, Permits, Reservation, SigningEntry,
    SigningLog, Verdict,
};
pub use store::{FailureWatch, Identity, SCHEMA_VERSION, Store};
pub use table::{
    Access, Batch, MAX_BATCH_BYTES, MAX_PAGE_BYTES, MAX_PAGE_ROWS, Op, Page, Rows, Table, TableDef,
};
pub use writer::{
    Ack, Durability, MAX_GROUP_BYTES, MAX_QUEUED, MAX_QUEUED_BYTES, WriteQueue, WriteStats,
    WriterGuard,
};
