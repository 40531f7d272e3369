import { fail, log as host_log } from "./imports";
import { finish, problem } from "./json/cursor";
import { Text } from "./text";

/** The code of a payload, params or question that is no JSON as the reader takes it. A rule's own codes are 2 to 65534. */
export const MALFORMED: i32 = 1;

/**
 * Accepts, unless what `json` has read was malformed or not read to its end: then it rejects with `MALFORMED` and the
 * reader's reason.
 */
export function accept(): i32 {
  return finish() ? 0 : malformed();
}

/** Rejects with a code, 2 to 65534, and a reason for people. What was malformed for `json` comes first, as in `accept`. */
export function reject(code: i32, reason: string): i32 {
  return problem() ? malformed() : rejectWith(code, Text.of(reason));
}

/** Rejects with a reason that was put together. */
export function rejectWith(code: i32, reason: Text): i32 {
  if (problem()) return malformed();
  fail(reason.at, reason.size);
  return code;
}

/** Answers a question: for the end of `rule_query`. A malformed question is refused, as in `accept`. */
export function answer(text: Text): i32 {
  if (!finish()) return malformed();
  logWith(text);
  return 0;
}

/** Writes a line that `quorate rule run` shows. */
export function log(line: string): void {
  logWith(Text.of(line));
}

/** Writes a line that was put together. */
export function logWith(line: Text): void {
  host_log(line.at, line.size);
}

/** Rejects with `MALFORMED` and the reader's reason: for an early end where `json.failed()`. */
export function malformed(): i32 {
  const reason = problem();
  if (reason) fail(reason.at, reason.size);
  return MALFORMED;
}
