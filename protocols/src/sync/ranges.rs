//! Buckets that wait to be fetched, and who can bring them.

use std::collections::BTreeMap;

use quorate_proto::{BUCKETS, Epoch, TaskId, bucket_range};

use super::io::{Page, Peer};

/// Buckets that may wait: those of four epochs, at about 150 bytes each.
const MAX_RANGES: usize = 4 * BUCKETS;
/// Tasks that a peer may have got since it said how many it has.
const GROWTH: u64 = 1_024;

/// A part of a bucket to ask for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Range {
    pub(super) epoch: Epoch,
    pub(super) after: Option<TaskId>,
    pub(super) until: TaskId,
}

/// By epoch, bucket, and the peer that is to bring it where no other may.
#[derive(Clone, Debug, Default)]
pub(super) struct Ranges(BTreeMap<(Epoch, u8, Option<Peer>), Work>);

#[derive(Clone, Debug)]
struct Work {
    /// Who has something there, and how many tasks it may still send.
    holders: BTreeMap<Peer, u64>,
    busy: Option<Peer>,
    after: Option<TaskId>,
    until: TaskId,
}

impl Ranges {
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether the buckets of one more epoch may wait.
    pub(super) fn has_room(&self) -> bool {
        self.0.len().saturating_add(BUCKETS) <= MAX_RANGES
    }

    pub(super) fn add(
        &mut self,
        epoch: Epoch,
        bucket: u8,
        own: Option<Peer>,
        peer: Peer,
        tasks: u32,
    ) {
        let (after, until) = bucket_range(bucket);
        let work = self.0.entry((epoch, bucket, own)).or_insert_with(|| Work {
            holders: BTreeMap::new(),
            busy: None,
            after,
            until,
        });
        let most = u64::from(tasks).saturating_add(GROWTH);
        work.holders.insert(peer, most);
    }

    /// The next one for a peer. Different peers begin at different buckets by taking what is free.
    pub(super) fn take(&mut self, peer: Peer) -> Option<Range> {
        let free = |work: &&mut Work| work.busy.is_none() && work.holders.contains_key(&peer);
        let of = |(key, work)| (key, work);
        let (key, work) = self.0.iter_mut().map(of).find(|(_, work)| free(work))?;
        work.busy = Some(peer);
        Some(Range {
            epoch: key.0,
            after: work.after,
            until: work.until,
        })
    }

    /// Whether a peer's comparison waits for any of them.
    pub(super) fn concerns(&self, peer: Peer) -> bool {
        self.0.values().any(|work| work.holders.contains_key(&peer))
    }

    /// Of which epoch a peer brings something now.
    pub(super) fn epoch_from(&self, peer: Peer) -> Option<Epoch> {
        let mut works = self.0.iter();
        let busy = works.find(|(_, work)| work.busy == Some(peer));
        busy.map(|((epoch, ..), _)| *epoch)
    }

    /// A peer has brought a part; false where it sends more than it may.
    pub(super) fn page(&mut self, peer: Peer, page: Page) -> bool {
        let Some((key, work)) = self.0.iter_mut().find(|(_, w)| w.busy == Some(peer)) else {
            return true;
        };
        work.busy = None;
        let left = work.holders.get_mut(&peer);
        let Some(left) = left.filter(|left| **left >= page.items) else {
            return false;
        };
        *left = left.saturating_sub(page.items);
        if page.upto >= work.until {
            let done = *key;
            self.0.remove(&done);
        } else {
            work.after = Some(page.upto).max(work.after);
        }
        true
    }

    /// A peer brings nothing any more; what only it had is left out.
    pub(super) fn without(&mut self, peer: Peer) {
        for work in self.0.values_mut() {
            work.holders.remove(&peer);
            work.busy = work.busy.filter(|busy| *busy != peer);
        }
        self.0.retain(|_, work| !work.holders.is_empty());
    }

    /// Who brings something now.
    #[cfg(test)]
    pub(super) fn busy(&self) -> Vec<Peer> {
        self.0.values().filter_map(|work| work.busy).collect()
    }
}
