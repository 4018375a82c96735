//! Token buckets: how much of something one party may have per second, and at once.
//!
//! A bucket fills with time up to its burst. What is taken is gone until time has refilled it. Time is
//! an argument, so a bucket is a plain value of two numbers.

use quorate_proto::Timestamp;

/// Parts of a token, so that slow rates refill without rounding.
const MICRO: i64 = 1_000_000;

/// How fast a bucket fills.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// Tokens per second.
    pub per_second: u32,
    /// Tokens that a full bucket holds.
    pub burst: u32,
}

impl Rate {
    fn capacity(self) -> i64 {
        i64::from(self.burst).saturating_mul(MICRO)
    }

    /// What those keep to who are measured by this rate elsewhere: a little below it, since others count what
    /// arrives, not what was sent.
    #[must_use]
    pub fn kept_below(self) -> Self {
        let per_second = self.per_second.saturating_sub(self.per_second / 10);
        Self {
            per_second: per_second.max(1),
            burst: self.burst / 2,
        }
    }

    /// Milliseconds until an empty bucket holds one token; at least 1.
    #[must_use]
    pub fn pause_millis(self) -> u64 {
        1_000_u64
            .checked_div(u64::from(self.per_second))
            .unwrap_or(1_000)
            .max(1)
    }
}

/// A bucket of tokens. The rate is given with each call, so that it may change while the bucket stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bucket {
    micro: i64,
    at: Timestamp,
}

impl Bucket {
    /// A full bucket.
    #[must_use]
    pub fn full(now: Timestamp, rate: Rate) -> Self {
        Self {
            micro: rate.capacity(),
            at: now,
        }
    }

    /// Takes `tokens`, or nothing where there are fewer.
    pub fn take(&mut self, now: Timestamp, rate: Rate, tokens: u32) -> bool {
        self.refill(now, rate);
        let wanted = i64::from(tokens).saturating_mul(MICRO);
        if self.micro < wanted {
            return false;
        }
        self.micro = self.micro.saturating_sub(wanted);
        true
    }

    /// Takes `tokens` that were used up already, into debt if need be: nothing more is to be had until
    /// time has paid for them.
    pub fn charge(&mut self, now: Timestamp, rate: Rate, tokens: u32) {
        self.refill(now, rate);
        let used = i64::from(tokens).saturating_mul(MICRO);
        self.micro = self.micro.saturating_sub(used);
    }

    /// Gives `tokens` back, as far as the bucket holds them.
    pub fn give(&mut self, now: Timestamp, rate: Rate, tokens: u32) {
        self.refill(now, rate);
        let given = i64::from(tokens).saturating_mul(MICRO);
        self.micro = self.micro.saturating_add(given).min(rate.capacity());
    }

    /// Microseconds until it holds `tokens`, if nothing is taken.
    #[must_use]
    pub fn micros_until(mut self, now: Timestamp, rate: Rate, tokens: u32) -> u64 {
        self.refill(now, rate);
        let wanted = i64::from(tokens).saturating_mul(MICRO);
        let missing = u64::try_from(wanted.saturating_sub(self.micro)).unwrap_or_default();
        let per_second = u64::from(rate.per_second);
        match missing {
            0 => 0,
            _ if tokens > rate.burst || per_second == 0 => u64::MAX,
            _ => missing.div_ceil(per_second),
        }
    }

    /// Whole tokens; negative where some are owed.
    #[must_use]
    pub fn tokens(mut self, now: Timestamp, rate: Rate) -> i64 {
        self.refill(now, rate);
        self.micro.div_euclid(MICRO)
    }

    /// Whether there is a token.
    #[must_use]
    pub fn has_any(mut self, now: Timestamp, rate: Rate) -> bool {
        self.refill(now, rate);
        self.micro >= MICRO
    }

    /// Whether it is full, which is as good as a new one.
    #[must_use]
    pub fn is_full(mut self, now: Timestamp, rate: Rate) -> bool {
        self.refill(now, rate);
        self.micro >= rate.capacity()
    }

    fn refill(&mut self, now: Timestamp, rate: Rate) {
        // Seconds times a million on one side, tokens times a million on the other.
        let elapsed = i64::try_from(now.micros_since(self.at)).unwrap_or(i64::MAX);
        let gained = elapsed.saturating_mul(i64::from(rate.per_second));
        self.micro = self.micro.saturating_add(gained).min(rate.capacity());
        self.at = self.at.max(now);
    }
}

