//! What must hold for any file that is given to a command, and for whatever a node tells one.
//!
//! The fuzz targets call these functions, and the tests run them over the corpora.

mod files;

#[cfg(test)]
#[path = "../../fuzz/corpora.rs"]
mod corpora;

pub use self::files::file;
pub use crate::options::fuzzing::config;
pub use crate::tasks::fuzzing::explain;

/// A target: bytes from any source.
pub type Check = fn(&[u8]);

/// All targets of this crate, by name.
pub const CHECKS: &[(&str, Check)] = &[("config", config), ("explain", explain), ("file", file)];
