//! What the fuzz targets check. The same functions run over the corpora in the tests of the crates.

#[cfg(feature = "node")]
#[path = "../../node/src"]
pub mod node {
    //! Parts of the node that need nothing of the rest.
    #![allow(dead_code, unreachable_pub, unused_imports)]

    mod frame;
    pub mod fuzzing;
    mod keys;
}
pub mod proto;
