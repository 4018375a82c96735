//! EVM chains over JSON-RPC.
//!
//! An [`EvmClient`] asks every one of its n providers and believes what k of them say alike, if
//! these are run by enough different ones. A provider that is down, slow, syncing or serves another
//! chain counts as a "no"; n never shrinks. On top of it, [`EvmChain`] reads users' state and [`EvmHome`] the registry of operators.
//!
//! Nothing is read at "latest": state is read at the hash of a final block, and what is not final
//! is not visible at all. What k agree on for a read is the block's hash; its time and the value are
//! proven from there, so that one provider may serve them and none can forge them.

mod batcher;
mod block_numbers;
mod calls;
mod client;
mod config;
mod directory;
mod finality;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing;
mod gatherer;
mod halves;
mod headers;
mod heads;
mod home;
mod operator_set;
mod proof;
mod prover;
mod provider;
mod quorum;
mod reads;
mod registrations;
mod revert;
mod rpc;
mod rule;
mod shown;
mod state;
mod timestamps;
mod url;
mod verdict;
mod wanted;

pub use block_numbers::{BlockNumbers, BlockNumbersError};
pub use client::{EvmClient, EvmStatus};
pub use config::{EvmConfig, ProviderConfig};
pub use finality::{Finality, FinalityError};
pub use home::EvmHome;
pub use proof::{ProofError, prove_slots, state_root};
pub use reads::{Reads, ReadsError};
pub use state::EvmChain;
pub use url::RpcUrl;
pub use verdict::{Rejection, Verdict, verify_on_chain};
