//! What must hold for the answers of any provider.

mod answers;
mod proofs;
mod searches;

pub use self::answers::rpc_answer;
pub use self::proofs::{proof, trie};
pub use self::searches::search;
