/**
 * Where a search has to look: units of granules that may hold what it needs, those of the latest rows
 * first, or those with the longest spans.
 *
 * Signatures are asked a few at a time and fresh terms are looked through once, so that a search for
 * what is frequent ends before it has asked for much. Signatures and fresh terms are read in one statement: in
 * between, terms could move from the one to the other and be seen in neither.
 *
 * @module
 */

import type { Condition } from "../filter_sql.ts";
import type { Queryable } from "../postgres/database.ts";
import { LONGEST, longestInRows, longestOf } from "../postgres/longest.ts";
import { type Unit, unitAt } from "../postgres/signature.ts";
import type { Signal } from "../record.ts";
import type { Need } from "./needs.ts";
import type { TimeRange } from "./range.ts";
import { askedOf, type Found, type Question } from "./candidates_read.ts";
import { meets, NeedResolver } from "./resolved_needs.ts";
import { compareKeys } from "./scan_key.ts";

/** Signatures that are asked first, and how many times as many each time after. */
const FIRST_SIGNATURES = 16;
const WIDEN = 16;
/** Units of which one may hold what is needed, where few do. */
const SPARSE = 16;

const MICROSECOND = 1000n;

/** The slowest are looked for first: those of a service, and not what takes longer than that. */
export interface Slowest {
  readonly ofService: Condition | undefined;
  readonly atMost: bigint | undefined;
}

/** A unit and how long its longest span may be that is asked for. */
interface RankedUnit extends Unit {
  longest: bigint;
}

/** Units that may hold what is needed. */
export class Candidates {
  readonly #reader: Queryable;
  readonly #signal: Signal;
  readonly #range: TimeRange;
  readonly #question: Question;
  /** Sorted; what comes first is at the end. */
  #units: RankedUnit[] = [];
  /** Where the signatures go on that were not asked yet; undefined when all were. */
  #next: { readonly last: bigint; readonly id: bigint } | undefined;
  #page = FIRST_SIGNATURES;
  /** Units of signatures that were asked, and those of them that may hold what is needed. */
  #asked = 0;
  #hits = 0;
  #freshCount = 0;
  #hasBegun = false;

  private constructor(reader: Queryable, signal: Signal, range: TimeRange, question: Question) {
    this.#reader = reader;
    this.#signal = signal;
    this.#range = range;
    this.#question = question;
  }

  /**
   * Begins to look for candidates; undefined when everything is one, in no order.
   *
   * @param slowest Those come first. Default: the latest.
   */
  static async of(
    reader: Queryable,
    signal: Signal,
    range: TimeRange,
    need: Need | undefined,
    slowest?: Slowest,
  ): Promise<Candidates | undefined> {
    const resolver = new NeedResolver(reader, signal);
    const resolved = need && await resolver.resolve(need);
    if (resolved === undefined && slowest === undefined) return undefined;
    const candidates = new Candidates(reader, signal, range, {
      need: resolved ?? { kind: "and", parts: [] },
      slowest: slowest && await resolver.longestOf(slowest.ofService),
      atMost: slowest?.atMost ?? LONGEST,
      terms: resolver.terms,
      services: resolver.services,
    });
    do await candidates.#ask(); while (slowest !== undefined && candidates.#next !== undefined);
    return candidates;
  }

  /** Whether few of the units that were asked may hold what is needed: then they have about a row each. */
  get areSparse(): boolean {
    return this.#hits * SPARSE < this.#asked;
  }

  /** About how many units were asked, by those who look for the slowest. */
  get asked(): number {
    return this.#asked + this.#freshCount;
  }

  /**
   * How many of the slowest are left whose rows may come before a key; all when there is none. They are
   * those that come next.
   */
  countUpTo(key: readonly bigint[] | undefined): number {
    if (key === undefined) return this.#units.length;
    // Sorted, so all before this one come later.
    const at = this.#units.findLastIndex((unit) => compareKeys(rankOf(unit), key) < 0);
    return this.#units.length - at - 1;
  }

  /**
   * The next units, at most as many as asked for; none when there are no more.
   *
   * @returns With them the latest time in microseconds that rows of others may have, undefined when there
   * are no others.
   */
  async take(
    count: number,
  ): Promise<{ readonly units: readonly Unit[]; readonly beyond: bigint | undefined }> {
    const taken: Unit[] = [];
    while (taken.length < count) {
      const unit = this.#units.at(-1);
      // A signature that was not asked yet may have a later one.
      if (this.#next !== undefined && (unit === undefined || unit.last < this.#next.last)) {
        await this.#ask();
      } else if (unit === undefined) break;
      else taken.push(this.#units.pop()!);
    }
    const lasts = [this.#units.at(-1)?.last, this.#next?.last].filter((last) => last !== undefined);
    const latest = lasts.reduce((a, b) => a > b ? a : b, -1n);
    return { units: taken, beyond: lasts.length === 0 ? undefined : latest };
  }

  async #ask(): Promise<void> {
    const page = this.#page;
    const rows = await askedOf(this.#reader, this.#question, {
      signal: this.#signal,
      range: this.#range,
      page,
      next: this.#next,
      isFirst: !this.#hasBegun,
    });
    this.#hasBegun = true;
    this.#page *= WIDEN;
    this.#next = undefined;
    const signed: Found[] = [];
    const fresh = new Map<number, RankedUnit>();
    for (const row of rows.sort(latestFirst)) {
      if (row.granule !== null) this.#addFresh(row, fresh);
      else if (signed.length < page) signed.push(row);
      else this.#next = { last: signed.at(-1)!.last, id: signed.at(-1)!.id! };
    }
    this.#units.push(...fresh.values());
    this.#freshCount += new Set(rows.map(({ granule }) => granule)).size;
    await this.#addSigned(signed);
    this.#units.sort((a, b) => compareKeys(rankOf(a), rankOf(b)));
  }

