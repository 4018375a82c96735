//! Settings of a running node as people write them.
//!
//! Every setting is defined once, as a field of [`RunOptions`]: its name is the flag, the
//! environment variable and the key in the file, its documentation is the help of all three. A
//! flag wins over the environment, that over the file, that over the default.

mod chain;
mod defaults;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing;
mod limits;
mod load;
mod mistakes;
mod places;
mod provider;
mod settings;
mod template;
mod text;

use std::path::PathBuf;

use clap::Args;
use quorate_node::settings::Role;
use serde::{Deserialize, Serialize};

pub(crate) use chain::{ChainOptions, FAMILY};
pub(crate) use defaults::with_defaults_in_help;
pub(crate) use load::{ConfigError, Problem, read_file};
pub(crate) use places::{expand_home, rpc_url};
pub(crate) use provider::ProviderOptions;
pub(crate) use template::template;
pub(crate) use text::{NumberOrWord, SecretUrl, address, has_quotes, redact, unix_seconds};

/// What `node` takes when it runs a node.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct RunArgs {
    /// Configuration file (TOML); `node config default` prints one.
    #[arg(long, value_name = "FILE", env = "QUORATE_CONFIG")]
    pub(crate) config: Option<PathBuf>,

    /// Sign although the signing log may lack what this key has signed before: if it signs a second
    /// fact for one question, its stake can be slashed. For one start; what is accepted is noted in
    /// the store. A flag only, so that it stays in no file.
    #[arg(long, help_heading = "Keys")]
    pub(crate) accept_double_signing_risk: bool,

    #[command(flatten)]
    pub(crate) options: RunOptions,
}

