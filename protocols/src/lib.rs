//! How the network decides: machines without IO, clock or randomness of their own.
//!
//! All have one shape: `handle(now, Input)` returns what is to be done, `next_wake` says when
//! the machine wants to be woken. The driver in `quorate-node` checks signatures and chain facts
//! first, calls the machine, then writes, then sends. The same machines run by the hundred in the
//! simulator, `quorate-sim`, where a seed decides about latency, loss, partitions and crashes.

pub mod authors;
pub mod delivery;
pub mod epoch;
pub mod evidence;
pub mod limiter;
pub mod membership;
pub mod pipeline;
pub mod quorum;
pub mod sync;
pub mod task;

#[cfg(test)]
mod fixtures;
