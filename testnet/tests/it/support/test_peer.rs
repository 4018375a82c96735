//! A peer that is no operator.

pub(crate) use quorate_testnet::test_peer::{ReceivedMessage, RequestStream, TestPeer};
