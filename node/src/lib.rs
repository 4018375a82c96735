//! The shell: libp2p swarm, drivers that turn events into machine inputs and outputs into IO, what each
//! role runs, HTTP.
//!
//! [`Node::run`] is the list of named tasks that make a node; `docs/architecture.md` draws them.

mod clock;
mod context;
mod delivery;
mod error;
#[cfg(test)]
mod fixtures;
#[cfg(any(test, fuzzing))]
pub mod fuzzing;
mod gossip;
mod health;
mod home;
mod http;
pub mod keys;
mod maintenance;
mod network;
mod process;
mod registry;
mod requests;
mod roles;
mod services;
pub mod settings;
mod signing;
mod sync;
mod tasks;

pub use quorate_client as client;
pub use quorate_client::api;

pub use clock::civil;
pub use error::NodeError;
pub use health::host;
pub use home::directory;
pub use http::token::{TOKEN_FILE, file_name as token_file};
pub use http::{MetricsHandle, collect_metrics};
pub use maintenance::backup;
pub use network::{listen_problem, peer_id_of};
pub use roles::node::{ChainReaders, Node, NodeParts};
pub use services::bridge::base58::encode as base58;
pub use services::bridge::{
    BridgePlace, BridgeSection, RouteText, SecretText, Submitters, TransferReaders, collide,
};
pub use settings::Reloader;
pub use signing::lease::LogClaim;
pub use signing::log_file as signing_log;
