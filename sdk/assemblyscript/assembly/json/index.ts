// Reads JSON so strictly that no two readers can disagree on what it says: a member twice, an escape in a name, half of a
// surrogate pair, a byte that is no UTF-8, a number that is no integer up to 2^53-1, anything after the value: each is a
// problem. The first problem stays, every function then returns nothing (false, 0, zeros), and `accept` rejects.
//
//     json.open(call.payload);
//     json.object();
//     while (json.next()) {
//       if (json.is("to")) to = json.key();
//       else if (json.is("amount")) amount = json.integer();
//       else json.unknown();
//     }

import { Bytes, Bytes32, Key, spells } from "../bytes";
import {
  addName, at, begin, blank, byteAt, end, enter, finish, fresh, inList, inObject, leave, level, move, nameAt, nameSize,
  open as openDocument, problem, stop, stopQuoting,
} from "./cursor";
import { codeUnit, readHex32, skipCharacters, skipEscape, skipPlain } from "./scan";

const QUOTE: u32 = 0x22;
const COMMA: u32 = 0x2c;
const COLON: u32 = 0x3a;
const OPEN_LIST: u32 = 0x5b;
const CLOSE_LIST: u32 = 0x5d;
const BACKSLASH: u32 = 0x5c;
const OPEN_OBJECT: u32 = 0x7b;
const CLOSE_OBJECT: u32 = 0x7d;

/** Largest integer that every reader of JSON keeps exactly: 2^53 - 1. */
export const MAX_INTEGER: u64 = 9007199254740991;

const ZEROS = memory.data(32, 8);

/** What a value is: `json.kind()`. */
export namespace Is {
  /** The end, or no value. */
  export const NOTHING: i32 = 0;
  /** An object. */
  export const OBJECT: i32 = 1;
  /** A list. */
  export const LIST: i32 = 2;
  /** A string. */
  export const STRING: i32 = 3;
  /** A number. */
  export const NUMBER: i32 = 4;
  /** True or false. */
  export const BOOL: i32 = 5;
  /** Null. */
  export const NULL: i32 = 6;
}

/** Begins to read. What was opened before must have been read to its end. */
export function open(bytes: Bytes): void {
  openDocument(bytes);
}

/** Whether some reader could take these bytes for a JSON object; where it is false none does. */
export function maybeObject(bytes: Bytes): bool {
  const last = bytes.at + bytes.size;
  let where = bytes.at;
  // A byte order mark is dropped by some readers.
  if (bytes.size >= 3 && load<u16>(where) == 0xbbef && load<u8>(where, 2) == 0xbf) return true;
  while (where < last && (load<u8>(where) == 0x20 || <u32>load<u8>(where) - 9 < 5)) where++;
  return where < last && <u32>load<u8>(where) == OPEN_OBJECT;
}

/** Whether there was a problem. */
export function failed(): bool {
  return problem() != null;
}

/** Whether everything was read, to its end and without a problem. `accept` asks the same. */
export function done(): bool {
  return finish();
}

/** What the next value is: one of `Is`. */
export function kind(): i32 {
  if (problem()) return Is.NOTHING;
  switch (byteAt(blank(at))) {
    case OPEN_OBJECT:
      return Is.OBJECT;
    case OPEN_LIST:
      return Is.LIST;
    case QUOTE:
      return Is.STRING;
    case 0x74: // t
    case 0x66: // f
      return Is.BOOL;
    case 0x6e: // n
      return Is.NULL;
    case 0x2d: // -
      return Is.NUMBER;
    default:
      return byteAt(blank(at)) - 0x30 < 10 ? Is.NUMBER : Is.NOTHING;
  }
}

/** Steps into an object. */
export function object(): bool {
  const where = expected(OPEN_OBJECT, "expected an object");
  return where != 0 && enter(where, true);
}

/** Goes to the next member of the object; false after the last, when it has stepped out. Its value must be read before the next. */
export function next(): bool {
  if (problem()) return false;
  let where = blank(at);
  if (!inObject()) return stop(where, "no object is being read");
  let byte = byteAt(where);
  if (byte == CLOSE_OBJECT) return leave(where);
  if (!fresh) {
    if (byte != COMMA) return stop(where, "expected a comma or the end of the object");
    where = blank(where + 1);
    byte = byteAt(where);
  }
  if (byte != QUOTE) return stop(where, "expected the name of a member");
  const name = where + 1;
  const close = stringEnd(name, false);
  if (!close || !addName(name, <i32>(close - name))) return false;
  where = blank(close + 1);
  if (byteAt(where) != COLON) return stop(where, "expected a colon");
  begin();
  move(where + 1);
  return true;
}

