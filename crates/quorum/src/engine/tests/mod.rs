//! The engine at work.

mod beside;
mod certified;
mod hostile;
mod rounds;
mod world;
