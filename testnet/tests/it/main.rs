//! Scenarios with real processes on real chains. Each starts a network of its own, and only one
//! runs at a time.

// A scenario is one story, told from its beginning to its end.
#![allow(clippy::too_many_lines, clippy::type_complexity)]

mod bridge;
mod catchup;
mod crashes;
mod deploy;
mod descriptors;
mod disk;
mod epochs;
mod errors;
mod evidence;
mod flood;
mod foreign;
mod governs;
mod handover;
mod happy;
mod hostile;
mod liars;
mod members;
mod monitoring;
mod nat;
mod one_writer;
mod operating;
mod poisoned;
mod reachable;
mod readiness;
mod readme;
mod recorder;
mod registration;
mod registries;
mod reorgs;
mod replays;
mod stores;
mod streams;
mod support;
mod twins;
mod weight;
