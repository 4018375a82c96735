//! How many streams may stand.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use libp2p::PeerId;

/// Streams of one peer: one for its calls, one that replaces it, and the same for a registry's
/// second service.
const PER_PEER: usize = 4;
/// Streams of all peers: 500 operators and some registries, twice.
const IN_ALL: usize = 1_024;

/// Counts open streams.
#[derive(Clone, Default)]
pub(super) struct Places(Arc<Mutex<HashMap<PeerId, usize>>>);

/// One open stream; given back when dropped.
pub(super) struct Place(Places, PeerId);

impl Places {
    /// A place, where there is one.
    pub(super) fn take(&self, peer: PeerId) -> Option<Place> {
        let mut open = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let all: usize = open.values().sum();
        let own = open.get(&peer).copied().unwrap_or_default();
        if own >= PER_PEER || all >= IN_ALL {
            return None;
        }
        open.insert(peer, own + 1);
        Some(Place(self.clone(), peer))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut open = self.0.0.lock().unwrap_or_else(PoisonError::into_inner);
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
        let (places, peer) = (Places::default(), PeerId::random());
        let mut taken: Vec<Place> = std::iter::from_fn(|| places.take(peer)).collect();
        assert_eq!(taken.len(), PER_PEER);
        taken.pop();
        assert!(places.take(peer).is_some());
        let others = std::iter::from_fn(|| places.take(PeerId::random()));
        assert_eq!(
            others.take(IN_ALL).collect::<Vec<_>>().len(),
            IN_ALL - taken.len()
        );
        drop(taken);
        assert!(places.0.lock().unwrap().is_empty());
    }
}
