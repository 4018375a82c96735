//! The providers of a chain: who they are, how they fare, and when their answers count.
//!
//! A family wraps a [`Provider`] in its own type, which adds the connection and what it asks there, and
//! reports to it what came of asking.

mod config;
mod health;
mod lag;
mod proof_record;
mod provider;

pub use config::ProviderConfig;
pub use health::UnmetNeed;
pub use lag::HeightWindow;
pub use proof_record::ProofRecord;
pub use provider::{Provider, labels};
