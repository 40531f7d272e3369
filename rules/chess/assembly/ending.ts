// How a game ends.

export enum Ending {
  None,
  /** White has mated black. */
  WhiteMated,
  BlackMated,
  Stalemate,
  /** White has resigned. */
  WhiteResigned,
  BlackResigned,
  Agreement,
  Repetition,
  FiftyMoves,
  Material,
}

/** The score as game records write it: `*` while the game goes on. */
export function score(ending: Ending): string {
  switch (ending) {
    case Ending.None: return "*";
    case Ending.WhiteMated:
    case Ending.BlackResigned: return "1-0";
    case Ending.BlackMated:
    case Ending.WhiteResigned: return "0-1";
    default: return "1/2-1/2";
  }
}

/** What happened, in words. */
export function describe(ending: Ending): string {
  switch (ending) {
    case Ending.WhiteMated: return "white mated black";
    case Ending.BlackMated: return "black mated white";
    case Ending.Stalemate: return "a draw by stalemate";
    case Ending.WhiteResigned: return "white resigned";
    case Ending.BlackResigned: return "black resigned";
    case Ending.Agreement: return "a draw by agreement";
    case Ending.Repetition: return "a draw, the same position for the third time";
    case Ending.FiftyMoves: return "a draw, fifty moves without a capture or a pawn's move";
    case Ending.Material: return "a draw, too little material to mate";
    default: return "";
  }
}
