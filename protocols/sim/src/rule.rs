//! Rules that a story can leave out on purpose, to see that the checks notice.

/// A rule of every node that [`Sim::without`](super::Sim::without) leaves out. A simulator that
/// does not notice proves nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {
    /// A certificate needs the whole threshold. Left out: one unit of weight less will do.
    Threshold,
    /// One fact for a slot, for ever. Left out: no signing log.
    SigningLog,
    /// On disk before it is sent. Left out: a crash takes the last second of the log.
    WriteFirst,
    /// Who lost its signing log does not sign. Left out: it begins an empty one.
    LogLost,
    /// k of n providers, whichever of them are down. Left out: more than half of those that answer.
    ProviderQuorum,
    /// What comes in is verified. Left out: everything is taken.
    Verification,
    /// A task is counted in the set of its birth epoch. Left out: in that of the current one.
    BirthEpoch,
    /// Who did not answer is asked again. Left out: once only.
    Retry,
    /// Two facts that meet become evidence. Left out: no node keeps it.
    Evidence,
    /// Machines are woken when they want to be. Left out: pipelines never are.
    Wake,
}
