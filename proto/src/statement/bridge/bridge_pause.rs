//! Whether a bridge stands still: no observation but a vote, so it has a number.

use alloy_primitives::{B256, keccak256};
use serde::{Deserialize, Serialize};

use crate::statement::Subject;
use crate::statement::kind::{Field, StatementKind, Words};
use crate::wire_error::b256;
use crate::{Epoch, Kind, SlotId, TaskId, WireError, wire};

/// "Change number `sequence` of the bridge `contract` stops it, or lets it go on." The contract counts every change, by
/// whichever way it is made, so that none can be repeated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct BridgePause {
    /// The birth epoch: its set signs.
    pub epoch: Epoch,
    /// The chain of the bridge.
    pub chain_id: u64,
    /// The bridge there; left-padded where that is an EVM address.
    pub contract: B256,
    /// Number of the change, from 1.
    pub sequence: u64,
    /// Whether it stands still from then on.
    pub paused: bool,
    /// Unix seconds at which the change was proposed; 0 in the votes of operators.
    pub time: u64,
}

/// A pause in JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BridgePauseJson {
    /// Birth epoch.
    pub epoch: u32,
    /// The chain of the bridge.
    pub chain_id: u64,
    /// The bridge there.
    pub contract: B256,
    /// Number of the change.
    pub sequence: u64,
    /// Whether it stands still from then on.
    pub paused: bool,
    /// Unix seconds at which the change was proposed.
    pub time: u64,
}

impl BridgePause {
    /// What operators vote for, with epoch 0: of none. It says no time, so that all votes for one thing are one statement,
    /// whoever gives them, and when.
    #[must_use]
    pub const fn vote(chain_id: u64, contract: B256, sequence: u64, paused: bool) -> Self {
        Self {
            epoch: Epoch(0),
            chain_id,
            contract,
            sequence,
            paused,
            time: 0,
        }
    }

    /// Names the question what a change of a bridge is.
    #[must_use]
    pub fn slot_of(chain_id: u64, contract: B256, sequence: u64) -> SlotId {
        let mut packed = Vec::with_capacity(1 + 8 + 32 + 8);
        packed.push(Self::KIND);
        packed.extend(chain_id.to_be_bytes());
        packed.extend(contract);
        packed.extend(sequence.to_be_bytes());
        SlotId(keccak256(packed))
    }
}

impl StatementKind for BridgePause {
    type Json = BridgePauseJson;

    const KIND: u8 = 5;
    const ASKED_BY_USERS: bool = false;
    const TOPIC: Option<Kind> = Some(Kind::Bridge);
    const KEPT: bool = false;
    const OUTLIVES_ITS_SET: bool = false;

    fn epoch(&self) -> Epoch {
        self.epoch
    }

    fn subject(&self) -> Subject {
        Subject::Chain(self.chain_id)
    }

    /// keccak256(kind 1 ‖ epoch 4 ‖ fact 32).
    fn task_id(&self) -> TaskId {
        super::task_id(Self::KIND, self.epoch, self.fact())
    }

    /// keccak256(kind 1 ‖ chain 8 ‖ contract 32 ‖ sequence 8).
    fn slot(&self) -> SlotId {
        Self::slot_of(self.chain_id, self.contract, self.sequence)
    }

    /// keccak256(slot 32 ‖ paused 1 ‖ time 8).
    fn fact(&self) -> B256 {
        let mut preimage = self.slot().0.to_vec();
        preimage.push(self.paused.into());
        preimage.extend(self.time.to_be_bytes());
        keccak256(preimage)
    }

    fn fact_time(&self) -> u64 {
        self.time
    }

    fn words(&self) -> Words {
        let (sequence, chain) = (self.sequence, self.chain_id);
        let time = (self.time > 0).then_some(Field::Time(self.time));
        let does = if self.paused {
            "stops it"
        } else {
            "lets it go on"
        };
        let after = if self.paused { "paused" } else { "running" };
        Words {
            says: format!("change {sequence} of the bridge on chain {chain} {does}"),
            asks: format!("what change {sequence} of the bridge on chain {chain} is"),
            about: format!("change {sequence} of the bridge on chain {chain}"),
            fields: [
                ("Afterwards", Field::text(after)),
                ("Chain", Field::text(chain)),
                ("Contract", Field::text(self.contract)),
                ("Sequence", Field::text(sequence)),
            ]
            .into_iter()
            .chain(time.clone().map(|time| ("Proposed", time)))
            .collect(),
            fact: std::iter::once(("afterwards", Field::text(after)))
                .chain(time.map(|time| ("proposed", time)))
                .collect(),
        }
    }
}

impl From<&BridgePause> for BridgePauseJson {
    fn from(pause: &BridgePause) -> Self {
        Self {
            epoch: pause.epoch.0,
            chain_id: pause.chain_id,
            contract: pause.contract,
            sequence: pause.sequence,
            paused: pause.paused,
            time: pause.time,
        }
    }
}

impl From<&BridgePauseJson> for BridgePause {
    fn from(json: &BridgePauseJson) -> Self {
        Self {
            epoch: Epoch(json.epoch),
            chain_id: json.chain_id,
            contract: json.contract,
            sequence: json.sequence,
            paused: json.paused,
            time: json.time,
        }
    }
}

impl From<&BridgePause> for wire::BridgePause {
    fn from(pause: &BridgePause) -> Self {
        Self {
            epoch: pause.epoch.0,
            chain_id: pause.chain_id,
            contract: pause.contract.to_vec(),
            sequence: pause.sequence,
            paused: pause.paused,
            time: pause.time,
        }
    }
}

impl TryFrom<&wire::BridgePause> for BridgePause {
    type Error = WireError;

    fn try_from(message: &wire::BridgePause) -> Result<Self, WireError> {
        if message.sequence == 0 {
            return Err(WireError::new("sequence", "must not be zero"));
        }
        Ok(Self {
            epoch: Epoch(message.epoch),
            chain_id: message.chain_id,
            contract: b256("contract", &message.contract)?,
            sequence: message.sequence,
            paused: message.paused,
            time: message.time,
        })
    }
}
