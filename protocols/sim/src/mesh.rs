//! How a message spreads by gossip: each node passes on what is new to it, to a few others.

use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap};

use quorate_proto::{Batch, Envelope, Kind, NetworkId, PeerBinding, PeerSecret, Timestamp};
use rand::Rng;
use rand_chacha::ChaCha8Rng;

use super::event::Message;
use super::plan::{Conditions, Gossip};
use super::sending::{Audience, is_meant};
use super::world;

/// Bytes of gossipsub around the topic and the data of one message: five tags and lengths.
const FRAME: usize = 12;

/// Tries for each link before a node is content with fewer: all others may be full.
const TRIES: usize = 50;

/// What one node received and sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Copies of messages that arrived.
    pub received: u64,
    /// Those of them that it had already.
    pub duplicates: u64,
    /// Bytes of all that arrived.
    pub received_bytes: u64,
    /// Copies that it sent, lost ones too.
    pub sent: u64,
    /// Bytes of all that it sent.
    pub sent_bytes: u64,
}

/// Who passes messages on to whom, and what that cost.
#[derive(Debug)]
pub(super) struct Mesh {
    neighbours: Vec<Vec<usize>>,
    flood_publish: bool,
    pub(super) traffic: Vec<Traffic>,
}

/// A copy on its way: when it arrives, where, and from whom.
type Hop = Reverse<(u64, usize, usize)>;

/// What a message meets on its way.
pub(super) struct Way<'a> {
    pub(super) conditions: &'a Conditions,
    pub(super) now: Timestamp,
    pub(super) bytes: usize,
    /// To whom the author tells it; who passes it on tells it to all.
    pub(super) audience: Audience<'a>,
    /// Whether a node passes on what it gets.
    pub(super) forwards: &'a dyn Fn(usize) -> bool,
}

impl Mesh {
    /// Each node gets `degree` links or a few more, to others at random.
    pub(super) fn new(rng: &mut ChaCha8Rng, nodes: usize, gossip: Gossip) -> Self {
        let mut links = vec![BTreeSet::new(); nodes];
        let degree = gossip.degree.min(nodes.saturating_sub(1));
        for node in 0..nodes {
            for _ in 0..TRIES * degree {
                let other = rng.random_range(0..nodes);
                if links[node].len() >= degree {
                    break;
                }
                if other != node && links[other].len() < 2 * degree {
                    links[node].insert(other);
                    links[other].insert(node);
                }
            }
        }
        Self {
            neighbours: links.into_iter().map(Vec::from_iter).collect(),
            flood_publish: gossip.flood_publish,
            traffic: vec![Traffic::default(); nodes],
        }
    }

    /// Who gets a message of `origin`, after how many microseconds. All delays are drawn when
    /// it is published, and who is down then passes nothing on.
    pub(super) fn spread(
        &mut self,
        rng: &mut ChaCha8Rng,
        origin: usize,
        way: &Way<'_>,
    ) -> Vec<(usize, u64)> {
        let mut hops = BinaryHeap::new();
        let mut seen = vec![false; self.neighbours.len()];
        seen[origin] = true;
        self.publish(rng, origin, way, &mut hops);
        let mut arrivals = Vec::new();
        while let Some(Reverse((delay, to, from))) = hops.pop() {
            let traffic = &mut self.traffic[to];
            traffic.received += 1;
            traffic.received_bytes += way.bytes as u64;
            if std::mem::replace(&mut seen[to], true) {
                traffic.duplicates += 1;
                continue;
            }
            arrivals.push((to, delay));
            if (way.forwards)(to) {
                for index in 0..self.neighbours[to].len() {
                    let next = self.neighbours[to][index];
                    if next != from {
                        self.send(rng, (to, next), delay, way, &mut hops);
                    }
                }
            }
        }
        arrivals
    }

    fn publish(
        &mut self,
        rng: &mut ChaCha8Rng,
        origin: usize,
        way: &Way<'_>,
        hops: &mut BinaryHeap<Hop>,
    ) {
        let to: Vec<usize> = if self.flood_publish {
            (0..self.neighbours.len())
                .filter(|to| *to != origin)
                .collect()
        } else {
            self.neighbours[origin].clone()
        };
        for to in to.into_iter().filter(|to| is_meant(way.audience, *to)) {
            self.send(rng, (origin, to), 0, way, hops);
        }
    }

    fn send(
        &mut self,
        rng: &mut ChaCha8Rng,
        (from, to): (usize, usize),
        after: u64,
        way: &Way<'_>,
        hops: &mut BinaryHeap<Hop>,
    ) {
        self.traffic[from].sent += 1;
        self.traffic[from].sent_bytes += way.bytes as u64;
        let leaves = Timestamp(way.now.0 + after);
        let fate = way.conditions.fate(rng, leaves, from, to);
        for delay in fate.into_iter().flatten() {
            hops.push(Reverse((after + delay, to, from)));
        }
    }
}

/// Bytes of a message on the wire, alone in its batch: sealed as a node does it.
pub(super) fn size(network: &NetworkId, message: &Message) -> usize {
    let (kind, batch) = batch(message);
    let secret = PeerSecret::from_bytes(&[1; 32]);
    let author = PeerBinding {
        operator: world::address(0),
        peer_key: secret.public(),
        sequence: 1_700_000_000_000,
        signature: world::any_signature(),
    };
    let topic = network.topic(kind);
    Envelope::seal(&batch, &author, &topic, &secret).len() + topic.len() + FRAME
}

fn batch(message: &Message) -> (Kind, Batch) {
    let mut batch = Batch {
        sequence: 1_700_000_000_000_000,
        ..Batch::default()
    };
    let kind = match message.clone() {
        Message::Announce(statement, attempt) => {
            let kind = statement.topic().unwrap_or(Kind::Task);
            batch.tasks.push(quorate_proto::Task { statement, attempt });
            kind
        }
        Message::Response(response) => {
            let kind = response.statement.topic().unwrap_or(Kind::Response);
            batch.responses.push(response);
            kind
        }
        Message::Result(certificate) => {
            let kind = certificate.statement().topic().unwrap_or(Kind::Result);
            batch.results.push(certificate);
            kind
        }
    };
    (kind, batch)
}
