//! Feeds on disk and in memory, and a faulty backend for tests.

mod cached;
mod faulty;

pub use cached::{CacheConfig, Cached};
pub use faulty::{Fault, Faulty, FaultyDisk, When};
