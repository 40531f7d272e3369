//! Tests of the meter.

mod account;
mod form;
mod naive;
mod random;
mod run;
