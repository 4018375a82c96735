//! What may be signed with a log that begins with its key.
//!
//! Nothing in it says what other keys of the operator have signed before. Whatever they signed was true,
//! or at least there, before the first epoch of the key was seen to begin, which is later than it began by what
//! finality takes: so a fact that is younger than that cannot be among it. The older ones wait until the stake behind those signatures is out of reach of
//! the judge on the home chain: the change of key is noted there before its epoch begins, and from that
//! note on the registry counts the time of a withdrawal for all epochs before.

use std::fmt;

use quorate_chain::{BlockRef, Withdrawal};
use quorate_proto::limits;
use quorate_proto::store::LogBeginning;

/// Seconds by which a fact must be younger than the key: as long as tasks of the epoch before may be
/// under way, and a minute by which clocks and chains may differ.
pub(crate) const MARGIN_S: u64 = limits::EPOCH_GRACE_MS / 1_000 + 60;

/// Which facts a log is good for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Youth {
    /// All.
    Over,
    /// None yet: the first epoch of its key has not begun, or was not found yet.
    Unborn,
    /// Those younger than its key.
    Young(Young),
}

/// A log whose key counts, and not for long yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Young {
    /// When the first epoch of its key had begun, in Unix seconds: of the home chain, and by the clock of the
    /// process that saw that in a final block. Until it was seen, the key before went on.
    pub(crate) since: u64,
    /// From when on it is good for all facts.
    pub(crate) until: SigningMoment,
}

/// A point of the home chain: both must be reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SigningMoment {
    /// Number of a block.
    pub(crate) block: u64,
    /// Unix seconds.
    pub(crate) time: u64,
}

impl fmt::Display for SigningMoment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "from {} (Unix seconds) and block {} of the home chain on",
            self.time, self.block
        )
    }
}

/// What is to be done with a fact.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ruling {
    /// This log speaks for it.
    Sign,
    /// Not before this moment; `None` where that is not known yet.
    Refuse(Option<SigningMoment>),
}

impl Youth {
    /// Of a log with this beginning; what stands behind old signatures stays within reach that long.
    pub(crate) fn of(beginning: &LogBeginning, reach: Withdrawal) -> Self {
        match beginning.time {
            0 => Self::Unborn,
            time => Self::Young(Young {
                since: time.max(beginning.seen),
                until: SigningMoment {
                    block: beginning.block.saturating_add(reach.blocks),
                    time: time.saturating_add(reach.seconds),
                },
            }),
        }
    }

    /// Whether a fact of this time may be signed, where the home chain has come to this final block.
    pub(crate) fn rule(&self, fact_time: u64, now: Option<BlockRef>) -> Ruling {
        match self {
            Self::Over => Ruling::Sign,
            Self::Unborn => Ruling::Refuse(None),
            Self::Young(young) if young.is_over(now) || young.is_younger(fact_time) => Ruling::Sign,
            Self::Young(young) => Ruling::Refuse(Some(young.until)),
        }
    }

    /// For people.
    pub(crate) fn describe(&self) -> String {
        match self {
            Self::Over => "every fact is signed".into(),
            Self::Unborn => {
                "nothing is signed yet: the signing log begins with this key, whose first \
                             epoch has not begun or is being looked up"
                    .into()
            }
            Self::Young(young) => format!(
                "only facts younger than {} (Unix seconds) are signed, since the signing log begins with \
                 this key; older ones again {}. To sign them at once import the log of the keys before it",
                young.since.saturating_add(MARGIN_S),
                young.until
            ),
        }
    }

    /// Whether it is good for all facts by now.
    pub(crate) fn is_over(&self, now: Option<BlockRef>) -> bool {
        match self {
            Self::Over => true,
            Self::Unborn => false,
            Self::Young(young) => young.is_over(now),
        }
    }
}

impl Young {
    fn is_over(&self, now: Option<BlockRef>) -> bool {
        let SigningMoment { block, time } = self.until;
        now.is_some_and(|now| now.number >= block && now.timestamp >= time)
    }

    const fn is_younger(&self, fact_time: u64) -> bool {
        fact_time > self.since.saturating_add(MARGIN_S)
    }
}

/// Whether a log that was whole until then, in Unix milliseconds, holds all that was signed before this
/// beginning.
pub(crate) fn reaches(whole_until_ms: u64, beginning: &LogBeginning) -> bool {
    beginning.time > 0 && whole_until_ms / 1_000 > beginning.time.saturating_add(MARGIN_S)
}

#[cfg(test)]
mod tests {
    use quorate_proto::B256;

    use super::*;

    const SINCE: u64 = 1_700_000_000;
    const REACH: Withdrawal = Withdrawal {
        blocks: 500,
        seconds: 6_000,
        certificate_lifetime: 4_500,
    };

    fn beginning(time: u64) -> LogBeginning {
        LogBeginning {
            block: 1_000,
            time,
            ..LogBeginning::default()
        }
    }

    fn now(number: u64, timestamp: u64) -> Option<BlockRef> {
        Some(BlockRef {
            number,
            hash: B256::ZERO,
            timestamp,
        })
    }

    #[test]
    fn only_what_is_younger_than_the_key_is_signed_until_the_rest_is_out_of_reach() {
        let youth = Youth::of(&beginning(SINCE), REACH);
        let until = SigningMoment {
            block: 1_500,
            time: SINCE + 6_000,
        };
        let refused = Ruling::Refuse(Some(until));
        let (old, last, young) = (SINCE - 9, SINCE + MARGIN_S, SINCE + MARGIN_S + 1);
        let early = [
            None,
            now(1_000, SINCE),
            now(1_499, SINCE + 60_000),
            now(9_999, SINCE + 5_999),
        ];
        for now in early {
            assert!(!youth.is_over(now));
            for (fact_time, ruling) in [(old, refused), (last, refused), (young, Ruling::Sign)] {
                assert_eq!(youth.rule(fact_time, now), ruling, "{fact_time} {now:?}");
            }
        }
        let late = now(1_500, SINCE + 6_000);
        assert!(youth.is_over(late));
        assert_eq!(youth.rule(0, late), Ruling::Sign);
    }

    #[test]
    fn what_was_there_before_the_epoch_was_seen_to_begin_is_old() {
        let seen = SINCE + 900;
        let beginning = LogBeginning {
            seen,
            ..beginning(SINCE)
        };
        let youth = Youth::of(&beginning, REACH);
        let until = SigningMoment {
            block: 1_500,
            time: SINCE + 6_000,
        };
        let last = seen + MARGIN_S;
        assert_eq!(youth.rule(last, None), Ruling::Refuse(Some(until)));
        assert_eq!(youth.rule(last + 1, None), Ruling::Sign);
    }

    #[test]
    fn nothing_is_signed_before_the_key_has_begun_and_everything_with_a_whole_log() {
        let unborn = Youth::of(&beginning(0), REACH);
        let late = now(u64::MAX, u64::MAX);
        assert_eq!(unborn, Youth::Unborn);
        assert_eq!(unborn.rule(u64::MAX, late), Ruling::Refuse(None));
        assert_eq!(Youth::Over.rule(0, None), Ruling::Sign);
    }

    #[test]
    fn the_grace_of_tasks_is_within_the_margin() {
        const { assert!(MARGIN_S * 1_000 >= limits::EPOCH_GRACE_MS + 60_000) };
        let last = (SINCE + MARGIN_S) * 1_000;
        assert!(!reaches(last, &beginning(SINCE)));
        assert!(reaches(last + 1_000, &beginning(SINCE)));
        assert!(!reaches(u64::MAX, &beginning(0)), "not begun");
    }
}
