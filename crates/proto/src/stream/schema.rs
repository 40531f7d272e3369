//! Shapes of the messages of `proto/stream.proto`, field by field.

use quorate_types::limits::{MAX_HOSTS, MAX_RULES, MAX_TEST_VECTORS, MAX_VALIDATORS};

use crate::canonical::{Kind, Schema, field};

pub(super) static STREAM_HEADER: Schema = Schema {
    message: "stream header",
    fields: &[
        field(1, "name", Kind::Bytes),
        field(2, "payload_encoding", Kind::Bytes),
        field(3, "validators", Kind::EachBytes(MAX_VALIDATORS)),
        field(4, "quorum", Kind::U32),
        field(5, "hosts", Kind::EachBytes(MAX_HOSTS)),
        field(6, "rules", Kind::EachMessage(&GENESIS_RULE, MAX_RULES)),
        field(7, "previous", Kind::Message(&PREVIOUS)),
        field(8, "rule_delay", Kind::U64),
    ],
};

static GENESIS_RULE: Schema = Schema {
    message: "genesis rule",
    fields: &[
        field(1, "name", Kind::Bytes),
        field(2, "module", Kind::Bytes),
        field(3, "meter", Kind::U32),
        field(4, "params", Kind::Bytes),
        field(5, "locked", Kind::BOOL),
    ],
};

static PREVIOUS: Schema = Schema {
    message: "previous feed",
    fields: &[
        field(1, "key", Kind::Bytes),
        field(2, "length", Kind::U64),
        field(3, "tree_hash", Kind::Bytes),
        field(4, "certificate", Kind::Bytes),
    ],
};

pub(super) static ENTRY: Schema = Schema {
    message: "entry",
    fields: &[
        field(1, "action", Kind::Message(&ACTION)),
        field(2, "chunk", Kind::Message(&MODULE_CHUNK)),
        field(3, "rule_change", Kind::Message(&RULE_CHANGE)),
        field(4, "validator_change", Kind::Message(&PROOF)),
        field(5, "epoch_start", Kind::Message(&PROOF)),
        field(6, "certificate", Kind::Message(&PROOF)),
        field(7, "evidence", Kind::Message(&PROOF)),
    ],
};

static ACTION: Schema = Schema {
    message: "action",
    fields: &[
        field(1, "author", Kind::Bytes),
        field(2, "sequence", Kind::U64),
        field(3, "anchor_length", Kind::U64),
        field(4, "anchor_hash", Kind::Bytes),
        field(5, "valid_until", Kind::U64),
        field(6, "payload", Kind::Bytes),
        field(7, "signature", Kind::Bytes),
    ],
};

static MODULE_CHUNK: Schema = Schema {
    message: "module chunk",
    fields: &[
        field(1, "module", Kind::Bytes),
        field(2, "size", Kind::U32),
        field(3, "offset", Kind::U32),
        field(4, "data", Kind::Bytes),
    ],
};

static RULE_CHANGE: Schema = Schema {
    message: "rule change",
    fields: &[
        field(1, "author", Kind::Bytes),
        field(2, "sequence", Kind::U64),
        field(3, "anchor_length", Kind::U64),
        field(4, "anchor_hash", Kind::Bytes),
        field(5, "valid_until", Kind::U64),
        field(6, "operation", Kind::ENUM),
        field(7, "name", Kind::Bytes),
        field(8, "rule", Kind::Bytes),
        field(9, "module", Kind::Bytes),
        field(10, "meter", Kind::U32),
        field(11, "params", Kind::Bytes),
        field(12, "activation", Kind::U64),
        field(13, "vectors", Kind::EachMessage(&TEST_VECTOR, MAX_TEST_VECTORS)),
        field(14, "signature", Kind::Bytes),
    ],
};

static TEST_VECTOR: Schema = Schema {
    message: "test vector",
    fields: &[field(1, "author", Kind::Bytes), field(2, "payload", Kind::Bytes), field(3, "code", Kind::U32)],
};

static PROOF: Schema = Schema { message: "proof", fields: &[field(1, "body", Kind::Bytes)] };
