//! Publishes in batches: what gathered while the previous publish was under way goes out
//! together, so that load raises throughput and no timer adds latency.

use std::collections::VecDeque;
use std::time::Duration;

use prost::Message as _;
use quorate_proto::{
    Address, Batch, Certificate, Envelope, EquivocationEvidence, Kind, NetworkId, PeerBinding,
    PeerSecret, Response, Task, Timestamp, limits, wire,
};
use quorate_protocols::authors::Totals;
use quorate_protocols::limiter::Bucket;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::NodeError;
use crate::clock;
use crate::home::HomeHandle;
use crate::network::NetworkHandle;
use crate::signing::lease::LeaseHandle;

/// Entries that wait to be published: two full batches of each kind.
const QUEUE: usize = 8 * limits::MAX_BATCH_ITEMS;

/// One entry of a batch.
#[derive(Clone, Debug)]
pub(crate) enum Item {
    Task(Task),
    Response(Response),
    Result(Certificate),
    Evidence(Box<EquivocationEvidence>),
}

impl Item {
    /// The topic that it travels on.
    fn kind(&self) -> Kind {
        let (statement, usual) = match self {
            Self::Task(task) => (&task.statement, Kind::Task),
            Self::Response(response) => (&response.statement, Kind::Response),
            Self::Result(certificate) => (certificate.statement(), Kind::Result),
            Self::Evidence(_) => return Kind::Evidence,
        };
        statement.topic().unwrap_or(usual)
    }

    fn encoded_len(&self) -> usize {
        match self {
            Self::Task(task) => wire::Task::from(task).encoded_len(),
            Self::Response(response) => wire::Response::from(response).encoded_len(),
            Self::Result(certificate) => wire::Certificate::from(certificate).encoded_len(),
            Self::Evidence(evidence) => {
                wire::EquivocationEvidence::from(evidence.as_ref()).encoded_len()
            }
        }
    }

    fn add_to(self, batch: &mut Batch) {
        match self {
            Self::Task(task) => batch.tasks.push(task),
            Self::Response(response) => batch.responses.push(response),
            Self::Result(certificate) => batch.results.push(certificate),
            Self::Evidence(evidence) => batch.evidence.push(*evidence),
        }
    }
}

/// Keeps an operator within its own share of messages, since others ignore the rest: above it, what
/// gathers meanwhile goes out in larger batches.
pub(crate) struct PublishPace {
    operator: Address,
    totals: Totals,
    home: HomeHandle,
    bucket: Option<Bucket>,
}

impl PublishPace {
    pub(crate) const fn new(operator: Address, totals: Totals, home: HomeHandle) -> Self {
        Self {
            operator,
            totals,
            home,
            bucket: None,
        }
    }

    /// Waits until one more message is within the share.
    async fn keep(&mut self) {
        let Some(set) = self.home.view().current else {
            return;
        };
        let rate = self.totals.share(&set, self.operator).messages;
        let rate = rate.kept_below();
        let now = clock::now();
        let bucket = self.bucket.get_or_insert_with(|| Bucket::full(now, rate));
        while !bucket.take(clock::now(), rate, 1) {
            tokio::time::sleep(Duration::from_millis(rate.pause_millis())).await;
        }
    }
}

/// Seals and publishes batches.
pub(crate) struct Publisher {
    items: mpsc::Receiver<Item>,
    network: NetworkHandle,
    id: NetworkId,
    author: PeerBinding,
    secret: PeerSecret,
    sequence: u64,
    pace: PublishPace,
    lease: LeaseHandle,
}

/// Hands entries to the publisher.
#[derive(Clone)]
pub(crate) struct PublishHandle(mpsc::Sender<Item>);

impl PublishHandle {
    /// A handle, and what is handed to it.
    pub(crate) fn channel() -> (Self, mpsc::Receiver<Item>) {
        let (sender, items) = mpsc::channel(QUEUE);
        (Self(sender), items)
    }

    /// Hands over as many of these as there is room for, from the front on.
    pub(crate) fn publish_some(&self, items: &mut VecDeque<Item>) {
        while !items.is_empty()
            && let Ok(room) = self.0.try_reserve()
        {
            if let Some(item) = items.pop_front() {
                room.send(item);
            }
        }
        // A publisher that has ended ends the node.
        if self.0.is_closed() {
            items.clear();
        }
    }

    /// Waits until the queue is not full.
    pub(crate) async fn room(&self) {
        let _ = self.0.reserve().await;
    }

    /// Waits while the queue is full.
    pub(crate) async fn publish(&self, item: Item) {
        // An error means that the publisher has ended, and with it the node.
        let _ = self.0.send(item).await;
    }
}

