//! What the HTTP interface says, as JSON; the command line reads the same types.
//!
//! Hashes and addresses are 0x-prefixed hexadecimal, weights and values decimal strings, times
//! Unix milliseconds.

mod epoch;
mod timeline;

use std::collections::BTreeMap;

use quorate_proto::{Statement, StatementJson};
use serde::{Deserialize, Serialize};

pub use epoch::{EpochBlocks, EpochReport, EpochTasks, HandedOverBy};
pub use timeline::{EventKind, LiveLine, RefusedLine, Timeline, TimelineEvent};

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

/// `GET /tasks/{id}`: all that this node knows of a task.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct TaskReport {
    /// Task id.
    pub task_id: String,
    /// `pending`, `completed`, `expired` or `failed`.
    pub status: String,
    /// Why it ended without certificate.
    pub failure: Option<String>,
    /// The statement.
    pub statement: StatementReport,
    /// When this node first saw it.
    pub created_ms: u64,
    /// When it ended here.
    pub ended_ms: Option<u64>,
    /// Whether a user asked this node.
    pub entry: bool,
    /// Who announced it.
    pub announced_by: Option<String>,
    /// Announcements so far.
    pub attempts: u32,
    /// How long this node's own read took.
    pub read_ms: Option<f64>,
    /// Hash of the block at which this node read.
    pub read_at_block: Option<String>,
    /// Number of that block.
    #[serde(default)]
    pub read_at_number: Option<u64>,
    /// `proof` or `vote`: how this node knows what it read.
    #[serde(default)]
    pub read_basis: Option<String>,
    /// What the providers said in that read, in the order in which it was heard.
    #[serde(default)]
    pub providers: Vec<SaidByProvider>,
    /// From the start until the threshold was reached here.
    pub certified_ms: Option<f64>,
    /// Weight that signed.
    pub signed_weight: String,
    /// Weight that refused.
    pub refused_weight: String,
    /// Weight needed.
    pub threshold: Option<String>,
    /// Weight of the set.
    pub total_weight: Option<String>,
    /// Weight that is missing to the threshold; zero once certified.
    pub missing_weight: Option<String>,
    /// Every operator of the set, ascending, and what came from it.
    pub operators: Vec<OperatorReport>,
    /// Operators in the certificate.
    pub certificate_signers: Vec<String>,
}

/// The statement of a task.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StatementReport {
    /// Its fields; `kind` says which.
    #[serde(flatten)]
    pub statement: StatementJson,
    /// EIP-712 digest.
    pub digest: String,
}

impl StatementReport {
    /// The statement that it is about.
    #[must_use]
    pub fn statement(&self) -> Statement {
        (&self.statement).into()
    }
}

/// One operator's part in a task.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct OperatorReport {
    /// Address.
    pub operator: String,
    /// Weight in the task's epoch; `None` where this node has lost that epoch's set.
    pub weight: Option<String>,
    /// `signed`, `refused` or `missing`.
    pub outcome: String,
    /// Reason of a refusal, for machines.
    pub code: Option<String>,
    /// Reason of a refusal, for people.
    pub detail: Option<String>,
    /// After the task's start here.
    pub after_ms: Option<f64>,
    /// It came after the threshold had been reached.
    pub late: bool,
    /// When this node first heard anything of the operator about the task.
    #[serde(default)]
    pub seen_ms: Option<f64>,
    /// `proof` or `vote`: how it says that it knows what it read.
    #[serde(default)]
    pub read_basis: Option<String>,
}

/// What one provider said to one question of a read.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SaidByProvider {
    /// Its name, without path and query of its URL.
    pub provider: String,
    /// `header`, `value` or `proof`.
    pub question: String,
    /// In a few words: `good`, `a false proof`, `timed out` …
    pub answer: String,
    /// More about that.
    pub detail: Option<String>,
    /// Until the answer, or until the node waited no more.
    pub ms: f64,
}

