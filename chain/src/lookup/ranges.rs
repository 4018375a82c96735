//! Cuts a span of blocks into ranges that providers take.

/// Most blocks of one query: what the usual providers allow.
const MAX_SPAN: u64 = 10_000;

/// The ranges of a span of blocks, one after the other. A refused range is divided; every
/// accepted one doubles the next.
#[derive(Debug)]
pub struct Ranges {
    next: Option<u64>,
    end: u64,
    span: u64,
}

impl Ranges {
    /// Both ends belong to the span.
    #[must_use]
    pub fn new(from: u64, to: u64) -> Self {
        Self::with_span(from, to, MAX_SPAN)
    }

    /// As [`Self::new`], of ranges that begin with so many blocks: what was taken before.
    #[must_use]
    pub fn with_span(from: u64, to: u64, span: u64) -> Self {
        Self {
            next: Some(from),
            end: to,
            span: span.clamp(1, MAX_SPAN),
        }
    }

    /// Most blocks of the next range.
    #[must_use]
    pub const fn span(&self) -> u64 {
        self.span
    }

    /// The range to ask for now, both ends included; `None` at the end.
    #[must_use]
    pub fn current(&self) -> Option<(u64, u64)> {
        let first = self.next.filter(|first| *first <= self.end)?;
        Some((first, first.saturating_add(self.span - 1).min(self.end)))
    }

    /// The current range was answered.
    pub fn done(&mut self) {
        self.next = self.current().and_then(|(_, last)| last.checked_add(1));
        self.span = (self.span * 2).min(MAX_SPAN);
    }

    /// The current range was too much; `false` if it was a single block.
    pub fn shrink(&mut self, factor: u64) -> bool {
        let Some((first, last)) = self.current() else {
            return false;
        };
        let size = last - first + 1;
        self.span = (size / factor.max(2)).max(1);
        size > 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The ranges that a provider accepts which takes `most` blocks, and how many it refused.
    fn accepted(from: u64, to: u64, most: u64) -> (Vec<(u64, u64)>, u32) {
        let mut ranges = Ranges::new(from, to);
        let (mut taken, mut refused) = (Vec::new(), 0);
        while let Some((first, last)) = ranges.current() {
            if last - first < most {
                taken.push((first, last));
                ranges.done();
            } else {
                refused += 1;
                assert!(ranges.shrink(2));
            }
        }
        (taken, refused)
    }

    #[test]
    fn ranges_cover_the_span_once() {
        for (from, to) in [
            (0, 0),
            (5, 5),
            (0, 9_999),
            (0, 10_000),
            (7, 123_456),
            (u64::MAX - 3, u64::MAX),
        ] {
            for most in [1, 2, 10, 2_000, 10_000, u64::MAX] {
                if to - from > 20_000 && most < 10 {
                    continue;
                }
                let (taken, _) = accepted(from, to, most);
                assert_eq!(taken.first().map(|r| r.0), Some(from));
                assert_eq!(taken.last().map(|r| r.1), Some(to));
                assert!(taken.windows(2).all(|pair| pair[0].1 + 1 == pair[1].0));
            }
        }
        assert_eq!(accepted(6, 5, 10).0, []);
    }

    #[test]
    fn a_single_block_cannot_shrink() {
        let mut ranges = Ranges::new(3, 4);
        assert!(ranges.shrink(2));
        assert_eq!(ranges.current(), Some((3, 3)));
        assert!(!ranges.shrink(16));
    }
}
