//! Whose blocks the contracts of a chain count.

use std::fmt;
use std::str::FromStr;

/// What `block.number` is to the contracts of a chain.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum BlockNumbers {
    /// The number of the chain's own block, as its RPC counts.
    #[default]
    Own,
    /// The number of a block of its parent chain, as on rollups of the Arbitrum kind. Entries are found by
    /// their time there: what counts at a block is what counts at the end of its second.
    Parent,
}

/// There is no such kind.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("block_numbers {0:?} is none of own and parent")]
pub struct BlockNumbersError(String);

impl FromStr for BlockNumbers {
    type Err = BlockNumbersError;

    fn from_str(text: &str) -> Result<Self, BlockNumbersError> {
        match text.trim() {
            "own" => Ok(Self::Own),
            "parent" => Ok(Self::Parent),
            other => Err(BlockNumbersError(other.to_owned())),
        }
    }
}

impl fmt::Display for BlockNumbers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Own => "own",
            Self::Parent => "parent",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_read_as_they_are_written() {
        for kind in [BlockNumbers::Own, BlockNumbers::Parent] {
            assert_eq!(kind.to_string().parse(), Ok(kind));
        }
        assert!("arbitrum".parse::<BlockNumbers>().is_err());
    }
}
