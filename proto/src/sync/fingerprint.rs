//! Many tasks in a few bytes.

use alloy_primitives::{B256, U256, keccak256};

use crate::{TaskId, WireError};

/// Parts of an epoch: by the first byte of the task id.
pub const BUCKETS: usize = 256;

/// How many tasks, and the sum of their hashes modulo 2^256. A sum and no exclusive or, since a peer that
/// may choose some of the hashes can make an exclusive or come out as it likes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Fingerprint {
    /// How many tasks.
    pub tasks: u32,
    sum: U256,
}

impl Fingerprint {
    /// Bytes of it on the wire.
    pub const BYTES: usize = 16;

    /// Adds the hash of a task.
    pub fn add(&mut self, hash: B256) {
        self.tasks = self.tasks.saturating_add(1);
        self.sum = self.sum.wrapping_add(U256::from_be_bytes(hash.0));
    }

    /// Takes a hash out that was added before.
    pub fn remove(&mut self, hash: B256) {
        self.tasks = self.tasks.saturating_sub(1);
        self.sum = self.sum.wrapping_sub(U256::from_be_bytes(hash.0));
    }

    /// Adds all of another one.
    pub fn join(&mut self, other: &Self) {
        self.tasks = self.tasks.saturating_add(other.tasks);
        self.sum = self.sum.wrapping_add(other.sum);
    }

    /// keccak256(sum 32 ‖ tasks 4), the first 16 bytes.
    #[must_use]
    pub fn digest(&self) -> [u8; Self::BYTES] {
        let mut bytes = self.sum.to_be_bytes_vec();
        bytes.extend(self.tasks.to_be_bytes());
        Self::short(keccak256(bytes))
    }

    /// The first 16 bytes of a hash.
    #[must_use]
    pub fn short(hash: B256) -> [u8; Self::BYTES] {
        let mut short = [0; Self::BYTES];
        short.copy_from_slice(&hash[..Self::BYTES]);
        short
    }

    /// A digest of the wire.
    ///
    /// # Errors
    /// Not 16 bytes.
    pub fn parse(bytes: &[u8]) -> Result<[u8; Self::BYTES], WireError> {
        bytes
            .try_into()
            .map_err(|_| WireError::new("fingerprint", "must have 16 bytes"))
    }
}

/// The bucket of a task.
#[must_use]
pub const fn bucket_of(task: TaskId) -> u8 {
    task.0.0[0]
}

/// The ids of a bucket: behind the first, up to and with the second. Bucket 0 has no id before it.
#[must_use]
pub fn bucket_range(bucket: u8) -> (Option<TaskId>, TaskId) {
    let end = |first: u8| {
        let mut id = [0xff; 32];
        id[0] = first;
        TaskId(id.into())
    };
    (bucket.checked_sub(1).map(end), end(bucket))
}
