//! When a block is final.

use std::fmt;
use std::str::FromStr;

/// When a block of a chain counts as final.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Finality {
    /// The chain says so, through the block tag `finalized`. Where a provider has no such block,
    /// nothing is final.
    Finalized,
    /// This many blocks were built on it; with 0 the newest block is final.
    Confirmations(u64),
}

impl Finality {
    /// The newest final height of a chain whose newest block is `head`. `None` for a chain that is
    /// too short, and where the chain itself has to say.
    #[must_use]
    pub const fn final_height(self, head: u64) -> Option<u64> {
        match self {
            Self::Finalized => None,
            Self::Confirmations(depth) => head.checked_sub(depth),
        }
    }
}

/// A finality rule that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("finality {0:?} is neither \"finalized\" nor a number of confirmations")]
pub struct FinalityError(String);

impl FromStr for Finality {
    type Err = FinalityError;

    fn from_str(text: &str) -> Result<Self, FinalityError> {
        match text.trim() {
            "finalized" => Ok(Self::Finalized),
            number => number
                .parse()
                .map(Self::Confirmations)
                .map_err(|_| FinalityError(text.to_owned())),
        }
    }
}

impl fmt::Display for Finality {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Finalized => f.write_str("finalized"),
            Self::Confirmations(depth) => depth.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn confirmations_are_blocks_on_top() {
        let table = [
            (0, 0, Some(0)),
            (0, 7, Some(7)),
            (1, 0, None),
            (12, 11, None),
            (12, 12, Some(0)),
            (12, 100, Some(88)),
            (u64::MAX, u64::MAX, Some(0)),
            (u64::MAX, u64::MAX - 1, None),
        ];
        for (depth, head, expected) in table {
            let found = Finality::Confirmations(depth).final_height(head);
            assert_eq!(found, expected, "{depth} confirmations, head {head}");
        }
        assert_eq!(Finality::Finalized.final_height(1_000), None);
    }

    #[test]
    fn rules_read_as_they_are_written() {
        for rule in [
            Finality::Finalized,
            Finality::Confirmations(0),
            Finality::Confirmations(12),
        ] {
            assert_eq!(rule.to_string().parse(), Ok(rule));
        }
        assert!("safe".parse::<Finality>().is_err());
        assert!("-1".parse::<Finality>().is_err());
    }
}
