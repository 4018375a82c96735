//! Who may sign with this store: the lease on the signing log, and logs as files.

pub(crate) mod lease;
pub mod log_file;
