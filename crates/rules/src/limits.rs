//! Limits on what a rule may be and do. All are part of consensus: changing one changes verdicts.

/// Longest module, in bytes. A longer one is refused before it is parsed.
pub const MAX_MODULE_BYTES: usize = 512 * 1024;

/// Most functions of a module, imported ones included.
pub const MAX_FUNCTIONS: u32 = 4096;

/// Longest body of a function, in bytes, its declarations of locals included.
pub const MAX_BODY_BYTES: usize = 64 * 1024;

/// Most operators of a body, its last `end` included.
pub const MAX_BODY_OPERATORS: u32 = 40_000;

/// Most locals of a function, its parameters included.
pub const MAX_LOCALS: u32 = 1024;

/// Most targets of all `br_table` of a body together, the defaults included.
pub const MAX_BR_TABLE_TARGETS: u32 = 20_000;

/// Most bytes of all data segments together.
pub const MAX_DATA_BYTES: usize = 256 * 1024;

/// Most pages of 64 KiB of the memory. The maximum of the memory is rewritten to this.
pub const MAX_MEMORY_PAGES: u64 = 256;

/// Most elements of the table. The maximum of the table is rewritten to this.
pub const MAX_TABLE_ELEMENTS: u64 = 4096;

/// Most globals of a module.
pub const MAX_GLOBALS: u32 = 256;

/// Logical stack depth that a call from outside starts with, in the units of METER v1.
pub const DEPTH_LIMIT: i64 = 262_144;

/// Gas of one check, init or change, in the units of METER v1.
pub const GAS_LIMIT_CHECK: i64 = 20_000_000;
