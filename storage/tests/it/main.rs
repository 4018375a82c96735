//! The store as its users see it: both engines, in order and out of order.
#![allow(clippy::unwrap_used)]

mod codec;
mod conformance;
mod crash;
mod disk_full;
mod double;
mod group_commit;
mod opening;
mod overlay;
mod signing;
mod support;
