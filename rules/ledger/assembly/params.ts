import { Bytes, Key, json } from "quorate-rule/assembly";

/** `{"issuer": key, "others": "accept" | "reject"}`; others is "reject" when absent. */
export class Params {
  constructor(
    /** Who may mint. */
    public issuer: Key,
    /** Whether payloads that are no operations pass. */
    public others: bool,
  ) {}
}

/** Reads the params; what is wrong with them stays with `json`. */
export function readParams(bytes: Bytes): Params {
  const params = new Params(changetype<Key>(0), false);
  json.open(bytes);
  json.object();
  while (json.next()) {
    if (json.is("issuer")) params.issuer = json.key();
    else if (json.is("others")) params.others = readOthers();
    else json.unknown();
  }
  if (!changetype<usize>(params.issuer)) json.refuse("expected an issuer");
  return params;
}

function readOthers(): bool {
  const word = json.ascii();
  if (word.is("accept")) return true;
  if (!word.is("reject")) json.refuse('expected "accept" or "reject"');
  return false;
}
