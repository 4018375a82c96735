//! What bridges' contracts sent, on disk: seen once at a final block, and kept.

use quorate_chain::{KnownTransfers, SeenTransfer};
use quorate_proto::store::{Cursor, Empty, TransferRecord};
use quorate_proto::{B256, Route, StatementKind, Transfer, TransferClosed, keccak256, wire};
use quorate_storage::{Batch, Durability, Page, Store, WriteQueue, schema};
use tokio::sync::watch;

use crate::{NodeError, clock};

/// The transfers that this node has seen. A clone is another handle to the same.
#[derive(Clone)]
pub(crate) struct TransferStore {
    writes: WriteQueue,
    /// Counts what was written.
    changes: watch::Sender<u64>,
}

/// A transfer by route and number.
pub(crate) type TransferKey = ([u8; 32], u64);

impl TransferStore {
    pub(crate) fn new(writes: WriteQueue) -> Self {
        Self {
            writes,
            changes: watch::Sender::new(0),
        }
    }

    pub(super) fn store(&self) -> &Store {
        self.writes.store()
    }

    /// Told of every change.
    pub(crate) fn watch(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    /// What was seen under this number, with epoch 0.
    ///
    /// # Errors
    /// A store that cannot be read.
    pub(crate) fn get(&self, route: &Route, nonce: u64) -> Result<Option<Transfer>, NodeError> {
        self.of(&(route.id().0, nonce))
    }

    /// The same by its key.
    ///
    /// # Errors
    /// A store that cannot be read.
    pub(crate) fn of(&self, key: &TransferKey) -> Result<Option<Transfer>, NodeError> {
        let record = self.store().get(schema::TRANSFERS, key)?;
        record.map(|record| transfer_of(&record)).transpose()
    }

    /// What was seen by its key, with its place.
    ///
    /// # Errors
    /// A store that cannot be read.
    pub(crate) fn record_of(&self, key: &TransferKey) -> Result<Option<TransferRecord>, NodeError> {
        Ok(self.store().get(schema::TRANSFERS, key)?)
    }

    /// What a transaction sent, the first `limit` of it.
    ///
    /// # Errors
    /// A store that cannot be read.
    pub(super) fn sent_by(
        &self,
        transaction: B256,
        limit: usize,
    ) -> Result<Vec<TransferKey>, NodeError> {
        let rows = self.store().scan(
            schema::SENDING_TRANSACTIONS,
            &transaction.0,
            Page::first(limit),
        )?;
        let rows = rows.rows.into_iter();
        Ok(rows.map(|((_, route, nonce), _)| (route, nonce)).collect())
    }

    /// When it was seen, in Unix milliseconds.
    ///
    /// # Errors
    /// A store that cannot be read.
    pub(crate) fn seen_ms(&self, key: &TransferKey) -> Result<Option<u64>, NodeError> {
        Ok(self.record_of(key)?.map(|record| record.seen_ms))
    }

    /// The highest number of a route that was seen.
    ///
    /// # Errors
    /// A store that cannot be read.
    pub(crate) fn newest(&self, route: B256) -> Result<Option<u64>, NodeError> {
        let rows = self
            .store()
            .scan(schema::TRANSFERS, &route.0, Page::newest(1))?;
        Ok(rows.rows.first().map(|((_, nonce), _)| *nonce))
    }

    /// The numbers of a route that were seen.
    ///
    /// # Errors
    /// A store that cannot be read.
    pub(crate) fn nonces(&self, route: B256) -> Result<Vec<u64>, NodeError> {
        let rows = self.store().rows(schema::TRANSFERS, &route.0);
        rows.map(|row| Ok(row?.0.1)).collect()
    }

    /// The first transfers of a route, up to the first number that was not seen.
    ///
    /// # Errors
    /// A store that cannot be read.
    pub(crate) fn known(&self, route: B256) -> Result<KnownTransfers, NodeError> {
        let mut known = KnownTransfers::default();
        for row in self.store().rows(schema::TRANSFERS, &route.0) {
            let ((_, nonce), record) = row?;
            if nonce != known.facts.len() as u64 + 1 {
                break;
            }
            known.facts.push(transfer_of(&record)?.fact());
            known.block = record.block_number;
            known.transaction = record.transaction.into();
        }
        Ok(known)
    }

    /// The first transfers of a route that are not certified, `limit` at most.
    ///
    /// # Errors
    /// A store that cannot be read.
    pub(crate) fn open(&self, route: B256, limit: usize) -> Result<Vec<TransferKey>, NodeError> {
        let page = Page::first(limit);
        let rows = self.store().scan(schema::OPEN_TRANSFERS, &route.0, page)?;
        Ok(rows.rows.into_iter().map(|(key, _)| key).collect())
    }

    /// The first closed transfers of a route whose end is not certified, `limit` at most; with epoch 0.
    ///
    /// # Errors
    /// A store that cannot be read.
    pub(crate) fn closings(
        &self,
        route: B256,
        limit: usize,
    ) -> Result<Vec<TransferClosed>, NodeError> {
        let page = Page::first(limit);
        let rows = self.store().scan(schema::OPEN_CLOSINGS, &route.0, page)?;
        let closed = rows
            .rows
            .iter()
            .map(|(_, row)| TransferClosed::try_from(row));
        closed.map(|one| one.map_err(NodeError::damaged)).collect()
    }

    /// Their ends are certified: they are announced no more; at a relayer queued.
    ///
    /// # Errors
    /// A store that cannot be written.
    pub(crate) async fn ended(&self, closed: &[TransferClosed]) -> Result<(), NodeError> {
        let mut batch = Batch::new();
        for closed in closed {
            batch.delete(schema::OPEN_CLOSINGS, &(closed.route.id().0, closed.nonce));
        }
        Ok(self.writes.write(batch, Durability::Buffered).await?)
    }

    /// How far a source was followed.
    ///
    /// # Errors
    /// A store that cannot be read.
    pub(crate) fn cursor(&self, name: &str) -> Result<Option<u64>, NodeError> {
        let cursor = self.store().get(schema::CURSORS, name)?;
        Ok(cursor.map(|cursor| cursor.block_number))
    }

    /// Writes what was seen and what was closed, and how far the source was followed, at once. A number that was seen
    /// before stays as it was. Returns once it is on disk: how many transfers were new.
    ///
    /// # Errors
    /// A store that cannot be read or written.
    pub(crate) async fn record(
        &self,
        (seen, closed): (&[SeenTransfer], &[TransferClosed]),
        cursor: Option<(&str, u64)>,
    ) -> Result<usize, NodeError> {
        let (mut batch, mut new) = (Batch::new(), 0);
        for closed in closed {
            let key = (closed.route.id().0, closed.nonce);
            batch.put(schema::OPEN_CLOSINGS, &key, &closed.into());
        }
        for transfer in seen {
            new += usize::from(self.add(&mut batch, transfer)?);
        }
        if let Some((name, block_number)) = cursor {
            let cursor = Cursor {
                block_number,
                block_hash: Vec::new(),
            };
            batch.put(schema::CURSORS, name, &cursor);
        }
        self.writes.write(batch, Durability::Synced).await?;
        if new > 0 || !closed.is_empty() {
            self.changes
                .send_modify(|count| *count = count.wrapping_add(1));
        }
        Ok(new)
    }

    /// Whether it is new.
    fn add(&self, batch: &mut Batch, seen: &SeenTransfer) -> Result<bool, NodeError> {
        let transfer = &seen.transfer;
        let key = (transfer.route.id().0, transfer.nonce);
        if let Some(known) = self.of(&key)? {
            if known != *transfer {
                let (nonce, chain) = (transfer.nonce, transfer.route.source_chain);
                tracing::error!(chain, nonce, block = %seen.block, "another transfer has a number that was final before; what was seen first stays: did blocks leave the chain that its rule of finality called final?");
            }
            return Ok(false);
        }
        let record = TransferRecord {
            transfer: Some(transfer.into()),
            block_number: seen.block.number,
            block_hash: seen.block.hash.to_vec(),
            block_time: seen.block.timestamp,
            transaction: seen.transaction.to_vec(),
            log_index: seen.log_index,
            seen_ms: clock::now().millis(),
            taken_ms: 0,
        };
        batch.put(schema::TRANSFERS, &key, &record);
        batch.put(schema::OPEN_TRANSFERS, &key, &Empty {});
        let by = (transaction_key(&seen.transaction).0, key.0, key.1);
        batch.put(schema::SENDING_TRANSACTIONS, &by, &Empty {});
        Ok(true)
    }

    /// It is certified: it is announced no more.
    ///
    /// # Errors
    /// A store that cannot be read or written.
    pub(crate) async fn certified(&self, keys: &[TransferKey]) -> Result<(), NodeError> {
        let mut batch = Batch::new();
        for key in keys {
            batch.delete(schema::OPEN_TRANSFERS, key);
            if let Some(record) = self.record_of(key)? {
                let taken_ms = clock::now().millis();
                let taken = TransferRecord { taken_ms, ..record };
                batch.put(schema::TRANSFERS, key, &taken);
            }
        }
        Ok(self.writes.write(batch, Durability::Buffered).await?)
    }
}

/// A transaction's id has 32 bytes on most chains; of others it is hashed.
pub(super) fn transaction_key(id: &[u8]) -> B256 {
    B256::try_from(id).unwrap_or_else(|_| keccak256(id))
}

fn transfer_of(record: &TransferRecord) -> Result<Transfer, NodeError> {
    let message: &wire::Transfer = record.transfer.as_ref().ok_or_else(|| NodeError::Stored {
        reason: "a stored transfer is empty".to_owned(),
    })?;
    Transfer::try_from(message).map_err(NodeError::damaged)
}
