//! SVM chains over JSON-RPC: finality, and what a bridge's program sent.
//!
//! An [`SvmClient`] follows the final head that a quorum of providers agrees on; [`SvmTransfers`] reads bridges through
//! it. The chain proves nothing to who asks from outside. What k of n agree on are a block's hash and 40 bytes of a
//! program's state, of which one is a running hash: with that any one provider may show the transactions.

mod address;
mod calls;
mod client;
mod errors;
mod family;
mod history;
mod logs;
mod provider;
#[allow(dead_code, reason = "what is sent reads more kinds of numbers")]
mod reader;
mod sends;
mod transfers;

pub use address::{PublicKey, PublicKeyError};
pub use client::SvmClient;
pub use family::SvmSettings;
pub use transfers::SvmTransfers;
