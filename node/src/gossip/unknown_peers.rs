//! What unknown peers may cost: those that neither speak for an operator nor are in the settings.

use libp2p::PeerId;
use quorate_protocols::limiter::{Accounts, Bucket, Rate};

use crate::clock;

/// Genuine messages of no use that one may forward: epochs that turn earlier or later, operators that
/// move to another peer. Each may cost a verification.
const USELESS: Rate = Rate {
    per_second: 16,
    burst: 256,
};
/// Messages by authors in no live set, of all unknown peers, whose signature is verified: any peer can make
/// them, and no peer is to blame for them. At 70 us each that takes 0.2 % of a core.
const UNKNOWN: Rate = Rate {
    per_second: 32,
    burst: 256,
};
/// Unknown peers whose useless messages are counted, 70 bytes each: as many as may be connected.
const MAX: usize = 1_024;

/// The counts.
pub(super) struct UnknownPeers {
    useless: Accounts<PeerId, Bucket>,
    unknown: Bucket,
}

impl UnknownPeers {
    pub(super) fn new() -> Self {
        Self {
            useless: Accounts::new(MAX),
            unknown: Bucket::full(clock::now(), UNKNOWN),
        }
    }

    /// Counts a useless message; true where it is one too many.
    pub(super) fn wastes(&mut self, stranger: PeerId) -> bool {
        let now = clock::now();
        let is_idle = |useless: &Bucket| useless.is_full(now, USELESS);
        let new = || Bucket::full(now, USELESS);
        let useless = self.useless.open_always(stranger, is_idle, new);
        !useless.take(now, USELESS, 1)
    }

    /// Whether one more message by an author in no live set may be verified.
    pub(super) fn may_be_unknown(&mut self) -> bool {
        self.unknown.take(clock::now(), UNKNOWN, 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_has_a_count_of_its_own() {
        let (mut strangers, one) = (UnknownPeers::new(), PeerId::random());
        let wasted = (0..2 * USELESS.burst).filter(|_| strangers.wastes(one));
        assert!(wasted.count() > 100);
        assert!(!strangers.wastes(PeerId::random()));
    }

    #[test]
    fn those_that_are_counted_are_bounded() {
        let mut strangers = UnknownPeers::new();
        for _ in 0..2 * MAX {
            strangers.wastes(PeerId::random());
            assert!(strangers.useless.len() <= MAX);
        }
    }

    #[test]
    fn unknown_authors_are_verified_now_and_then() {
        let mut strangers = UnknownPeers::new();
        let verified = (0..4 * UNKNOWN.burst).filter(|_| strangers.may_be_unknown());
        assert!((256..512).contains(&verified.count()));
    }
}
