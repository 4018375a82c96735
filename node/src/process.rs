//! What every task of the process uses: names, ends, metrics.

pub(crate) mod measures;
pub(crate) mod supervisor;
