//! Whose turn it is to be asked what is new.

use std::collections::VecDeque;

use quorate_proto::Timestamp;

use super::{FOLLOW_MS, FOLLOWED};

/// When peers were asked of late, at most [`FOLLOWED`] times.
#[derive(Clone, Debug, Default)]
pub(super) struct Turns(VecDeque<Timestamp>);

impl Turns {
    /// When the next peer may be asked; long ago where one may at once.
    pub(super) fn next(&self) -> Timestamp {
        match self.0.front() {
            Some(first) if self.0.len() >= FOLLOWED => first.plus_millis(FOLLOW_MS),
            _ => Timestamp(0),
        }
    }

    /// Whether a peer may be asked now; it is, then.
    pub(super) fn take(&mut self, now: Timestamp) -> bool {
        if now < self.next() {
            return false;
        }
        if self.0.len() >= FOLLOWED {
            self.0.pop_front();
        }
        self.0.push_back(now);
        true
    }
}
