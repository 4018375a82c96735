//! What must hold for any bytes that a peer sends: what is accepted has one form, keeps to its
//! bounds, and verifies only where it would verify again.
//!
//! The fuzz targets call these functions, and the tests run them over the corpora. What is signed in
//! a corpus is of the network of the fixtures.

#![allow(
    clippy::arithmetic_side_effects,
    reason = "a check panics where it overflows"
)]

mod certified;
mod gossip;
mod members;
mod requests;
mod sync;

#[cfg(test)]
#[path = "../../fuzz/corpora.rs"]
mod corpora;

use std::fmt::Debug;
use std::sync::LazyLock;

use prost::Message;

pub use self::certified::{
    certificate, certificate_compact, evidence, response, signature, statement,
};
pub use self::gossip::{batch, envelope};
pub use self::members::{join, membership, operator_set, registry};
pub use self::requests::{reply, request};
pub use self::sync::sync;
use crate::fixtures::{OPERATORS, next_set, secret};
use crate::{Address, Epoch, OperatorSet, WireError, fixtures};

/// A target: bytes from any source.
pub type Check = fn(&[u8]);

/// All targets of this crate, by name.
pub const CHECKS: &[(&str, Check)] = &[
    ("batch", batch),
    ("certificate", certificate),
    ("certificate_compact", certificate_compact),
    ("envelope", envelope),
    ("evidence", evidence),
    ("join", join),
    ("membership", membership),
    ("operator_set", operator_set),
    ("registry", registry),
    ("reply", reply),
    ("request", request),
    ("response", response),
    ("signature", signature),
    ("statement", statement),
    ("sync", sync),
];

/// Made once: keys and signatures take longer than most checks.
static SETS: LazyLock<[OperatorSet; 2]> = LazyLock::new(|| [fixtures::set(), next_set()]);
static KEYS: LazyLock<[Address; 4]> = LazyLock::new(|| OPERATORS.map(|n| secret(n).address()));

/// The set of the fixtures.
fn set() -> &'static OperatorSet {
    &SETS[0]
}

/// The sets of the two epochs that the fixtures have.
fn set_of(epoch: Epoch) -> Option<&'static OperatorSet> {
    SETS.iter().find(|set| set.epoch() == epoch)
}

/// Decodes a message and what it means; both come back the same from their own encoding.
fn decode<M, T>(bytes: &[u8]) -> Option<T>
where
    M: Message + Default + PartialEq,
    T: for<'a> TryFrom<&'a M, Error = WireError> + PartialEq + Debug,
    for<'a> M: From<&'a T>,
{
    read(&stable::<M>(bytes)?)
}

/// What a message means; it comes back the same from its own encoding.
fn read<M, T>(message: &M) -> Option<T>
where
    M: Message + Default + PartialEq,
    T: for<'a> TryFrom<&'a M, Error = WireError> + PartialEq + Debug,
    for<'a> M: From<&'a T>,
{
    let value = T::try_from(message).ok()?;
    let again = M::from(&value);
    assert_eq!(
        T::try_from(&again).as_ref(),
        Ok(&value),
        "decode(encode(x)) is x"
    );
    let twice = M::decode(again.encode_to_vec().as_slice()).expect("what was encoded");
    assert!(twice == again, "the wire form survives the wire");
    Some(value)
}

/// Decodes a message; what it encodes to is decoded to the same.
fn stable<M: Message + Default + PartialEq>(bytes: &[u8]) -> Option<M> {
    let message = M::decode(bytes).ok()?;
    let encoded = message.encode_to_vec();
    let again = M::decode(encoded.as_slice()).expect("what was encoded");
    assert!(again == message, "decode(encode(x)) is x");
    assert_eq!(again.encode_to_vec(), encoded, "there is one plain form");
    Some(message)
}
