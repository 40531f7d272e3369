import { Bytes, Bytes32 } from "./bytes";
import { SLACK } from "./entry";

const HEX = memory.data<u8>([
  0x30, 0x31, 0x32, 0x33, 0x34, 0x35, 0x36, 0x37, 0x38, 0x39, 0x61, 0x62, 0x63, 0x64, 0x65, 0x66,
]);

/** Hexadecimal digits of a key that people recognise it by. */
const SHORT: i32 = 8;

/** UTF-8 text in the making, for reasons, logs and answers. Its functions return the text itself, so they chain. */
@final
export class Text {
  /** Address of the first byte. */
  at: usize = __alloc(256 + SLACK);
  /** Bytes so far. */
  size: i32 = 0;
  private room: i32 = 256;

  /** A text that begins with `words`. */
  static of(words: string): Text {
    return new Text().add(words);
  }

  /** Appends a string. */
  add(words: string): Text {
    const length = words.length;
    this.reserve(3 * length);
    let out = this.at + this.size;
    for (let i = 0; i < length; i++) {
      let code = <u32>words.charCodeAt(i);
      if (code - 0xd800 < 0x400 && i + 1 < length && <u32>words.charCodeAt(i + 1) - 0xdc00 < 0x400) {
        code = 0x10000 + ((code - 0xd800) << 10) + (<u32>words.charCodeAt(++i) - 0xdc00);
      } else if (code - 0xd800 < 0x800) {
        code = 0xfffd;
      }
      out = encode(out, code);
    }
    this.size = <i32>(out - this.at);
    return this;
  }

  /** Appends a number in decimal digits. */
  number(value: u64): Text {
    this.reserve(20);
    let digits = 1;
    for (let rest = value; rest >= 10; rest /= 10) digits++;
    let out = this.at + this.size + digits;
    this.size += digits;
    do {
      store<u8>(--out, 0x30 + <u8>(value % 10));
      value /= 10;
    } while (value);
    return this;
  }

  /** Appends the first 8 hexadecimal digits of a key or hash, as commands print them. */
  short(key: Bytes32): Text {
    return this.hex(new Bytes(key.at, SHORT >> 1));
  }

  /** Appends all 64 hexadecimal digits of a key or hash. */
  key(key: Bytes32): Text {
    return this.hex(key.bytes);
  }

  /** Appends bytes as hexadecimal digits. */
  hex(bytes: Bytes): Text {
    this.reserve(2 * bytes.size);
    let out = this.at + this.size;
    for (let i = 0; i < bytes.size; i++) {
      const byte = load<u8>(bytes.at + i);
      store<u8>(out, load<u8>(HEX + (byte >> 4)));
      store<u8>(out, load<u8>(HEX + (byte & 15)), 1);
      out += 2;
    }
    this.size += 2 * bytes.size;
    return this;
  }

  /** Appends bytes as they are, which should be UTF-8. */
  utf8(bytes: Bytes): Text {
    this.reserve(bytes.size);
    memory.copy(this.at + this.size, bytes.at, bytes.size);
    this.size += bytes.size;
    return this;
  }

  /** The bytes so far. */
  get bytes(): Bytes {
    return new Bytes(this.at, this.size);
  }

  private reserve(more: i32): void {
    const wanted = this.size + more;
    if (wanted <= this.room) return;
    this.room = 2 * wanted;
    const at = __alloc(<usize>this.room + SLACK);
    memory.copy(at, this.at, this.size);
    this.at = at;
  }
}

function encode(out: usize, code: u32): usize {
  if (code < 0x80) {
    store<u8>(out, <u8>code);
    return out + 1;
  }
  if (code < 0x800) {
    store<u8>(out, <u8>(0xc0 | (code >> 6)));
    store<u8>(out, <u8>(0x80 | (code & 63)), 1);
    return out + 2;
  }
  if (code < 0x10000) {
    store<u8>(out, <u8>(0xe0 | (code >> 12)));
    store<u8>(out, <u8>(0x80 | ((code >> 6) & 63)), 1);
    store<u8>(out, <u8>(0x80 | (code & 63)), 2);
    return out + 3;
  }
  store<u8>(out, <u8>(0xf0 | (code >> 18)));
  store<u8>(out, <u8>(0x80 | ((code >> 12) & 63)), 1);
  store<u8>(out, <u8>(0x80 | ((code >> 6) & 63)), 2);
  store<u8>(out, <u8>(0x80 | (code & 63)), 3);
  return out + 4;
}
