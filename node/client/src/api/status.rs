//! How a node is and how it fares: `/health`, `/ready`, `/live`, `/status`, `/sync`.

use serde::{Deserialize, Serialize};

/// `GET /health`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Health {
    /// Whether the node does its job now. The HTTP status is 503 where it does not.
    pub ok: bool,
    /// What is wrong; empty where nothing is.
    pub problems: Vec<String>,
}

/// `GET /ready`: whether the node can do its part now. The HTTP status is 503 where it cannot.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ready {
    /// Whether it signs what it is asked.
    pub ready: bool,
    /// Why not; empty where it is ready.
    pub reasons: Vec<NotReady>,
    /// What it cannot sign although it is ready: chains that it cannot read just now, facts that are
    /// older than its key and its signing log.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub degraded: Vec<NotReady>,
}

/// One reason in [`Ready`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NotReady {
    /// For machines: `draining`, `store`, `signing_log`, `signer`, `home_chain`, `no_operator_set`,
    /// `no_stake`, `other_key`, `peers` or `source_chain`.
    pub code: String,
    /// Which chain, for `source_chain`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chain_id: Option<u64>,
    /// For people: the cause and the cure.
    pub detail: String,
}

/// `GET /live`: the process runs and answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Live {
    /// Always true.
    pub live: bool,
}

/// `GET /status`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Status {
    /// Program version.
    pub version: String,
    /// `operator` or `registry`.
    pub role: String,
    /// Network id: home chain id and registry.
    pub network: String,
    /// Libp2p peer id.
    pub peer_id: String,
    /// Multiaddrs that it listens on, with its peer id.
    pub listen: Vec<String>,
    /// Seconds since the start.
    pub uptime_s: u64,
    /// The operator for whom it signs.
    pub operator: Option<String>,
    /// Its signing key.
    pub signing_key: Option<String>,
    /// Its weight in the current epoch.
    pub weight: Option<String>,
    /// Current epoch, once its set is known.
    pub epoch: Option<u32>,
    /// Members of the current set.
    pub operators: usize,
    /// Weight of the current set.
    pub total_weight: Option<String>,
    /// Threshold of the current epoch.
    pub threshold: Option<String>,
    /// Peers that are connected.
    pub peers: usize,
    /// Tasks under way.
    pub open_tasks: usize,
    /// Tasks that others hold and this node lacks, as far as was compared.
    #[serde(default)]
    pub behind: u64,
    /// The home chain first, then the chains that it reads.
    pub chains: Vec<ChainStatus>,
    /// What is wrong; empty where nothing is.
    pub problems: Vec<String>,
    /// Whether it can sign now.
    #[serde(default)]
    pub ready: Ready,
    /// The machine on which it runs, and its clock.
    #[serde(default)]
    pub machine: Machine,
    /// An operator's registries, and how it stands with them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub registries: Vec<RegistryLine>,
    /// Whether others reach this node from outside.
    #[serde(default)]
    pub reachability: Reachability,
}

/// Whether others reach a node, as they say themselves after they tried.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reachability {
    /// `public` where a peer reached it, `private` where no peer that tried did, else `unknown`.
    pub state: String,
    /// Where it was reached, the newest last; empty unless public.
    pub addresses: Vec<String>,
    /// Since when that is the state; `None` where it never was another one.
    pub since_ms: Option<u64>,
    /// When a peer last tried.
    pub checked_ms: Option<u64>,
}

/// `GET /sync`: how far this node is with catching up, and what it keeps.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SyncReport {
    /// Tasks that others hold and this node lacks, as far as was compared.
    pub behind: u64,
    /// Peers that are asked.
    pub peers: usize,
    /// Those of them with which everything was compared, and nothing was left to take over.
    pub agreed: usize,
    /// When that was last so of one more peer.
    pub compared_ms: Option<u64>,
    /// When something was last taken over.
    pub taken_ms: Option<u64>,
    /// Tasks taken over since the start.
    pub tasks: usize,
    /// Responses of tasks that were over.
    pub responses: usize,
    /// Responses of tasks that were under way: gossip had lost them.
    pub healed: usize,
    /// Certificates that this made.
    pub certificates: usize,
    /// Tasks of earlier epochs are pruned.
    pub floor: u32,
    /// Tasks pruned since the start.
    pub pruned: u64,
    /// What is held from the floor on, the newest 256 epochs, ascending.
    pub epochs: Vec<SyncEpoch>,
    /// Peers whose answers did not hold, the newest 32.
    pub lies: Vec<SyncLie>,
}

/// One epoch in [`SyncReport`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SyncEpoch {
    /// Its number.
    pub epoch: u32,
    /// Answered tasks.
    pub tasks: u32,
    /// Over these tasks and who answered them: the same at nodes that hold the same.
    pub fingerprint: String,
}

/// One answer that did not hold.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SyncLie {
    /// Who gave it.
    pub peer_id: String,
    /// What was wrong with it.
    pub reason: String,
    /// When.
    pub at_ms: u64,
}

/// How the machine and the process fare; part of [`Status`]. `None` for what is not known.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Machine {
    /// Resident memory, bytes.
    pub memory: Option<u64>,
    /// Open files and connections.
    pub open_files: Option<u64>,
    /// How many may be open.
    pub open_files_limit: Option<u64>,
    /// Free bytes for the data folder.
    pub disk_free: Option<u64>,
    /// Bytes of its file system.
    pub disk_total: Option<u64>,
    /// This node's clock minus the median of its peers', milliseconds.
    pub clock_offset_ms: Option<i64>,
    /// By how much that may be wrong.
    pub clock_uncertainty_ms: Option<u64>,
    /// How many peers were asked for their time.
    pub clock_peers: usize,
    /// When it last signed something since its start, Unix milliseconds.
    pub last_signature_ms: Option<u64>,
}

/// One registry in [`Status`].
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RegistryLine {
    /// Libp2p peer id.
    pub peer_id: String,
    /// Whether it took the join of this operator.
    pub joined: bool,
    /// Which status it says that the operator has.
    pub status: Option<String>,
    /// Hash over what it knows that is not on the chain.
    pub state_hash: Option<String>,
    /// Why the operator is not joined, or what is wrong with the registry.
    pub problem: Option<String>,
}

/// One chain in [`Status`].
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ChainStatus {
    /// EIP-155 id.
    pub chain_id: u64,
    /// `home` or `source`.
    pub kind: String,
    /// Newest final block; `None` while there is none.
    pub final_block: Option<u64>,
    /// Unix seconds of that block.
    pub final_timestamp: Option<u64>,
}
