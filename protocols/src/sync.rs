//! What a node asks of which peer to get what it missed.
//!
//! ```text
//! Connected ─> Recent ─> Summary ─> Buckets ─> Range ─> … ─> Summary ─> agreed
//!                └──────── every second ──> Recent ─> Tasks
//! ```
//!
//! # Design Decisions
//!
//! - **Comparing** finds everything, however old: epochs by their fingerprints, then the 256 buckets
//!   of those that differ, then what is missing in the buckets that differ. What was taken over
//!   makes the next comparison smaller, so a node that is killed in the middle goes on there without
//!   having noted anything.
//! - **Following** finds what is new: each peer says what changed since it was asked last. It is cheap,
//!   so some peers are asked every second, and what gossip lost arrives by it. They take turns, for one
//!   that has what was lost is enough, and with all asked at once the next ones would be far away.
//! - Buckets that several peers can fill are shared between them. As each of them may have what the
//!   others lack, each is then compared once more for itself; that second time is the last.
//! - One question at a time per peer, so what is in flight is bounded by the number of peers.
//! - Something may be left out for now: there is no room for it, or the peer has brought its fill of
//!   what has no certificate. Then its epoch counts as not compared, and is compared again when more
//!   may be taken.
//! - What a peer says to hold bounds what it may send. Every item was verified before the machine
//!   hears of it; who lies is shunned, and what it was to bring is asked of others.

mod io;
mod peer;
mod ranges;
mod turns;

use std::collections::BTreeMap;

use quorate_proto::{Epoch, Timestamp, limits};

pub use self::io::{EpochPair, Input, Output, Page, Pair, Peer, Query, Root};
use self::peer::{Pass, State};
use self::ranges::{Range, Ranges};
use self::turns::Turns;

/// Between two questions what is new at a peer. With [`SETTLED_MS`] before a change is told, what gossip
/// lost arrives within two seconds.
pub const FOLLOW_MS: u64 = 1_000;
/// A change is told after this time: gossip brings almost all of them sooner.
pub const SETTLED_MS: u64 = 500;
/// Peers that are asked within any [`FOLLOW_MS`] what is new; with more, they take turns.
pub const FOLLOWED: usize = 3;
/// Between two comparisons with a peer that stays connected and can be followed: what following
/// leaves out is what both sides forgot.
pub const COMPARE_MS: u64 = 300_000;
/// At least between two comparisons, however often a peer says that it has left something out.
pub const COMPARE_AGAIN_MS: u64 = 20_000;
/// Between two pages of changes: ten of them carry 10,000 tasks a second.
pub const PAGE_MS: u64 = 100;
/// After a question that went unanswered.
pub const RETRY_MS: u64 = 2_000;
/// How long a peer that lied is not asked; doubled each time, to at most 64 times this.
pub const SHUN_MS: u64 = 60_000;
/// Peers that are asked: all operators of a usual network. Each costs a question per second at most.
pub const MAX_PEERS: usize = 64;

/// Decides what to ask of whom.
#[derive(Clone, Debug, Default)]
pub struct Sync {
    peers: BTreeMap<Peer, State>,
    ranges: Ranges,
    turns: Turns,
    /// Older epochs are not taken over.
    floor: Epoch,
}

impl Sync {
    /// A machine that knows no peer.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes one input.
    pub fn handle(&mut self, now: Timestamp, input: Input) -> Vec<Output> {
        let mut outputs = Vec::new();
        match input {
            Input::Connected(peer) => self.connected(now, peer),
            Input::Gone(peer) => self.gone(peer),
            Input::Floor(epoch) => self.floor = self.floor.max(epoch),
            Input::Summary { peer, epochs, more } => self.summary(peer, epochs, more),
            Input::Set { peer, epoch, known } => self.set(peer, epoch, known),
            Input::Buckets { peer, epoch, pairs } => self.buckets(peer, epoch, &pairs),
            Input::Page { peer, page } => outputs.extend(self.page(now, peer, page)),
            Input::Recent {
                peer,
                instance,
                next,
                gap,
                more,
                missing,
            } => {
                if let Some(state) = self.peers.get_mut(&peer) {
                    state.recent(now, (instance, next), missing);
                    state.hurry(now, gap, more);
                }
            }
            Input::Tasks { peer, left_out } => {
                self.free(peer);
                if let Some((state, after)) = self.peers.get_mut(&peer).zip(left_out) {
                    state.compare_within(now, after);
                }
            }
            Input::Failed { peer, fault } => self.failed(now, peer, fault),
            Input::Wake => {}
        }
        outputs.extend(self.assign(now));
        outputs
    }

    /// When to call [`Input::Wake`].
    #[must_use]
    pub fn next_wake(&self) -> Option<Timestamp> {
        let turn = self.turns.next();
        let wakes = self.peers.values().map(|state| state.next_wake(turn));
        wakes.flatten().min()
    }

    /// Tasks that peers hold and this node lacks, by the peer that is farthest ahead.
    #[must_use]
    pub fn behind(&self) -> u64 {
        let behind = self.peers.values().map(|state| state.behind);
        behind.max().unwrap_or_default()
    }

