//! Asking a provider by JSON-RPC, whatever chain it serves.
//!
//! [`BatchClient`] carries calls over HTTP in batches; another carrier takes [`encode`], [`decode`] and
//! [`RequestStats`]. What an error means is said by the chain's family, as a [`Classify`].

mod client;
mod error;
mod message;
mod stats;
mod url;

pub use client::{BatchClient, http_client};
pub(crate) use client::{BatchLimit, Responder, pending, wait};
#[cfg(any(test, fuzzing))]
pub(crate) use client::{BatchOutcome, PendingReply, SentBatch};
pub use error::{Classify, ErrorClass, ProviderError, RpcError};
pub use message::{Call, RpcResult, decode, encode};
pub use stats::RequestStats;
pub use url::RpcUrl;
