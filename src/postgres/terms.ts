/**
 * Terms: what rows can be found by, as 32-bit numbers.
 *
 * A value of an attribute, a key, a word of a log's text, the id of a dimension: each is hashed when a
 * row is made and when somebody asks for it. Different things may have one number, so a term only says
 * where it is worth to look. The numbers are stored: whatever changes how one is made has to give the
 * schema a new block that deletes `otel_data.granule_terms` and `otel_data.signatures`, and to set
 * `granule` to 0 in the rows.
 *
 * Source of the hash of values: MurmurHash3_x86_32, https://github.com/aappleby/smhasher
 *
 * @module
 */

const KEY = 1;
const NUMBER = 2;
/** The kinds of dimensions whose ids are terms. */
export const RESOURCE = 3, NAME = 4, SERVICE = 6;
/** Any of them. */
export type TermDimension = typeof RESOURCE | typeof NAME | typeof SERVICE;
/** Stands for every word: of texts whose words as Postgres prints them are not known. */
export const ANY_WORD = 5;

/** FNV-1a begins with it. */
const WORD_SEED = 0x811c9dc5 | 0;
/** Shorter words are no terms: they are in everything. */
const MIN_WORD_BYTES = 2;

const encoder = new TextEncoder();
const number = new DataView(new ArrayBuffer(8));

/** Letters, digits and `_` in lower case: they make words, and so do bytes beyond ASCII among themselves. */
const WORD_BYTES = new Uint8Array(256);
for (let byte = 0; byte < 256; byte++) {
  const isWord = byte >= 0x80 || /\w/.test(String.fromCharCode(byte));
  if (isWord) WORD_BYTES[byte] = byte >= 0x41 && byte <= 0x5a ? byte + 0x20 : byte;
}

/** The term of a key, which is in every row that has the attribute. */
export function keyTerm(key: string): number {
  const bytes = encoder.encode(key);
  return hash(new DataView(bytes.buffer), 0, bytes.length, KEY);
}

/**
 * The term of an attribute whose value is the text `view[from, to)`, in UTF-8.
 *
 * @param key The term of its key.
 */
export function textTerm(view: DataView, from: number, to: number, key: number): number {
  return hash(view, from, to, key);
}

/** The same for a value that is a number, to the precision of a double. */
export function numberTerm(value: number, key: number): number {
  // Equal to 0 is -0 as well.
  number.setFloat64(0, value === 0 ? 0 : value, true);
  return hash(number, 0, 8, key ^ NUMBER);
}

/** The term of an attribute, by its value; undefined for what has none: null, an array, a map. */
export function valueTerm(value: unknown, key: number): number | undefined {
  if (typeof value === "number") return numberTerm(value, key);
  if (typeof value !== "string" && typeof value !== "boolean") return undefined;
  const bytes = encoder.encode(String(value));
  return textTerm(new DataView(bytes.buffer), 0, bytes.length, key);
}

/** The term of a dimension's id, in its two halves. */
export function idTerm(kind: TermDimension, lo: number, hi: number): number {
  return mixed(mixed(lo ^ kind) ^ hi);
}

/**
 * Tells the words of a text: runs of ASCII letters, digits and `_`, in either case, and runs of bytes
 * beyond ASCII. Where Postgres sees the bound of a word next to ASCII, there is one here.
 *
 * @param source UTF-8.
 * @param tell Is told the term of each.
 */
export function eachWord(
  source: Uint8Array,
  from: number,
  to: number,
  tell: (term: number) => void,
): void {
  for (let i = from; i < to;) {
    let byte = WORD_BYTES[source[i]!]!;
    if (byte === 0) {
      i++;
      continue;
    }
    const start = i;
    let code = WORD_SEED;
    if (byte < 0x80) {
      do {
        code = Math.imul(code ^ byte, 0x01000193);
        byte = ++i < to ? WORD_BYTES[source[i]!]! : 0;
      } while (byte !== 0 && byte < 0x80);
    } else {
      do {
        code = Math.imul(code ^ byte, 0x01000193);
        byte = ++i < to ? source[i]! : 0;
      } while (byte >= 0x80);
    }
    if (i - start >= MIN_WORD_BYTES) tell(mixed(code));
  }
}

function hash(view: DataView, from: number, to: number, seed: number): number {
  let code = seed;
  let i = from;
  for (; i <= to - 4; i += 4) {
    code ^= scrambled(view.getInt32(i, true));
    code = (code << 13) | (code >>> 19);
    code = (Math.imul(code, 5) + 0xe6546b64) | 0;
  }
  let rest = 0;
  for (let n = to - 1; n >= i; n--) rest = (rest << 8) | view.getUint8(n);
  return mixed(code ^ scrambled(rest) ^ (to - from));
}

function scrambled(value: number): number {
  value = Math.imul(value, 0xcc9e2d51);
  return Math.imul((value << 15) | (value >>> 17), 0x1b873593);
}

/** Every bit of the result depends on every bit of the value. */
export function mixed(value: number): number {
  value = Math.imul(value ^ (value >>> 16), 0x85ebca6b);
  value = Math.imul(value ^ (value >>> 13), 0xc2b2ae35);
  return value ^ (value >>> 16);
}
