//! Messages that wait for the epoch after the newest one known here.
//!
//! Whether their authors are operators of that epoch cannot be told yet. So they take no place of the
//! messages that can be validated, and there is little room for those of unknown peers.

use std::collections::VecDeque;
use std::time::Duration;

use libp2p::PeerId;
use quorate_proto::{Epoch, limits};
use tokio::time::Instant;

use crate::network::GossipMessage;

/// How long a message may wait.
const PARK: Duration = Duration::from_secs(1);
/// How often the home chain is looked at out of turn for them.
const HURRY: Duration = Duration::from_secs(1);
/// Messages that may wait. A node that lags misses some hundred batches of a busy mesh in that time.
const MESSAGES: usize = 256;
/// Their bytes: four of the largest.
const BYTES: usize = 4 * limits::MAX_GOSSIP_BYTES;
/// What came from one peer.
const OF_ONE: HeldVolume = HeldVolume {
    messages: 128,
    bytes: BYTES / 2,
};
/// What came from all peers that speak for no operator: a registry's forwards, or a flood.
const OF_STRANGERS: HeldVolume = HeldVolume {
    messages: 16,
    bytes: BYTES / 4,
};

/// A number of messages, and their bytes.
#[derive(Clone, Copy, Default)]
struct HeldVolume {
    messages: usize,
    bytes: usize,
}

impl HeldVolume {
    fn of<'a>(waiting: impl Iterator<Item = &'a EarlyMessage>) -> Self {
        waiting.fold(Self::default(), |share, one| share.and(&one.message))
    }

    fn and(self, message: &GossipMessage) -> Self {
        Self {
            messages: self.messages + 1,
            bytes: self.bytes + message.data.len(),
        }
    }

    const fn fits(self, room: Self) -> bool {
        self.messages <= room.messages && self.bytes <= room.bytes
    }
}

struct EarlyMessage {
    until: Instant,
    is_stranger: bool,
    message: GossipMessage,
}

/// The messages, in the order in which their time is over.
#[derive(Default)]
pub(super) struct EarlyMessages {
    waiting: VecDeque<EarlyMessage>,
    /// The newest epoch that was known when the oldest of them was validated.
    tried: Option<Epoch>,
    hurried: Option<Instant>,
}

impl EarlyMessages {
    /// Takes a message that was validated when `newest` was the newest epoch known; gives it back where
    /// there is no room for it. It leaves its place in the inbox to others.
    pub(super) fn put(
        &mut self,
        now: Instant,
        newest: Option<Epoch>,
        mut message: GossipMessage,
        is_stranger: bool,
    ) -> Option<GossipMessage> {
        if !self.has_room(&message, is_stranger) {
            return Some(message);
        }
        if self.waiting.is_empty() {
            self.tried = newest;
        }
        message.leave_inbox();
        self.waiting.push_back(EarlyMessage {
            until: now + PARK,
            is_stranger,
            message,
        });
        None
    }

    fn has_room(&self, message: &GossipMessage, is_stranger: bool) -> bool {
        let all = HeldVolume {
            messages: MESSAGES,
            bytes: BYTES,
        };
        let of = |peer: PeerId| {
            self.waiting
                .iter()
                .filter(move |w| w.message.source == peer)
        };
        let strangers = self.waiting.iter().filter(|w| w.is_stranger);
        HeldVolume::of(self.waiting.iter()).and(message).fits(all)
            && HeldVolume::of(of(message.source)).and(message).fits(OF_ONE)
            && (!is_stranger || HeldVolume::of(strangers).and(message).fits(OF_STRANGERS))
    }

