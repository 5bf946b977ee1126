/**
 * The longest durations of services: where long spans can be.
 *
 * Of rows that came one after the other it is kept how long the longest span of each service took, to
 * the nanosecond. Who looks for longer ones need not look there; who looks for the slowest knows where to
 * begin. A duration that is too long only costs a look in vain, one that is too short would lose rows: so
 * of services that are too many to be told apart the longest counts for each of them.
 *
 * @module
 */

/** Services that are told apart among the rows of a granule, and among those of a signature. */
export const MAX_SERVICES = 256, MAX_SIGNATURE_SERVICES = 512;

/**
 * Durations by service, four numbers each: the id of the service in its two halves, the lower one first,
 * and nanoseconds the same way. Spans without a service have the id 0, and all services beyond those that
 * are told apart have -1 together.
 */
export type Longest = Int32Array;

const NO_SERVICE = 0n;
const OTHERS = -1n;

const NONE: Longest = new Int32Array();
/** What no span is longer than. */
export const LONGEST: bigint = 2n ** 63n - 1n;
/** Stands where there is no span; one that is as short counts as longer than that. */
const NO_SPAN = -(2n ** 63n);
/** Of rows of which nothing is known. */
const UNKNOWN = new Map([[OTHERS, LONGEST]]);

/** Places to find the number of a service by: a power of two, of which at most half are taken. */
const PLACES = MAX_SERVICES * 2;
/** Bytes of an id or of a duration. */
export const WIDTH = 8;

/** Gathers the longest durations of services. */
export class LongestOfServices {
  /** The numbers of services, from 1 on; 0 is free here, and is the number of all others. */
  readonly #places = new Uint16Array(PLACES);
  readonly #ids = new Int32Array((MAX_SERVICES + 1) * 2).fill(-1, 0, 2);
  readonly #lo = new Uint32Array(MAX_SERVICES + 1);
  readonly #hi = new Int32Array(MAX_SERVICES + 1);
  #count = 1;
  #hasOthers = false;
  /** The service at hand, which the next span mostly has, too. */
  #serviceLo = NaN;
  #serviceHi = NaN;
  #at = 0;

  constructor() {
    this.#begin(0);
  }

