//! What a node is told at its start. The command line makes this from file, environment and
//! flags; tests make it by hand.

pub mod declare;
mod live;

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use libp2p::{Multiaddr, PeerId};
use quorate_chain::ChainConfig;
use quorate_proto::{Address, Epoch};
pub use quorate_protocols::authors::Totals;
pub use quorate_protocols::membership::{Policy, Reinstatement};
use quorate_storage::EngineKind;
use serde::{Deserialize, Serialize};
use serde_json::Value;

pub use self::live::Reloader;
#[cfg(test)]
pub(crate) use self::live::fixed;
pub(crate) use self::live::{LiveSettings, Reloadable};
use crate::network::{Limited, RangeLimits};

/// What a node does in the network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Follows the home chain, bootstraps the mesh, serves the operator list.
    Registry,
    /// Takes requests, reads chains, signs.
    Operator,
    /// Carries certificates to where they are wanted.
    Relayer,
}

impl Role {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Operator, Self::Registry, Self::Relayer];

    /// Whether it reads chains and signs.
    #[must_use]
    pub const fn is_operator(self) -> bool {
        matches!(self, Self::Operator)
    }

    /// Whether it sends transactions.
    #[must_use]
    pub const fn is_relayer(self) -> bool {
        matches!(self, Self::Relayer)
    }

    /// Whether it keeps members.
    #[must_use]
    pub const fn is_registry(self) -> bool {
        matches!(self, Self::Registry)
    }

    /// The word on the command line.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Registry => "registry",
            Self::Operator => "operator",
            Self::Relayer => "relayer",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Role {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "registry" => Ok(Self::Registry),
            "operator" => Ok(Self::Operator),
            "relayer" => Ok(Self::Relayer),
            other => Err(format!(
                "unknown role {other:?}: use operator, registry or relayer"
            )),
        }
    }
}

/// Settings of one node.
#[derive(Clone, Debug)]
pub struct Settings {
    /// What it does.
    pub role: Role,
    /// Where its store lives.
    pub data_dir: PathBuf,
    /// Which database.
    pub engine: EngineKind,
    /// Where it listens for peers and users: TCP and QUIC multiaddrs.
    pub listen: Vec<Multiaddr>,
    /// Addresses under which others reach it, if these differ from what it listens on.
    pub external: Vec<Multiaddr>,
    /// Peers to dial first, with their peer ids.
    pub bootstrap: Vec<Multiaddr>,
    /// How it is reached behind NAT, and by whom.
    pub reach: Reach,
    /// When a registry suspends operators, and when that ends.
    pub policy: Policy,
    /// Where it serves HTTP; `None` for not at all.
    pub http: Option<SocketAddr>,
    /// Names, beside addresses and `localhost`, under which the HTTP interface may be asked.
    pub http_hosts: Vec<String>,
    /// For whom it signs; operators only.
    pub operator: Option<Address>,
    /// The home chain.
    pub home: HomeSettings,
    /// The chains that it reads.
    pub chains: Vec<ChainSettings>,
    /// How long a shutdown waits for tasks under way.
    pub drain: Duration,
    /// How long tasks are kept.
    pub retention: Retention,
    /// What others may have of this node.
    pub limits: Limits,
    /// The sections of services that are there, by their tables in the file: see [`Settings::section`].
    pub sections: BTreeMap<&'static str, Value>,
}

impl Settings {
    /// The section of a service; `None` where the file has none.
    #[must_use]
    pub fn section<S: declare::Section>(&self) -> Option<S> {
        section(&self.sections)
    }
}

fn section<S: declare::Section>(sections: &BTreeMap<&'static str, Value>) -> Option<S> {
    serde_json::from_value(sections.get(S::NAME)?.clone()).ok()
}

/// How a node is reached where others cannot dial it, and which peers it connects to.
#[derive(Clone, Debug, Default)]
pub struct Reach {
    /// When it keeps places at relays.
    pub relay: RelayUse,
    /// Whether it asks the router to forward its ports.
    pub upnp: bool,
    /// The only peers that it connects to, beside those in `bootstrap`; all where there are none.
    pub allowed_peers: Vec<PeerId>,
}

/// When a node keeps places at relays.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RelayUse {
    /// While others say that they cannot reach it.
    #[default]
    Auto,
    /// Always.
    On,
    /// Never.
    Off,
}