    /// Peers with which this node was compared, and nothing was left to take over.
    #[must_use]
    pub fn agreed(&self) -> usize {
        self.peers.values().filter(|state| state.agreed).count()
    }

    /// Peers that are asked.
    #[must_use]
    pub fn peers(&self) -> usize {
        self.peers.len()
    }

    /// Ranges that wait to be fetched.
    #[must_use]
    pub fn ranges(&self) -> usize {
        self.ranges.len()
    }

    fn connected(&mut self, now: Timestamp, peer: Peer) {
        if self.peers.len() < MAX_PEERS {
            self.peers.entry(peer).or_insert_with(|| State::new(now));
        }
    }

    fn gone(&mut self, peer: Peer) {
        self.peers.remove(&peer);
        self.ranges.without(peer);
    }

    fn free(&mut self, peer: Peer) {
        if let Some(state) = self.peers.get_mut(&peer) {
            state.busy = false;
        }
    }

    fn failed(&mut self, now: Timestamp, peer: Peer, fault: bool) {
        self.ranges.without(peer);
        if let Some(state) = self.peers.get_mut(&peer) {
            state.failed(now, fault);
        }
    }

    fn summary(&mut self, peer: Peer, epochs: Vec<EpochPair>, more: bool) {
        let floor = self.floor;
        let Some(state) = self.peers.get_mut(&peer) else {
            return;
        };
        state.busy = false;
        let Pass::Comparing(pass) = &mut state.pass else {
            return;
        };
        pass.summarised(epochs.last().filter(|_| more).map(|pair| pair.epoch));
        for pair in epochs.into_iter().take(limits::MAX_SYNC_EPOCHS) {
            let absorbed = state.absorbed.get(&pair.epoch) == Some(&pair.theirs);
            if pair.epoch >= floor && pair.ours != pair.theirs && !absorbed {
                let missing = pair.theirs.tasks.saturating_sub(pair.ours.tasks);
                state.behind = state.behind.saturating_add(u64::from(missing));
                pass.differ(pair);
            }
        }
    }

    fn set(&mut self, peer: Peer, epoch: Epoch, known: bool) {
        if let Some(state) = self.peers.get_mut(&peer) {
            state.busy = false;
            if let Pass::Comparing(pass) = &mut state.pass {
                pass.set(epoch, known);
            }
        }
    }

    fn buckets(&mut self, peer: Peer, epoch: Epoch, pairs: &[Pair]) {
        let Some(state) = self.peers.get_mut(&peer) else {
            return;
        };
        state.busy = false;
        let Pass::Comparing(pass) = &mut state.pass else {
            return;
        };
        let own = pass.is_second.then_some(peer);
        for (bucket, pair) in (0..=u8::MAX).zip(pairs) {
            if pair.ours != pair.theirs && pair.theirs.tasks > 0 {
                self.ranges.add(epoch, bucket, own, peer, pair.theirs.tasks);
            }
        }
    }

    fn page(&mut self, now: Timestamp, peer: Peer, page: Page) -> Option<Output> {
        self.free(peer);
        let epoch = self.ranges.epoch_from(peer);
        if let Some(state) = self.peers.get_mut(&peer) {
            state.behind = state.behind.saturating_sub(page.fresh);
            if let (Pass::Comparing(pass), Some(epoch)) = (&mut state.pass, epoch) {
                pass.leave_out(epoch, page.left_out);
            }
        }
        if self.ranges.page(peer, page) {
            return None;
        }
        self.failed(now, peer, true);
        Some(Output::Lied(peer, "sends more tasks than it says to hold"))
    }

    /// Gives every peer that has none its next question, first to those that were not followed for
    /// longest.
    fn assign(&mut self, now: Timestamp) -> Vec<Output> {
        let since = |(peer, state): (&Peer, &State)| (state.follow_at(), *peer);
        let mut peers: Vec<_> = self.peers.iter().map(since).collect();
        peers.sort_unstable();
        let mut outputs = Vec::new();
        for (_, peer) in peers {
            if let Some(query) = self.next_query(now, peer) {
                if let Some(state) = self.peers.get_mut(&peer) {
                    state.busy = true;
                }
                outputs.push(Output::Ask(peer, query));
            }
        }
        outputs
    }

    fn next_query(&mut self, now: Timestamp, peer: Peer) -> Option<Query> {
        let state = self.peers.get_mut(&peer)?;
        if state.busy || state.is_shunned(now) {
            return None;
        }
        if let Some(query) = state.follow(now, &mut self.turns) {
            return Some(query);
        }
        // What changed between a comparison and the first answer would be in neither.
        if !state.is_followed() {
            return None;
        }
        if let Some(Range {
            epoch,
            after,
            until,
        }) = self.ranges.take(peer)
        {
            return Some(Query::Range {
                epoch,
                after,
                until,
            });
        }
        loop {
            match &mut state.pass {
                Pass::Idle if now < state.compare_at => return None,
                Pass::Idle => state.begin(self.floor, false),
                Pass::Comparing(pass) => {
                    if let Some(query) = pass.next_query(self.ranges.has_room()) {
                        return Some(query);
                    }
                    if !pass.is_asked() || self.ranges.concerns(peer) {
                        return None;
                    }
                    state.end_pass(now, self.floor);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
