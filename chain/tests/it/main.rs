//! The adapters against real local chains and against providers that fail in every way.

mod batching;
mod certificates;
mod clients;
mod families;
mod finality;
mod fitness;
mod health;
mod home;
mod other_blocks;
mod proofs;
mod providers;
mod reads;
mod reorgs;
mod set_load;
mod submits;
mod support;
mod svm;
mod svm_submits;
mod timestamps;
mod transfers;
mod votes;
