//! How a chain's values are read: by proof, by vote, or as its providers can.

use std::fmt;
use std::str::FromStr;

/// How values are read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Reads {
    /// By proof; by vote once every configured provider has said that it has none.
    #[default]
    Auto,
    /// By proof or not at all.
    Proof,
    /// By the equal word of a quorum.
    Vote,
}

/// A way of reading that does not exist.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("reads {0:?} is none of auto, proof and vote")]
pub struct ReadsError(String);

impl FromStr for Reads {
    type Err = ReadsError;

    fn from_str(text: &str) -> Result<Self, ReadsError> {
        match text.trim() {
            "auto" => Ok(Self::Auto),
            "proof" => Ok(Self::Proof),
            "vote" => Ok(Self::Vote),
            other => Err(ReadsError(other.to_owned())),
        }
    }
}

impl fmt::Display for Reads {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Auto => "auto",
            Self::Proof => "proof",
            Self::Vote => "vote",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ways_read_as_they_are_written() {
        for way in [Reads::Auto, Reads::Proof, Reads::Vote] {
            assert_eq!(way.to_string().parse(), Ok(way));
        }
        assert!("proofs".parse::<Reads>().is_err());
    }
}
