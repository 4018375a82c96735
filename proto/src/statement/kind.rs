//! What every kind of statement has: the trait, and the list made of it.

use std::fmt;

use alloy_primitives::{B256, U256};
use serde::{Deserialize, Serialize};

use super::Subject;
use crate::{Epoch, Kind, SlotId, TaskId};

/// One kind of statement. What is not here is the same for all kinds.
pub trait StatementKind: Clone {
    /// As programs read and write it, in JSON.
    type Json;

    /// The first byte of a slot's preimage; one per kind, for ever.
    const KIND: u8;
    /// Whether users ask for it; others are announced by the nodes themselves.
    const ASKED_BY_USERS: bool;
    /// The topic of its service, which carries announcements, answers and certificates alike; `None` where these
    /// travel on a topic each.
    const TOPIC: Option<Kind> = None;
    /// Whether its tasks stay when those of their epoch are pruned.
    const KEPT: bool;
    /// Whether the set of an epoch that is over may still sign it.
    const OUTLIVES_ITS_SET: bool;

    /// The birth epoch, whose set signs.
    fn epoch(&self) -> Epoch;
    /// What must be read to check it.
    fn subject(&self) -> Subject;
    /// Names its task.
    fn task_id(&self) -> TaskId;
    /// What may have one truth only.
    fn slot(&self) -> SlotId;
    /// The truth about the slot: everything but the epoch.
    fn fact(&self) -> B256;
    /// When that became true, in Unix seconds on the chain that it is about.
    fn fact_time(&self) -> u64;
    /// As people read it.
    fn words(&self) -> Words;
}

/// A statement for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Words {
    /// What it says, as a clause.
    pub says: String,
    /// What it is about, as a clause.
    pub asks: String,
    /// The same in a few words.
    pub about: String,
    /// Its fields, by name.
    pub fields: Vec<(&'static str, Field)>,
    /// Of these what two facts for one slot may differ in, each with the word before it.
    pub fact: Vec<(&'static str, Field)>,
}

/// A field of a statement, for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Field {
    /// As it is.
    Text(String),
    /// A word of storage.
    Word(U256),
    /// Unix seconds.
    Time(u64),
    /// A block's number, and its time in Unix seconds.
    Block(u64, u64),
}

impl Field {
    pub(super) fn text(value: impl fmt::Display) -> Self {
        Self::Text(value.to_string())
    }
}

/// A number of 256 bits as decimal text: JSON has no numbers of that size.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Decimal(pub U256);

impl TryFrom<String> for Decimal {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        U256::from_str_radix(&text, 10)
            .map(Self)
            .map_err(|_| format!("{text:?} is no decimal number of 256 bits"))
    }
}

impl From<Decimal> for String {
    fn from(number: Decimal) -> Self {
        number.0.to_string()
    }
}

/// Makes [`Statement`](super::Statement) and its forms of the kinds that there are.
macro_rules! statement_kinds {
    ($($(#[$doc:meta])* $kind:ident),+ $(,)?) => {
        /// One fact about a chain that can be checked and signed.
        #[derive(Clone, Debug, PartialEq, Eq, Hash)]
        pub enum Statement {
            $($(#[$doc])* $kind($kind),)+
        }

        /// A statement in JSON; `kind` says which one.
        #[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
        #[serde(tag = "kind", rename_all = "snake_case")]
        pub enum StatementJson {
            $($(#[$doc])* $kind(<$kind as StatementKind>::Json),)+
        }

        /// Calls a method of the kind.
        macro_rules! of_kind {
            ($statement:expr, $kind_method:ident) => {
                match $statement {
                    $(Statement::$kind(statement) => StatementKind::$kind_method(statement),)+
                }
            };
        }

        impl Statement {
            /// The kind byte of its slot.
            #[must_use]
            pub const fn kind(&self) -> u8 {
                match self { $(Self::$kind(_) => <$kind as StatementKind>::KIND,)+ }
            }

            /// The same, said by the set of another epoch.
            #[must_use]
            pub fn in_epoch(&self, epoch: Epoch) -> Self {
                match self { $(Self::$kind(statement) => Self::$kind($kind { epoch, ..statement.clone() }),)+ }
            }

            /// [`StatementKind::ASKED_BY_USERS`].
            #[must_use]
            pub const fn is_asked_by_users(&self) -> bool {
                match self { $(Self::$kind(_) => <$kind as StatementKind>::ASKED_BY_USERS,)+ }
            }

            /// [`StatementKind::TOPIC`].
            #[must_use]
            pub const fn topic(&self) -> Option<Kind> {
                match self { $(Self::$kind(_) => <$kind as StatementKind>::TOPIC,)+ }
            }

            /// [`StatementKind::KEPT`].
            #[must_use]
            pub const fn is_kept(&self) -> bool {
                match self { $(Self::$kind(_) => <$kind as StatementKind>::KEPT,)+ }
            }

            /// [`StatementKind::OUTLIVES_ITS_SET`].
            #[must_use]
            pub const fn outlives_its_set(&self) -> bool {
                match self { $(Self::$kind(_) => <$kind as StatementKind>::OUTLIVES_ITS_SET,)+ }
            }
        }

        $(impl From<$kind> for Statement {
            fn from(statement: $kind) -> Self {
                Self::$kind(statement)
            }
        })+

        impl From<&Statement> for StatementJson {
            fn from(statement: &Statement) -> Self {
                match statement { $(Statement::$kind(statement) => Self::$kind(statement.into()),)+ }
            }
        }

        impl From<&StatementJson> for Statement {
            fn from(json: &StatementJson) -> Self {
                match json { $(StatementJson::$kind(json) => Self::$kind(json.into()),)+ }
            }
        }

        impl From<&Statement> for wire::Statement {
            fn from(statement: &Statement) -> Self {
                let kind = match statement {
                    $(Statement::$kind(statement) => wire::statement::Kind::$kind(statement.into()),)+
                };
                Self { kind: Some(kind) }
            }
        }

        impl TryFrom<&wire::Statement> for Statement {
            type Error = WireError;

            fn try_from(message: &wire::Statement) -> Result<Self, WireError> {
                match present("statement", message.kind.as_ref())? {
                    $(wire::statement::Kind::$kind(message) => message.try_into().map(Self::$kind),)+
                }
            }
        }
    };
}
