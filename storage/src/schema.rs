//! Every table of the store, on one screen.
//!
//! Ids and names are on disk: never change or reuse one. A key or a value that changes its meaning
//! is a new [`crate::SCHEMA_VERSION`]; a new table is not.

use quorate_proto::{store, wire};

use crate::{Access, Table, TableDef};

/// 32 bytes: a task id, a slot.
pub type Id = [u8; 32];
/// 20 bytes: an operator's address, the address of a signing key.
pub type Address = [u8; 20];

macro_rules! tables {
    ($(
        $(#[$doc:meta])*
        $vis:vis $name:ident = $id:literal, $access:ident: $key:ty => $value:ty;
    )*) => {
        $($(#[$doc])* $vis const $name: Table<$key, $value> =
            Table::new($id, stringify!($name), Access::$access);)*

        /// Every table, for an engine to create.
        pub const ALL: &[TableDef] = &[$($name.def()),*];
    };
}

tables! {
    /// What this store is: one row, `"store"`.
    pub(crate) META = 1, Point: String => store::Meta;
    /// (operator, slot): what was signed. Only [`crate::SigningLog`] writes here.
    pub(crate) SIGNING_LOG = 2, Point: (Address, Id) => store::SigningRecord;
    /// Task: its statement and its life on this node.
    pub TASKS = 3, Point: Id => store::TaskRecord;
    /// (task, operator): what the operator answered, and when.
    pub RESPONSES = 4, Point: (Id, Address) => store::ResponseRecord;
    /// Task: its certificate.
    pub CERTIFICATES = 5, Point: Id => wire::Certificate;
    /// (slot, epoch): the task that answers this question.
    pub QUESTIONS = 6, Point: (Id, u32) => store::TaskRef;
    /// (created in ms, task): the index that lists tasks newest first.
    pub TASK_TIMES = 7, Scan: (u64, Id) => store::Empty;
    /// Operator: the peer that speaks for it.
    pub BINDINGS = 8, Point: Address => wire::PeerBinding;
    /// Epoch: its operator set.
    pub SETS = 9, Point: u32 => store::OperatorSetRecord;
    /// Name of a reader: how far it has followed its chain.
    pub CURSORS = 10, Point: String => store::Cursor;
    /// Peer id in bytes: how the peer was last reached.
    pub PEERS = 11, Point: Vec<u8> => store::PeerRecord;
    /// (slot, operator): two facts it signed for that slot.
    pub EVIDENCE = 12, Point: (Id, Address) => store::Evidence;
    /// Operator: its place in the network, as this registry sees it.
    pub MEMBERS = 14, Point: Address => store::MembershipRecord;
    /// Number of an event, from 1: what became of an operator.
    pub EVENTS = 15, Scan: u64 => wire::LifecycleEvent;
    /// (operator, number of an event): the index that lists one operator's events.
    pub OPERATOR_EVENTS = 16, Scan: (Address, u64) => store::Empty;
    /// Number of an update, from 1: what subscribers are told, the newest ones only.
    pub UPDATES = 17, Scan: u64 => wire::StateUpdate;
    /// (task, Unix microseconds of the first event): what happened to a task between two writes.
    pub TIMELINES = 18, Scan: (Id, u64) => store::TimelineRow;
    /// (epoch, task): whose answers are held, to compare with other nodes and to prune by epoch.
    pub TASK_INDEX = 21, Point: (u32, Id) => store::TaskIndexRecord;
    /// The first half of a task's id: it was here once, and was pruned.
    pub PRUNED = 22, Point: [u8; 16] => store::PrunedRecord;
    /// Operator: why its log may be signed with, and who does. Only [`crate::Signers`] writes here.
    pub(crate) SIGNERS = 19, Point: Address => store::SignerRecord;
    /// (slot, task): tasks that ended without certificate although an operator had signed.
    pub UNCERTIFIED = 23, Scan: (Id, Id) => store::Empty;
    /// (route, nonce): what a bridge's contract sent, as seen at a final block.
    pub TRANSFERS = 31, Scan: (Id, u64) => store::TransferRecord;
    /// (route, nonce): those of them that are not certified yet, as far as this node has heard.
    pub OPEN_TRANSFERS = 32, Scan: (Id, u64) => store::Empty;
    /// Delivery: what is to be sent, and how far it is.
    pub DELIVERIES = 33, Point: Id => store::DeliveryRow;
    /// (chain, sender, nonce): a nonce that is reserved.
    pub DELIVERY_NONCES = 34, Scan: (u64, Id, u64) => store::DeliveryNonce;
    /// ((chain, sender), nonce, attempt): what was signed.
    pub DELIVERY_TRANSACTIONS = 35, Scan: ((u64, Id), u64, u32) => store::DeliveryTransaction;
    /// (chain, sender, route): what was stopped; the route is zero for the whole lane.
    pub STOPPED_DELIVERIES = 36, Point: (u64, Id, Id) => store::DeliveryReason;
    /// Delivery: one that has ended, well or as a dead letter.
    pub ENDED_DELIVERIES = 37, Point: Id => store::DeliveryRow;
    /// Delivery: the newest transaction of it that is in the chain.
    pub DELIVERY_RECEIPTS = 45, Point: Id => store::DeliveryReceipt;
    /// (transaction, route, nonce): what was sent by it, as a provider says.
    pub SENDING_TRANSACTIONS = 46, Scan: (Id, Id, u64) => store::Empty;
    /// (chain, contract): how this operator votes on the next change of that bridge.
    pub BRIDGE_VOTES = 48, Point: (u64, Id) => wire::BridgePause;
    /// (route, nonce): when the target closed it; those that are not certified yet, as far as this node has heard.
    pub OPEN_CLOSINGS = 49, Scan: (Id, u64) => wire::TransferClosed;
    /// Chain id: this node has read a proof of its state. Written once, and kept for good.
    pub PROVEN_CHAINS = 30, Scan: u64 => store::Empty;
}
