//! Who reads next: users' reads of one chain, a bounded number at a time.
//!
//! # Design Decisions
//!
//! A source of requests may hold as many places as are free ([`Shares::may_take`]). What waits gets its turn
//! source by source.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use libp2p::PeerId;
use quorate_protocols::limiter::Shares;
use tokio::sync::oneshot;

use crate::network::Range;

/// Reads of one chain at a time: at a provider that takes 50 ms for each of two calls, 640 questions/s.
const PLACES: usize = 64;
/// Reads of one chain that wait.
const MAX_WAITING: usize = 2_048;
/// How long a read waits for its turn.
const PATIENCE: Duration = Duration::from_secs(10);

/// Where requests come from: a range of addresses, or one peer where its range is exempt from limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Source {
    Range(Range),
    Peer(PeerId),
}

/// Gives turns at one chain.
#[derive(Clone, Default)]
pub(crate) struct Turns(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    taken: Shares<Source>,
    /// Reads that wait.
    waiting: HashMap<Source, VecDeque<oneshot::Sender<Turn>>>,
    waiting_in_all: usize,
    /// The sources of these: the next one first.
    order: VecDeque<Source>,
}

/// One read's turn; dropping it ends it.
#[derive(Debug)]
pub(super) struct Turn {
    turns: Turns,
    source: Source,
}

impl std::fmt::Debug for Turns {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Turns")
    }
}

impl Turns {
    /// A turn for one more read of this source; `None` where too many wait already, or it does not come.
    pub(super) async fn take(&self, source: Source) -> Option<Turn> {
        let turn = self.enqueue(source)?;
        tokio::time::timeout(PATIENCE, turn).await.ok()?.ok()
    }

    fn enqueue(&self, source: Source) -> Option<oneshot::Receiver<Turn>> {
        let mut state = self.lock();
        if !state.has_room(source) {
            state.forget_those_gone();
        }
        if !state.has_room(source) {
            return None;
        }
        let (sender, turn) = oneshot::channel();
        state.waiting_in_all += 1;
        let waiting = state.waiting.entry(source).or_default();
        waiting.push_back(sender);
        if waiting.len() == 1 {
            state.order.push_back(source);
        }
        let ready = state.next_turns();
        drop(state);
        self.hand_out(ready);
        Some(turn)
    }

    /// Turns whose reads were given up come back, by being dropped.
    fn hand_out(&self, ready: Vec<(Source, oneshot::Sender<Turn>)>) {
        for (source, waiting) in ready {
            let turns = self.clone();
            drop(waiting.send(Turn { turns, source }));
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Those that have their turn now.
    fn next_turns(&mut self) -> Vec<(Source, oneshot::Sender<Turn>)> {
        let mut ready = Vec::new();
        let mut passed = 0;
        while passed < self.order.len()
            && let Some(source) = self.order.pop_front()
        {
            let next = self.next_of(source);
            let served = next.is_some();
            ready.extend(next.map(|waiting| (source, waiting)));
            passed = if served { 0 } else { passed };
            if self.waiting.contains_key(&source) {
                self.order.push_back(source);
                passed += usize::from(!served);
            }
        }
        ready
    }

    /// The next read of a source, where it has its turn.
    fn next_of(&mut self, source: Source) -> Option<oneshot::Sender<Turn>> {
        let free = PLACES.saturating_sub(self.taken.total());
        if !self.taken.may_take(&source, free) {
            return None;
        }
        let waiting = self.waiting.get_mut(&source)?;
        let (before, mut next) = (waiting.len(), None);
        while let Some(first) = waiting.pop_front() {
            if !first.is_closed() {
                next = Some(first);
                break;
            }
        }
        self.waiting_in_all -= before - waiting.len();
        if waiting.is_empty() {
            self.waiting.remove(&source);
        }
        if next.is_some() {
            self.taken.take(source);
        }
        next
    }

    /// As with turns: a source may have as many reads waiting as there is room left.
    fn has_room(&self, source: Source) -> bool {
        let own = self.waiting.get(&source).map_or(0, VecDeque::len);
        own < MAX_WAITING.saturating_sub(self.waiting_in_all)
    }

    fn forget_those_gone(&mut self) {
        self.waiting.retain(|_, waiting| {
            waiting.retain(|sender| !sender.is_closed());
            !waiting.is_empty()
        });
        self.waiting_in_all = self.waiting.values().map(VecDeque::len).sum();
        let waiting = &self.waiting;
        self.order.retain(|source| waiting.contains_key(source));
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let mut state = self.turns.lock();
        state.taken.give_back(&self.source);
        let ready = state.next_turns();
        drop(state);
        self.turns.hand_out(ready);
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    fn source(number: u8) -> Source {
        Source::Range(Range::V4([203, 0, number]))
    }

    /// As many turns as a source gets at once.
    fn fill(turns: &Turns, number: u8) -> Vec<Turn> {
        std::iter::from_fn(|| turns.take(source(number)).now_or_never().flatten()).collect()
    }

    #[tokio::test]
    async fn one_source_gets_half_and_leaves_the_others_theirs() {
        let turns = Turns::default();
        let first = fill(&turns, 1);
        assert_eq!(first.len(), PLACES / 2);
        let second = fill(&turns, 2);
        assert_eq!(second.len(), PLACES / 4);
        assert!(!fill(&turns, 3).is_empty());
        drop((first, second));
        let state = turns.lock();
        assert_eq!((state.taken.total(), state.waiting_in_all), (0, 0));
        assert!(state.order.is_empty(), "those that gave up are forgotten");
    }

    #[tokio::test]
    async fn sources_that_wait_take_turns() {
        let turns = Turns::default();
        let mut held: Vec<Turn> = (0..=255).flat_map(|number| fill(&turns, number)).collect();
        assert_eq!(held.len(), PLACES);
        let mut waiting: Vec<_> = [1, 1, 1, 2, 3]
            .into_iter()
            .map(|number| (number, turns.enqueue(source(200 + number)).expect("room")))
            .collect();
        let mut order = Vec::new();
        while !waiting.is_empty() {
            drop(held.pop());
            waiting.retain_mut(|(number, turn)| match turn.try_recv() {
                Ok(_ended_at_once) => {
                    order.push(*number);
                    false
                }
                Err(_) => true,
            });
        }
        assert_eq!(order, [1, 2, 3, 1, 1]);
    }

    #[tokio::test]
    async fn what_waits_is_bounded_and_gives_its_place_back() {
        let turns = Turns::default();
        let held = fill(&turns, 1);
        let waiting: Vec<_> = std::iter::from_fn(|| turns.enqueue(source(1))).collect();
        assert_eq!(waiting.len(), MAX_WAITING / 2);
        let other = turns.enqueue(source(2));
        assert!(other.is_some(), "a newcomer finds room");
        drop(other);
        drop(waiting);
        assert!(turns.enqueue(source(1)).is_some(), "they are gone");
        drop(held);
        assert_eq!(turns.lock().waiting_in_all, 0);
        assert!(turns.lock().waiting.is_empty());
    }
}