impl FromStr for RelayUse {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "auto" => Ok(Self::Auto),
            "on" => Ok(Self::On),
            "off" => Ok(Self::Off),
            _ => Err("no such word".into()),
        }
    }
}

/// How many epochs of tasks are kept behind the current one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention(Option<u32>);

impl Retention {
    /// Everything is kept.
    pub const ALL: Self = Self(None);
    /// The fewest epochs: the previous one may still finish its tasks, and the one before it is what
    /// a node that comes back from an outage over a turn asks for.
    pub const LEAST: u32 = 2;
    /// Unless set otherwise: seven weeks where an epoch takes six days.
    pub const USUAL_EPOCHS: u32 = 8;
    /// As many.
    pub const USUAL: Self = Self(Some(Self::USUAL_EPOCHS));

    /// As many epochs; `None` where they are fewer than [`Self::LEAST`].
    #[must_use]
    pub const fn epochs(count: u32) -> Option<Self> {
        if count < Self::LEAST {
            return None;
        }
        Some(Self(Some(count)))
    }

    /// The first epoch whose tasks are kept while `current` is the current one.
    #[must_use]
    pub const fn floor(self, current: Epoch) -> Epoch {
        match self.0 {
            Some(count) => Epoch(current.0.saturating_sub(count)),
            None => Epoch(0),
        }
    }
}

impl Default for Retention {
    fn default() -> Self {
        Self::USUAL
    }
}

impl FromStr for Retention {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if matches!(text, "all" | "0") {
            return Ok(Self::ALL);
        }
        let count = text.parse().map_err(|_| "not a number".to_owned())?;
        let least = Self::LEAST;
        Self::epochs(count).ok_or_else(|| format!("fewer than {least}"))
    }
}

/// What others may have of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Connections of one range of addresses, an IPv4 /24 or an IPv6 /48.
    pub range_connections: u32,
    /// Whether loopback, private and link-local addresses are limited by range, too.
    pub limit_local_ranges: bool,
    /// What all operators together may publish.
    pub mesh: Totals,
    /// What users may ask.
    pub requests: RequestLimits,
    /// How long a request stream may be silent before it is closed.
    pub stream_idle: Duration,
}

/// What users may ask of an operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestLimits {
    /// Requests per second of one user, a peer id; twice as many at once. A question of a time counts as
    /// four.
    pub user_per_second: u32,
    /// Requests of one user under way.
    pub user_under_way: u32,
    /// Requests per second of one range of addresses; twice as many at once.
    pub range_per_second: u32,
    /// Requests of one range under way.
    pub range_under_way: u32,
    /// Tasks that one range of addresses may begin in a day (UTC). Each is a row of some 300 bytes in every
    /// operator's signing log.
    pub range_tasks_per_day: u32,
}

impl Default for RequestLimits {
    /// A range of addresses gets what an operator can spare for unknown peers that pay nothing. A user, on a
    /// network whose ranges are exempt, about what one operator of some can announce.
    fn default() -> Self {
        Self {
            user_per_second: 500,
            user_under_way: 256,
            range_per_second: 50,
            range_under_way: 128,
            range_tasks_per_day: 100_000,
        }
    }
}

impl Default for Limits {
    /// For the open internet; local networks are exempt.
    fn default() -> Self {
        Self {
            range_connections: 64,
            limit_local_ranges: false,
            mesh: Totals::default(),
            requests: RequestLimits::default(),
            stream_idle: Duration::from_secs(600),
        }
    }
}

impl Limits {
    pub(crate) const fn ranges(&self) -> RangeLimits {
        RangeLimits {
            connections: self.range_connections as usize,
            limited: if self.limit_local_ranges {
                Limited::All
            } else {
                Limited::Global
            },
        }
    }
}

/// The home chain and its contracts.
#[derive(Clone, Debug)]
pub struct HomeSettings {
    /// The chain and its providers.
    pub chain: ChainConfig,
    /// The stake registry.
    pub registry: Address,
    /// The epoch manager.
    pub epoch_manager: Address,
}

/// A chain that is read.
#[derive(Clone, Debug)]
pub struct ChainSettings {
    /// The chain and its providers.
    pub chain: ChainConfig,
    /// Its state manager, whose values are attested; where there is none, bridges are all that is read there.
    pub state_manager: Option<Address>,
}