/// One line of `GET /tasks`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct TaskLine {
    /// Task id.
    pub task_id: String,
    /// `pending`, `completed`, `expired` or `failed`.
    pub status: String,
    /// When this node first saw it.
    pub created_ms: u64,
    /// From the start until the threshold was reached here.
    pub certified_ms: Option<f64>,
    /// `state_proof` or `epoch_update`.
    pub kind: String,
    /// Chain that was read, for a state proof.
    pub chain_id: Option<u32>,
    /// Block asked about, for a state proof.
    pub block_number: Option<u64>,
    /// The epoch that is handed over to, for an epoch update.
    pub next_epoch: Option<u32>,
    /// Birth epoch.
    pub epoch: u32,
}

/// `GET /operators`: the set of the current epoch.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Operators {
    /// Epoch of the set.
    pub epoch: u32,
    /// Weight of all.
    pub total_weight: String,
    /// Threshold.
    pub threshold: String,
    /// When the set was fixed: Unix seconds of the first block of the grace period before its epoch.
    pub fixed_at: u64,
    /// Ascending by address.
    pub operators: Vec<OperatorLine>,
    /// At a registry: every operator that ever registered, ascending by address.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub members: Vec<MemberLine>,
}

/// One operator's place in the network, as a registry sees it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct MemberLine {
    /// Address.
    pub operator: String,
    /// `waitingJoin`, `waitingActive`, `active`, `unactive` or `suspended`.
    pub status: String,
    /// Why, for people.
    pub cause: String,
    /// Since when.
    pub since_ms: u64,
    /// From this epoch on it is registered.
    pub active_epoch: Option<u32>,
    /// From this epoch on it is not registered any more.
    pub exit_epoch: Option<u32>,
    /// Weight in the current epoch.
    pub weight: Option<String>,
    /// The peer that joined for it.
    pub peer_id: Option<String>,
    /// Missed tasks that count.
    pub misses: u32,
    /// Signatures within the window on statements that were certified.
    pub successful_responses: u64,
    /// When it last answered a probe of this registry.
    pub last_seen_ms: Option<u64>,
    /// How long that took.
    pub latency_ms: Option<f64>,
}

/// `GET /events`: what became of operators, newest first.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Events {
    /// Descending by number.
    pub events: Vec<EventLine>,
    /// Ask for `?before=` this for older ones; `None` where there are none.
    pub before: Option<u64>,
}

/// One change of an operator's status.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct EventLine {
    /// Its number at this registry.
    pub sequence: u64,
    /// Whose status changed.
    pub operator: String,
    /// `None` where it was not known before.
    pub from: Option<String>,
    /// What it became.
    pub to: String,
    /// Why, for people.
    pub cause: String,
    /// Who reinstated it, or the task that it missed last.
    pub note: String,
    /// When, on this registry's clock.
    pub at_ms: u64,
    /// The newest final block of the home chain at that time.
    pub block: u64,
}

/// `GET /evidence`: proofs that operators signed two facts for one slot.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct EvidencePage {
    /// Ascending by id.
    pub evidence: Vec<EvidenceReport>,
    /// Ask for `?after=` this for more; `None` where there is no more.
    pub after: Option<String>,
}

/// `GET /evidence/{id}`: two facts that an operator signed for one slot. All that a verifier needs but
/// the operator sets of the two epochs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EvidenceReport {
    /// keccak256(slot ‖ operator).
    pub id: String,
    /// Network id: home chain id and registry.
    pub network: String,
    /// Who signed both.
    pub operator: String,
    /// What both are about.
    pub slot: String,
    /// The one with the lower fact.
    pub first: SignedReport,
    /// The other one.
    pub second: SignedReport,
    /// When this node found it or heard of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub found_ms: Option<u64>,
    /// The operator that published it; `None` where this node found it itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub heard_from: Option<String>,
}

