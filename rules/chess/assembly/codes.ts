// Reject codes. They are part of what validators sign: a code keeps its meaning for ever. 1 is the SDK's MALFORMED.

/** The author is not a player. */
export const STRANGER: i32 = 2;
/** It is the other side's turn. */
export const TURN: i32 = 3;
/** The game is over. */
export const OVER: i32 = 4;
/** The move is not written as UCI writes moves. */
export const NOTATION: i32 = 5;
/** There is no piece on the square that the move starts from. */
export const NO_PIECE: i32 = 6;
/** The piece is the opponent's. */
export const OPPONENTS_PIECE: i32 = 7;
/** The piece cannot move so. */
export const ILLEGAL: i32 = 8;
/** The mover's own king would be in check. */
export const CHECK: i32 = 9;
/** A promotion without the piece, or a piece without promotion. */
export const PROMOTION: i32 = 10;
/** There is no offer of the opponent to accept. */
export const NO_OFFER: i32 = 11;
/** There is an offer already. */
export const OFFER_STANDS: i32 = 12;
/** The room has no chat. */
export const NO_CHAT: i32 = 13;
/** The payload is too long, or the chat message empty or too long. */
export const LENGTH: i32 = 14;
/** The question is none that the rule answers. */
export const QUESTION: i32 = 15;
/** The game goes on, and with it its players and its module. */
export const GOES_ON: i32 = 16;

/** The players have the same key. */
export const KEYS: i32 = 20;
/** The game cannot begin with this position. */
export const START: i32 = 21;
/** The state that was kept is not a game of this rule. */
export const STATE: i32 = 22;

/** Why something is refused. */
export class Refusal {
  constructor(public code: i32, public reason: string) {}
}
