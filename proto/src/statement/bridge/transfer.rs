//! What was sent to another chain.

use alloy_primitives::{B256, Bytes, U256, hex, keccak256};
use serde::{Deserialize, Serialize};

use super::route::{Route, RouteJson};
use crate::limits::MAX_RECEIVER;
use crate::statement::Subject;
use crate::statement::kind::{Decimal, Field, StatementKind, Words};
use crate::wire_error::{b256, present, u256};
use crate::{Epoch, Kind, SlotId, TaskId, WireError, wire};

/// "As number `nonce` of `route`, `sender` sent `amount` of `token` to `receiver`."
///
/// # Design Decisions
///
/// The place on the source chain (block, transaction, log) is no part of it: after a reorganisation of blocks that were
/// not final the same transfer may be included elsewhere.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Transfer {
    /// The birth epoch: its set signs.
    pub epoch: Epoch,
    /// From where to where.
    pub route: Route,
    /// Counted by the source contract per route, from 1.
    pub nonce: u64,
    /// Who sent it, on the source chain; left-padded where that is an EVM address.
    pub sender: B256,
    /// Who is paid, as the target chain writes it: 20 bytes on EVM, 32 on SVM chains; 1 to [`MAX_RECEIVER`].
    pub receiver: Bytes,
    /// The token on the source chain, left-padded where that is an EVM address; zero for the chain's own coin.
    pub token: B256,
    /// In units that both contracts have for the token, not zero.
    pub amount: U256,
    /// From this Unix second on anybody may close it at the target, so that it is given back.
    pub deadline: u64,
}

/// A transfer in JSON.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TransferJson {
    /// Birth epoch.
    pub epoch: u32,
    /// From where to where.
    pub route: RouteJson,
    /// Its number on the route.
    pub nonce: u64,
    /// Who sent it.
    pub sender: B256,
    /// Who is paid.
    pub receiver: Bytes,
    /// The token on the source chain.
    pub token: B256,
    /// How much.
    pub amount: Decimal,
    /// Unix seconds from which on it may be closed.
    pub deadline: u64,
}

impl Transfer {
    /// Seconds between sending and deadline, at most: source contracts demand it.
    pub const MAX_LIFETIME: u64 = 7 * 24 * 3_600;

    /// Whether its fields are within their bounds, wherever it comes from.
    ///
    /// # Errors
    /// The field, and what is wrong with it.
    pub fn check(&self) -> Result<(), WireError> {
        if self.nonce == 0 {
            return Err(WireError::new("nonce", "must not be zero"));
        }
        if self.amount.is_zero() {
            return Err(WireError::new("amount", "must not be zero"));
        }
        if !(1..=MAX_RECEIVER).contains(&self.receiver.len()) {
            return Err(WireError::new("receiver", "must have 1 to 64 bytes"));
        }
        Ok(())
    }

    /// Names the question what this number of a route is.
    #[must_use]
    pub fn slot_of(route: &Route, nonce: u64) -> SlotId {
        route.slot(Self::KIND, nonce)
    }
}

impl StatementKind for Transfer {
    type Json = TransferJson;

    const KIND: u8 = 2;
    const ASKED_BY_USERS: bool = false;
    const TOPIC: Option<Kind> = Some(Kind::Bridge);
    /// They may be paid long after they were certified.
    const KEPT: bool = true;
    const OUTLIVES_ITS_SET: bool = false;

    fn epoch(&self) -> Epoch {
        self.epoch
    }

    fn subject(&self) -> Subject {
        Subject::Chain(self.route.source_chain)
    }

    /// keccak256(kind 1 ‖ epoch 4 ‖ fact 32).
    fn task_id(&self) -> TaskId {
        super::task_id(Self::KIND, self.epoch, self.fact())
    }

    /// keccak256(kind 1 ‖ route 32 ‖ nonce 8).
    fn slot(&self) -> SlotId {
        Self::slot_of(&self.route, self.nonce)
    }

