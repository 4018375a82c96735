//! What is kept of peers from one run to the next, so that a restarted node finds the mesh without its
//! bootstrap peers.
//!
//! Any peer can call and say where it listens. So only peers are kept that have something to do with the
//! network, few of them, and none is written often.

use std::collections::HashMap;

use libp2p::{Multiaddr, PeerId};
use quorate_proto::Timestamp;
use quorate_proto::limits::{MAX_ADDRESSES, MAX_OPERATORS};
use quorate_proto::store::PeerRecord;
use quorate_storage::{Batch, Durability, Store, schema};

/// Peers that are kept: all operators and some registries, twice.
const MAX_PEERS: usize = 2 * MAX_OPERATORS + 24;
/// A peer that says something new all the time is written this often.
const PAUSE_MS: u64 = 60_000;
/// A peer that says the same all the time is written this often, so that it does not look gone.
const REFRESH_MS: u64 = 3_600_000;

/// What the store has of peers.
#[derive(Default)]
pub(super) struct PeerStore {
    rows: HashMap<PeerId, PeerRecord>,
}

/// How soon what a peer says has to be kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Haste {
    /// It says so itself, as often as it likes.
    Calm,
    /// It is the word of an operator, which others ask for at once.
    Now,
}

impl PeerStore {
    /// What an earlier run kept. What it kept too much is removed.
    pub(super) fn open(store: &Store) -> Self {
        let mut book = Self::default();
        for row in store.rows(schema::PEERS, &()) {
            let Ok((key, record)) = row else { continue };
            let Ok(peer) = PeerId::from_bytes(&key) else {
                continue;
            };
            book.rows.insert(peer, record);
            if book.rows.len() >= 2 * MAX_PEERS {
                book.prune(store);
            }
        }
        book.prune(store);
        book
    }

    fn prune(&mut self, store: &Store) {
        let mut excess = Batch::new();
        self.make_room(&mut excess);
        if excess.is_empty() {
            return;
        }
        if let Err(error) = store.write(&excess, Durability::Buffered) {
            tracing::warn!(%error, "peers of an earlier run are not forgotten");
        }
    }

    /// Who is known, and where; who was seen last comes first.
    pub(super) fn peers(&self) -> Vec<(PeerId, Vec<Multiaddr>)> {
        let mut rows: Vec<_> = self.rows.iter().collect();
        rows.sort_by_key(|(_, record)| std::cmp::Reverse(record.last_seen_ms));
        let places = |record: &PeerRecord| {
            let places = record.addresses.iter().filter_map(|text| text.parse().ok());
            places.collect()
        };
        rows.into_iter()
            .map(|(peer, record)| (*peer, places(record)))
            .collect()
    }

    /// Notes where a peer listens. What is to be written, if anything.
    pub(super) fn note(
        &mut self,
        now: Timestamp,
        peer: PeerId,
        listens: &[Multiaddr],
        haste: Haste,
    ) -> Option<Batch> {
        let places = listens.iter().take(MAX_ADDRESSES);
        let record = PeerRecord {
            addresses: places.map(ToString::to_string).collect(),
            last_seen_ms: now.millis(),
        };
        let known = self.rows.get(&peer);
        if known.is_some_and(|known| !is_due(known, &record, haste)) {
            return None;
        }
        let mut batch = Batch::new();
        batch.put(schema::PEERS, &peer.to_bytes(), &record);
        self.rows.insert(peer, record);
        self.make_room(&mut batch);
        Some(batch)
    }

    /// Those that were seen longest ago make room.
    fn make_room(&mut self, batch: &mut Batch) {
        let excess = self.rows.len().saturating_sub(MAX_PEERS);
        if excess == 0 {
            return;
        }
        let seen = |(peer, record): (&PeerId, &PeerRecord)| (record.last_seen_ms, *peer);
        let mut oldest: Vec<_> = self.rows.iter().map(seen).collect();
        oldest.sort_unstable();
        for (_, peer) in oldest.into_iter().take(excess) {
            self.rows.remove(&peer);
            batch.delete(schema::PEERS, &peer.to_bytes());
        }
    }
}

/// Whether a row is worth another write. A clock that was set back keeps nothing from being written
/// for longer than it would be otherwise.
fn is_due(known: &PeerRecord, now: &PeerRecord, haste: Haste) -> bool {
    let age = now.last_seen_ms.abs_diff(known.last_seen_ms);
    match (known.addresses == now.addresses, haste) {
        (true, _) => age >= REFRESH_MS,
        (false, Haste::Calm) => age >= PAUSE_MS,
        (false, Haste::Now) => true,
    }
}

#[cfg(test)]
mod tests {
    use quorate_storage::EngineKind;

    use super::*;
    use crate::fixtures;

    const START: Timestamp = Timestamp(1_000_000_000_000);

    fn places(ports: std::ops::Range<u16>) -> Vec<Multiaddr> {
        let place = |port| format!("/ip4/192.0.2.1/tcp/{port}").parse().unwrap();
        ports.map(place).collect()
    }

    fn is_written(book: &mut PeerStore, ms: u64, peer: PeerId, port: u16, haste: Haste) -> bool {
        let places = places(port..port + 1);
        let batch = book.note(START.plus_millis(ms), peer, &places, haste);
        batch.is_some()
    }

    #[test]
    fn only_news_is_written_and_not_often() {
        let (mut book, peer) = (PeerStore::default(), PeerId::random());
        for (ms, port, written) in [
            (0, 1, true),
            (1_000, 1, false),
            (1_000, 2, false),
            (PAUSE_MS, 2, true),
            (PAUSE_MS + 1, 1, false),
            (PAUSE_MS + REFRESH_MS - 1, 2, false),
            (PAUSE_MS + REFRESH_MS, 2, true),
        ] {
            let found = is_written(&mut book, ms, peer, port, Haste::Calm);
            assert_eq!(found, written, "port {port} after {ms} ms");
        }
        let after = PAUSE_MS + REFRESH_MS + 1;
        assert!(!is_written(&mut book, after, peer, 2, Haste::Now));
        assert!(is_written(&mut book, after, peer, 3, Haste::Now));
    }

    #[test]
    fn the_table_is_bounded_and_an_old_one_is_pruned() {
        let (store, _folder) = fixtures::store(EngineKind::Sled);
        let oldest = PeerId::random();
        let peers = std::iter::once(oldest).chain((0..MAX_PEERS).map(|_| PeerId::random()));
        for (number, peer) in peers.enumerate() {
            let mut batch = Batch::new();
            let record = PeerRecord {
                addresses: vec!["/ip4/192.0.2.1/tcp/1".into()],
                last_seen_ms: number as u64,
            };
            batch.put(schema::PEERS, &peer.to_bytes(), &record);
            store.write(&batch, Durability::Buffered).unwrap();
        }
        let rows = || store.rows(schema::PEERS, &()).count();
        assert_eq!(rows(), MAX_PEERS + 1);
        let mut book = PeerStore::open(&store);
        assert_eq!((rows(), book.rows.len()), (MAX_PEERS, MAX_PEERS));
        assert!(!book.rows.contains_key(&oldest));

        let newcomer = PeerId::random();
        let batch = book.note(START, newcomer, &places(0..100), Haste::Calm);
        store.write(&batch.unwrap(), Durability::Buffered).unwrap();
        assert_eq!((rows(), book.rows.len()), (MAX_PEERS, MAX_PEERS));
        let first = book.peers().swap_remove(0);
        assert_eq!((first.0, first.1.len()), (newcomer, MAX_ADDRESSES));
    }
}
