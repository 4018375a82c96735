//! How a node fares: its machine, its clock, what keeps it from its part.

pub mod host;
pub(crate) mod readiness;
pub(crate) mod vitals;
