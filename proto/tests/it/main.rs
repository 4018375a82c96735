//! What other programs and later versions rely on: encodings, hashes, bounds.

#![expect(
    clippy::arithmetic_side_effects,
    reason = "a test panics where it overflows"
)]

use quorate_proto::*;

mod documentation;
mod equivocation;
#[path = "../../src/fixtures.rs"]
mod fixtures;
mod golden;
mod hand_over;
mod hostile;
mod registry;
mod round_trip;
mod size;
mod sync;
mod timeline;
mod transfers;
mod values;
mod vectors;
