//! Who takes part: `/operators`, `/events`, `/peers`.

use serde::{Deserialize, Serialize};

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