/// The settings of a node. All are optional here: each source gives some of them.
#[derive(Args, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RunOptions {
    /// What the node does: "operator" takes requests, reads chains and signs; "registry" follows
    /// the home chain, bootstraps the mesh and serves the operator list.
    #[arg(long, env = "QUORATE_ROLE", help_heading = "Node")]
    pub(crate) role: Option<Role>,

    /// Folder of the node's store. An operator that loses it has forgotten what it signed: keep
    /// it on a disk that stays.
    #[arg(
        long,
        value_name = "DIR",
        env = "QUORATE_DATA_DIR",
        help_heading = "Node"
    )]
    pub(crate) data_dir: Option<PathBuf>,

    /// Storage engine: "rocksdb", or "sled", which is pure Rust.
    #[arg(
        long,
        value_name = "NAME",
        env = "QUORATE_ENGINE",
        help_heading = "Node"
    )]
    pub(crate) engine: Option<String>,

    /// Address of the HTTP interface (/health /status /metrics /tasks …); "off" for none. It has
    /// no password: keep it on loopback or behind a proxy.
    #[arg(long, value_name = "ADDR", env = "QUORATE_HTTP", help_heading = "Node")]
    pub(crate) http: Option<String>,

    /// Names under which the HTTP interface is asked, beside addresses and "localhost", such as that of
    /// a container. Questions to any other name are refused: a page in a browser could have such a
    /// name point to this machine and read what is here.
    #[arg(
        long,
        value_name = "NAME",
        env = "QUORATE_HTTP_HOSTS",
        value_delimiter = ',',
        help_heading = "Node"
    )]
    pub(crate) http_hosts: Option<Vec<String>>,

    /// Milliseconds that a shutdown waits for tasks under way. A task lives 15 s at most.
    #[arg(
        long,
        value_name = "MS",
        env = "QUORATE_DRAIN_MS",
        help_heading = "Node"
    )]
    pub(crate) drain_ms: Option<u64>,

    /// Epochs whose tasks are kept behind the current one, at least 2; "all" keeps everything. Older
    /// ones are removed; the signing log, operator sets and evidence never are.
    #[arg(
        long,
        value_name = "EPOCHS",
        env = "QUORATE_RETAIN_EPOCHS",
        help_heading = "Node"
    )]
    pub(crate) retain_epochs: Option<NumberOrWord>,

    /// Tasks that an operator may miss before this registry suspends it.
    #[arg(
        long,
        value_name = "TASKS",
        env = "QUORATE_SUSPEND_AFTER",
        help_heading = "Node"
    )]
    pub(crate) suspend_after: Option<u32>,

    /// When a suspension ends: "manual" for `node registry reinstate`, or "next-epoch", in which all
    /// misses are forgiven.
    #[arg(
        long,
        value_name = "WAY",
        env = "QUORATE_REINSTATEMENT",
        help_heading = "Node"
    )]
    pub(crate) reinstatement: Option<String>,

    /// What is logged: a level (error, warn, info, debug, trace), or levels per module as in
    /// "info,libp2p=warn".
    #[arg(
        long,
        value_name = "FILTER",
        env = "QUORATE_LOG",
        help_heading = "Node"
    )]
    pub(crate) log: Option<String>,

    /// Form of the log on standard error: "human" or "json".
    #[arg(
        long,
        value_name = "FORM",
        env = "QUORATE_LOG_FORMAT",
        help_heading = "Node"
    )]
    pub(crate) log_format: Option<String>,

    /// Address of the operator: the account that holds the stake and is registered. Operators only.
    #[arg(
        long,
        value_name = "ADDRESS",
        env = "QUORATE_OPERATOR",
        help_heading = "Keys"
    )]
    pub(crate) operator: Option<String>,

    /// Folder of the key files.
    #[arg(
        long,
        value_name = "DIR",
        env = "QUORATE_KEY_DIR",
        help_heading = "Keys"
    )]
    pub(crate) key_dir: Option<PathBuf>,

    /// Name or path of the signing key (keystore v3). Operators only. Instead of a file, the
    /// environment variable QUORATE_SIGNING_SECRET may hold the secret in hexadecimal.
    #[arg(
        long,
        value_name = "KEY",
        env = "QUORATE_SIGNING_KEY",
        help_heading = "Keys"
    )]
    pub(crate) signing_key: Option<String>,

    /// Name or path of the peer key. Never run two nodes with one peer key. Instead of a file, the
    /// environment variable QUORATE_PEER_SECRET may hold the secret in hexadecimal.
    #[arg(
        long,
        value_name = "KEY",
        env = "QUORATE_PEER_KEY",
        help_heading = "Keys"
    )]
    pub(crate) peer_key: Option<String>,

    /// File with the password of the keys. Without it the password is taken from the environment
    /// variable QUORATE_PASSWORD, or asked for on a terminal.
    #[arg(
        long,
        value_name = "FILE",
        env = "QUORATE_PASSWORD_FILE",
        help_heading = "Keys"
    )]
    pub(crate) password_file: Option<PathBuf>,

    /// Multiaddrs on which the node listens for peers and users.
    #[arg(
        long,
        value_name = "MULTIADDR",
        env = "QUORATE_LISTEN",
        value_delimiter = ',',
        help_heading = "Mesh"
    )]
    pub(crate) listen: Option<Vec<String>>,

    /// Multiaddrs under which others reach the node, where they differ from what it listens on
    /// (NAT, a load balancer).
    #[arg(
        long,
        value_name = "MULTIADDR",
        env = "QUORATE_EXTERNAL",
        value_delimiter = ',',
        help_heading = "Mesh"
    )]
    pub(crate) external: Option<Vec<String>>,

    /// Multiaddrs of peers to dial first, each ending in /p2p/<peer id>. The first node of a
    /// network has none.
    #[arg(
        long,
        value_name = "MULTIADDR",
        env = "QUORATE_BOOTSTRAP",
        value_delimiter = ',',
        help_heading = "Mesh"
    )]
    pub(crate) bootstrap: Option<Vec<String>>,

    /// How others reach a node that they cannot dial, as behind NAT: "auto" keeps places at registries
    /// from `bootstrap` while others say that they cannot reach it, "on" always, "off" never.
    #[arg(
        long,
        value_name = "WHEN",
        env = "QUORATE_RELAY",
        help_heading = "Mesh"
    )]
    pub(crate) relay: Option<String>,

    /// Whether the node asks the router to forward its ports to it (UPnP).
    #[arg(long, value_name = "BOOL", env = "QUORATE_UPNP", help_heading = "Mesh")]
    pub(crate) upnp: Option<bool>,

    /// Peer ids of the only peers that may be connected, beside those of `bootstrap`; all where none is
    /// named. For closed networks: users' commands have a new peer id each time.
    #[arg(
        long,
        value_name = "PEER_ID",
        env = "QUORATE_ALLOWED_PEERS",
        value_delimiter = ',',
        help_heading = "Mesh"
    )]
    pub(crate) allowed_peers: Option<Vec<String>>,

    /// Connections that one range of addresses (an IPv4 /24, an IPv6 /48) may hold open here.
    #[arg(
        long,
        value_name = "COUNT",
        env = "QUORATE_RANGE_CONNECTIONS",
        help_heading = "Limits"
    )]
    pub(crate) range_connections: Option<u32>,

    /// Whether limits per range hold for loopback, private and link-local addresses, too. They do not
    /// by default, so that local networks work.
    #[arg(
        long,
        value_name = "BOOL",
        env = "QUORATE_LIMIT_LOCAL_RANGES",
        help_heading = "Limits"
    )]
    pub(crate) limit_local_ranges: Option<bool>,

    /// Messages per second that all operators together may publish. Each has a share: half of it by
    /// stake, half of it by head. What is more is ignored.
    #[arg(
        long,
        value_name = "COUNT",
        env = "QUORATE_MESH_MESSAGES_PER_SECOND",
        help_heading = "Limits"
    )]
    pub(crate) mesh_messages_per_second: Option<u32>,

    /// The same for entries of messages: announcements, responses, and signatures of results.
    #[arg(
        long,
        value_name = "COUNT",
        env = "QUORATE_MESH_ENTRIES_PER_SECOND",
        help_heading = "Limits"
    )]
    pub(crate) mesh_entries_per_second: Option<u32>,

    /// The same for announcements of tasks. This operator keeps to its own share, too: users get
    /// OVERLOADED for what is more.
    #[arg(
        long,
        value_name = "COUNT",
        env = "QUORATE_MESH_TASKS_PER_SECOND",
        help_heading = "Limits"
    )]
    pub(crate) mesh_tasks_per_second: Option<u32>,

    /// Requests per second of one user (a peer id); twice as many at once. More get OVERLOADED.
    #[arg(
        long,
        value_name = "COUNT",
        env = "QUORATE_USER_REQUESTS_PER_SECOND",
        help_heading = "Limits"
    )]
    pub(crate) user_requests_per_second: Option<u32>,

    /// Requests of one user that may be under way.
    #[arg(
        long,
        value_name = "COUNT",
        env = "QUORATE_USER_REQUESTS",
        help_heading = "Limits"
    )]
    pub(crate) user_requests: Option<u32>,

    /// Requests per second of all users of one range of addresses; twice as many at once.
    #[arg(
        long,
        value_name = "COUNT",
        env = "QUORATE_RANGE_REQUESTS_PER_SECOND",
        help_heading = "Limits"
    )]
    pub(crate) range_requests_per_second: Option<u32>,

    /// Tasks per day (UTC) that all users of one range of addresses may begin: each is a row in every
    /// operator's signing log.
    #[arg(
        long,
        value_name = "COUNT",
        env = "QUORATE_RANGE_TASKS_PER_DAY",
        help_heading = "Limits"
    )]
    pub(crate) range_tasks_per_day: Option<u32>,

    /// Requests of all users of one range of addresses that may be under way.
    #[arg(
        long,
        value_name = "COUNT",
        env = "QUORATE_RANGE_REQUESTS",
        help_heading = "Limits"
    )]
    pub(crate) range_requests: Option<u32>,

    /// Milliseconds after which a request stream is closed on which nothing is asked or answered.
    #[arg(
        long,
        value_name = "MS",
        env = "QUORATE_STREAM_IDLE_MS",
        help_heading = "Limits"
    )]
    pub(crate) stream_idle_ms: Option<u64>,

    /// EIP-155 id of the home chain, which holds the stake registry and the epoch manager. Required.
    #[arg(
        long,
        value_name = "ID",
        env = "QUORATE_HOME_CHAIN_ID",
        help_heading = "Home chain"
    )]
    pub(crate) home_chain_id: Option<u64>,

    /// JSON-RPC URLs of the home chain. Required. Use several of different providers: what a
    /// majority says alike is believed, and one that is down counts as a "no". Who runs a provider
    /// and which program it is may stand behind it: 'https://host/key#by=acme&client=geth', or in
    /// the file { url = "https://host/key", by = "acme", client = "geth" }.
    #[arg(
        long,
        value_name = "URL",
        env = "QUORATE_HOME_RPC",
        hide_env_values = true,
        value_delimiter = ',',
        help_heading = "Home chain"
    )]
    pub(crate) home_rpc: Option<Vec<ProviderOptions>>,

    /// How many of the home chain's RPC URLs must give the same answer; more than half of them
    /// unless set, and never fewer.
    #[arg(
        long,
        value_name = "K",
        env = "QUORATE_HOME_RPC_QUORUM",
        help_heading = "Home chain"
    )]
    pub(crate) home_rpc_quorum: Option<usize>,

    /// By how many different ones the home chain's providers that agree must be run: those with the
    /// same "by" (the host, unless set) are one voice. 2 unless set, where there are 2.
    #[arg(
        long,
        value_name = "COUNT",
        env = "QUORATE_HOME_RPC_MIN_RUNNERS",
        help_heading = "Home chain"
    )]
    pub(crate) home_rpc_min_runners: Option<usize>,

    /// Address of the stake registry. Required.
    #[arg(
        long,
        value_name = "ADDRESS",
        env = "QUORATE_REGISTRY",
        help_heading = "Home chain"
    )]
    pub(crate) registry: Option<String>,

    /// Address of the epoch manager. Required.
    #[arg(
        long,
        value_name = "ADDRESS",
        env = "QUORATE_EPOCH_MANAGER",
        help_heading = "Home chain"
    )]
    pub(crate) epoch_manager: Option<String>,

    /// When a block of the home chain is final: "finalized" for the chain's own rule, or a number
    /// of confirmations.
    #[arg(
        long,
        value_name = "RULE",
        env = "QUORATE_HOME_FINALITY",
        help_heading = "Home chain"
    )]
    pub(crate) home_finality: Option<NumberOrWord>,

    /// Milliseconds between two looks for a new head of the home chain.
    #[arg(
        long,
        value_name = "MS",
        env = "QUORATE_HOME_POLL_MS",
        help_heading = "Home chain"
    )]
    pub(crate) home_poll_ms: Option<u64>,

    /// A chain whose stored values this operator attests; give it once per chain, as in
    /// 'id=31338,rpc=http://a,rpc=http://b,state-manager=0x…,finality=12'. In the environment,
    /// chains are separated by ';'. In the file each is a [[chains]] table. Operators only.
    #[arg(
        long = "chain",
        value_name = "SPEC",
        env = "QUORATE_CHAINS",
        hide_env_values = true,
        value_delimiter = ';',
        help_heading = "Chains"
    )]
    pub(crate) chains: Option<Vec<ChainOptions>>,
}

#[cfg(test)]
mod tests;
