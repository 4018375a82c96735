//! How many streams of a protocol may stand.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError};

use libp2p::PeerId;

use crate::network::Range;

/// How many streams there may be.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Room {
    pub(crate) per_peer: usize,
    pub(crate) per_range: usize,
    pub(crate) in_all: usize,
}

/// Counts the streams that stand. What is one too many is refused.
#[derive(Clone)]
pub(crate) struct Places {
    room: Room,
    open: Arc<Mutex<Open>>,
}

#[derive(Default)]
struct Open {
    all: usize,
    peers: HashMap<PeerId, usize>,
    ranges: HashMap<Range, usize>,
}

/// One stream's place; dropping it frees it.
pub(crate) struct Place {
    open: Arc<Mutex<Open>>,
    peer: PeerId,
    range: Option<Range>,
}

impl Places {
    pub(crate) fn new(room: Room) -> Self {
        let open = Arc::default();
        Self { room, open }
    }

    /// `None` where this peer, its range (unless that is exempt), or all together have as many as they
    /// may.
    pub(crate) fn take(&self, peer: PeerId, range: Option<Range>) -> Option<Place> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let own = open.peers.get(&peer).copied().unwrap_or_default();
        let near = range.and_then(|range| open.ranges.get(&range).copied());
        let near = near.unwrap_or_default();
        let room = self.room;
        if own >= room.per_peer || near >= room.per_range || open.all >= room.in_all {
            metrics::counter!("quorate_streams_refused_total").increment(1);
            return None;
        }
        open.all += 1;
        open.peers.insert(peer, own + 1);
        if let Some(range) = range {
            open.ranges.insert(range, near + 1);
        }
        drop(open);
        let open = self.open.clone();
        Some(Place { open, peer, range })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.all -= 1;
        leave(&mut open.peers, self.peer);
        if let Some(range) = self.range {
            leave(&mut open.ranges, range);
        }
    }
}

fn leave<K: Eq + Hash>(counts: &mut HashMap<K, usize>, key: K) {
    if let Some(count) = counts.get_mut(&key) {
        *count -= 1;
        if *count == 0 {
            counts.remove(&key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROOM: Room = Room {
        per_peer: 4,
        per_range: 10,
        in_all: 1_024,
    };

    #[test]
    fn places_are_few_and_come_back() {
        let (places, peer) = (Places::new(ROOM), PeerId::random());
        let mut taken: Vec<Place> = std::iter::from_fn(|| places.take(peer, None)).collect();
        assert_eq!(taken.len(), 4);
        taken.pop();
        assert!(places.take(peer, None).is_some());
        let others = std::iter::from_fn(|| places.take(PeerId::random(), None));
        let others: Vec<Place> = others.take(2_000).collect();
        assert_eq!(others.len(), 1_024 - taken.len());
        drop((taken, others));
        let open = places.open.lock().unwrap();
        assert_eq!((open.all, open.peers.len(), open.ranges.len()), (0, 0, 0));
    }

    #[test]
    fn peers_of_one_range_share_its_places() {
        let places = Places::new(ROOM);
        let range = Some(Range::of([203, 0, 113, 7].into()));
        let taken = std::iter::from_fn(|| places.take(PeerId::random(), range));
        let taken: Vec<Place> = taken.collect();
        assert_eq!(taken.len(), 10);
        let other = Some(Range::of([203, 0, 114, 7].into()));
        assert!(places.take(PeerId::random(), other).is_some());
        drop(taken);
        assert!(places.take(PeerId::random(), range).is_some());
        assert!(places.open.lock().unwrap().ranges.is_empty());
    }
}
