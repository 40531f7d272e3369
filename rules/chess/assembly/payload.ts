import { Bytes, json } from "quorate-rule/assembly";

/** What a payload asks for. */
export enum Verb {
  None,
  /** `{"move":"e2e4"}` */
  Move,
  /** `{"resign":true}` */
  Resign,
  /** `{"draw":"offer"}` */
  Offer,
  /** `{"draw":"accept"}` */
  Accept,
  /** `{"chat":"well played"}` */
  Chat,
}

/** A payload that was read. Without a problem in `json` it has a verb. */
export class Payload {
  verb: Verb = Verb.None;
  /** The move or the message. */
  text: string = "";
}

/** Reads a payload; what is wrong with it stays with `json`. */
export function readPayload(bytes: Bytes): Payload {
  const payload = new Payload();
  let members = 0;
  json.open(bytes);
  json.object();
  while (json.next()) {
    members += 1;
    if (json.is("move")) {
      payload.verb = Verb.Move;
      payload.text = json.text();
    } else if (json.is("resign")) {
      payload.verb = Verb.Resign;
      if (!json.boolean()) json.refuse("expected true");
    } else if (json.is("draw")) {
      payload.verb = readDraw();
    } else if (json.is("chat")) {
      payload.verb = Verb.Chat;
      payload.text = json.text();
    } else {
      json.unknown();
    }
  }
  if (members != 1) json.refuse("expected one member: move, resign, draw or chat");
  return payload;
}

function readDraw(): Verb {
  const word = json.ascii();
  if (word.is("offer")) return Verb.Offer;
  if (!word.is("accept")) json.refuse('expected "offer" or "accept"');
  return Verb.Accept;
}
