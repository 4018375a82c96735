//! The store, kept small and copied.

pub mod backup;
pub(crate) mod prune;
