//! Many nodes on one machine: local chains with deployed contracts, operators as separate
//! processes, and what scenario tests, the demo and the benches do with them.

pub mod attack;
pub mod bench;
pub mod bridges;
pub mod chaos;
pub mod demo;
pub mod deploy;
pub mod deployment;
pub mod faulty_provider;
mod folder;
mod http;
pub mod keys;
pub mod miner;
pub mod namespaces;
pub mod network;
pub mod process;
pub mod stores;
pub mod svm_chain;
pub mod test_peer;
pub mod users;
pub mod wait;

pub use bridges::Bridges;
pub use deployment::{Deployment, DeploymentOptions};
pub use faulty_provider::{FaultyProvider, ProviderBehaviour};
pub use keys::OperatorKeys;
pub use network::{LocalNetwork, NetworkOptions, NodeHost};
pub use process::NodeProcess;
pub use svm_chain::SvmBridge;
