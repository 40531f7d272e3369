//! Shapes of the messages of `proto/quorum.proto`, field by field.

use quorate_types::limits::MAX_VALIDATORS;

use crate::canonical::{Kind, Schema, field};

/// Most starts in one catch-up: at the smallest size they fill a certificate.
const MAX_STARTS: usize = 256;

static CERTIFIED: Schema = Schema {
    message: "certified head",
    fields: &[
        field(1, "epoch", Kind::U64),
        field(2, "vset", Kind::Bytes),
        field(3, "feed", Kind::Bytes),
        field(4, "length", Kind::U64),
        field(5, "tree_hash", Kind::Bytes),
        field(6, "state_root", Kind::Bytes),
        field(7, "rules_hash", Kind::Bytes),
    ],
};

pub(super) static QC: Schema = Schema {
    message: "QC",
    fields: &[
        field(1, "certified", Kind::Message(&CERTIFIED)),
        field(2, "acks", Kind::EachMessage(&ACK, MAX_VALIDATORS)),
        field(3, "votes", Kind::EachMessage(&VOTE, MAX_VALIDATORS)),
    ],
};

static ACK: Schema =
    Schema { message: "ack", fields: &[field(1, "length", Kind::U64), field(2, "qc", Kind::Bytes)] };

static VOTE: Schema = Schema {
    message: "vote",
    fields: &[
        field(1, "signer", Kind::U32),
        field(2, "ack or target", Kind::U32),
        field(3, "signature", Kind::Bytes),
    ],
};

pub(super) static FINAL: Schema = Schema {
    message: "Final",
    fields: &[
        field(1, "certified", Kind::Message(&CERTIFIED)),
        field(2, "targets", Kind::EachMessage(&TARGET, MAX_VALIDATORS)),
        field(3, "votes", Kind::EachMessage(&VOTE, MAX_VALIDATORS)),
    ],
};

static TARGET: Schema = Schema {
    message: "target",
    fields: &[
        field(1, "length", Kind::U64),
        field(2, "tree_hash", Kind::Bytes),
        field(3, "state_root", Kind::Bytes),
        field(4, "rules_hash", Kind::Bytes),
    ],
};

pub(super) static HANDOVER: Schema = Schema {
    message: "handover",
    fields: &[
        field(1, "epoch", Kind::U64),
        field(2, "vset", Kind::Bytes),
        field(3, "base", Kind::Message(&QC)),
        field(4, "reports", Kind::EachMessage(&REPORT, MAX_VALIDATORS)),
        field(5, "seals", Kind::EachMessage(&SEALED, MAX_VALIDATORS)),
        field(6, "change", Kind::Message(&CHANGE)),
    ],
};

static REPORT: Schema = Schema {
    message: "report",
    fields: &[
        field(1, "feed", Kind::Bytes),
        field(2, "base", Kind::BOOL),
        field(3, "qc", Kind::Message(&QC_REF)),
        field(4, "vote_length", Kind::U64),
        field(5, "vote_tree_hash", Kind::Bytes),
        field(6, "reason", Kind::U32),
    ],
};

static QC_REF: Schema = Schema {
    message: "reported QC",
    fields: &[
        field(1, "epoch", Kind::U64),
        field(2, "length", Kind::U64),
        field(3, "tree_hash", Kind::Bytes),
        field(4, "qc", Kind::Bytes),
    ],
};

static SEALED: Schema = Schema {
    message: "seal",
    fields: &[
        field(1, "signer", Kind::U32),
        field(2, "report", Kind::U32),
        field(3, "signature", Kind::Bytes),
    ],
};

static CHANGE: Schema = Schema {
    message: "change",
    fields: &[
        field(1, "block", Kind::Bytes),
        field(2, "nodes", Kind::Bytes),
        field(3, "accepts", Kind::EachMessage(&ACCEPTED, MAX_VALIDATORS)),
    ],
};

static ACCEPTED: Schema = Schema {
    message: "accept",
    fields: &[field(1, "signer", Kind::U32), field(2, "signature", Kind::Bytes)],
};

pub(super) static START: Schema = Schema {
    message: "start",
    fields: &[
        field(1, "handover", Kind::Message(&HANDOVER)),
        field(2, "feed", Kind::Bytes),
        field(3, "grant", Kind::Bytes),
    ],
};

pub(super) static CATCH_UP: Schema = Schema {
    message: "catch-up",
    fields: &[
        field(1, "starts", Kind::EachMessage(&START, MAX_STARTS)),
        field(2, "qc", Kind::Message(&QC)),
        field(3, "final", Kind::Message(&FINAL)),
    ],
};

pub(super) static VALIDATORS: Schema = Schema {
    message: "validators",
    fields: &[
        field(1, "keys", Kind::EachBytes(MAX_VALIDATORS)),
        field(2, "quorum", Kind::U32),
        field(3, "proof", Kind::Bytes),
    ],
};

pub(super) static EVIDENCE: Schema = Schema {
    message: "evidence",
    fields: &[
        field(1, "room", Kind::Bytes),
        field(2, "writer_fork", Kind::Message(&ONE_BODY)),
        field(3, "writer_truncate", Kind::Message(&WRITER_TRUNCATE)),
        field(4, "bad_append", Kind::Message(&BAD_APPEND)),
        field(5, "double_grant", Kind::Message(&PAIR)),
        field(6, "double_vote", Kind::Message(&DOUBLE_VOTE)),
        field(7, "seal_break", Kind::Message(&PAIR)),
        field(8, "bad_verdict", Kind::Message(&ONE_BODY)),
        field(9, "have_rollback", Kind::Message(&PAIR)),
    ],
};

static ONE_BODY: Schema = Schema { message: "proof", fields: &[field(1, "body", Kind::Bytes)] };

static WRITER_TRUNCATE: Schema = Schema {
    message: "writer truncate",
    fields: &[
        field(1, "key", Kind::Bytes),
        field(2, "length", Kind::U64),
        field(3, "peaks", Kind::Bytes),
        field(4, "fork", Kind::U64),
        field(5, "signature", Kind::Bytes),
    ],
};

static BAD_APPEND: Schema = Schema {
    message: "bad append",
    fields: &[
        field(1, "key", Kind::Bytes),
        field(2, "length", Kind::U64),
        field(3, "nodes", Kind::Bytes),
        field(4, "signature", Kind::Bytes),
        field(5, "index", Kind::U64),
        field(6, "block", Kind::Bytes),
    ],
};

static PAIR: Schema =
    Schema { message: "pair", fields: &[field(1, "first", Kind::Bytes), field(2, "second", Kind::Bytes)] };

static DOUBLE_VOTE: Schema = Schema {
    message: "double vote",
    fields: &[
        field(1, "first", Kind::Bytes),
        field(2, "second", Kind::Bytes),
        field(3, "first_peaks", Kind::Bytes),
        field(4, "second_peaks", Kind::Bytes),
        field(5, "link", Kind::Bytes),
        field(6, "link_start", Kind::U64),
    ],
};