  /** Parts of a granule become one unit. */
  #addFresh({ granule, first, last, longest, hits }: Found, to: Map<number, RankedUnit>): void {
    const { services } = this.#question;
    const known = services.map((ids) => longest === null ? LONGEST : longestOf(longest, ids));
    const has = (term: number) => hits![term] === "1";
    if (granule !== 0 && !this.#isMeant(has, (n) => known[n])) return;
    const part = this.#ranked({ from: granule!, to: granule!, first, last }, (n) => known[n]!);
    if (part === undefined) return;
    const unit = to.get(granule!) ?? part;
    to.set(granule!, unit);
    if (part.first < unit.first) unit.first = part.first;
    if (part.last > unit.last) unit.last = part.last;
    if (part.longest > unit.longest) unit.longest = part.longest;
  }

  /** Of units in which none of the services has a span the slowest is in no order. */
  #isMeant(has: (term: number) => boolean, longest: (services: number) => bigint | undefined) {
    const { need, slowest } = this.#question;
    return meets(need, has, longest) && (slowest === undefined || longest(slowest) !== undefined);
  }

  /** The units of later signatures are read only where one of them is meant: they are most of a signature's bytes. */
  async #addSigned(signatures: readonly Found[]): Promise<void> {
    const meant = signatures.map(({ id, units, ...row }) => {
      const longest = this.#longestIn(row);
      return { id: id!, units, longest, numbers: this.#numbersIn(row, longest) };
    }).filter(({ numbers }) => numbers.length > 0);
    const missing = meant.filter(({ units }) => units === null).map(({ id }) => id);
    const read = missing.length === 0
      ? []
      : await this.#reader.query<{ id: bigint; units: Uint8Array }>(
        "select x.id, x.units from otel_data.signatures x where x.id = any ($1::bigint[])",
        [missing],
      );
    const unitsOf = new Map(read.map(({ id, units }) => [id, units]));
    for (const { id, units, longest, numbers } of meant) {
      // A signature that has gone meanwhile went after the last of its rows.
      const places = units ?? unitsOf.get(id);
      if (places === undefined) continue;
      for (const n of numbers) {
        const unit = this.#ranked(unitAt(places, n), (services) => longest(services, n)!);
        if (unit !== undefined) this.#units.push(unit);
      }
    }
  }

  /** How long the longest span of services in a unit is, by their numbers. */
  #longestIn(
    { unit_count, longest }: Pick<Found, "unit_count" | "longest">,
  ): (services: number, unit: number) => bigint | undefined {
    if (longest === null) return () => LONGEST;
    let row = 0;
    const rows = this.#question.services.map((ids) => [row, row += ids?.length ?? 1] as const);
    return (services, unit) => longestInRows(longest, unit_count!, unit, ...rows[services]!);
  }

  /** Which units of a signature may hold what is needed, by their numbers. */
  #numbersIn(
    { unit_count, slice_bytes, slices }: Pick<Found, "unit_count" | "slice_bytes" | "slices">,
    longest: (services: number, unit: number) => bigint | undefined,
  ): number[] {
    const { terms } = this.#question;
    const width = slice_bytes!;
    const raised = slices!.length / width / terms.length;
    const bits = terms.map((_, term) => {
      const bits = new Uint8Array(width).fill(0xff);
      for (let n = term * raised; n < (term + 1) * raised; n++) {
        for (let i = 0; i < width; i++) bits[i]! &= slices![n * width + i]!;
      }
      return bits;
    });
    const numbers: number[] = [];
    for (let n = 0; n < unit_count!; n++) {
      const has = (term: number) => (bits[term]![n >> 3]! >> (n & 7) & 1) === 1;
      if (this.#isMeant(has, (services) => longest(services, n))) numbers.push(n);
    }
    this.#asked += unit_count!;
    this.#hits += numbers.length;
    return numbers;
  }

  /** Undefined where it is not in the range. */
  #ranked(unit: Unit, longest: (services: number) => bigint): RankedUnit | undefined {
    const { since, until } = this.#range;
    const { slowest, atMost } = this.#question;
    if ((unit.last + 1n) * MICROSECOND <= since || unit.first * MICROSECOND >= until) {
      return undefined;
    }
    const own = slowest === undefined ? LONGEST : longest(slowest);
    return { ...unit, longest: own < atMost ? own : atMost };
  }
}

/** How the key of its first row begins at most. Where the latest are looked for, all are as long. */
function rankOf({ longest, last }: RankedUnit): bigint[] {
  return [longest, last];
}

function latestFirst(a: Found, b: Found): number {
  if (a.last !== b.last) return a.last > b.last ? -1 : 1;
  return (a.id ?? 0n) > (b.id ?? 0n) ? -1 : 1;
}
