import { Bytes, Key, json } from "quorate-rule/assembly";
import { BLACK, Side, WHITE } from "./board";
import { INITIAL } from "./fen";

/** `{"white": key, "black": key, "spectators": bool, "fen": text}`; the last two may be absent. */
export class Params {
  white: Key = changetype<Key>(0);
  black: Key = changetype<Key>(0);
  /** Whether everybody may chat. */
  spectators: bool = false;
  /** The position that the game begins with. */
  fen: string = INITIAL;

  /** Whether a key is a player's. */
  isPlayer(author: Key): bool {
    return author.equals(this.white) || author.equals(this.black);
  }

  /** The side of a player. */
  sideOf(player: Key): Side {
    return player.equals(this.white) ? WHITE : BLACK;
  }
}

/** Reads the params; what is wrong with them stays with `json`. */
export function readParams(bytes: Bytes): Params {
  const params = new Params();
  json.open(bytes);
  json.object();
  while (json.next()) {
    if (json.is("white")) params.white = json.key();
    else if (json.is("black")) params.black = json.key();
    else if (json.is("spectators")) params.spectators = json.boolean();
    else if (json.is("fen")) params.fen = json.text();
    else json.unknown();
  }
  if (!changetype<usize>(params.white) || !changetype<usize>(params.black)) json.refuse("expected white and black");
  return params;
}
