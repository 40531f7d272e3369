// Reject codes. They are part of what validators sign: a code keeps its meaning for ever. 1 is the SDK's MALFORMED.

/** The payload is no operation of the ledger, and the params do not accept others. */
export const NOT_OURS: i32 = 2;
/** Only the issuer may do this. */
export const NOT_ISSUER: i32 = 3;
/** The amount is zero. */
export const ZERO: i32 = 4;
/** Sender and receiver are the same. */
export const SELF: i32 = 5;
/** The sender has less than the amount. */
export const FUNDS: i32 = 6;
/** The supply would be more than 2^53-1. */
export const SUPPLY: i32 = 7;
/** The nonce is not above the author's last one. */
export const NONCE: i32 = 8;
/** The question is none that the rule answers. */
export const QUESTION: i32 = 9;
