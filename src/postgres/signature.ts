/**
 * Signatures: which of many granules may hold a term, in two bytes a term.
 *
 * A unit, one granule or a few, is a Bloom filter; the filters of up to 128 units stand side by side,
 * so that the bits of one position are read together (a bit-sliced signature). A unit that holds a term
 * is always found, one that does not in about one case of 2,000.
 *
 * @module
 */

import { setImmediate } from "node:timers/promises";
import { longestOfUnits } from "./longest.ts";
import { mixed } from "./terms.ts";

/** Positions of a filter. */
const POSITIONS = 65_536;
/** Positions a term raises. */
const RAISED = 8;
/** Terms of a unit, unless one granule has more. */
export const UNIT_TERMS = 4_096;
/** Granules of a unit at most: who looks for long spans reads all of one for the longest of them. */
export const UNIT_GRANULES = 8;
/** Units of a signature at most. */
export const UNITS = 128;

/** What is known of a granule. */
export interface KnownGranule {
  readonly granule: number;
  /** Times of its rows, in microseconds since 1970. */
  readonly first: bigint;
  readonly last: bigint;
  readonly terms: Int32Array;
  /** The longest durations of its spans, as they are stored; null when that is not known. */
  readonly longest: Uint8Array | null;
}

/** Granules that are looked for together. */
export interface Unit {
  /** The first and the last of them. */
  from: number;
  to: number;
  /** Times of their rows, in microseconds since 1970. */
  first: bigint;
  last: bigint;
}

/** As it is stored. */
export interface Signature {
  /** Times of its rows, in microseconds since 1970. */
  readonly first: bigint;
  readonly last: bigint;
  readonly units: Uint8Array;
  readonly sliceBytes: number;
  readonly slices: Uint8Array;
  /** Whose longest durations it has, and those; null when it has none. */
  readonly services: readonly bigint[] | null;
  readonly longest: Uint8Array | null;
}

/** Bytes of a unit in `units`. */
export const UNIT_BYTES = 24;

/** The positions of a term. */
export function positionsOf(term: number): number[] {
  const step = stepOf(term);
  return Array.from({ length: RAISED }, (_, n) => (term + Math.imul(n, step)) & (POSITIONS - 1));
}

/**
 * Makes granules into signatures: those that follow each other into one unit, as long as they have few
 * terms. A granule may be given in parts, and parts of it may be in other signatures. Others get their
 * turn after each unit.
 */
export async function signaturesOf(granules: readonly KnownGranule[]): Promise<Signature[]> {
  const units = await unitsOf(granules);
  const signatures: Signature[] = [];
  for (let n = 0; n < units.length; n += UNITS) {
    signatures.push(await signatureOf(units.slice(n, n + UNITS)));
  }
  return signatures;
}

interface UnitTerms extends Unit {
  readonly parts: Int32Array[];
  readonly longest: (Uint8Array | null)[];
  granules: number;
}

/** Slots to remember terms by, a power of two. A term that is forgotten only counts twice. */
const SEEN = 8_192;

async function unitsOf(granules: readonly KnownGranule[]): Promise<UnitTerms[]> {
  const units: UnitTerms[] = [];
  const seen = new Int32Array(SEEN);
  let unit: UnitTerms | undefined;
  let count = 0;
  for (const granule of granules.toSorted((a, b) => a.granule - b.granule)) {
    const { first, last, terms, longest } = granule;
    const isNext = unit?.to !== granule.granule;
    const isFull = unit?.granules === UNIT_GRANULES || count + terms.length > UNIT_TERMS;
    if (unit === undefined || (isNext && isFull)) {
      const { granule: from } = granule;
      unit = { from, to: from, first, last, parts: [], longest: [], granules: 0 };
      units.push(unit);
      seen.fill(0);
      count = 0;
      await setImmediate();
    }
    if (isNext) unit.granules++;
    unit.to = granule.granule;
    if (first < unit.first) unit.first = first;
    if (last > unit.last) unit.last = last;
    unit.parts.push(terms);
    unit.longest.push(longest);
    count += newAmong(terms, seen);
  }
  return units;
}

function newAmong(terms: Int32Array, seen: Int32Array): number {
  let count = 0;
  for (let n = 0; n < terms.length; n++) {
    const term = terms[n]!;
    const slot = term & (SEEN - 1);
    if (seen[slot] === term) continue;
    seen[slot] = term;
    count++;
  }
  return count;
}

async function signatureOf(units: readonly UnitTerms[]): Promise<Signature> {
  const sliceBytes = Math.ceil(units.length / 8);
  const slices = new Uint8Array(POSITIONS * sliceBytes);
  const places = new DataView(new ArrayBuffer(units.length * UNIT_BYTES));
  for (const [n, { from, to, first, last, parts }] of units.entries()) {
    await setImmediate();
    const at = n * UNIT_BYTES;
    places.setInt32(at, from);
    places.setInt32(at + 4, to);
    places.setBigInt64(at + 8, first);
    places.setBigInt64(at + 16, last);
    const byte = n >> 3;
    const bit = 1 << (n & 7);
    for (const terms of parts) raise(slices, sliceBytes, byte, bit, terms);
  }
  const first = units.map((unit) => unit.first).reduce((a, b) => a < b ? a : b);
  const last = units.map((unit) => unit.last).reduce((a, b) => a > b ? a : b);
  const longest = longestOfUnits(units.map((unit) => unit.longest));
  return {
    first,
    last,
    units: new Uint8Array(places.buffer),
    sliceBytes,
    slices,
    services: longest?.services ?? null,
    longest: longest?.durations ?? null,
  };
}

function raise(
  slices: Uint8Array,
  sliceBytes: number,
  byte: number,
  bit: number,
  terms: Int32Array,
): void {
  for (let n = 0; n < terms.length; n++) {
    let position = terms[n]!;
    const step = stepOf(position);
    for (let raised = 0; raised < RAISED; raised++) {
      slices[(position & (POSITIONS - 1)) * sliceBytes + byte]! |= bit;
      position = (position + step) | 0;
    }
  }
}

/** How far the positions of a term are apart. */
function stepOf(term: number): number {
  return mixed(term ^ 0x9e3779b9) | 1;
}

/** A unit of a signature, by its number. */
export function unitAt(units: Uint8Array, n: number): Unit {
  const view = new DataView(units.buffer, units.byteOffset + n * UNIT_BYTES, UNIT_BYTES);
  return {
    from: view.getInt32(0),
    to: view.getInt32(4),
    first: view.getBigInt64(8),
    last: view.getBigInt64(16),
  };
}