/** Whether the member is called so; the name is ASCII. */
export function is(name: string): bool {
  return inObject() && spells(nameAt(), nameSize(), name);
}

/** Name of the member: its bytes, UTF-8 without escapes. */
export function name(): Bytes {
  return inObject() ? new Bytes(nameAt(), nameSize()) : new Bytes(at, 0);
}

/** Makes it a problem that there is a member of this name. */
export function unknown(): void {
  if (inObject()) stopQuoting(nameAt(), "unknown member ", name());
}

/** Makes it a problem what was read last. */
export function refuse(reason: string): void {
  stop(at, reason);
}

/** Steps into a list. */
export function list(): bool {
  const where = expected(OPEN_LIST, "expected a list");
  return where != 0 && enter(where, false);
}

/** Goes to the next item of the list; false after the last, when it has stepped out. It must be read before the next. */
export function item(): bool {
  if (problem()) return false;
  let where = blank(at);
  if (!inList()) return stop(where, "no list is being read");
  const byte = byteAt(where);
  if (byte == CLOSE_LIST) return leave(where);
  if (!fresh) {
    if (byte != COMMA) return stop(where, "expected a comma or the end of the list");
    where++;
  }
  begin();
  move(where);
  return true;
}

/** Reads an integer from 0 to 2^53-1. */
export function integer(): u64 {
  if (problem()) return 0;
  const from = blank(at);
  let where = from;
  let value: u64 = 0;
  let digit = byteAt(where) - 0x30;
  while (digit < 10) {
    value = value * 10 + digit;
    where++;
    digit = byteAt(where) - 0x30;
    // A zero in front, or more than the 16 digits of the largest.
    if (digit < 10 && (value == 0 || where - from > 15)) break;
  }
  const last = byteAt(where);
  const fraction = last == 0x2e || (last | 0x20) == 0x65;
  if (where == from || digit < 10 || fraction || value > MAX_INTEGER) {
    stop(from, "expected an integer from 0 to 2^53-1");
    return 0;
  }
  move(where);
  return value;
}

/** Reads true or false. */
export function boolean(): bool {
  if (problem()) return false;
  const where = blank(at);
  if (literal(where, TRUE)) return true;
  if (byteAt(where) != 0x66 || !literal(where + 1, ALSE)) stop(where, "expected true or false");
  return false;
}

/** Reads null, if that is what comes. */
export function isNull(): bool {
  return !problem() && literal(blank(at), NULL);
}

/** Reads a key or a hash: 64 lower-case hexadecimal digits. */
export function key(): Key {
  const where = expected(QUOTE, "expected a key of 64 lower-case hexadecimal digits");
  if (!where) return Bytes32.at(ZEROS);
  const out = Bytes32.at(__alloc(32));
  const close = where + 65;
  if (byteAt(close) == QUOTE && readHex32(where + 1, out.at)) {
    move(close + 1);
    return out;
  }
  stop(where, "expected a key of 64 lower-case hexadecimal digits");
  return Bytes32.at(ZEROS);
}

/** Reads a string of ASCII characters without escapes: for words that a rule compares with `bytes.is`. */
export function ascii(): Bytes {
  const where = expected(QUOTE, "expected a string");
  if (!where) return new Bytes(at, 0);
  const close = skipPlain(where + 1, end);
  if (byteAt(close) == QUOTE) {
    move(close + 1);
    return new Bytes(where + 1, <i32>(close - where - 1));
  }
  stop(where, "expected a string of ASCII characters without escapes");
  return new Bytes(at, 0);
}

/** Reads a string, with its escapes decoded. */
export function text(): string {
  const where = expected(QUOTE, "expected a string");
  const close = where ? stringEnd(where + 1, true) : 0;
  if (!close) return "";
  move(close + 1);
  return decode(where + 1, close);
}

/** Reads over a value, whatever it is, as strictly as if it were read. Its numbers need not be integers. */
export function skip(): void {
  const outer = level();
  skipValue();
  while (!problem() && level() > outer) {
    if (inObject() ? next() : item()) skipValue();
  }
}

