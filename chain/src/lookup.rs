//! Finding things on a chain with few questions, and remembering them, whatever the chain.

mod cache;
mod demand;
mod ranges;
mod timestamps;

pub use cache::GenerationalCache;
pub use demand::Demand;
pub use ranges::Ranges;
pub use timestamps::{SearchStep, TimestampSearch};
