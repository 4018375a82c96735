//! The shell: libp2p swarm, role wiring, drivers that turn events into machine inputs and
//! outputs into IO, HTTP.
//!
//! [`Node::run`] is the list of named tasks that make a node; `docs/architecture.md` draws them.

pub mod api;
mod attest;
pub mod backup;
pub mod client;
mod clock;
mod desk;
mod evidence;
mod explain;
mod figures;
#[cfg(test)]
mod fixtures;
mod frame;
#[cfg(any(test, fuzzing))]
pub mod fuzzing;
mod gossip;
mod handover;
mod holdings;
mod home;
mod http;
mod join;
pub mod keys;
mod lease;
pub mod listing;
pub mod machine;
mod members;
mod network;
mod node;
mod outbox;
mod places;
mod probe;
mod prune;
mod publish;
mod ready;
mod recorder;
mod registry;
mod regulars;
mod replica;
mod requests;
mod rpc;
mod services;
mod sets;
pub mod settings;
pub mod signing_log;
mod sync;
mod tasks;
mod timeline;
mod token;
mod vitals;

pub use http::{MetricsHandle, collect_metrics};
pub use lease::LogClaim;
pub use network::{listen_problem, peer_id_of};
pub use node::{Ledgers, Node, NodeError, Parts};
pub use token::{TOKEN_FILE, file_name as token_file};