impl Publisher {
    pub(crate) fn new(
        network: NetworkHandle,
        id: NetworkId,
        author: PeerBinding,
        secret: PeerSecret,
        pace: PublishPace,
        lease: LeaseHandle,
    ) -> (Self, PublishHandle) {
        let (handle, items) = PublishHandle::channel();
        let publisher = Self {
            items,
            network,
            id,
            sequence: first_number(clock::now(), &author),
            author,
            secret,
            pace,
            lease,
        };
        (publisher, handle)
    }

    /// Runs until `token` is cancelled; what is queued then still goes out. Nothing does while
    /// another process may have the key: seeing this one's binding it would stop.
    pub(crate) async fn run(mut self, token: CancellationToken) -> Result<(), NodeError> {
        let mut gathered = Vec::with_capacity(QUEUE);
        if token
            .run_until_cancelled(self.lease.settled())
            .await
            .is_none()
        {
            return Ok(());
        }
        loop {
            tokio::select! {
                biased;
                count = self.items.recv_many(&mut gathered, QUEUE) => {
                    if count == 0 {
                        return Ok(());
                    }
                    let items = std::mem::take(&mut gathered);
                    if self.lease.may_publish() {
                        self.publish_all(items).await;
                    }
                }
                () = token.cancelled() => return Ok(()),
            }
        }
    }

    async fn publish_all(&mut self, items: Vec<Item>) {
        let mut batches: [(Kind, Vec<Item>); Kind::ALL.len()] =
            Kind::ALL.map(|kind| (kind, Vec::new()));
        for item in items {
            let place = batches.iter_mut().find(|(kind, _)| *kind == item.kind());
            if let Some((_, items)) = place {
                items.push(item);
            }
        }
        for (kind, items) in batches {
            for batch in split(items) {
                self.publish(kind, batch).await;
            }
        }
    }

    async fn publish(&mut self, kind: Kind, items: Vec<Item>) {
        self.pace.keep().await;
        self.sequence = self.sequence.saturating_add(1);
        let mut batch = Batch {
            sequence: self.sequence,
            ..Batch::default()
        };
        metrics::counter!("quorate_published_items_total", "kind" => kind.name())
            .increment(items.len() as u64);
        metrics::counter!("quorate_published_batches_total", "kind" => kind.name()).increment(1);
        for item in items {
            item.add_to(&mut batch);
        }
        let topic = self.id.topic(kind);
        let message = Envelope::seal(&batch, &self.author, &topic, &self.secret);
        self.network.publish(kind, message).await;
    }
}

/// Batches are numbered from the current time on, so that numbers grow over restarts. Where the clock was
/// set back, from the time of the binding, which is later than all that this key was bound by before.
fn first_number(now: Timestamp, author: &PeerBinding) -> u64 {
    /// A binding's sequence counts milliseconds.
    const MICROS: u64 = 1_000;
    now.0.max(author.sequence.saturating_mul(MICROS))
}

/// Batches that receivers accept: neither too many entries nor too many bytes.
fn split(items: Vec<Item>) -> Vec<Vec<Item>> {
    /// Tag and length before each entry.
    const OVERHEAD: usize = 6;
    let mut batches: Vec<Vec<Item>> = Vec::new();
    let mut bytes = 0;
    for item in items {
        let size = item.encoded_len() + OVERHEAD;
        match batches.last_mut() {
            Some(batch)
                if batch.len() < limits::MAX_BATCH_ITEMS
                    && bytes + size <= limits::MAX_BATCH_BYTES =>
            {
                bytes += size;
                batch.push(item);
            }
            _ => {
                bytes = size;
                batches.push(vec![item]);
            }
        }
    }
    batches
}

#[cfg(test)]
mod tests {
    use quorate_proto::{B256, SecretKey};

    use super::*;

    #[test]
    fn numbers_grow_where_the_clock_was_set_back() {
        let signing = SecretKey::from_bytes(&[1; 32]).unwrap();
        let binding = |sequence| PeerBinding {
            operator: Address::repeat_byte(1),
            peer_key: [1; 32],
            sequence,
            signature: signing.sign(B256::ZERO).unwrap(),
        };
        let now = Timestamp(1_700_000_000_000_000);
        let usual = binding(now.millis());
        assert_eq!(first_number(now, &usual), now.0);
        let hour = 3_600_000_000;
        let later = binding(now.millis() + 1);
        assert!(first_number(Timestamp(now.0 - hour), &later) > now.0);
    }
}