  /** Adds a span: its service and its duration, in halves. */
  add(serviceLo: number, serviceHi: number, lo: number, hi: number): void {
    if (serviceLo !== this.#serviceLo || serviceHi !== this.#serviceHi) {
      this.#serviceLo = serviceLo;
      this.#serviceHi = serviceHi;
      this.#at = this.#numberOf(serviceLo | 0, serviceHi | 0);
    }
    const at = this.#at;
    const longest = this.#hi[at]!;
    if (hi < longest) return;
    const low = lo >>> 0;
    if (hi === longest && low <= this.#lo[at]!) return;
    this.#hi[at] = hi;
    this.#lo[at] = low;
  }

  /** Adds what was gathered elsewhere. */
  addAll(longest: Longest): void {
    for (let n = 0; n < longest.length; n += 4) {
      this.add(longest[n]!, longest[n + 1]!, longest[n + 2]!, longest[n + 3]!);
    }
  }

  #numberOf(lo: number, hi: number): number {
    const ids = this.#ids;
    const isOthers = lo === -1 && hi === -1;
    for (let place = lo & (PLACES - 1); !isOthers; place = (place + 1) & (PLACES - 1)) {
      const number = this.#places[place]!;
      if (number === 0) {
        if (this.#count > MAX_SERVICES) break;
        this.#places[place] = this.#count;
        this.#begin(this.#count);
        ids[this.#count * 2] = lo;
        ids[this.#count * 2 + 1] = hi;
        return this.#count++;
      }
      if (ids[number * 2] === lo && ids[number * 2 + 1] === hi) return number;
    }
    this.#hasOthers = true;
    return 0;
  }

  #begin(number: number): void {
    this.#hi[number] = -0x80000000;
    this.#lo[number] = 0;
  }

  /** What was gathered since the last call. */
  take(): Longest {
    const from = this.#hasOthers ? 0 : 1;
    if (from === this.#count) return NONE;
    const longest = new Int32Array((this.#count - from) * 4);
    for (let n = from, at = 0; n < this.#count; n++, at += 4) {
      longest[at] = this.#ids[n * 2]!;
      longest[at + 1] = this.#ids[n * 2 + 1]!;
      longest[at + 2] = this.#lo[n]!;
      longest[at + 3] = this.#hi[n]!;
    }
    this.#places.fill(0);
    this.#begin(0);
    this.#count = 1;
    this.#hasOthers = false;
    this.#serviceLo = NaN;
    return longest;
  }
}

/** Writes them as `granule_terms.longest` has them: ids and durations, eight bytes each. */
export function putLongest(view: DataView, at: number, longest: Longest): void {
  for (let n = 0; n < longest.length; n += 2) {
    view.setInt32(at + n * 4, longest[n + 1]!);
    view.setInt32(at + n * 4 + 4, longest[n]!);
  }
}

/**
 * The longest duration in what a granule has stored, undefined when there is none.
 *
 * @param stored As {@linkcode putLongest} writes it.
 * @param services Of these services. Default: of all.
 */
export function longestOf(stored: Uint8Array, services?: readonly bigint[]): bigint | undefined {
  const durations = durationsOf(stored);
  const ids = services === undefined ? [...durations.keys()] : [...services, OTHERS];
  return ids.map((id) => durations.get(id)).reduce(
    (a, b) => a === undefined || b !== undefined && b > a ? b : a,
    undefined,
  );
}

function durationsOf(stored: Uint8Array): Map<bigint, bigint> {
  const view = viewOf(stored);
  const durations = new Map<bigint, bigint>();
  for (let at = 0; at < stored.length; at += 2 * WIDTH) {
    const duration = view.getBigInt64(at + WIDTH);
    durations.set(view.getBigInt64(at), duration === NO_SPAN ? NO_SPAN + 1n : duration);
  }
  return durations;
}

/** What is known of the units of a signature, as it is stored. */
export interface LongestOfUnits {
  /** Those that are told apart, by id. */
  readonly services: readonly bigint[];
  /** Of each unit the longest span of all, of services that are not among these, and of each of these. */
  readonly durations: Uint8Array;
}

/**
 * Puts what is known of the parts of units in rows, so that who asks for one service reads one row.
 *
 * @param units Of each the parts, as they are stored; null when nothing is known of one.
 * @returns Undefined when nothing is known at all.
 */
export function longestOfUnits(
  units: readonly (readonly (Uint8Array | null)[])[],
): LongestOfUnits | undefined {
  if (units.every((parts) => parts.every((part) => part === null))) return undefined;
  const known = units.map((parts) => {
    const durations = new Map<bigint, bigint>();
    for (const part of parts) raise(durations, part === null ? UNKNOWN : durationsOf(part));
    return durations;
  });
  const services = new Set<bigint>();
  for (const id of known.flatMap((durations) => [...durations.keys()])) {
    if (services.size < MAX_SIGNATURE_SERVICES && id !== OTHERS && id !== NO_SERVICE) {
      services.add(id);
    }
  }
  const rows = [...services];
  const view = new DataView(new ArrayBuffer((2 + rows.length) * units.length * WIDTH));
  for (const [n, durations] of known.entries()) {
    let all = NO_SPAN, others = NO_SPAN;
    for (const [id, duration] of durations) {
      if (duration > all) all = duration;
      if (id !== NO_SERVICE && !services.has(id) && duration > others) others = duration;
    }
    const put = (row: number, duration: bigint) =>
      view.setBigInt64((row * units.length + n) * WIDTH, duration);
    put(0, all);
    put(1, others);
    for (const [row, id] of rows.entries()) {
      const own = durations.get(id);
      put(2 + row, own === undefined || own < others ? others : own);
    }
  }
  return { services: rows, durations: new Uint8Array(view.buffer) };
}

function raise(durations: Map<bigint, bigint>, by: ReadonlyMap<bigint, bigint>): void {
  for (const [id, duration] of by) {
    const known = durations.get(id);
    if (known === undefined || duration > known) durations.set(id, duration);
  }
}

/**
 * The longest duration of a unit among rows of a signature, undefined when there is none.
 *
 * @param rows Rows, one behind the other, of so many units.
 * @param from The first row that counts, and `to` the one behind the last.
 */
export function longestInRows(
  rows: Uint8Array,
  units: number,
  unit: number,
  from: number,
  to: number,
): bigint | undefined {
  const view = viewOf(rows);
  let longest = NO_SPAN;
  for (let row = from; row < to; row++) {
    const duration = view.getBigInt64((row * units + unit) * WIDTH);
    if (duration > longest) longest = duration;
  }
  return longest === NO_SPAN ? undefined : longest;
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
}
