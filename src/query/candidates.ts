/**
 * Where a search has to look: units of granules that may hold what it needs, those of the latest rows
 * first.
 *
 * Signatures are asked a few at a time and fresh terms are looked through once, so that a search for
 * what is frequent ends before it has asked for much. Signatures and fresh terms are read in one statement: in
 * between, terms could move from the one to the other and be seen in neither.
 *
 * @module
 */

import { Conditions } from "../conditions.ts";
import { dimensionIds } from "../filter_sql.ts";
import type { Queryable } from "../postgres/database.ts";
import { positionsOf, type Unit, unitAt } from "../postgres/signature.ts";
import { idTerm } from "../postgres/terms.ts";
import type { Signal } from "../record.ts";
import type { Need } from "./needs.ts";
import type { TimeRange } from "./range.ts";

/** Signatures that are asked first, and how many times as many each time after. */
const FIRST_SIGNATURES = 16;
const WIDEN = 16;
/** Units of which one may hold what is needed, where few do. */
const SPARSE = 16;
/** More ids of dimensions than so many are not looked for one by one. */
const MAX_IDS = 16;

const MICROSECOND = 1000n;

/** Need with nothing but terms. */
type TermNeed =
  | { readonly kind: "term"; readonly at: number }
  | { readonly kind: "and" | "or"; readonly parts: readonly TermNeed[] };

interface Found {
  readonly id: bigint | null;
  readonly last: bigint;
  readonly granule: number | null;
  readonly first: bigint;
  readonly units: Uint8Array | null;
  readonly slice_bytes: number | null;
  readonly slices: Uint8Array | null;
  readonly hits: string | null;
  readonly [column: string]: unknown;
}

/** Units that may hold what is needed. */
export class Candidates {
  readonly #reader: Queryable;
  readonly #signal: Signal;
  readonly #range: TimeRange;
  readonly #need: TermNeed;
  readonly #terms: readonly number[];
  /** Sorted by the time of their last row, the latest at the end. */
  #units: Unit[] = [];
  /** Where the signatures go on that were not asked yet; undefined when all were. */
  #next: { readonly last: bigint; readonly id: bigint } | undefined;
  #page = FIRST_SIGNATURES;
  /** Units of signatures that were asked, and those of them that may hold what is needed. */
  #asked = 0;
  #hits = 0;
  #hasBegun = false;

  private constructor(
    reader: Queryable,
    signal: Signal,
    range: TimeRange,
    need: TermNeed,
    terms: readonly number[],
  ) {
    this.#reader = reader;
    this.#signal = signal;
    this.#range = range;
    this.#need = need;
    this.#terms = terms;
  }

  /** Begins to look for candidates; undefined when everything is one. */
  static async of(
    reader: Queryable,
    signal: Signal,
    range: TimeRange,
    need: Need,
  ): Promise<Candidates | undefined> {
    const terms: number[] = [];
    const resolved = await resolve(reader, signal, need, terms);
    if (resolved === undefined) return undefined;
    const candidates = new Candidates(reader, signal, range, resolved, terms);
    await candidates.#ask();
    return candidates;
  }

  /** Whether few of the units that were asked may hold what is needed: then they have about a row each. */
  get areSparse(): boolean {
    return this.#hits * SPARSE < this.#asked;
  }