// Steps into a container, reads over anything else.
function skipValue(): void {
  if (problem()) return;
  const where = blank(at);
  const byte = byteAt(where);
  if (byte == QUOTE) {
    const close = stringEnd(where + 1, true);
    if (close) move(close + 1);
  } else if (byte == OPEN_OBJECT || byte == OPEN_LIST) {
    enter(where, byte == OPEN_OBJECT);
  } else if (byte == 0x2d || byte - 0x30 < 10) {
    skipNumber(where);
  } else if (!literal(where, TRUE) && !literal(where, NULL)) {
    if (byte != 0x66 || !literal(where + 1, ALSE)) stop(where, "expected a value");
  }
}

function skipNumber(from: usize): void {
  let where = from + <usize>(byteAt(from) == 0x2d);
  let valid = true;
  if (byteAt(where) == 0x30) {
    where++;
  } else {
    const digits = skipDigits(where);
    valid = digits > where;
    where = digits;
  }
  if (byteAt(where) == 0x2e) {
    const digits = skipDigits(where + 1);
    valid = valid && digits > where + 1;
    where = digits;
  }
  if ((byteAt(where) | 0x20) == 0x65) {
    where++;
    if (byteAt(where) == 0x2b || byteAt(where) == 0x2d) where++;
    const digits = skipDigits(where);
    valid = valid && digits > where;
    where = digits;
  }
  if (valid) move(where);
  else stop(from, "expected a number");
}

function skipDigits(where: usize): usize {
  while (byteAt(where) - 0x30 < 10) where++;
  return where;
}

// The letters of the literals as little-endian words, that of `false` without its first.
const TRUE: u32 = 0x65757274;
const NULL: u32 = 0x6c6c756e;
const ALSE: u32 = 0x65736c61;

// Reads over a literal of four letters, if it is there.
function literal(where: usize, letters: u32): bool {
  if (where + 4 > end || load<u32>(where) != letters) return false;
  move(where + 4);
  return true;
}

// Address of the next value, which begins with `byte`; 0 and a problem where it does not.
function expected(byte: u32, what: string): usize {
  if (problem()) return 0;
  const where = blank(at);
  if (byteAt(where) == byte) return where;
  stop(where, what);
  return 0;
}

// Address of the quote that ends the string whose characters begin at `from`; 0 and a problem where it is malformed.
function stringEnd(from: usize, escapes: bool): usize {
  let where = from;
  while (true) {
    where = skipPlain(where, end);
    if (where >= end) {
      stop(from, "a string without an end");
      return 0;
    }
    const byte = <u32>load<u8>(where);
    if (byte == QUOTE) return where;
    let after: usize = 0;
    if (byte == BACKSLASH) {
      if (escapes) after = skipEscape(where, end);
    } else if (byte >= 0x80) {
      after = skipCharacters(where, end);
    }
    if (!after) {
      stop(where, escapes ? "a character or an escape that is not allowed" : "a character that is not allowed in a name");
      return 0;
    }
    where = after;
  }
}

// The characters from `from` to `close`, which `stringEnd` has checked.
function decode(from: usize, close: usize): string {
  const buffer = __alloc((close - from) << 1);
  let out = buffer;
  for (let where = from; where < close; ) {
    const byte = <u32>load<u8>(where);
    if (byte == BACKSLASH) {
      const letter = <u32>load<u8>(where, 1);
      if (letter == 0x75) {
        store<u16>(out, <u16>codeUnit(where));
        where += 6;
      } else {
        store<u16>(out, <u16>escaped(letter));
        where += 2;
      }
      out += 2;
    } else if (byte < 0x80) {
      store<u16>(out, <u16>byte);
      out += 2;
      where++;
    } else {
      const size: usize = byte < 0xe0 ? 2 : byte < 0xf0 ? 3 : 4;
      let code = byte & (0x7f >> <u32>size);
      for (let i: usize = 1; i < size; i++) code = (code << 6) | (load<u8>(where + i) & 63);
      if (code < 0x10000) {
        store<u16>(out, <u16>code);
        out += 2;
      } else {
        store<u16>(out, <u16>(0xd7c0 + (code >> 10)));
        store<u16>(out, <u16>(0xdc00 | (code & 0x3ff)), 2);
        out += 4;
      }
      where += size;
    }
  }
  const size = out - buffer;
  const text = __new(size, idof<string>());
  memory.copy(text, buffer, size);
  return changetype<string>(text);
}

function escaped(letter: u32): u32 {
  switch (letter) {
    case 0x62:
      return 0x08;
    case 0x66:
      return 0x0c;
    case 0x6e:
      return 0x0a;
    case 0x72:
      return 0x0d;
    case 0x74:
      return 0x09;
    default:
      return letter;
  }
}
