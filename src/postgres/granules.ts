/**
 * Granules: about a thousand rows that came one after the other, with the terms that are in them.
 *
 * Every row of spans and logs names its granule, and the transaction that stores rows stores their
 * terms beside them. So whatever becomes visible of a granule, its terms become visible with it: who
 * looks for a term and finds it in no granule has looked at every row. Where rows lie in the table does
 * not matter to that, nor who else writes: a number that is used twice is only worth a look in vain.
 *
 * @module
 */

import type { CopyTable } from "./database.ts";
import { type Longest, LongestOfServices, putLongest } from "./longest.ts";
import type { RowBuffer } from "./row_buffer.ts";
import {
  ANY_WORD,
  eachWord,
  idTerm,
  keyTerm,
  numberTerm,
  RESOURCE,
  SERVICE,
  textTerm,
  valueTerm,
} from "./terms.ts";

/** A granule ends at so many rows or so many terms. */
export const GRANULE_ROWS = 1_024;
export const GRANULE_TERMS = 4_096;

/** Numbers follow the clock, in ticks since 2026, so that they grow from process to process. */
const TICK_MS = 64;
const EPOCH_MS = Date.UTC(2026, 0, 1);
/** Postgres counts its microseconds from 2000 on. */
const POSTGRES_EPOCH_MICROS = 946_684_800_000_000;

/** Characters of numbers whose digits are surely an exact integer. */
const MAX_SHORT_NUMBER = 15;

const EXPONENT = /\de[+-]\d/;
const CONTROLS: Readonly<Record<string, string>> = {
  "08": "\\b",
  "09": "\\t",
  "0a": "\\n",
  "0c": "\\f",
  "0d": "\\r",
};

/** Slots to remember terms by, a power of two. A term that is forgotten is only stored twice. */
const SEEN = 4_096;

const QUOTE = 0x22, BACKSLASH = 0x5c;

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** An int8. */
interface Halves {
  readonly lo: number;
  readonly hi: number;
}

/** Some of the rows of a granule: those of one request. */
export interface GranulePart {
  readonly granule: number;
  /** Times of its rows, in microseconds since 1970. */
  first: number;
  last: number;
  /** What is in them. */
  terms: Int32Array;
  /** How long their spans took; nothing of log records. */
  longest: Longest;
}

/** What {@linkcode writeParts} writes rows of. */
export const GRANULE_PARTS: CopyTable = {
  name: "otel_data.granule_terms",
  columns: [
    { name: "signal", type: "text" },
    { name: "granule", type: "int4" },
    { name: "first", type: "timestamptz" },
    { name: "last", type: "timestamptz" },
    { name: "terms", type: "bytea" },
    { name: "longest", type: "bytea" },
  ],
};

/** Numbers the granules of one writer and gathers their terms. */
export class Granules {
  readonly #clock: () => number;
  readonly #seen = new Int32Array(SEEN);
  /** Terms of the granule, however many parts tell them. */
  readonly #counted = new Int32Array(SEEN);
  #granule = 0;
  #rows = 0;
  #count = 0;
  #parts: GranulePart[] = [];
  #terms = new Int32Array(1_024);
  #at = 0;
  #first = Infinity;
  #last = -Infinity;
  readonly #longest = new LongestOfServices();
  /** Stands for the rows at hand: another object when terms have to be told again. */
  part: object = {};

  /** @param clock Milliseconds since 1970. */
  constructor(clock: () => number = Date.now) {
    this.#clock = clock;
    this.#next();
  }

  /** The granule of the row at hand. */
  get granule(): number {
    return this.#granule;
  }

