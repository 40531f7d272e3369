//! The engine at work.

mod beside;
mod bounds;
mod certified;
mod hostile;
mod rounds;
mod world;
