//! What a node of each role runs.

pub(crate) mod node;