  /** Adds a term of the row at hand. Terms of a row that is taken back do no harm. */
  add(term: number): void {
    const slot = term & (SEEN - 1);
    // A slot that is 0 has seen nothing: the one term 0 is stored each time.
    if (this.#seen[slot] === term && term !== 0) return;
    this.#seen[slot] = term;
    if (this.#at === this.#terms.length) {
      const terms = new Int32Array(this.#at * 2);
      terms.set(this.#terms);
      this.#terms = terms;
    }
    this.#terms[this.#at++] = term;
    if (this.#counted[slot] === term) return;
    this.#counted[slot] = term;
    this.#count++;
  }

  /** Adds terms. */
  addAll(terms: Int32Array): void {
    for (let n = 0; n < terms.length; n++) this.add(terms[n]!);
  }

  /** Adds the text `view[from, to)` as the value of a key. */
  addText(view: DataView, from: number, to: number, key: number): void {
    this.add(textTerm(view, from, to, key));
  }

  /** The same for a value in JSON: a number, a boolean, or a text within quotes and without escapes. */
  addJson(bytes: Uint8Array, view: DataView, from: number, to: number, key: number): void {
    switch (bytes[from]) {
      case QUOTE:
        return this.add(textTerm(view, from + 1, to - 1, key));
      case 0x74: // t
      case 0x66: // f
        return this.add(textTerm(view, from, to, key));
      case 0x5b: // [
      case 0x7b: // {
      case 0x6e: // n
        return;
      default:
        this.add(numberTerm(numberOf(bytes, from, to), key));
    }
  }

  /** Adds the words of the text of a log, which is the JSON `bytes[from, to)`. */
  addBody(bytes: Uint8Array, from: number, to: number): void {
    const isText = bytes[from] === QUOTE;
    const json = bytes.subarray(from, to);
    if (isText && !json.includes(BACKSLASH)) return eachWord(bytes, from, to, this.#add);
    const text = decoder.decode(json);
    // Postgres prints numbers without an exponent.
    if (!isText && EXPONENT.test(text)) this.add(ANY_WORD);
    const printed = encoder.encode(isText ? JSON.parse(text) : asPostgresPrints(text));
    eachWord(printed, 0, printed.length, this.#add);
  }

  /** Adds the resource of the row at hand, and its service. */
  addResource({ lo, hi, service }: Halves & { readonly service: Halves | undefined }): void {
    this.add(idTerm(RESOURCE, lo, hi));
    if (service !== undefined) this.add(idTerm(SERVICE, service.lo, service.hi));
  }

  /** Adds how long the span at hand took, which is of that service or of none. */
  addDuration(service: Halves | undefined, duration: Halves): void {
    if (service === undefined) this.#longest.add(0, 0, duration.lo, duration.hi);
    else this.#longest.add(service.lo, service.hi, duration.lo, duration.hi);
  }

  readonly #add = (term: number): void => this.add(term);

  /** Counts a finished row at that time, in microseconds since 1970; the next one may have another granule. */
  finish(micros: number): void {
    if (micros < this.#first) this.#first = micros;
    if (micros > this.#last) this.#last = micros;
    if (++this.#rows >= GRANULE_ROWS || this.#count >= GRANULE_TERMS) {
      this.#close();
      this.#next();
    }
  }

  /** What was gathered since the last call. */
  take(): GranulePart[] {
    this.#close();
    const parts = this.#parts;
    this.#parts = [];
    return parts;
  }

  #close(): void {
    const longest = this.#longest.take();
    if (this.#first <= this.#last) {
      const { granule } = this;
      const terms = this.#terms.slice(0, this.#at);
      this.#parts.push({ granule, first: this.#first, last: this.#last, terms, longest });
    }
    this.#at = 0;
    this.#first = Infinity;
    this.#last = -Infinity;
    this.#seen.fill(0);
    this.part = {};
  }

  #next(): void {
    const tick = Math.floor((this.#clock() - EPOCH_MS) / TICK_MS) | 0;
    const next = (this.#granule + 1) | 0;
    // Not 0, which is of rows that are in no granule.
    this.#granule = (tick - next > 0 ? tick : next) || 1;
    this.#rows = 0;
    this.#count = 0;
    this.#counted.fill(0);
  }
}

/** The JSON number `bytes[from, to)`. Short decimals are exact as a quotient of two integers. */
function numberOf(bytes: Uint8Array, from: number, to: number): number {
  if (to - from > MAX_SHORT_NUMBER) return Number(decoder.decode(bytes.subarray(from, to)));
  const isNegative = bytes[from] === 0x2d;
  let digits = 0;
  let scale = 0;
  for (let i = isNegative ? from + 1 : from; i < to; i++) {
    const digit = bytes[i]! - 0x30;
    if (digit >= 0 && digit <= 9) {
      digits = digits * 10 + digit;
      scale *= 10;
    } else if (digit === -2) scale = 1;
    else return Number(decoder.decode(bytes.subarray(from, to)));
  }
  const number = scale > 1 ? digits / scale : digits;
  return isNegative ? -number : number;
}

/** Control characters, of which our JSON has the numbers and that of Postgres letters. */
function asPostgresPrints(json: string): string {
  return json.replace(/\\u00(08|09|0a|0c|0d)|\\./g, (escape, code) => CONTROLS[code] ?? escape);
}

/** The terms of attributes as one JSON object: keys and values. */
export function attributeTerms(json: string): Int32Array {
  const terms: number[] = [];
  for (const [name, value] of Object.entries(JSON.parse(json))) {
    const key = keyTerm(name);
    terms.push(key);
    const term = valueTerm(value, key);
    if (term !== undefined) terms.push(term);
  }
  return Int32Array.from(terms);
}

/** Writes the rows of parts, as tuples; those of one granule that follow each other in one row. */
export function writeParts(to: RowBuffer, signal: string, parts: readonly GranulePart[]): void {
  const name = encoder.encode(signal);
  for (let n = 0; n < parts.length;) {
    const { granule } = parts[n]!;
    let { first, last } = parts[n]!;
    let end = n;
    let terms = 0;
    for (; end < parts.length && parts[end]!.granule === granule; end++) {
      first = Math.min(first, parts[end]!.first);
      last = Math.max(last, parts[end]!.last);
      terms += parts[end]!.terms.length;
    }
    to.tuple(GRANULE_PARTS.columns.length);
    to.text(name, 0, name.length);
    to.int4(granule);
    // Far in the future times are known to two microseconds.
    const isExact = Number.isSafeInteger(last);
    timestamptz(to, isExact ? first : first - 2);
    timestamptz(to, isExact ? last : last + 2);
    to.reserve(4 + terms * 4);
    const field = to.open();
    told.fill(0);
    for (let m = n; m < end; m++) put(to, parts[m]!.terms);
    to.close(field);
    putDurations(to, parts, n, end);
    n = end;
  }
}

/** Terms that the row at hand has, but for those that were forgotten. */
const told = new Int32Array(SEEN);

function put(to: RowBuffer, terms: Int32Array): void {
  const { view } = to;
  for (let n = 0; n < terms.length; n++) {
    const term = terms[n]!;
    const slot = term & (SEEN - 1);
    if (told[slot] === term && term !== 0) continue;
    told[slot] = term;
    view.setInt32(to.at, term);
    to.at += 4;
  }
}

const longestOfGranule = new LongestOfServices();

/** The durations of `parts[from, end)`, null when there are none. */
function putDurations(
  to: RowBuffer,
  parts: readonly GranulePart[],
  from: number,
  end: number,
): void {
  for (let n = from; n < end; n++) longestOfGranule.addAll(parts[n]!.longest);
  const longest = longestOfGranule.take();
  to.reserve(4 + longest.length * 4);
  if (longest.length === 0) return to.null();
  const field = to.open();
  putLongest(to.view, to.at, longest);
  to.at += longest.length * 4;
  to.close(field);
}

function timestamptz(to: RowBuffer, micros: number): void {
  const since2000 = BigInt(micros - POSTGRES_EPOCH_MICROS);
  to.int8(Number(BigInt.asIntN(32, since2000)), Number(BigInt.asIntN(32, since2000 >> 32n)));
}
