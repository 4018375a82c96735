//! EVM chains over JSON-RPC: finality, headers, proofs, reads and events.
//!
//! An [`EvmClient`] follows the final head that a quorum of providers agrees on. On top of it, [`EvmChain`]
//! reads users' state and [`EvmHome`] the registry of operators.
//!
//! Nothing is read at "latest": state is read at the hash of a final block, and what is not final
//! is not visible at all. What k agree on for a read is the block's hash; its time and the value are
//! proven from there, so that one provider may serve them and none can forge them.

mod abi;
mod bridge_calls;
mod calls;
mod certificate;
mod client;
mod directory;
mod errors;
mod events;
mod family;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing;
mod headers;
mod home;
mod operator_set;
mod probe;
mod proof;
mod proof_batcher;
mod prover;
mod provider;
mod reads;
mod registrations;
mod state;
mod submit;
mod transaction;

pub use client::{EvmClient, EvmStatus};
pub use events::EvmTransfers;
pub use family::EvmSettings;
pub use home::EvmHome;
pub use proof::{BlockRoots, ProofError, block_roots, prove_slots};
pub use reads::{Reads, ReadsError};
pub use state::EvmChain;
pub use submit::EvmSubmitter;