  /**
   * The units of the latest rows, at most as many as asked for; none when there are no more.
   *
   * @returns With them the latest time in nanoseconds that rows of others may have, undefined when there
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
    return {
      units: taken,
      beyond: lasts.length === 0 ? undefined : (latest + 1n) * MICROSECOND - 1n,
    };
  }

  async #ask(): Promise<void> {
    const page = this.#page;
    const where = new Conditions();
    const signal = where.parameter(this.#signal);
    const time = (nanos: bigint) =>
      `otel_data.to_timestamptz(${where.parameter(BigInt.asIntN(64, nanos))}::bigint)`;
    const since = time(this.#range.since);
    const until = time(this.#range.until);
    const range = `x.signal = ${signal}::text and x.last >= ${since} and x.first <= ${until}`;
    const parts: string[] = [];
    // There is none where no row meets a condition on dimensions.
    const hasTerms = this.#terms.length > 0;
    if (hasTerms) parts.push(this.#signatures(where, range, time, page));
    if (!this.#hasBegun && hasTerms) parts.push(this.#fresh(where, range));
    if (!this.#hasBegun) parts.push(unsigned(signal, since, until));
    const rows = await this.#reader.query<Found>(parts.join(" union all "), where.parameters);
    this.#hasBegun = true;
    this.#page *= WIDEN;
    this.#next = undefined;
    const signed: Found[] = [];
    for (const row of rows.sort(latestFirst)) {
      if (row.granule !== null) this.#addFresh(row);
      else if (signed.length < page) signed.push(row);
      else this.#next = { last: signed.at(-1)!.last, id: signed.at(-1)!.id! };
    }
    await this.#addSigned(signed);
    this.#units.sort((a, b) => a.last < b.last ? -1 : a.last > b.last ? 1 : 0);
  }

  #signatures(
    where: Conditions,
    range: string,
    time: (nanos: bigint) => string,
    page: number,
  ): string {
    const slices = joined(
      this.#terms.flatMap(positionsOf).map((position) =>
        `substring(x.slices from ${position} * x.slice_bytes + 1 for x.slice_bytes)`
      ),
    );
    const behind = this.#next === undefined
      ? "true"
      : `(x.last, x.id) < (${time(this.#next.last * MICROSECOND)}, ${
        where.parameter(this.#next.id)
      }::bigint)`;
    return `select x.id, ${micros("x.last")} as last, null::int as granule,
        ${micros("x.first")} as first, ${this.#hasBegun ? "null::bytea" : "x.units"} as units,
        x.slice_bytes, ${slices} as slices, null::text as hits
      from (select x.* from otel_data.signatures x where ${range} and ${behind}
        order by x.last desc, x.id desc limit ${page + 1}) x`;
  }

  #fresh(where: Conditions, range: string): string {
    const terms = where.parameter(this.#terms.map(hex));
    return `select null, ${micros("x.last")}, x.granule, ${
      micros("x.first")
    }, null, null, null, h.hits
      from otel_data.granule_terms x
      -- Read whole once, and not for each term.
      cross join lateral (select x.terms || ''::bytea as whole offset 0) w
      cross join lateral (
        select string_agg(case when position(decode(t, 'hex') in w.whole) > 0 then '1' else '0' end, '' order by n) as hits
        from unnest(${terms}::text[]) with ordinality as terms (t, n)
      ) h
      where ${range} and h.hits like '%1%'`;
  }

  #addFresh({ granule, first, last, hits }: Found): void {
    if (granule !== 0 && !meets(this.#need, (term) => hits![term] === "1")) return;
    this.#addInRange({ from: granule!, to: granule!, first, last });
  }

  /** The units of later signatures are read only where one of them is meant: they are most of a signature's bytes. */
  async #addSigned(signatures: readonly Found[]): Promise<void> {
    const meant = signatures.map(({ id, units, ...slices }) => {
      return { id: id!, units, numbers: this.#numbersIn(slices) };
    }).filter(({ numbers }) => numbers.length > 0);
    const missing = meant.filter(({ units }) => units === null).map(({ id }) => id);
    const read = missing.length === 0
      ? []
      : await this.#reader.query<{ id: bigint; units: Uint8Array }>(
        "select x.id, x.units from otel_data.signatures x where x.id = any ($1::bigint[])",
        [missing],
      );
    const unitsOf = new Map(read.map(({ id, units }) => [id, units]));
    for (const { id, units, numbers } of meant) {
      // A signature that has gone meanwhile went after the last of its rows.
      const places = units ?? unitsOf.get(id);
      if (places === undefined) continue;
      for (const n of numbers) this.#addInRange(unitAt(places, n));
    }
  }

  /** Which units of a signature may hold what is needed, by their numbers. */
  #numbersIn({ slice_bytes, slices }: Pick<Found, "slice_bytes" | "slices">): number[] {
    const width = slice_bytes!;
    const raised = slices!.length / width / this.#terms.length;
    const bits = this.#terms.map((_, term) => {
      const bits = new Uint8Array(width).fill(0xff);
      for (let n = term * raised; n < (term + 1) * raised; n++) {
        for (let i = 0; i < width; i++) bits[i]! &= slices![n * width + i]!;
      }
      return bits;
    });
    const numbers: number[] = [];
    for (let n = 0; n < width * 8; n++) {
      if (meets(this.#need, (term) => (bits[term]![n >> 3]! >> (n & 7) & 1) === 1)) numbers.push(n);
    }
    this.#asked += width * 8;
    this.#hits += numbers.length;
    return numbers;
  }

  #addInRange(unit: Unit): void {
    const { since, until } = this.#range;
    if ((unit.last + 1n) * MICROSECOND > since && unit.first * MICROSECOND < until) {
      this.#units.push(unit);
    }
  }
}

