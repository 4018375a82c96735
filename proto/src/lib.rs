//! What goes on the wire and under a signature: ids, statements, digests, messages.
//!
//! Nothing here does IO, reads a clock or draws randomness. The `.proto` files are the
//! contract with other languages ([`wire`]); the types beside them are the checked forms in
//! which the rest of the project works. Converting is total in one direction
//! (`From` to the wire) and checked in the other (`TryFrom` from the wire).

mod at;
mod attestation;
mod certificate;
mod domain;
mod envelope;
mod epoch;
mod evidence;
#[cfg(any(test, fuzzing))]
#[cfg_attr(fuzzing, allow(dead_code, reason = "the tests need more of it"))]
mod fixtures;
#[cfg(any(test, fuzzing))]
pub mod fuzzing;
mod id;
mod join;
pub mod limits;
mod membership;
mod operator_set;
mod presence;
mod response;
mod signature;
mod statement;
mod sync;
mod wire_error;

pub use alloy_primitives::{Address, B256, U256, keccak256};
pub use at::At;
pub use attestation::{Attestation, SignedAttestation};
pub use certificate::{Certificate, CertificateError, CompactError, SignerSignature};
pub use domain::{Domain, Kind, NetworkId};
pub use envelope::{Batch, Envelope, EnvelopeError, PeerBinding, PeerSecret, Sealed, Task};
pub use epoch::{EpochInterval, EpochSchedule};
pub use evidence::{EquivocationEvidence, EvidenceError};
pub use id::{Epoch, EvidenceId, SlotId, TaskId, Timestamp};
pub use join::{JoinError, JoinProof, JoinRequest};
pub use membership::{
    Binding, LifecycleCause, LogPosition, Member, OperatorStatus, RegistrationChange, Transition,
};
pub use operator_set::{Operator, OperatorSet, SetError, threshold_of};
pub use presence::Presence;
pub use response::{Outcome, Refusal, Response, ResponseError};
pub use signature::{SecretKey, Signature, SignatureError};
pub use statement::{
    BridgePause, BridgePauseJson, Decimal, EpochUpdate, EpochUpdateJson, Field, Route, RouteJson,
    StateProof, StateProofJson, Statement, StatementJson, StatementKind, Subject, Transfer,
    TransferClosed, TransferClosedJson, TransferJson, Words,
};
pub use sync::{BUCKETS, Fingerprint, MemberBits, SyncItem, TaskState, bucket_of, bucket_range};
pub use wire::{ReadBasis, RefusalCode, RegistryErrorCode};
pub use wire_error::WireError;

#[allow(missing_docs, unreachable_pub, clippy::arithmetic_side_effects)]
mod generated {
    pub mod v1 {
        include!(concat!(env!("OUT_DIR"), "/quorate.v1.rs"));
    }
    pub mod store {
        pub mod v1 {
            include!(concat!(env!("OUT_DIR"), "/quorate.store.v1.rs"));
        }
    }
}

pub use generated::store::v1 as store;
pub use generated::v1 as wire;
