//! The engine at work.

mod beside;
mod hostile;
mod rounds;
mod world;
