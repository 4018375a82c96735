//! Bounds of everything that comes from outside, with their arithmetic.

/// Announcements of one task: the first and three retries (facts: "at most 3 retries").
pub const MAX_ATTEMPTS: u32 = 4;

/// An operator that has not answered after this many milliseconds missed the attempt.
pub const RESPONSE_WINDOW_MS: u64 = 3_000;

/// A task without certificate expires after this many milliseconds.
pub const TASK_DEADLINE_MS: u64 = 15_000;

/// Misses that suspend an operator, counted from when it became active or was reinstated (facts:
/// "5 misses suspend an operator").
pub const MAX_MISSES: u32 = 5;

/// Milliseconds for which a registry's challenge to a joining operator is good: a person confirms
/// on a hardware key in less.
pub const CHALLENGE_LIFE_MS: u64 = 30_000;

/// Addresses that a peer names when it joins: two transports on two networks, twice.
pub const MAX_ADDRESSES: usize = 8;

/// Bytes of one such address: the longest DNS name has 253.
pub const MAX_ADDRESS_BYTES: usize = 256;

/// Operators or events in one reply of a registry: 500 states of at most 2.6 KiB each stay below
/// gRPC's usual limit of 4 MiB.
pub const MAX_PAGE: usize = 500;

/// Operators of one set: what a light registry can take in one transaction, and what fits the frames below. The
/// contracts have the same number.
pub const MAX_OPERATORS: usize = 500;

/// Operators whose place in the network a registry keeps: 500 that serve and 100 times as many
/// that once registered, at about 250 bytes each 16 MB.
pub const MAX_MEMBERS: usize = 65_536;

/// Milliseconds for which the set of the previous epoch may still finish its tasks: a task born
/// in the last moment lives 15 s, and nodes see the turn up to 15 s apart.
pub const EPOCH_GRACE_MS: u64 = 30_000;

/// Entries of one gossip batch. A signature takes 230 bytes, so 256 of them are 58 KiB.
pub const MAX_BATCH_ITEMS: usize = 256;

/// Signers of one certificate: all operators, for when the heaviest are silent. With 91
/// bytes each a certificate stays below 64 KiB.
pub const MAX_SIGNERS: usize = MAX_OPERATORS;

/// Bytes of one gossip message: 256 results of 19 operators (13 signers of 91 bytes and the
/// statement, 1.3 KiB) are 340 KiB. Larger sets put fewer results into a batch.
pub const MAX_GOSSIP_BYTES: usize = 512 * 1024;

/// Bytes of the batch in a gossip message; the author, the signature and the lengths around it
/// take at most 215.
pub const MAX_BATCH_BYTES: usize = MAX_GOSSIP_BYTES - 256;

/// Bytes of one frame that a user sends: a state request is about 120 bytes.
pub const MAX_REQUEST_FRAME: usize = 1024;

/// Bytes of one frame that a user receives: an operator list of 500 entries with three
/// addresses each is about 180 KiB, a certificate of 500 signers with its ABI form 142 KiB.
pub const MAX_REPLY_FRAME: usize = 256 * 1024;

/// Entries of one reply with evidence: 128 of at most 700 bytes are 88 KiB.
pub const MAX_EVIDENCE_PAGE: usize = 128;

/// Bytes of a transfer's receiver: an address of Cardano has 57.
pub const MAX_RECEIVER: usize = 64;

/// Bytes of the free text in a refusal.
pub const MAX_DETAIL_BYTES: usize = 256;

/// Tasks under way at one node. At 1,000 tasks/s each is open for the response window of 3 s:
/// 3,000; the rest is room for tasks that wait for slow operators.
pub const MAX_OPEN_TASKS: usize = 8_192;

/// Requests under way on one user stream.
pub const MAX_STREAM_REQUESTS: usize = 256;

/// Clients that wait for one task.
pub const MAX_TASK_CLIENTS: usize = 256;

/// Events kept of one task: 500 operators that refuse first and sign later are 1,000, the rest of a
/// task's life takes some 20.
pub const MAX_TIMELINE_EVENTS: usize = 1_024;

/// Bytes of them: 1,000 of 40 bytes, and an end that names 500 silent operators with 22 bytes each. With
/// the answers of 500 operators at 350 bytes each, a reply of 230 KiB fits its frame.
pub const MAX_TIMELINE_BYTES: usize = 56 * 1024;

/// Events in one message to a client that follows them: of 100 bytes each, 25 KiB.
pub const MAX_LIVE_EVENTS: usize = 256;

/// Bytes of the text that says why a task ended, in a timeline: twenty operators by name. The whole list
/// stands beside it.
pub const MAX_FAILURE_BYTES: usize = 1_024;

/// Epochs in one summary of the sync stream: 28 bytes each, 7 KiB.
pub const MAX_SYNC_EPOCHS: usize = 256;

/// Tasks that the asker of a range says to hold, at 16 bytes each: 64 KiB. A bucket of an epoch with a
/// million tasks has as many.
pub const MAX_SYNC_HAVE: usize = 4_096;

/// Tasks in one question for tasks, and in one reply of changes: at 1,000 tasks/s one second of
/// them. Each takes 50 bytes with 32 operators and 170 with 500.
pub const MAX_SYNC_TASKS: usize = 1_024;

/// Bytes after which a reply of items ends: 500 tasks of five operators.
pub const SYNC_PAGE_BYTES: usize = 256 * 1024;

/// Bytes of one frame of who asks on the sync stream: 1,024 tasks of 170 bytes are 170 KiB.
pub const MAX_SYNC_REQUEST_FRAME: usize = 192 * 1024;

/// Bytes of one frame of who answers: a page and the item that passes its end, 500 operators of which
/// each refused in 256 bytes of text, 175 KiB.
pub const MAX_SYNC_REPLY_FRAME: usize = 512 * 1024;
