//! What can go wrong, as a number that a transaction's error carries.

use pinocchio::error::ProgramError;

/// From 100 on, since the token and the system program have the numbers below. Never renumbered.
#[derive(Clone, Copy)]
#[repr(u32)]
pub(crate) enum Error {
    /// The instruction's data is none: unknown, too short or too long.
    Malformed = 100,
    /// Fewer accounts than the instruction takes.
    MissingAccount = 101,
    /// The account has to sign.
    NotSigner = 102,
    /// The account has to be writable.
    NotWritable = 103,
    /// The account is not at the address that follows from the others.
    WrongAddress = 104,
    /// The account belongs to another program.
    WrongOwner = 105,
    /// The account holds something else.
    WrongKind = 106,
    /// The account is there already.
    AlreadyExists = 107,
    /// Only the authority may do this.
    NotAuthority = 108,
    /// Only the guardian may do this.
    NotGuardian = 109,
    /// The bridge is paused.
    Paused = 110,
    /// These settings make no sense, or change what must not change.
    InvalidConfig = 111,
    /// Not all parts of the set are installed.
    SetNotReady = 112,
    /// The set was fixed so long ago that it certifies nothing any more.
    SetExpired = 113,
    /// An epoch that is not later than all that are known.
    EpochOrder = 114,
    /// A set cannot have been fixed in the future, nor before its predecessor.
    TimeOutOfOrder = 115,
    /// The members are not those that the hash of the set covers.
    SetMismatch = 116,
    /// The set has no member with this number.
    NoSuchMember = 117,
    /// s is in the upper half.
    HighS = 118,
    /// Not a signature of that member.
    BadSignature = 119,
    /// The signatures were gathered for another digest, or in another epoch.
    WrongDigest = 120,
    /// The signers weigh less than the threshold.
    TooLittleWeight = 121,
    /// The nonce is delivered, queued or closed.
    NonceTaken = 122,
    /// Nonce or amount is zero, no whole number of units, or too large for this chain.
    InvalidTransfer = 123,
    /// The deadline is too near or too far.
    InvalidDeadline = 124,
    /// The route is not open.
    RouteClosed = 125,
    /// The token is not open on this route.
    TokenClosed = 126,
    /// The receiver is no wallet of this chain, or the token account is not its own.
    WrongReceiver = 127,
    /// It is too early for this.
    NotYet = 128,
    /// More than came in on the route.
    RouteShort = 129,
    /// The transfer is another one than what was recorded.
    WrongFact = 130,
    /// Not the sequence number that follows.
    WrongSequence = 131,
    /// A number became too large.
    Overflow = 132,
    /// The runtime refused a hash or a signature.
    Syscall = 133,
    /// The newest set still certifies, so there is nothing to begin anew.
    NotExpired = 134,
}

impl From<Error> for ProgramError {
    fn from(error: Error) -> Self {
        Self::Custom(error as u32)
    }
}
