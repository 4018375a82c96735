//! The EVM adapter against real local chains and against providers that fail in every way.

mod batching;
mod clients;
mod finality;
mod fitness;
mod home;
mod other_blocks;
mod proofs;
mod providers;
mod reads;
mod reorgs;
mod set_load;
mod standing;
mod support;
mod timestamps;
mod verdicts;
mod votes;
