//! State of a room: what its rules remember, one namespace for each, and the room's own bookkeeping.

mod earlier;
mod memory;
#[cfg(test)]
mod properties;
mod root;
mod store;

pub use self::earlier::Earlier;
pub use self::memory::MemoryStore;
pub use self::root::state_root;
pub use self::store::{
    InMemory, Position, ROOM_SPACE, RoomStore, Staged, StateError, StateStore, Step, UNDO_STEPS, WriteSet,
};
