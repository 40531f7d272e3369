//! Our node and unmodified stock peers of both generations, live, in both directions.

mod acks;
mod clear;
mod command_line;
mod corruption;
mod directories;
mod extensions;
mod finite;
mod forks;
mod gate;
mod keep_alive;
mod noise;
mod quorum;
mod reconnect;
mod rooms;
mod several;
mod signatures;
mod sparse;
mod support;
mod transfer;
mod windows;
