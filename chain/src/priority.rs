//! What goes first where a provider is busy: what an attestation waits for.
//!
//! # Design Decisions
//!
//! The priority is that of the task that asks, as a tracing span is, and not an argument: it matters at the
//! two queues in front of a provider only, which are ten calls below the question.

use std::collections::VecDeque;
use std::future::Future;

tokio::task_local! {
    static FOR_USER: bool;
}

/// Does `work`, whose calls to providers wait until those for attestations are on their way.
pub async fn for_user<F: Future>(work: F) -> F::Output {
    FOR_USER.scope(true, work).await
}

/// Does `work` that attestations may wait for as well, also where a user's question began it.
pub(crate) async fn for_all<F: Future>(work: F) -> F::Output {
    FOR_USER.scope(false, work).await
}

/// Whether the present task works for a user.
pub(crate) fn is_for_user() -> bool {
    FOR_USER.try_with(|for_user| *for_user).unwrap_or(false)
}

/// A queue in which what attestations wait for is ahead of what users wait for.
#[derive(Debug)]
pub(crate) struct Lanes<T> {
    attestations: VecDeque<T>,
    users: VecDeque<T>,
    taken: usize,
}

/// Of so many calls one is a user's, where one waits: attestations slow users down and do not starve them.
const USERS_PART: usize = 8;

impl<T> Default for Lanes<T> {
    fn default() -> Self {
        Self {
            attestations: VecDeque::new(),
            users: VecDeque::new(),
            taken: 0,
        }
    }
}

impl<T> Lanes<T> {
    pub(crate) fn lane(&mut self, for_user: bool) -> &mut VecDeque<T> {
        match for_user {
            true => &mut self.users,
            false => &mut self.attestations,
        }
    }

    pub(crate) fn pop_front(&mut self) -> Option<T> {
        self.taken = self.taken.wrapping_add(1);
        if self.taken.is_multiple_of(USERS_PART)
            && let Some(first) = self.users.pop_front()
        {
            return Some(first);
        }
        let first = self.attestations.pop_front();
        first.or_else(|| self.users.pop_front())
    }

    /// All of them, in the order in which they go out.
    pub(crate) fn drain(&mut self) -> Vec<T> {
        self.attestations
            .drain(..)
            .chain(self.users.drain(..))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn calls_know_for_whom_they_are_made() {
        assert!(!is_for_user());
        assert!(for_user(async { is_for_user() }).await);
        assert!(!for_user(for_all(async { is_for_user() })).await);
        assert!(!is_for_user());
    }

    #[test]
    fn what_users_wait_for_goes_last_and_in_order() {
        let mut lanes = Lanes::default();
        for (number, for_user) in [(1, true), (2, false), (3, true), (4, false)] {
            lanes.lane(for_user).push_back(number);
        }
        lanes.lane(true).push_front(0);
        assert_eq!(lanes.pop_front(), Some(2));
        assert_eq!(lanes.drain(), [4, 0, 1, 3]);
        assert_eq!(lanes.pop_front(), None);
        for number in 0..20 {
            lanes.lane(number < 2).push_back(number);
        }
        let order: Vec<_> = std::iter::from_fn(|| lanes.pop_front()).collect();
        assert_eq!((order[5], order[13]), (0, 1), "every eighth is a user's");
    }
}
