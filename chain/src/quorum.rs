//! What k of the n providers of a chain say alike is believed, if they are run by enough different ones.
//!
//! [`Pool`] asks; [`QuorumRule`] says when answers suffice; [`FinalHead`] is the question that every family asks
//! first: which block is final. [`Polls`] asks it again and again, and a [`Checkable`] provider is looked after.

mod check;
mod first;
mod gather;
mod hand_out;
mod head;
mod no_quorum;
mod polls;
mod pool;
mod rule;
mod tally;

pub use check::Checkable;
pub use head::{FinalClaim, FinalHead};
pub use no_quorum::NoQuorum;
pub use polls::Polls;
pub use pool::Pool;
pub use rule::QuorumRule;
