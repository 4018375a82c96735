//! What the interface answers, field by field as dashboards of such relayers read it.

use serde::Serialize;

/// `/health`.
#[derive(Debug, Serialize)]
pub(super) struct HealthPage {
    /// "healthy", or "unhealthy".
    pub(super) status: &'static str,
    pub(super) service: &'static str,
    pub(super) version: &'static str,
    /// Seconds.
    pub(super) uptime: u64,
    pub(super) timestamp: String,
    /// What is wrong.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) reason: Option<String>,
}

/// `/status`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct StatusPage {
    pub(super) service: &'static str,
    /// The source is followed.
    pub(super) listening: bool,
    pub(super) source_chain: ChainPart,
    pub(super) target_chain: ChainPart,
    pub(super) relayer: RelayerPart,
}

/// A chain as it is now.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ChainPart {
    pub(super) name: String,
    /// Hosts of its providers.
    pub(super) rpc: String,
    pub(super) connected: bool,
    pub(super) last_block: u64,
}

/// Who pays.
#[derive(Debug, Serialize)]
pub(super) struct RelayerPart {
    pub(super) address: String,
    /// The contract does not refuse it.
    pub(super) whitelisted: bool,
    pub(super) balance: BalancePart,
}

/// In coins; null where nobody pays, or it is not known yet.
#[derive(Debug, Serialize)]
pub(super) struct BalancePart {
    pub(super) svm: Option<f64>,
    pub(super) evm: Option<f64>,
}

/// `/queue`.
#[derive(Debug, Serialize)]
pub(super) struct QueuePage {
    pub(super) pending: u64,
    pub(super) processing: u64,
    pub(super) completed: u64,
    pub(super) failed: u64,
    pub(super) tasks: Vec<TaskLine>,
}

/// One of its tasks.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct TaskLine {
    pub(super) id: String,
    pub(super) nonce: u64,
    pub(super) status: &'static str,
    pub(super) created_at: Option<String>,
    pub(super) retries: u32,
}

/// `/nonce`.
#[derive(Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct NoncePage {
    pub(super) source_chain: SourceNonces,
    pub(super) target_chain: TargetNonces,
}

/// What the source contract counted, and up to where all were brought over.
#[derive(Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct SourceNonces {
    pub(super) current: u64,
    pub(super) last_processed: u64,
}

/// The highest that was brought over, and those that are open.
#[derive(Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct TargetNonces {
    pub(super) last_nonce: u64,
    pub(super) pending: Vec<u64>,
}

/// `/task/{id}`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct TaskPage {
    pub(super) id: String,
    pub(super) nonce: u64,
    pub(super) status: &'static str,
    pub(super) event_data: EventData,
    /// The certificate; null until there is one.
    pub(super) signature: Option<String>,
    /// Null before it is sent, and once it is confirmed.
    pub(super) transaction_hash: Option<String>,
    pub(super) created_at: String,
    pub(super) completed_at: Option<String>,
    pub(super) retries: u32,
    pub(super) logs: Vec<LogLine>,
}

/// What was sent.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct EventData {
    pub(super) source_contract: String,
    pub(super) target_contract: String,
    pub(super) amount: String,
    pub(super) receiver_address: String,
    pub(super) block_height: u64,
}

/// What happened to it.
#[derive(Debug, Serialize)]
pub(super) struct LogLine {
    pub(super) timestamp: String,
    pub(super) level: &'static str,
    pub(super) message: String,
}

/// `/config`: nothing secret.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ConfigPage {
    pub(super) service: &'static str,
    pub(super) source_chain: ChainConfigPart,
    pub(super) target_chain: ChainConfigPart,
    pub(super) relayer: AddressPart,
    pub(super) api: ApiPart,
}

/// A chain as it is set.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ChainConfigPart {
    pub(super) name: String,
    pub(super) chain_id: u64,
    pub(super) rpc: String,
    pub(super) contract: String,
}

/// An address alone.
#[derive(Debug, Serialize)]
pub(super) struct AddressPart {
    pub(super) address: String,
}

/// This interface.
#[derive(Debug, Serialize)]
pub(super) struct ApiPart {
    pub(super) port: u16,
    pub(super) cors: Vec<String>,
}
