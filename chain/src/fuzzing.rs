//! What must hold for anything that a provider sends: what is proven is true, what is read keeps to
//! its form, and what is wrong is told without secrets.
//!
//! The fuzz targets call these functions, and the tests run them over the corpora.

#[cfg(test)]
#[path = "../../fuzz/corpora.rs"]
mod corpora;

pub use crate::evm::fuzzing::{proof, rpc_answer, search, trie};

/// A target: bytes from any source.
pub type Check = fn(&[u8]);

/// All targets of this crate, by name.
pub const CHECKS: &[(&str, Check)] = &[
    ("proof", proof),
    ("rpc_answer", rpc_answer),
    ("search", search),
    ("trie", trie),
];
