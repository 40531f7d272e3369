//! Async edge: runtime, TCP, connection driver.
