//! Many nodes on one machine: local chains with deployed contracts, operators as separate
//! processes, and what scenario tests, the demo and the benches do with them.

pub mod attack;
pub mod bench;
pub mod chaos;
pub mod demo;
pub mod deploy;
pub mod deployment;
mod folder;
mod http;
pub mod keys;
pub mod liar;
pub mod miner;
pub mod namespaces;
pub mod network;
pub mod process;
pub mod stores;
pub mod stranger;
pub mod users;
pub mod wait;

pub use deployment::{Deployment, DeploymentOptions};
pub use keys::OperatorKeys;
pub use liar::{Liar, Manner};
pub use network::{LocalNetwork, NetworkOptions, Seat};
pub use process::NodeProcess;