#[cfg(test)]
#[allow(
    clippy::arithmetic_side_effects,
    reason = "tests panic on overflow, as they should"
)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::fixtures::at;

    const RATE: Rate = Rate {
        per_second: 10,
        burst: 20,
    };

    #[test]
    fn it_gives_its_burst_at_once_and_then_its_rate() {
        let mut bucket = Bucket::full(at(0), RATE);
        assert!(bucket.take(at(0), RATE, 20));
        assert!(!bucket.take(at(99), RATE, 1));
        assert!(bucket.take(at(100), RATE, 1));
        assert!(!bucket.has_any(at(199), RATE));
        assert!(bucket.has_any(at(200), RATE));
        assert!(!bucket.is_full(at(2_000), RATE));
        assert!(bucket.is_full(at(2_100), RATE));
        assert!(bucket.take(at(60_000), RATE, 20));
        assert!(!bucket.take(at(60_000), RATE, 1), "it holds no more");
    }

    #[test]
    fn what_does_not_fit_takes_nothing_and_debt_is_paid_by_time() {
        let mut bucket = Bucket::full(at(0), RATE);
        assert!(!bucket.take(at(0), RATE, 21));
        assert!(bucket.is_full(at(0), RATE));
        bucket.charge(at(0), RATE, 50);
        assert!(!bucket.has_any(at(3_000), RATE), "30 owed, 30 paid");
        assert!(bucket.has_any(at(3_100), RATE));
    }

    #[test]
    fn tokens_are_told_and_given_back() {
        let mut bucket = Bucket::full(at(0), RATE);
        bucket.charge(at(0), RATE, 25);
        assert_eq!(bucket.tokens(at(0), RATE), -5);
        assert_eq!(bucket.tokens(at(50), RATE), -5, "half of a token is none");
        bucket.give(at(100), RATE, 7);
        assert_eq!(bucket.tokens(at(100), RATE), 3);
        bucket.give(at(100), RATE, 100);
        assert_eq!(bucket.tokens(at(100), RATE), 20);
    }

    #[test]
    fn it_says_when_it_holds_so_many() {
        let mut bucket = Bucket::full(at(0), RATE);
        assert_eq!(bucket.micros_until(at(0), RATE, 20), 0);
        assert_eq!(bucket.micros_until(at(0), RATE, 21), u64::MAX);
        bucket.charge(at(0), RATE, 25);
        assert_eq!(bucket.micros_until(at(0), RATE, 0), 500_000);
        assert_eq!(bucket.micros_until(at(50), RATE, 3), 750_000);
        assert!(!bucket.take(at(799), RATE, 3));
        assert!(bucket.take(at(800), RATE, 3));
    }

    #[test]
    fn a_rate_of_nothing_gives_nothing_after_its_burst() {
        let rate = Rate {
            per_second: 0,
            burst: 1,
        };
        let mut bucket = Bucket::full(at(0), rate);
        assert!(bucket.take(at(0), rate, 1));
        assert!(!bucket.take(Timestamp(u64::MAX), rate, 1));
        assert_eq!((RATE.pause_millis(), rate.pause_millis()), (100, 1_000));
    }

    proptest! {
        /// Within any span of time no more is had than the burst and what the span refills, however it
        /// is asked for, and also where the clock stands or goes back.
        #[test]
        fn nobody_has_more_than_the_rate(
            per_second in 0_u32..5_000,
            burst in 0_u32..5_000,
            steps in prop::collection::vec((0_u64..3_000_000, 0_u32..3_000, any::<bool>()), 1..200),
        ) {
            let rate = Rate { per_second, burst };
            let mut now = Timestamp(1_000_000_000);
            let mut bucket = Bucket::full(now, rate);
            let (mut had, mut spent) = (0_u64, 0_u64);
            for (pause, tokens, back) in steps {
                if back {
                    // Seen by a caller whose clock is behind: refills nothing.
                    let early = Timestamp(now.0 - 500_000);
                    if bucket.take(early, rate, tokens) {
                        had += u64::from(tokens);
                    }
                } else {
                    now = Timestamp(now.0 + pause);
                    spent += pause;
                    if bucket.take(now, rate, tokens) {
                        had += u64::from(tokens);
                    }
                }
                let most = u64::from(burst) * 1_000_000 + spent * u64::from(per_second);
                prop_assert!(had * 1_000_000 <= most, "{had} tokens in {spent} µs");
            }
        }

        /// Who asks for no more than the rate is never refused.
        #[test]
        fn who_keeps_to_the_rate_is_served(per_second in 1_u32..1_000, count in 1_usize..500) {
            let rate = Rate { per_second, burst: 1 };
            let mut now = Timestamp(1_000_000_000);
            let mut bucket = Bucket::full(now, rate);
            let pause = 1_000_000_u64.div_ceil(u64::from(per_second));
            for _ in 0..count {
                prop_assert!(bucket.take(now, rate, 1));
                now = Timestamp(now.0 + pause);
            }
        }
    }
}