function micros(column: string): string {
  return `(extract(epoch from ${column}) * 1000000)::bigint`;
}

/** Rows that came by another way than ours are in no granule: they are looked at always. */
function unsigned(signal: string, since: string, until: string): string {
  return `select null::bigint as id, ${micros("x.last")} as last, 0 as granule,
      ${micros("x.first")} as first, null::bytea as units, null::int as slice_bytes,
      null::bytea as slices, null::text as hits
    from otel_data.unsigned(${signal}::text, ${since}, ${until}) x where x.first is not null`;
}

/** The part of a range that rows of the units may be in. */
export function rangeOfUnits(units: readonly Unit[], { since, until }: TimeRange): TimeRange {
  const first = units.map((unit) => unit.first).reduce((a, b) => a < b ? a : b) * MICROSECOND;
  const last = (units.map((unit) => unit.last).reduce((a, b) => a > b ? a : b) + 1n) * MICROSECOND;
  return { since: first > since ? first : since, until: last < until ? last : until };
}

/** Adds the condition that rows `t` are in one of the units. */
export function inUnits(units: readonly Unit[], where: Conditions): void {
  const ranges: { from: number; to: number }[] = [];
  for (const { from, to } of units.toSorted((a, b) => a.from - b.from)) {
    const last = ranges.at(-1);
    // Whatever lies between is worth less than another look into the index.
    if (last !== undefined && from <= last.to + 2) last.to = Math.max(last.to, to);
    else ranges.push({ from, to });
  }
  const terms = ranges.map(({ from, to }) =>
    `t.granule between ${where.parameter(from)}::int and ${where.parameter(to)}::int`
  );
  where.addSql(`(${terms.join(" or ")})`);
}

function latestFirst(a: Found, b: Found): number {
  if (a.last !== b.last) return a.last > b.last ? -1 : 1;
  return (a.id ?? 0n) > (b.id ?? 0n) ? -1 : 1;
}

function meets(need: TermNeed, has: (term: number) => boolean): boolean {
  switch (need.kind) {
    case "term":
      return has(need.at);
    case "and":
      return need.parts.every((part) => meets(part, has));
    case "or":
      return need.parts.some((part) => meets(part, has));
  }
}

/** The same with the ids of dimensions for conditions on them; undefined when that is no restriction. */
async function resolve(
  reader: Queryable,
  signal: Signal,
  need: Need,
  terms: number[],
): Promise<TermNeed | undefined> {
  switch (need.kind) {
    case "term":
      return { kind: "term", at: terms.push(need.term) - 1 };
    case "dimension": {
      const where = new Conditions();
      const ids = dimensionIds(need.filter, signal, (value) => where.parameter(value));
      const rows = await reader.query<{ id: bigint }>(
        `${ids} limit ${MAX_IDS + 1}`,
        where.parameters,
      );
      if (rows.length > MAX_IDS) return undefined;
      const parts = rows.map(({ id }): TermNeed => {
        const term = idTerm(
          need.of,
          Number(BigInt.asIntN(32, id)),
          Number(BigInt.asIntN(32, id >> 32n)),
        );
        return { kind: "term", at: terms.push(term) - 1 };
      });
      return { kind: "or", parts };
    }
    case "and": {
      const parts: TermNeed[] = [];
      for (const part of need.parts) {
        const resolved = await resolve(reader, signal, part, terms);
        if (resolved !== undefined) parts.push(resolved);
      }
      return parts.length === 0 ? undefined : { kind: "and", parts };
    }
    case "or": {
      const parts: TermNeed[] = [];
      for (const part of need.parts) {
        const resolved = await resolve(reader, signal, part, terms);
        if (resolved === undefined) return undefined;
        parts.push(resolved);
      }
      return { kind: "or", parts };
    }
  }
}

/** Pieces in one, by pairs: the server reads expressions only so deep. An aggregate takes it three times as long. */
function joined(pieces: readonly string[]): string {
  if (pieces.length === 1) return pieces[0]!;
  const half = pieces.length >> 1;
  return `(${joined(pieces.slice(0, half))} || ${joined(pieces.slice(half))})`;
}

/** The four bytes of a term, as they are stored. */
function hex(term: number): string {
  return (term >>> 0).toString(16).padStart(8, "0");
}
