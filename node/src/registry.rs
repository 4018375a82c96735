//! Registries: members and their events, what is served over gRPC, what is taken over from others; and an operator's side of it.

pub(crate) mod join;
pub(crate) mod members;
pub(crate) mod probe;
pub(crate) mod replica;
pub(crate) mod service;
