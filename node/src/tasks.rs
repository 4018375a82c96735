//! Tasks on their way through the network: driven, signed, sent, recorded, told.

pub(crate) mod attestor;
pub(crate) mod driver;
pub(crate) mod evidence;
pub(crate) mod explain;
pub(crate) mod handover;
pub(crate) mod imported;
pub(crate) mod inventory;
pub(crate) mod outbox;
pub(crate) mod recorder;
pub(crate) mod records;
