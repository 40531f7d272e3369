//! Feeds on disk and in memory, and a faulty backend for tests.
