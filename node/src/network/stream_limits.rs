//! How many streams of a protocol may stand.

use std::sync::{Arc, Mutex, PoisonError};

use libp2p::PeerId;
use quorate_protocols::limiter::Shares;

use crate::network::Range;

/// How many streams there may be.
#[derive(Clone, Copy, Debug)]
pub(crate) struct StreamLimit {
    pub(crate) per_peer: usize,
    pub(crate) per_range: usize,
    pub(crate) in_all: usize,
    /// Of all these, kept for known peers.
    pub(crate) for_regulars: usize,
}

/// Counts the streams that stand. What is one too many is refused.
#[derive(Clone)]
pub(crate) struct StreamSlots {
    room: StreamLimit,
    open: Arc<Mutex<Open>>,
}

#[derive(Default)]
struct Open {
    regulars: usize,
    strangers: usize,
    peers: Shares<PeerId>,
    ranges: Shares<Range>,
}

/// One stream's place; dropping it frees it.
pub(crate) struct StreamSlot {
    open: Arc<Mutex<Open>>,
    peer: PeerId,
    range: Option<Range>,
    is_regular: bool,
}

impl Open {
    /// A range may have as many as are left, so that one that is new finds some, however many others take
    /// what they can.
    const fn left_for_strangers(&self, room: &StreamLimit) -> usize {
        (room.in_all - room.for_regulars).saturating_sub(self.strangers)
    }

    /// Unknown peers leave known peers their places; known peers may take all.
    const fn has_room(&self, room: &StreamLimit, is_regular: bool) -> bool {
        let all = self.regulars + self.strangers;
        let for_strangers = room.in_all - room.for_regulars;
        all < room.in_all && (is_regular || self.strangers < for_strangers)
    }
}

impl StreamSlots {
    pub(crate) fn new(room: StreamLimit) -> Self {
        let open = Arc::default();
        Self { room, open }
    }

    /// `None` where this peer, its range (unless that is exempt), or all together have as many as they
    /// may. Known peers pay nothing for their neighbours: their range does not count.
    pub(crate) fn take(
        &self,
        peer: PeerId,
        range: Option<Range>,
        is_regular: bool,
    ) -> Option<StreamSlot> {
        let range = range.filter(|_| !is_regular);
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let room = self.room;
        let left = open.left_for_strangers(&room).min(room.per_range);
        let is_full = open.peers.of(&peer) >= room.per_peer
            || range.is_some_and(|range| !open.ranges.may_take(&range, left))
            || !open.has_room(&room, is_regular);
        if is_full {
            metrics::counter!("quorate_streams_refused_total").increment(1);
            return None;
        }
        match is_regular {
            true => open.regulars += 1,
            false => open.strangers += 1,
        }
        open.peers.take(peer);
        if let Some(range) = range {
            open.ranges.take(range);
        }
        drop(open);
        let open = self.open.clone();
        Some(StreamSlot {
            open,
            peer,
            range,
            is_regular,
        })
    }
}

impl Drop for StreamSlot {
    fn drop(&mut self) {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        match self.is_regular {
            true => open.regulars -= 1,
            false => open.strangers -= 1,
        }
        open.peers.give_back(&self.peer);
        if let Some(range) = self.range {
            open.ranges.give_back(&range);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROOM: StreamLimit = StreamLimit {
        per_peer: 4,
        per_range: 10,
        in_all: 1_024,
        for_regulars: 0,
    };

    #[test]
    fn places_are_few_and_come_back() {
        let (places, peer) = (StreamSlots::new(ROOM), PeerId::random());
        let mut taken: Vec<StreamSlot> =
            std::iter::from_fn(|| places.take(peer, None, false)).collect();
        assert_eq!(taken.len(), 4);
        taken.pop();
        assert!(places.take(peer, None, false).is_some());
        let others = std::iter::from_fn(|| places.take(PeerId::random(), None, false));
        let others: Vec<StreamSlot> = others.take(2_000).collect();
        assert_eq!(others.len(), 1_024 - taken.len());
        drop((taken, others));
        let open = places.open.lock().unwrap();
        let held = (open.strangers, open.peers.total(), open.ranges.total());
        assert_eq!(held, (0, 0, 0));
    }

    #[test]
    fn peers_of_one_range_share_its_places() {
        let places = StreamSlots::new(ROOM);
        let range = Some(Range::of([203, 0, 113, 7].into()));
        let taken = std::iter::from_fn(|| places.take(PeerId::random(), range, false));
        let taken: Vec<StreamSlot> = taken.collect();
        assert_eq!(taken.len(), 10);
        let other = Some(Range::of([203, 0, 114, 7].into()));
        assert!(places.take(PeerId::random(), other, false).is_some());
        drop(taken);
        assert!(places.take(PeerId::random(), range, false).is_some());
        assert_eq!(places.open.lock().unwrap().ranges.total(), 0);
    }

    #[test]
    fn strangers_leave_regulars_their_places() {
        let places = StreamSlots::new(StreamLimit {
            for_regulars: 512,
            ..ROOM
        });
        let range = Some(Range::of([203, 0, 113, 7].into()));
        let near = std::iter::from_fn(|| places.take(PeerId::random(), range, false));
        let near: Vec<StreamSlot> = near.collect();
        let far = std::iter::from_fn(|| places.take(PeerId::random(), None, false));
        let far: Vec<StreamSlot> = far.collect();
        assert_eq!(near.len() + far.len(), 512);
        let regulars = std::iter::from_fn(|| places.take(PeerId::random(), range, true));
        let regulars: Vec<StreamSlot> = regulars.collect();
        assert_eq!(regulars.len(), 512, "their neighbours do not matter");
        drop((near, far));
        assert!(places.take(PeerId::random(), None, false).is_some());
    }
}
