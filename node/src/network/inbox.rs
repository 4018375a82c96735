//! Messages that wait for validation: bounded in number and bytes, in all and for each peer.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use libp2p::PeerId;
use quorate_proto::limits;
use tokio::sync::mpsc;

use super::handle::GossipMessage;

/// Messages that wait: 0.2 s of a full flood of 5,000 messages/s. When it is full, new ones are dropped.
const MESSAGES: usize = 1_024;
/// Their bytes: 32 of the largest.
const BYTES: usize = 32 * limits::MAX_GOSSIP_BYTES;
/// A peer that forwards more than a quarter of all of this leaves no place for others: its messages are
/// dropped first.
const OF_ONE: usize = 4;

/// How much waits.
#[derive(Debug, Default)]
struct Load {
    bytes: usize,
    peers: HashMap<PeerId, (usize, usize)>,
}

/// The way into the inbox.
pub(super) struct Inbox {
    sender: mpsc::Sender<GossipMessage>,
    load: Arc<Mutex<Load>>,
}

/// The place of one message, until it is dropped.
#[derive(Debug)]
pub(crate) struct InboxSlot {
    load: Arc<Mutex<Load>>,
    peer: PeerId,
    bytes: usize,
}

impl Inbox {
    pub(super) fn new() -> (Self, mpsc::Receiver<GossipMessage>) {
        let (sender, messages) = mpsc::channel(MESSAGES);
        let load = Arc::default();
        (Self { sender, load }, messages)
    }

    /// False where there is no place for the message.
    pub(super) fn put(&self, mut message: GossipMessage) -> bool {
        message.place = self.place(message.source, message.data.len());
        message.place.is_some() && self.sender.try_send(message).is_ok()
    }

    fn place(&self, peer: PeerId, bytes: usize) -> Option<InboxSlot> {
        let mut load = self.load.lock().unwrap_or_else(PoisonError::into_inner);
        let (own_count, own_bytes) = load.peers.get(&peer).copied().unwrap_or_default();
        let fits = load.bytes + bytes <= BYTES
            && own_bytes + bytes <= BYTES / OF_ONE
            && own_count < MESSAGES / OF_ONE;
        if !fits {
            return None;
        }
        load.bytes += bytes;
        load.peers.insert(peer, (own_count + 1, own_bytes + bytes));
        drop(load);
        let load = self.load.clone();
        Some(InboxSlot { load, peer, bytes })
    }
}

impl Drop for InboxSlot {
    fn drop(&mut self) {
        let mut load = self.load.lock().unwrap_or_else(PoisonError::into_inner);
        load.bytes -= self.bytes;
        if let Some((count, bytes)) = load.peers.get_mut(&self.peer) {
            *count -= 1;
            *bytes -= self.bytes;
            if *count == 0 {
                load.peers.remove(&self.peer);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use libp2p::gossipsub::MessageId;
    use quorate_proto::Kind;

    use super::*;

    fn message(source: PeerId, bytes: usize) -> GossipMessage {
        GossipMessage {
            source,
            id: MessageId::from(vec![0]),
            kind: Kind::Task,
            data: vec![0; bytes],
            place: None,
        }
    }

    fn fill(inbox: &Inbox, source: PeerId, bytes: usize) -> usize {
        (0..)
            .take_while(|_| inbox.put(message(source, bytes)))
            .count()
    }

    #[test]
    fn one_peer_leaves_places_for_others() {
        let (inbox, mut messages) = Inbox::new();
        let (flood, honest) = (PeerId::random(), PeerId::random());
        assert_eq!(fill(&inbox, flood, 100), MESSAGES / OF_ONE);
        assert!(inbox.put(message(honest, 100)));
        messages.try_recv().unwrap();
        assert!(inbox.put(message(flood, 100)), "a place came back");
        let others = (0..8)
            .map(|_| fill(&inbox, PeerId::random(), 100))
            .sum::<usize>();
        assert_eq!(others, MESSAGES - MESSAGES / OF_ONE - 1);
        while messages.try_recv().is_ok() {}
        let load = inbox.load.lock().unwrap();
        assert_eq!((load.bytes, load.peers.len()), (0, 0));
    }

    #[test]
    fn who_waits_elsewhere_takes_no_place() {
        let (inbox, mut messages) = Inbox::new();
        assert!(inbox.put(message(PeerId::random(), 100)));
        let mut parked = messages.try_recv().unwrap();
        parked.leave_inbox();
        let load = inbox.load.lock().unwrap();
        assert_eq!((load.bytes, load.peers.len()), (0, 0));
    }

    #[test]
    fn bytes_are_bounded_too() {
        let (inbox, _messages) = Inbox::new();
        let largest = limits::MAX_GOSSIP_BYTES;
        assert_eq!(fill(&inbox, PeerId::random(), largest), 8);
        let others = (0..8)
            .map(|_| fill(&inbox, PeerId::random(), largest))
            .sum::<usize>();
        assert_eq!(others, 24);
    }
}