    /// keccak256(slot 32 ‖ sender 32 ‖ keccak256(receiver) 32 ‖ token 32 ‖ amount 32 ‖ deadline 8).
    fn fact(&self) -> B256 {
        let mut preimage = self.slot().0.to_vec();
        preimage.extend(self.sender);
        preimage.extend(keccak256(&self.receiver));
        preimage.extend(self.token);
        preimage.extend(self.amount.to_be_bytes::<32>());
        preimage.extend(self.deadline.to_be_bytes());
        keccak256(preimage)
    }

    /// A lower bound: no source contract takes a deadline that is further away.
    fn fact_time(&self) -> u64 {
        self.deadline.saturating_sub(Self::MAX_LIFETIME)
    }

    fn words(&self) -> Words {
        let (nonce, way) = (self.nonce, self.route.words());
        let (receiver, deadline) = (
            hex::encode_prefixed(&self.receiver),
            Field::Time(self.deadline),
        );
        Words {
            says: format!(
                "transfer {nonce} from {way} is {} of token {} to {receiver}",
                self.amount, self.token
            ),
            asks: format!("what transfer {nonce} from {way} is"),
            about: format!("transfer {nonce}, {way}"),
            fields: vec![
                ("Amount", Field::text(self.amount)),
                ("Token", Field::text(self.token)),
                ("Receiver", Field::text(&receiver)),
                ("Sender", Field::text(self.sender)),
                ("Route", Field::text(way)),
                ("Source contract", Field::text(self.route.source_contract)),
                ("Target contract", Field::text(self.route.target_contract)),
                ("Nonce", Field::text(nonce)),
                ("Deadline", deadline.clone()),
            ],
            fact: vec![
                ("amount", Field::text(self.amount)),
                ("token", Field::text(self.token)),
                ("receiver", Field::text(receiver)),
                ("sender", Field::text(self.sender)),
                ("deadline", deadline),
            ],
        }
    }
}

impl From<&Transfer> for TransferJson {
    fn from(transfer: &Transfer) -> Self {
        Self {
            epoch: transfer.epoch.0,
            route: (&transfer.route).into(),
            nonce: transfer.nonce,
            sender: transfer.sender,
            receiver: transfer.receiver.clone(),
            token: transfer.token,
            amount: Decimal(transfer.amount),
            deadline: transfer.deadline,
        }
    }
}

impl From<&TransferJson> for Transfer {
    fn from(json: &TransferJson) -> Self {
        Self {
            epoch: Epoch(json.epoch),
            route: (&json.route).into(),
            nonce: json.nonce,
            sender: json.sender,
            receiver: json.receiver.clone(),
            token: json.token,
            amount: json.amount.0,
            deadline: json.deadline,
        }
    }
}

impl From<&Transfer> for wire::Transfer {
    fn from(transfer: &Transfer) -> Self {
        Self {
            epoch: transfer.epoch.0,
            route: Some((&transfer.route).into()),
            nonce: transfer.nonce,
            sender: transfer.sender.to_vec(),
            receiver: transfer.receiver.to_vec(),
            token: transfer.token.to_vec(),
            amount: transfer.amount.to_be_bytes_vec(),
            deadline: transfer.deadline,
        }
    }
}

impl TryFrom<&wire::Transfer> for Transfer {
    type Error = WireError;

    fn try_from(message: &wire::Transfer) -> Result<Self, WireError> {
        let transfer = Self {
            epoch: Epoch(message.epoch),
            route: present("route", message.route.as_ref())?.try_into()?,
            nonce: message.nonce,
            sender: b256("sender", &message.sender)?,
            receiver: message.receiver.clone().into(),
            token: b256("token", &message.token)?,
            amount: u256("amount", &message.amount)?,
            deadline: message.deadline,
        };
        transfer.check().map(|()| transfer)
    }
}