/// One attestation in [`EvidenceReport`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignedReport {
    /// The epoch whose set signed.
    pub epoch: u32,
    /// The truth about the slot, as it was signed.
    pub fact: String,
    /// r ‖ s ‖ v over the attestation's digest.
    pub signature: String,
    /// The statement that has this epoch, slot and fact, where it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub statement: Option<StatementReport>,
}

/// One operator of the set.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct OperatorLine {
    /// Address.
    pub operator: String,
    /// Signing key.
    pub signing_key: String,
    /// Weight.
    pub weight: String,
    /// Peer that speaks for it, once heard.
    pub peer_id: Option<String>,
    /// What became of what it published, at the node that was asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub published: Option<Published>,
}

/// What became of an operator's messages at one node, since its start.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Published {
    /// Messages that were worked on.
    pub accepted: u64,
    /// Messages that were ignored: more than its share, or while it is not listened to.
    pub ignored: u64,
    /// Messages with its signature that no honest operator signs.
    pub faults: u64,
    /// Until when it is not listened to.
    pub muted_until_ms: Option<u64>,
}

/// One line of `GET /peers`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PeerLine {
    /// Peer id.
    pub peer_id: String,
    /// Operator that it speaks for.
    pub operator: Option<String>,
    /// Address of the connection.
    pub addresses: Vec<String>,
    /// Gossipsub score.
    pub score: f64,
    /// Its version of this program, as it says itself; `None` for other programs.
    #[serde(default)]
    pub version: Option<String>,
}

/// `GET /providers`: one chain, the home chain first.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ChainProviders {
    /// EIP-155 id.
    pub chain_id: u64,
    /// `home` or `source`.
    pub kind: String,
    /// Providers that must say the same.
    pub required: usize,
    /// By how many different ones those must be run.
    pub min_runners: usize,
    /// Providers that are configured; this never shrinks.
    pub configured: usize,
    /// Providers that are well now.
    pub ok: usize,
    /// How many of these may yet fail before nothing can be certified; `None` where that is so
    /// already.
    pub spare: Option<usize>,
    /// Why nothing can be certified there, as in `/health`; `None` while all is well.
    #[serde(default)]
    pub problem: Option<String>,
    /// In the order of the configuration.
    pub providers: Vec<ProviderLine>,
}

/// One provider of a chain. URLs are shown without path and query.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ProviderLine {
    /// Scheme, host and port, with a number where several have the same.
    pub provider: String,
    /// Who runs it: as configured, or the host.
    pub by: String,
    /// Which program it is, where that was configured.
    pub client: Option<String>,
    /// `ok`, `unknown`, `lagging`, `syncing`, `failing`, `hanging`, `rate_limited`, `wrong_chain`,
    /// `unfit` or `contradicts`.
    pub standing: String,
    /// Since when.
    pub since_ms: u64,
    /// Why it does not count, or what was odd about it last.
    pub problem: Option<String>,
    /// The last thing that went wrong, whether it still is or not.
    pub last_error: Option<String>,
    /// When that was.
    pub last_error_ms: Option<u64>,
    /// Newest height that it reported.
    pub height: Option<u64>,
    /// Blocks by which it is behind what a quorum of providers has.
    pub lag: Option<u64>,
    /// Requests since the start: `answered`, `timed_out`, `unreachable`, `rate_limited`, `refused`,
    /// `garbled`.
    pub requests: BTreeMap<String, u64>,
    /// How often it contradicted the quorum or sent a false proof.
    pub contradictions: u64,
    /// How many of these were proofs that do not hold; 0 from nodes that do not count them.
    #[serde(default)]
    pub lies: u64,
    /// Part of its requests that failed in the last minute, 0 to 1.
    pub error_rate: Option<f64>,
    /// Median time to an answer.
    pub latency_p50_ms: Option<f64>,
    /// 99th percentile of the same.
    pub latency_p99_ms: Option<f64>,
}

/// The body of every error response.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ErrorBody {
    /// What is wrong, and what to do.
    pub error: String,
}
