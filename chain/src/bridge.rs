//! The calls of a bridge's contracts, whatever the chain is.

use quorate_proto::{B256, Epoch, OperatorSet, Transfer};

use crate::ContractCall;

/// What a contract's refusal means to who called it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CallMeaning {
    /// Another account did it.
    Done,
    /// It may succeed later.
    NotNow,
    /// It never will, as it is.
    Never,
    /// The contract is another one than was thought, or knows the route or token not.
    Configuration,
}

/// Makes the calls of a bridge and of the registry that it asks. Contracts and senders have 32 bytes, left-padded where
/// they are EVM addresses.
pub trait BridgeCalls: Send + Sync {
    /// Pays a transfer, by its certificate.
    fn deliver(&self, transfer: &Transfer, certificate: Vec<u8>, sender: B256) -> ContractCall;

    /// What became of a transfer: a word, 0 open, 1 queued, 2 paid, 3 closed.
    fn status(&self, transfer: &Transfer) -> ContractCall;

    /// The registry that a bridge asks: a word.
    fn registry(&self, bridge: B256) -> ContractCall;

    /// The newest epoch whose certificates a registry takes: a word.
    fn newest_epoch(&self, registry: B256) -> ContractCall;

    /// Where a registry keeps the set of an epoch for compact certificates: a word, zero if it does not.
    fn sealed_set(&self, registry: B256, epoch: Epoch) -> ContractCall;

    /// Tells a registry of the set of a later epoch, which that of the epoch `by.0` names, and which was fixed at the Unix
    /// second `by.1`.
    fn update_epoch(
        &self,
        registry: B256,
        by: (Epoch, u64),
        next: &OperatorSet,
        certificate: Vec<u8>,
        sender: B256,
    ) -> ContractCall;
}
