//! The engine from outside: verdicts, host calls, hostile rules, and a second engine that agrees.

#[path = "../support/mod.rs"]
mod support;

mod at_hand;
mod differential;
mod fixture;
mod host_calls;
mod hostile;
mod limits;
mod unable;
mod verdicts;
