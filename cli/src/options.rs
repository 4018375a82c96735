//! Settings of a running node as people write them.
//!
//! Every setting is declared once, in [`RunOptions`]: its name is the flag, the environment variable and the
//! key in the file; its documentation is the help of all three, and the manual's. A flag wins over the
//! environment, that over the file, that over the default.

mod chain;
mod declared;
pub(crate) mod deployed;
mod flags;
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
use quorate_node::settings::declare::Section;
use quorate_node::settings::{Limits, RequestLimits, Retention, Role};
use quorate_proto::limits as proto_limits;
use serde_json::json;

pub(crate) use chain::{ChainOptions, FAMILY};
use declared::example_urls;
pub(crate) use load::{ConfigError, Problem, read_file};
pub(crate) use places::{expand_home, rpc_url};
pub(crate) use provider::ProviderOptions;
pub(crate) use template::template;
pub(crate) use text::{NumberOrWord, SecretUrl, address, has_quotes, redact, unix_seconds};

/// The least time that covers a task's whole life, and lies above it by nothing: after that a client has gone.
const DRAIN_MS: u64 = 15_000;
/// Between two looks for a new head.
const POLL_MS: u64 = 1_000;

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

quorate_node::settings! {
    /// The settings of a node. All are optional here: each source gives some of them.
    pub(crate) struct RunOptions {
        group "Node" {
            /// What the node does: "operator" takes requests, reads chains and signs; "registry" follows
            /// the home chain, bootstraps the mesh and serves the operator list; "relayer" carries what was certified
            /// to other chains.
            role: Option<Role> { value: "ROLE", default: |role| json!(role), required: true }

            /// Folder of the node's store. An operator that loses it has forgotten what it signed: keep
            /// it on a disk that stays.
            data_dir: Option<PathBuf> {
                value: "DIR",
                default: |role| format!("~/.quorate/{role}").into(),
            }

            /// Storage engine: "rocksdb", or "sled", which is pure Rust. Fixed once the store exists.
            engine: Option<String> { value: "NAME", default: |_| "rocksdb".into() }

            /// Address of the HTTP interface (/health /status /metrics /tasks …); "off" for none. It has
            /// no password: keep it on loopback or behind a proxy.
            http: Option<String> {
                value: "ADDR",
                default: |_| "127.0.0.1:9080".into(),
                see: "HTTP",
            }

            /// Names under which the HTTP interface is asked, beside addresses and "localhost", such as that of
            /// a container. Questions to any other name are refused: a page in a browser could have such a
            /// name point to this machine and read what is here.
            http_hosts: Option<Vec<String>> {
                value: "NAME",
                example: || json!(["node.example.org"]),
                reload: true,
            }

            /// Milliseconds that a shutdown waits for tasks under way. A task lives 15 s at most.
            drain_ms: Option<u64> { value: "MS", default: |_| DRAIN_MS.into(), reload: true }

            /// Epochs whose tasks are kept behind the current one, at least 2; "all" keeps everything. Older
            /// ones are removed; the signing log, operator sets and evidence never are.
            retain_epochs: Option<NumberOrWord> {
                value: "EPOCHS",
                default: |_| Retention::USUAL_EPOCHS.into(),
                reload: true,
                see: "Disk",
            }

            /// Tasks that an operator may miss before this registry suspends it.
            suspend_after: Option<u32> {
                value: "TASKS",
                default: |_| proto_limits::MAX_MISSES.into(),
                roles: &[Role::Registry],
                reload: true,
            }

            /// When a suspension ends: "manual" for `node registry reinstate`, or "next-epoch", in which all
            /// misses are forgiven.
            reinstatement: Option<String> {
                value: "WAY",
                default: |_| "manual".into(),
                roles: &[Role::Registry],
                reload: true,
            }

            /// What is logged: a level (error, warn, info, debug, trace), or levels per module as in
            /// "info,libp2p=warn".
            log: Option<String> { value: "FILTER", default: |_| "info".into(), reload: true }

            /// Form of the log on standard error: "human" or "json".
            log_format: Option<String> { value: "FORM", default: |_| "human".into() }
        }
        group "Keys" {
            /// Address of the operator: the account that holds the stake and is registered.
            operator: Option<String> {
                value: "ADDRESS",
                example: || json!("0x1111111111111111111111111111111111111111"),
                roles: &[Role::Operator],
                required: true,
            }

            /// Folder of the key files.
            key_dir: Option<PathBuf> { value: "DIR", default: |_| "~/.quorate/keys".into() }

            /// Name or path of the signing key (keystore v3). Instead of a file, the
            /// environment variable QUORATE_SIGNING_SECRET may hold the secret in hexadecimal.
            signing_key: Option<String> {
                value: "KEY",
                default: |_| "default".into(),
                roles: &[Role::Operator, Role::Relayer],
            }

            /// Name or path of the Ed25519 key that pays on SVM chains. Instead of a file, the environment variable
            /// QUORATE_ED25519_SECRET may hold the secret in hexadecimal, or as the JSON array of SVM wallets.
            svm_key: Option<String> {
                value: "KEY",
                default: |_| "default".into(),
                roles: &[Role::Relayer],
            }

            /// Name or path of the peer key. Never run two nodes with one peer key. Instead of a file, the
            /// environment variable QUORATE_PEER_SECRET may hold the secret in hexadecimal.
            peer_key: Option<String> { value: "KEY", default: |_| "default".into() }

            /// File with the password of the keys. Without it the password is taken from the environment
            /// variable QUORATE_PASSWORD, or asked for on a terminal.
            password_file: Option<PathBuf> {
                value: "FILE",
                example: || json!("~/.quorate/password"),
            }
        }
        group "Mesh" {
            /// Multiaddrs on which the node listens for peers and users.
            listen: Option<Vec<String>> {
                value: "MULTIADDR",
                default: |_| json!(["/ip4/0.0.0.0/tcp/9000", "/ip4/0.0.0.0/udp/9000/quic-v1"]),
            }

            /// Multiaddrs under which others reach the node, where they differ from what it listens on
            /// (NAT, a load balancer).
            external: Option<Vec<String>> {
                value: "MULTIADDR",
                example: || json!(["/dns4/node.example.org/tcp/9000"]),
            }

            /// Multiaddrs of peers to dial first, each ending in /p2p/<peer id>. The first node of a
            /// network has none.
            bootstrap: Option<Vec<String>> {
                value: "MULTIADDR",
                example: || json!(["/dns4/boot.example.org/tcp/9000/p2p/12D3KooW…"]),
            }

            /// How others reach a node that they cannot dial, as behind NAT: "auto" keeps places at registries
            /// from `bootstrap` while others say that they cannot reach it, "on" always, "off" never.
            relay: Option<String> { value: "WHEN", default: |_| "auto".into(), see: "Behind NAT" }

            /// Whether the node asks the router to forward its ports to it (UPnP).
            upnp: Option<bool> { value: "BOOL", default: |_| false.into() }

            /// Peer ids of the only peers that may be connected, beside those of `bootstrap`; all where none is
            /// named. For closed networks: users' commands have a new peer id each time.
            allowed_peers: Option<Vec<String>> {
                value: "PEER_ID",
                example: || json!(["12D3KooW…"]),
                reload: true,
                see: "Closed networks",
            }
        }
        group "Limits" {
            /// Connections that one range of addresses (an IPv4 /24, an IPv6 /48) may hold open here.
            range_connections: Option<u32> {
                value: "COUNT",
                default: |_| Limits::default().range_connections.into(),
                reload: true,
            }

            /// Whether limits per range hold for loopback, private and link-local addresses, too. They do not
            /// by default, so that local networks work.
            limit_local_ranges: Option<bool> {
                value: "BOOL",
                default: |_| Limits::default().limit_local_ranges.into(),
                reload: true,
            }

            /// Messages per second that all operators together may publish. Each has a share: half of it by
            /// stake, half of it by head. What is more is ignored.
            mesh_messages_per_second: Option<u32> {
                value: "COUNT",
                default: |_| Limits::default().mesh.messages.into(),
            }

            /// The same for entries of messages: announcements, responses, and signatures of results.
            mesh_entries_per_second: Option<u32> {
                value: "COUNT",
                default: |_| Limits::default().mesh.entries.into(),
            }

            /// The same for announcements of tasks. This operator keeps to its own share, too: users get
            /// OVERLOADED for what is more.
            mesh_tasks_per_second: Option<u32> {
                value: "COUNT",
                default: |_| Limits::default().mesh.tasks.into(),
            }

            /// Requests per second of one user (a peer id); twice as many at once. A question of a time counts as
            /// four. More get OVERLOADED.
            user_requests_per_second: Option<u32> {
                value: "COUNT",
                default: |_| RequestLimits::default().user_per_second.into(),
                reload: true,
            }

            /// Requests of one user that may be under way.
            user_requests: Option<u32> {
                value: "COUNT",
                default: |_| RequestLimits::default().user_under_way.into(),
                reload: true,
            }

            /// Requests per second of all users of one range of addresses; twice as many at once.
            range_requests_per_second: Option<u32> {
                value: "COUNT",
                default: |_| RequestLimits::default().range_per_second.into(),
                reload: true,
            }

            /// Tasks per day (UTC) that all users of one range of addresses may begin: each is a row in every
            /// operator's signing log.
            range_tasks_per_day: Option<u32> {
                value: "COUNT",
                default: |_| RequestLimits::default().range_tasks_per_day.into(),
                reload: true,
            }

            /// Requests of all users of one range of addresses that may be under way. Raise these for users that
            /// you know.
            range_requests: Option<u32> {
                value: "COUNT",
                default: |_| RequestLimits::default().range_under_way.into(),
                reload: true,
            }

            /// Milliseconds after which a request stream is closed on which nothing is asked or answered.
            stream_idle_ms: Option<u64> {
                value: "MS",
                default: |_| json!(Limits::default().stream_idle.as_millis()),
                reload: true,
            }
        }
        group "Home chain" {
            /// EIP-155 id of the home chain, which holds the stake registry and the epoch manager.
            home_chain_id: Option<u64> { value: "ID", example: || json!(1), required: true }

            /// JSON-RPC URLs of the home chain. Use several of different providers: what a
            /// majority says alike is believed, and one that is down counts as a "no". Who runs a provider
            /// and which program it is may stand behind it: 'https://host/key#by=acme&client=geth', or in
            /// the file { url = "https://host/key", by = "acme", client = "geth" }.
            home_rpc: Option<Vec<ProviderOptions>> {
                value: "URL",
                example: example_urls,
                required: true,
                see: "RPC providers",
            }

            /// How many of the home chain's RPC URLs must give the same answer; more than half of them
            /// unless set, and never fewer.
            home_rpc_quorum: Option<usize> { value: "K", example: || json!(2) }

            /// By how many different ones the home chain's providers that agree must be run: those with the
            /// same "by" (the host, unless set) are one voice. 2 unless set, where there are 2.
            home_rpc_min_runners: Option<usize> { value: "COUNT", example: || json!(2) }

            /// Address of the stake registry.
            registry: Option<String> {
                value: "ADDRESS",
                example: || json!("0x2222222222222222222222222222222222222222"),
                required: true,
            }

            /// Address of the epoch manager.
            epoch_manager: Option<String> {
                value: "ADDRESS",
                example: || json!("0x3333333333333333333333333333333333333333"),
                required: true,
            }

            /// When a block of the home chain is final: "finalized" for the chain's own rule, or a number
            /// of confirmations.
            home_finality: Option<NumberOrWord> {
                value: "RULE",
                default: |_| "finalized".into(),
                see: "Finality",
            }

            /// Milliseconds between two looks for a new head of the home chain.
            home_poll_ms: Option<u64> { value: "MS", default: |_| POLL_MS.into() }
        }
        group "Chains" {
            /// A chain whose stored values this operator attests; give it once per chain, as in
            /// 'id=31338,rpc=http://a,rpc=http://b,state-manager=0x…,finality=12'. In the environment,
            /// chains are separated by ';'. In the file each is a [[chains]] table.
            chains: Option<Vec<ChainOptions>> {
                value: "SPEC",
                long: "chain",
                delimiter: Some(';'),
                roles: &[Role::Operator, Role::Relayer],
                required: true,
            }
        }
    }
    // Of services: the table in the file, and the type that declares it. One line each.
    sections {
        bridge: quorate_node::BridgeSection,
        #[cfg(test)]
        example: tests::ExampleSection,
    }
}

impl Section for RunOptions {
    const NAME: &'static str = "";
}

#[cfg(test)]
mod tests;
