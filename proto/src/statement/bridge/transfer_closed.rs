//! What will never be paid at the target.

use alloy_primitives::{B256, keccak256};
use serde::{Deserialize, Serialize};

use super::route::{Route, RouteJson};
use crate::statement::Subject;
use crate::statement::kind::{Field, StatementKind, Words};
use crate::wire_error::present;
use crate::{Epoch, Kind, SlotId, TaskId, WireError, wire};

/// "The target of `route` closed number `nonce` at `time`, unpaid." With it the source gives the transfer back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TransferClosed {
    /// The birth epoch: its set signs.
    pub epoch: Epoch,
    /// The route of the transfer.
    pub route: Route,
    /// Its number there.
    pub nonce: u64,
    /// Unix seconds of the target's block in which it was closed, as the contract keeps it.
    pub time: u64,
}

/// A closed transfer in JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TransferClosedJson {
    /// Birth epoch.
    pub epoch: u32,
    /// The route of the transfer.
    pub route: RouteJson,
    /// Its number there.
    pub nonce: u64,
    /// Unix seconds at which it was closed.
    pub time: u64,
}

impl TransferClosed {
    /// Names the question when this number of a route was closed.
    #[must_use]
    pub fn slot_of(route: &Route, nonce: u64) -> SlotId {
        route.slot(Self::KIND, nonce)
    }
}

impl StatementKind for TransferClosed {
    type Json = TransferClosedJson;

    const KIND: u8 = 4;
    const ASKED_BY_USERS: bool = false;
    const TOPIC: Option<Kind> = Some(Kind::Bridge);
    /// The refund may be asked for long after.
    const KEPT: bool = true;
    const OUTLIVES_ITS_SET: bool = false;

    fn epoch(&self) -> Epoch {
        self.epoch
    }

    fn subject(&self) -> Subject {
        Subject::Chain(self.route.target_chain)
    }

    /// keccak256(kind 1 ‖ epoch 4 ‖ fact 32).
    fn task_id(&self) -> TaskId {
        super::task_id(Self::KIND, self.epoch, self.fact())
    }

    /// keccak256(kind 1 ‖ route 32 ‖ nonce 8).
    fn slot(&self) -> SlotId {
        Self::slot_of(&self.route, self.nonce)
    }

    /// keccak256(slot 32 ‖ time 8).
    fn fact(&self) -> B256 {
        keccak256([self.slot().0.as_slice(), &self.time.to_be_bytes()].concat())
    }

    fn fact_time(&self) -> u64 {
        self.time
    }

    fn words(&self) -> Words {
        let (nonce, way, time) = (self.nonce, self.route.words(), Field::Time(self.time));
        Words {
            says: format!("transfer {nonce} from {way} was closed unpaid"),
            asks: format!("whether transfer {nonce} from {way} was closed"),
            about: format!("end of transfer {nonce}, {way}"),
            fields: vec![
                ("Closed", time.clone()),
                ("Route", Field::text(way)),
                ("Nonce", Field::text(nonce)),
            ],
            fact: vec![("closed", time)],
        }
    }
}

impl From<&TransferClosed> for TransferClosedJson {
    fn from(closed: &TransferClosed) -> Self {
        Self {
            epoch: closed.epoch.0,
            route: (&closed.route).into(),
            nonce: closed.nonce,
            time: closed.time,
        }
    }
}

impl From<&TransferClosedJson> for TransferClosed {
    fn from(json: &TransferClosedJson) -> Self {
        Self {
            epoch: Epoch(json.epoch),
            route: (&json.route).into(),
            nonce: json.nonce,
            time: json.time,
        }
    }
}

impl From<&TransferClosed> for wire::TransferClosed {
    fn from(closed: &TransferClosed) -> Self {
        Self {
            epoch: closed.epoch.0,
            route: Some((&closed.route).into()),
            nonce: closed.nonce,
            time: closed.time,
        }
    }
}

impl TryFrom<&wire::TransferClosed> for TransferClosed {
    type Error = WireError;

    fn try_from(message: &wire::TransferClosed) -> Result<Self, WireError> {
        if message.nonce == 0 {
            return Err(WireError::new("nonce", "must not be zero"));
        }
        Ok(Self {
            epoch: Epoch(message.epoch),
            route: present("route", message.route.as_ref())?.try_into()?,
            nonce: message.nonce,
            time: message.time,
        })
    }
}