    /// When to call [`EarlyMessages::late`].
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.waiting.front().map(|waiting| waiting.until)
    }

    /// Takes those out that have waited too long.
    pub(super) fn late(&mut self, now: Instant) -> Vec<GossipMessage> {
        let late = self.waiting.partition_point(|one| one.until <= now);
        self.waiting.drain(..late).map(|one| one.message).collect()
    }

    /// Takes all out, if a newer epoch is known now than when they were validated: nothing else makes a
    /// difference to them.
    pub(super) fn retry(&mut self, newest: Option<Epoch>) -> Vec<GossipMessage> {
        if self.tried == newest {
            return Vec::new();
        }
        self.tried = newest;
        self.waiting.drain(..).map(|one| one.message).collect()
    }

    /// Whether the home chain is to be looked at now for their sake. Each look costs its providers
    /// requests, and any peer can have a message wait.
    pub(super) fn hurries(&mut self, now: Instant) -> bool {
        let is_due = self.hurried.is_none_or(|last| now >= last + HURRY);
        if is_due {
            self.hurried = Some(now);
        }
        is_due
    }
}

#[cfg(test)]
mod tests {
    use quorate_proto::Kind;

    use super::*;

    const NEWEST: Option<Epoch> = Some(Epoch(4));

    fn fill(parking: &mut EarlyMessages, source: PeerId, bytes: usize, is_stranger: bool) -> usize {
        let now = Instant::now();
        let mut put = || {
            let message = GossipMessage::of(source, Kind::Task, vec![0; bytes]);
            parking.put(now, NEWEST, message, is_stranger).is_none()
        };
        (0..).take_while(|_| put()).count()
    }

    #[test]
    fn strangers_take_few_places_however_many_they_are() {
        let mut parking = EarlyMessages::default();
        let peers = (0..50).map(|_| PeerId::random());
        let taken: usize = peers.map(|peer| fill(&mut parking, peer, 10, true)).sum();
        assert_eq!(taken, OF_STRANGERS.messages);
        let operators = [PeerId::random(), PeerId::random()];
        let taken = operators.map(|peer| fill(&mut parking, peer, 10, false));
        assert_eq!(taken, [128, MESSAGES - 128 - 16]);
    }

    #[test]
    fn bytes_are_bounded_too() {
        let mut parking = EarlyMessages::default();
        let largest = limits::MAX_GOSSIP_BYTES;
        let taken = fill(&mut parking, PeerId::random(), largest, true);
        assert_eq!(taken, 1, "of a stranger");
        assert_eq!(fill(&mut parking, PeerId::random(), largest, true), 0);
        let operators = [PeerId::random(), PeerId::random()];
        let taken = operators.map(|peer| fill(&mut parking, peer, largest, false));
        assert_eq!(taken, [2, 1]);
    }

    #[test]
    fn they_are_tried_again_only_when_a_newer_epoch_is_known() {
        let mut parking = EarlyMessages::default();
        fill(&mut parking, PeerId::random(), 10, true);
        assert!(parking.retry(NEWEST).is_empty(), "another block");
        assert_eq!(parking.retry(Some(Epoch(5))).len(), 16);
        assert!(parking.retry(Some(Epoch(5))).is_empty());
        // What was validated before the newer epoch was known, and came here after it.
        fill(&mut parking, PeerId::random(), 10, true);
        assert_eq!(parking.retry(Some(Epoch(5))).len(), 16);
    }

    #[test]
    fn who_waits_too_long_goes() {
        let mut parking = EarlyMessages::default();
        assert_eq!(parking.deadline(), None);
        fill(&mut parking, PeerId::random(), 10, true);
        let deadline = parking.deadline().unwrap();
        assert!(parking.late(deadline - PARK).is_empty());
        assert_eq!(parking.late(deadline).len(), 16);
        assert_eq!(parking.deadline(), None);
    }

    #[test]
    fn the_home_chain_is_hurried_once_a_second() {
        let (mut parking, now) = (EarlyMessages::default(), Instant::now());
        assert!(parking.hurries(now));
        assert!(!parking.hurries(now + HURRY / 2));
        assert!(parking.hurries(now + HURRY));
    }
}
