// Strings, eight bytes at a time. Nothing here knows where the input ends: up to SLACK bytes after it are read, and the
// caller compares what is returned with the end.

const ONES: u64 = 0x0101010101010101;
const HIGH: u64 = 0x8080808080808080;

// The high bit of each byte that ends a run of plain characters: a quote, a backslash, a control character, not ASCII. Only
// the lowest that is set is right for sure; those above it may be carries.
// @ts-ignore: decorator
@inline
function special(word: u64): u64 {
  // Below 0x20 or 0x22 is the same as below 0x21 with the second bit turned.
  const lowOrQuote = ~((word ^ (0x02 * ONES)) + 0x5f * ONES);
  const backslash = HIGH - (word ^ (0x5c * ONES));
  return (lowOrQuote | backslash | word) & HIGH;
}

/** Address of the first byte from `at` that is not plain, or an address at or after `end`. */
export function skipPlain(at: usize, end: usize): usize {
  while (at < end) {
    const first = special(load<u64>(at));
    const second = special(load<u64>(at, 8));
    if (first | second) {
      return at + <usize>((first ? ctz(first) : 64 + ctz(second)) >> 3);
    }
    at += 16;
  }
  return at;
}

/** Address after the characters of two to four bytes that begin at `at`, or 0 where one is not well-formed UTF-8 before `end`. */
export function skipCharacters(at: usize, end: usize): usize {
  let lead = <u32>load<u8>(at);
  do {
    const second = <u32>load<u8>(at, 1);
    if (lead - 0xc2 < 0x1e) {
      if (!follows(second)) return 0;
      at += 2;
    } else if (lead - 0xe0 < 0x10) {
      const least: u32 = lead == 0xe0 ? 0xa0 : 0x80;
      const most: u32 = lead == 0xed ? 0x9f : 0xbf;
      if (second < least || second > most || !follows(load<u8>(at, 2))) return 0;
      at += 3;
    } else if (lead - 0xf0 < 0x05) {
      const least: u32 = lead == 0xf0 ? 0x90 : 0x80;
      const most: u32 = lead == 0xf4 ? 0x8f : 0xbf;
      if (second < least || second > most || !follows(load<u8>(at, 2)) || !follows(load<u8>(at, 3))) return 0;
      at += 4;
    } else {
      return 0;
    }
    lead = <u32>load<u8>(at);
  } while (lead >= 0x80 && at < end);
  return at <= end ? at : 0;
}

// @ts-ignore: decorator
@inline
function follows(byte: u32): bool {
  return (byte & 0xc0) == 0x80;
}

/** Address after the escape whose backslash is at `at`, or 0: unknown, cut off, or half of a surrogate pair. */
export function skipEscape(at: usize, end: usize): usize {
  if (at + 2 > end) return 0;
  switch (load<u8>(at, 1)) {
    case 0x22: // "
    case 0x5c: // \
    case 0x2f: // /
    case 0x62: // b
    case 0x66: // f
    case 0x6e: // n
    case 0x72: // r
    case 0x74: // t
      return at + 2;
    case 0x75: // u
      break;
    default:
      return 0;
  }
  const unit = at + 6 <= end ? codeUnit(at) : -1;
  if (unit < 0 || (unit & 0xfc00) == 0xdc00) return 0;
  if ((unit & 0xfc00) != 0xd800) return at + 6;
  const low = at + 12 <= end && load<u16>(at, 6) == 0x755c ? codeUnit(at + 6) : -1;
  return low >= 0 && (low & 0xfc00) == 0xdc00 ? at + 12 : 0;
}

/** The four digits of the \u escape at `at`, or a negative number. */
export function codeUnit(at: usize): i32 {
  return (digit(at + 2) << 12) | (digit(at + 3) << 8) | (digit(at + 4) << 4) | digit(at + 5);
}

function digit(at: usize): i32 {
  const byte = <u32>load<u8>(at);
  if (byte - 0x30 < 10) return <i32>(byte - 0x30);
  const letter = (byte | 0x20) - 0x61;
  return letter < 6 ? <i32>letter + 10 : -1;
}

/** Decodes 64 lower-case hexadecimal digits into 32 bytes, or returns false. */
export function readHex32(from: usize, out: usize): bool {
  let wrong: u64 = 0;
  for (let i: usize = 0; i < 8; i++) {
    const word = load<u64>(from + (i << 3));
    const letters = (word >> 6) & ONES;
    let digits = (word & (0x0f * ONES)) + letters * 9;
    // Spelling the digits again gives the word, unless it held something else.
    const spelled = digits + 0x30 * ONES + (((digits + 0x76 * ONES) >> 7) & ONES) * 0x27;
    wrong |= (spelled ^ word) | (digits & (0xf0 * ONES));
    digits = ((digits << 4) | (digits >> 8)) & 0x00ff00ff00ff00ff;
    digits = (digits | (digits >> 8)) & 0x0000ffff0000ffff;
    store<u32>(out + (i << 2), <u32>(digits | (digits >> 16)));
  }
  return wrong == 0;
}
