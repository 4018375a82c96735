//! A peer that is no operator.

pub(crate) use quorate_testnet::stranger::{Heard, Raw, Stranger};
