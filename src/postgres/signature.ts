/**
 * Signatures: which of many granules may hold a term, in two bytes a term.
 *
 * A unit, one granule or a few, is a Bloom filter; the filters of up to 256 units stand side by side,
 * so that the bits of one position are read together (a bit-sliced signature). A unit that holds a term
 * is always found, one that does not in about one case of 2,000.
 *
 * @module
 */

import { setImmediate } from "node:timers/promises";
import { mixed } from "./terms.ts";

/** Positions of a filter. */
const POSITIONS = 65_536;
/** Positions a term raises. */
const RAISED = 8;
/** Terms of a unit, unless one granule has more. */
export const UNIT_TERMS = 4_096;
/** Units of a signature at most. */
export const UNITS = 256;

/** What is known of a granule. */
export interface KnownGranule {
  readonly granule: number;
  /** Times of its rows, in microseconds since 1970. */
  readonly first: bigint;
  readonly last: bigint;
  readonly terms: Int32Array;
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
}

const UNIT_BYTES = 24;

/** The positions of a term. */
export function positionsOf(term: number): number[] {
  const step = mixed(term ^ 0x9e3779b9) | 1;
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
  readonly terms: Set<number>;
}

async function unitsOf(granules: readonly KnownGranule[]): Promise<UnitTerms[]> {
  const units: UnitTerms[] = [];
  let unit: UnitTerms | undefined;
  for (
    const { granule, first, last, terms } of granules.toSorted((a, b) => a.granule - b.granule)
  ) {
    if (
      unit === undefined || (unit.to !== granule && unit.terms.size + terms.length > UNIT_TERMS)
    ) {
      unit = { from: granule, to: granule, first, last, terms: new Set() };
      units.push(unit);
      await setImmediate();
    }
    unit.to = granule;
    if (first < unit.first) unit.first = first;
    if (last > unit.last) unit.last = last;
    for (const term of terms) unit.terms.add(term);
  }
  return units;
}

async function signatureOf(units: readonly UnitTerms[]): Promise<Signature> {
  const sliceBytes = Math.ceil(units.length / 8);
  const slices = new Uint8Array(POSITIONS * sliceBytes);
  const places = new DataView(new ArrayBuffer(units.length * UNIT_BYTES));
  for (const [n, { from, to, first, last, terms }] of units.entries()) {
    await setImmediate();
    const at = n * UNIT_BYTES;
    places.setInt32(at, from);
    places.setInt32(at + 4, to);
    places.setBigInt64(at + 8, first);
    places.setBigInt64(at + 16, last);
    const byte = n >> 3;
    const bit = 1 << (n & 7);
    for (const term of terms) {
      const step = mixed(term ^ 0x9e3779b9) | 1;
      for (let position = term, n = 0; n < RAISED; n++, position = (position + step) | 0) {
        slices[(position & (POSITIONS - 1)) * sliceBytes + byte]! |= bit;
      }
    }
  }
  const first = units.map((unit) => unit.first).reduce((a, b) => a < b ? a : b);
  const last = units.map((unit) => unit.last).reduce((a, b) => a > b ? a : b);
  return { first, last, units: new Uint8Array(places.buffer), sliceBytes, slices };
}

/** How many units a signature has. */
export function unitCount(units: Uint8Array): number {
  return units.length / UNIT_BYTES;
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
