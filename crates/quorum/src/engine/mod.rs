//! The machine: one for each room, in every node that has it open.

mod event;

pub use event::{
    Alarm, Append, Base, Checked, Config, Fault, Guard, Input, Output, Peer, Refused, Slot, Ticket, Timing,
};
