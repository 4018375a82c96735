//! What goes into the machine and what comes out.

use quorate_proto::{Epoch, Fingerprint, TaskId};

/// Names a connected peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Peer(pub u64);

/// How many tasks, and their fingerprint.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Root {
    /// How many.
    pub tasks: u32,
    /// [`Fingerprint::digest`]; zero where there are none.
    pub digest: [u8; Fingerprint::BYTES],
}

impl From<&Fingerprint> for Root {
    fn from(fingerprint: &Fingerprint) -> Self {
        match fingerprint.tasks {
            0 => Self::default(),
            tasks => Self {
                tasks,
                digest: fingerprint.digest(),
            },
        }
    }
}

/// The same part of an epoch at a peer and here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pair {
    /// What the peer says.
    pub theirs: Root,
    /// What this node held when it heard that.
    pub ours: Root,
}

/// The same epoch at a peer and here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EpochPair {
    /// Which one.
    pub epoch: Epoch,
    /// What the peer says.
    pub theirs: Root,
    /// What this node held when it heard that.
    pub ours: Root,
    /// Whether this node knows the operator set, without which nothing of the epoch can be verified.
    pub set_known: bool,
}

/// What the machine is told, by the driver of the streams.
#[derive(Clone, Debug)]
pub enum Input {
    /// A peer that can be asked.
    Connected(Peer),
    /// It is gone.
    Gone(Peer),
    /// Tasks of earlier epochs are not kept here.
    Floor(Epoch),
    /// The answer to [`Query::Summary`].
    Summary {
        /// Who answered.
        peer: Peer,
        /// Ascending by epoch.
        epochs: Vec<EpochPair>,
        /// Whether later epochs may follow.
        more: bool,
    },
    /// The answer to [`Query::Set`].
    Set {
        /// Who answered.
        peer: Peer,
        /// Which one.
        epoch: Epoch,
        /// Whether it was verified, and is known now.
        known: bool,
    },
    /// The answer to [`Query::Buckets`].
    Buckets {
        /// Who answered.
        peer: Peer,
        /// Of which epoch.
        epoch: Epoch,
        /// All buckets in their order.
        pairs: Vec<Pair>,
    },
    /// The answer to [`Query::Range`], verified and written.
    Page {
        /// Who answered.
        peer: Peer,
        /// What it was.
        page: Page,
    },
    /// The answer to [`Query::Recent`].
    Recent {
        /// Who answered.
        peer: Peer,
        /// How it counts.
        instance: u64,
        /// From where to ask next.
        next: u64,
        /// Whether changes were left out.
        gap: bool,
        /// Whether later changes wait there.
        more: bool,
        /// Tasks of which it has what this node lacks.
        missing: Vec<(Epoch, TaskId)>,
    },
    /// The answer to [`Query::Tasks`], verified and written.
    Tasks {
        /// Who answered.
        peer: Peer,
        /// Milliseconds after which what was left out may be taken; `None` where all was.
        left_out: Option<u64>,
    },
    /// A question without a good answer.
    Failed {
        /// Who was asked.
        peer: Peer,
        /// Whether the answer was one that no honest peer gives.
        fault: bool,
    },
    /// The time that [`Sync::next_wake`](super::Sync::next_wake) named has come.
    Wake,
}

/// A part of a range that was fetched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Page {
    /// Everything of the range up to this id is there now.
    pub upto: TaskId,
    /// Tasks that were sent.
    pub items: u64,
    /// Tasks among them that were not known here.
    pub fresh: u64,
    /// Milliseconds after which what was left out may be taken; `None` where all was.
    pub left_out: Option<u64>,
}

/// What the machine wants done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// Ask a peer, and tell what came of it: one question at a time for each.
    Ask(Peer, Query),
    /// No honest peer does that.
    Lied(Peer, &'static str),
}

/// A question to a peer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Query {
    /// What it holds from this epoch on.
    Summary(Epoch),
    /// The operator set of an epoch.
    Set(Epoch),
    /// What it holds of an epoch, by buckets.
    Buckets(Epoch),
    /// What it holds and this node lacks, of a part of a bucket.
    Range {
        /// Of this epoch.
        epoch: Epoch,
        /// Behind this id.
        after: Option<TaskId>,
        /// Up to and with this one.
        until: TaskId,
    },
    /// What has changed there.
    Recent {
        /// How it counts.
        instance: u64,
        /// What was told already.
        after: u64,
    },
    /// What it holds of these tasks and this node lacks.
    Tasks(Vec<(Epoch, TaskId)>),
}
