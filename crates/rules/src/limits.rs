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
pub const MAX_BRANCH_TARGETS: u32 = 20_000;

/// Most operands on the stack of a body at once.
pub const MAX_OPERANDS: u32 = 1024;

/// Most blocks, loops and ifs inside each other.
pub const MAX_NESTING: u32 = 512;

/// Largest flow of a body: the product of the locals of the function and the `block`, `loop`, `if`, `else`, `br_if` and
/// `br_table` of its body, which is what a compiler spends on following variables through branches.
pub const MAX_BODY_FLOW: u64 = 262_144;

/// Largest flow of all bodies together.
pub const MAX_FLOW: u64 = 2_097_152;

/// Most function types.
pub const MAX_TYPES: u32 = 1024;

/// Most parameters of a function type.
pub const MAX_PARAMETERS: u32 = 128;

/// Most results of a function type.
pub const MAX_RESULTS: u32 = 16;

/// Most imports.
pub const MAX_IMPORTS: u32 = 64;

/// Most exports.
pub const MAX_EXPORTS: u32 = 1024;

/// Most element segments.
pub const MAX_ELEMENT_SEGMENTS: u32 = 256;

/// Most elements of all element segments together.
pub const MAX_ELEMENTS: u32 = 8192;

/// Most data segments.
pub const MAX_DATA_SEGMENTS: u32 = 4096;

/// Most bytes of all data segments together.
pub const MAX_DATA_BYTES: usize = 256 * 1024;

/// Most pages of 64 KiB of the memory. A larger maximum of the memory is rewritten to this.
pub const MAX_MEMORY_PAGES: u64 = 256;

/// Most elements of the table. A larger maximum of the table is rewritten to this.
pub const MAX_TABLE_ELEMENTS: u64 = 4096;

/// Most globals of a module.
pub const MAX_GLOBALS: u32 = 256;

/// Logical stack depth that a call from outside starts with, in the units of METER v1.
pub const DEPTH_LIMIT: i64 = 262_144;

/// Gas of one check, init or change, in the units of METER v1.
pub const GAS_LIMIT_CHECK: i64 = 20_000_000;

/// Longest input of a call, header, parameters and payload together, in bytes.
pub const MAX_INPUT_BYTES: usize = 1024 * 1024;

/// Longest key of a rule's state, in bytes.
pub const MAX_KEY_BYTES: usize = 256;

/// Longest value of a rule's state, in bytes.
pub const MAX_VALUE_BYTES: usize = 64 * 1024;

/// Most bytes of values and blocks that are copied to a rule in one call.
pub const MAX_READ_BYTES: u64 = 256 * 1024;

/// Most writes of one call, removals included.
pub const MAX_WRITES: u32 = 1024;

/// Most bytes that a rule's state may hold, keys and values together.
pub const MAX_STATE_BYTES: u64 = 64 * 1024 * 1024;

/// Most keys that a rule's state may hold.
pub const MAX_STATE_KEYS: u64 = 1_000_000;

/// Longest reason of a refusal that is kept, in bytes of UTF-8. Outside consensus.
pub const MAX_REASON_BYTES: usize = 256;

/// Most bytes that are kept of what a rule logs in one call. Outside consensus.
pub const MAX_LOG_BYTES: usize = 256 * 1024;

/// Most messages that are kept of what a rule logs in one call. Outside consensus.
pub const MAX_LOGS: usize = 1024;
