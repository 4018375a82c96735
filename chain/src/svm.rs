//! SVM chains over JSON-RPC: finality, and what a bridge's program sent.
//!
//! An [`SvmClient`] follows the final head that a quorum of providers agrees on; [`SvmTransfers`] reads bridges through
//! it. The chain proves nothing to who asks from outside. What k of n agree on are a block's hash and 40 bytes of a
//! program's state, of which one is a running hash: with that any one provider may show the transactions.
//! An [`SvmSubmitter`] carries out orders of bridges, and [`BridgeProgram`] has their instructions.

mod accounts;
mod address;
mod bridge_calls;
mod calls;
mod client;
mod errors;
mod family;
mod history;
pub mod instruction;
mod logs;
mod message;
mod plan;
mod provider;
mod query;
mod reader;
mod sends;
mod submit;
mod transfers;

pub use address::{PublicKey, PublicKeyError};
pub use bridge_calls::{BridgeProgram, Initialization, Sending, TokenMode, TokenSettings};
pub use client::SvmClient;
pub use family::SvmSettings;
pub use submit::SvmSubmitter;
pub use transfers::SvmTransfers;
