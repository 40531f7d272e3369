// What players do at the table, each in its turn or out of it.

import { Side, WHITE, opponentOf, sideName } from "./board";
import { NO_OFFER, OFFER_STANDS, OVER, Refusal, TURN } from "./codes";
import { Ending, describe } from "./ending";
import { Game, NO_OFFER_MADE, offerOf } from "./game";
import { judge } from "./judge";
import { Payload, Verb } from "./payload";

/** Does what a player asks for, or says why not; then the game is as it was. */
export function act(game: Game, player: Side, payload: Payload): Refusal | null {
  if (game.ending != Ending.None) return new Refusal(OVER, "the game is over: " + describe(game.ending));
  switch (payload.verb) {
    case Verb.Move: return move(game, player, payload.text);
    case Verb.Offer: return offer(game, player);
    case Verb.Accept: return accept(game, player);
    default: return resign(game, player);
  }
}

function resign(game: Game, player: Side): Refusal | null {
  game.ending = player == WHITE ? Ending.WhiteResigned : Ending.BlackResigned;
  return null;
}

function move(game: Game, player: Side, text: string): Refusal | null {
  const turn = game.position.side;
  if (player != turn) return new Refusal(TURN, "it is " + sideName(turn) + "'s turn");
  const judgement = judge(game.position, text);
  if (judgement.refusal == null) game.play(judgement.move);
  return judgement.refusal;
}

function offer(game: Game, player: Side): Refusal | null {
  if (game.offer == offerOf(player)) return new Refusal(OFFER_STANDS, "the offer of a draw stands already");
  if (game.offer != NO_OFFER_MADE) {
    return new Refusal(OFFER_STANDS, sideName(opponentOf(player)) + " has offered a draw: accept it");
  }
  game.offer = offerOf(player);
  return null;
}

function accept(game: Game, player: Side): Refusal | null {
  const opponent = opponentOf(player);
  if (game.offer != offerOf(opponent)) return new Refusal(NO_OFFER, sideName(opponent) + " has not offered a draw");
  game.ending = Ending.Agreement;
  return null;
}
