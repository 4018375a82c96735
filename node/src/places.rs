//! How many streams of a protocol may stand.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use libp2p::PeerId;

/// Counts the streams that stand.
#[derive(Clone)]
pub(crate) struct Places {
    per_peer: usize,
    in_all: usize,
    open: Arc<Mutex<HashMap<PeerId, usize>>>,
}

/// One stream's place; dropping it frees it.
pub(crate) struct Place(Places, PeerId);

impl Places {
    pub(crate) fn new(per_peer: usize, in_all: usize) -> Self {
        Self {
            per_peer,
            in_all,
            open: Arc::default(),
        }
    }

    /// `None` where this peer, or all together, have as many as they may.
    pub(crate) fn take(&self, peer: PeerId) -> Option<Place> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let all: usize = open.values().sum();
        let own = open.get(&peer).copied().unwrap_or_default();
        if own >= self.per_peer || all >= self.in_all {
            metrics::counter!("quorate_streams_refused_total").increment(1);
            return None;
        }
        open.insert(peer, own + 1);
        Some(Place(self.clone(), peer))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut open = self.0.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = open.get_mut(&self.1) {
            *count -= 1;
            if *count == 0 {
                open.remove(&self.1);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_few_and_come_back() {
        let (places, peer) = (Places::new(4, 1_024), PeerId::random());
        let mut taken: Vec<Place> = std::iter::from_fn(|| places.take(peer)).collect();
        assert_eq!(taken.len(), 4);
        taken.pop();
        assert!(places.take(peer).is_some());
        let others = std::iter::from_fn(|| places.take(PeerId::random()));
        let others: Vec<Place> = others.take(2_000).collect();
        assert_eq!(others.len(), 1_024 - taken.len());
        drop((taken, others));
        assert!(places.open.lock().unwrap().is_empty());
    }
}
