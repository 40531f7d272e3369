//! Feeds on disk and in memory, and a faulty backend for tests.

mod atomic;
mod backend;
mod cached;
mod faulty;
mod lock;

pub use backend::Backend;
pub use cached::{CacheConfig, Cached};
pub use faulty::{Fault, Faulty, FaultyDisk, When};
pub use lock::{Lock, LockError};
