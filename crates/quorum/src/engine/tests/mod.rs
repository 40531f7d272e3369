//! The engine at work.

mod hostile;
mod rounds;
mod world;
