//! Newtypes for ids and counters.

use std::fmt;
use std::str::FromStr;

use alloy_primitives::B256;

use crate::WireError;

/// Number of an epoch of the home chain.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Epoch(pub u32);

impl Epoch {
    /// The epoch after this one; stays at the last number there is.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }

    /// The epoch before this one, if there is one.
    #[must_use]
    pub const fn previous(self) -> Option<Self> {
        match self.0.checked_sub(1) {
            Some(number) => Some(Self(number)),
            None => None,
        }
    }
}

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A point in time: microseconds since the Unix epoch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(pub u64);

impl Timestamp {
    /// This time and `millis` milliseconds more.
    #[must_use]
    pub const fn plus_millis(self, millis: u64) -> Self {
        Self(self.0.saturating_add(millis.saturating_mul(1_000)))
    }

    /// Microseconds since `earlier`; zero where that is later.
    #[must_use]
    pub const fn micros_since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }

    /// Milliseconds since the Unix epoch.
    #[must_use]
    pub const fn millis(self) -> u64 {
        self.0 / 1_000
    }
}

macro_rules! hash_id {
    ($(#[$doc:meta])* $name:ident, $field:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub B256);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl TryFrom<&[u8]> for $name {
            type Error = WireError;
            fn try_from(bytes: &[u8]) -> Result<Self, WireError> {
                crate::wire_error::b256($field, bytes).map(Self)
            }
        }

        impl FromStr for $name {
            type Err = WireError;
            fn from_str(text: &str) -> Result<Self, WireError> {
                let bytes = hex::decode(text.strip_prefix("0x").unwrap_or(text)).map_err(|_| {
                    WireError::new($field, "is not hexadecimal")
                })?;
                Self::try_from(bytes.as_slice())
            }
        }
    };
}

hash_id!(
    /// Names a task: the hash of its statement with all its fields, epoch included.
    TaskId, "task_id"
);
hash_id!(
    /// Names what may have one truth only, whatever epoch signs it: for a state proof
    /// (chain, user, key, block), for an epoch update the next epoch.
    SlotId, "slot"
);
hash_id!(
    /// Names a case of equivocation: keccak256(slot ‖ operator).
    EvidenceId, "evidence"
);

#[cfg(test)]
mod tests;
