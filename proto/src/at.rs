//! A point of a chain's history.

use std::fmt;

/// A point of a chain's history, as a user names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum At {
    /// The block with this number.
    Block(u64),
    /// The last block whose timestamp is not above this one (seconds since the Unix epoch).
    Timestamp(u64),
}

impl fmt::Display for At {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Block(number) => write!(f, "block {number}"),
            Self::Timestamp(seconds) => write!(f, "timestamp {seconds}"),
        }
    }
}
