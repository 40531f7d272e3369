//! Entries and their submission, as others see them.

mod encodings;
mod golden;
mod hostile_peers;
mod samples;
mod submission;
mod world;
