//! The swarm: who is connected, what is published, which streams are open.

mod bans;
mod behaviour;
mod connection_limits;
mod dialer;
mod handle;
mod inbox;
mod listening;
mod peer_store;
mod probe;
mod ranges;
mod reachability;
mod relays;
pub(crate) mod rpc;
mod runs;
pub(crate) mod stream_limits;
mod swarm;

pub(crate) use bans::Offence;
pub(crate) use connection_limits::RangeLimits;
pub(crate) use handle::{Acceptance, GossipMessage, NetworkHandle, dialable};
pub use listening::listen_problem;
pub(crate) use quorate_client::streams::Incoming;
pub(crate) use quorate_client::swarm::peer_of;
pub(crate) use ranges::{Limited, Range};
pub(crate) use reachability::Reachability;
pub(crate) use swarm::{Network, NetworkConfig};

use libp2p::PeerId;
use libp2p::identity::{PublicKey, ed25519};

/// The swarm could not be built, or does not know how to listen.
#[derive(Debug, thiserror::Error)]
pub enum NetworkError {
    /// An address of a kind that is not known.
    #[error("cannot listen on {address}: {reason}; write listen as /ip4/0.0.0.0/tcp/9000")]
    Listen {
        /// As configured.
        address: libp2p::Multiaddr,
        /// What the system says.
        reason: String,
    },
    /// A transport could not be set up.
    #[error("cannot set up the network: {0}")]
    Setup(String),
}

/// The libp2p peer id of an Ed25519 public key; `None` where the bytes are no point of the curve.
#[must_use]
pub fn peer_id_of(peer_key: &[u8; 32]) -> Option<PeerId> {
    let key = ed25519::PublicKey::try_from_bytes(peer_key).ok()?;
    Some(PublicKey::from(key).to_peer_id())
}
