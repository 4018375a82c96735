//! The error of every conversion from the wire, and the few converters that all share.

use alloy_primitives::{Address, B256, U256};

/// A field that does not have its promised form.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field} {problem}")]
pub struct WireError {
    field: &'static str,
    problem: &'static str,
}

impl WireError {
    /// `field` is the name a client knows it by; `problem` completes the sentence.
    #[must_use]
    pub const fn new(field: &'static str, problem: &'static str) -> Self {
        Self { field, problem }
    }
}

pub(crate) fn address(field: &'static str, bytes: &[u8]) -> Result<Address, WireError> {
    Address::try_from(bytes).map_err(|_| WireError::new(field, "must have 20 bytes"))
}

pub(crate) fn b256(field: &'static str, bytes: &[u8]) -> Result<B256, WireError> {
    B256::try_from(bytes).map_err(|_| WireError::new(field, "must have 32 bytes"))
}

pub(crate) fn u256(field: &'static str, bytes: &[u8]) -> Result<U256, WireError> {
    b256(field, bytes).map(|word| U256::from_be_bytes(word.0))
}

pub(crate) fn present<T>(field: &'static str, value: Option<T>) -> Result<T, WireError> {
    value.ok_or(WireError::new(field, "is missing"))
}
