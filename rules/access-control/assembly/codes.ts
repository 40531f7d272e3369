// Reject codes. They are part of what validators sign: a code keeps its meaning for ever. 1 is the SDK's MALFORMED.

/** The author is no member, and the room is not open. */
export const NOT_MEMBER: i32 = 2;
/** Only an admin may do this. */
export const NOT_ADMIN: i32 = 3;
/** The room would have no admin. */
export const LAST_ADMIN: i32 = 4;
/** The key has that role already, or none to lose. */
export const NO_CHANGE: i32 = 5;
/** The question is none that the rule answers. */
export const QUESTION: i32 = 6;
