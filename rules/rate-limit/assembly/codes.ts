// Reject codes. They are part of what validators sign: a code keeps its meaning for ever. 1 is the SDK's MALFORMED.

/** The author has acted as often as the params allow. */
export const TOO_MANY: i32 = 2;
/** The question is none that the rule answers. */
export const QUESTION: i32 = 3;
