//! What must hold for any bytes from outside that this crate decodes: from users, peers, registries,
//! files and scripts.
//!
//! The fuzz targets call these functions, and the tests run them over the corpora. What is signed in
//! a corpus is of the network in [`scene`].

pub(crate) mod memory;
pub(crate) mod scene;

#[cfg(test)]
#[path = "../../fuzz/corpora.rs"]
mod corpora;

use tonic::{Code, Status};

pub use crate::gossip::fuzzing::gossip;
pub use crate::http::fuzzing::http_query;
pub use crate::signing::log_file::fuzzing::signing_log;
pub use crate::sync::fuzzing::sync_stream;
use crate::{keys, network::rpc};

/// A target: bytes from any sender.
pub type Check = fn(&[u8]);

/// All targets of this crate, by name.
pub const CHECKS: &[(&str, Check)] = &[
    ("gossip", gossip),
    ("http_query", http_query),
    ("keystore", keystore),
    ("rpc_status", rpc_status),
    ("signing_log", signing_log),
    ("sync_stream", sync_stream),
];

/// A key file.
pub fn keystore(bytes: &[u8]) {
    keys::check_container(bytes);
}

/// What a registry gives as the details of a call that failed.
pub fn rpc_status(bytes: &[u8]) {
    let status = Status::with_details(Code::Internal, "failed", bytes.to_vec().into());
    let text = rpc::report(&status);
    match rpc::explain(&status) {
        Some(error) => assert_eq!(text, error.message),
        None => assert_eq!(text, "Internal: failed"),
    }
}
